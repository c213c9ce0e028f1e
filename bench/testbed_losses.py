"""Loss of the trained students of test bed runs on the sentences of held-out rationales: core, and all others.

    python bench/testbed_losses.py runs/testbed-* [--questions 200]        prints Markdown

The paper's claim about chunk-wise training is that core tokens are not averaged away. The test bed says which
sentences are core, so it can be looked at: nats per token, teacher-forced, Base on `q r` and the chunk-wise students on
`[m] q r`, each sentence under the stage of its chunk. Held-out rationales are cut as those of training were: evenly, or
by search on the losses of the student at hand.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skipthink import chunk
from skipthink.core.options import SearchOptions
from skipthink.options import pick
from skipthink.run.folder import RunFolder
from skipthink.run.recipe import Recipe
from skipthink.student import Student
from skipthink.training.method import Method

CORE = "reasoning"


class Losses(NamedTuple):
    """One student: nats per token of core sentences, of all others, and of core by chunk, NaN where there is none."""

    core: float
    other: float
    by_chunk: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="finished run folders")
    parser.add_argument("--questions", type=int, default=200, help="of the test split")
    options = parser.parse_args()
    for path in options.runs:
        print("\n".join(render(path, options.questions)))


def render(path: Path, n_questions: int) -> list[str]:
    """The table of a run, mean ± standard deviation over its seeds."""
    recipe = RunFolder(path).recipe()
    samples = pq.read_table(path / "data" / "test.parquet").slice(0, n_questions)
    stages = range(1, recipe.chunks.M + 1)
    lines = [
        f"### {path.resolve().name}, {samples.num_rows} questions",
        "",
        f"| method | core, nats per token | others | {' | '.join(f'core in chunk {m}' for m in stages)} |",
        "|---|---|---|" + "---|" * len(stages),
    ]
    for method in measured(recipe):
        found = [measure(recipe, path, method.name, seed, samples) for seed in recipe.seeds]
        cells = [spread([one.core for one in found]), spread([one.other for one in found])]
        cells += [spread([one.by_chunk[m - 1] for one in found]) for m in stages]
        lines.append(f"| {method.name} | {' | '.join(cells)} |")
    return [*lines, ""]


def measured(recipe: Recipe) -> Iterator[Method]:
    """The methods that learn whole rationales, in one piece or chunk by chunk."""
    for method in recipe.chosen:
        if method.is_reference or method.mode == "full":
            yield method


def measure(recipe: Recipe, path: Path, name: str, seed: int, samples: pa.Table) -> Losses:
    """Scores held-out rationales with one trained student."""
    method = recipe.method(name)
    folder = path / "train" / name / f"s{seed}" / "model"
    student = Student.load(folder, device="cpu")
    n_chunks = recipe.chunks.M
    encoded = student.encode(samples, recipe.chunks.rules)
    losses = student.score(encoded, passes="conditioned" if method.has_chunks else "free")
    stage = stage_of_steps(recipe, method, encoded, losses)
    core = is_core(samples, encoded)
    nll = losses.nll[np.arange(len(stage)), stage if method.has_chunks else 0]
    parts = [core, ~core, *(core & (stage == m) for m in range(n_chunks))]
    means = [per_token(nll, losses.n_tokens, part) for part in parts]
    return Losses(means[0], means[1], means[2:])


def stage_of_steps(recipe: Recipe, method: Method, encoded: Any, losses: Any) -> Any:
    """Index of the chunk that each step stands in, int64 (total_steps,); Base's, of average chunks."""
    chunks = recipe.chunks_of(method)
    search = pick(SearchOptions, chunks)
    found = chunk(encoded.steps, M=chunks.M, **losses.chunk_arguments(), **search.chunk_arguments())
    sizes = np.diff(found.boundaries, axis=1)
    return np.concatenate([np.repeat(np.arange(sizes.shape[1]), row) for row in sizes])


def is_core(samples: pa.Table, encoded: Any) -> Any:
    """Whether a step is core, bool (total_steps,)."""
    roles = samples["roles"].to_pylist()
    for name, row, n_steps in zip(samples["id"].to_pylist(), roles, encoded.n_steps, strict=True):
        if len(row) != n_steps:
            raise SystemExit(f"{name}: {len(row)} sentences were made, {n_steps} steps are found")
    return np.asarray([role == CORE for row in roles for role in row])


def per_token(nll: Any, n_tokens: Any, part: Any) -> float:
    """Mean loss of the tokens of some steps; NaN where there are none."""
    count = int(n_tokens[part].sum())
    return float(nll[part].sum() / count) if count else float("nan")


def spread(values: list[float]) -> str:
    """Mean ± standard deviation over the seeds that have a value."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return "-"
    deviation = f" ± {np.std(known, ddof=1):.3f}" if len(known) > 1 else ""
    return f"{np.mean(known):.3f}{deviation}"


if __name__ == "__main__":
    main()
