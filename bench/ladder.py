"""Rungs between the ceiling of skipping and skip-thinking training, on made data where the right decision is known.

    python bench/ladder.py OUT --rungs core,skip,skip-0.95,skip-0.5 --seeds 0,1,2

Every rung trains the test bed's student S on the task of the demo with the same number of target tokens:

    core        one pass over the core sentences alone, without markers: the ceiling
    skip        skip items alone, every sentence its own chunk, all but the core sentences skipped

and `skip` with one thing or several changed, e.g. `skip-text` or `skip-0.5-M5`:

    0.95        beside chunk-wise items; skip items are this share of all items
    none        nothing stands in a target for what is skipped, in place of a [thought] per chunk
    text        markers are text in front of the question, in place of tokens that are new to the student
    M5          five average chunks; one is skipped if it holds no core sentence, so what stands beside core is kept
    drawn       a quarter of the sentences that are not core are kept, drawn sample by sample: nobody can foresee which

A finished rung is kept in OUT and not trained again. Needs `pip install 'skipthink[train]'`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from skipthink import tasks, testbed
from skipthink.answers.options import CheckOptions
from skipthink.core.search import average_boundaries
from skipthink.evaluation import evaluate
from skipthink.evaluation.options import EvaluationOptions
from skipthink.io.files import write_json
from skipthink.scoring.options import ChunkOptions
from skipthink.student import Student
from skipthink.student.frame import Frame
from skipthink.training import BudgetOptions, train_method
from skipthink.training.methods import own_methods

TASK = "multi_step_arithmetic"
TASK_OPTIONS = {
    "n_operations": 2, "operations": ["+", "-"], "max_number": 12, "max_value": 30, "styles": ["calculate"],
    "summary_states_answer": 0.25,
}  # fmt: skip
CORE = "reasoning"
N_CHUNKS = 7  # the sentences of a rationale
KEPT = 0.25  # of the rung `drawn`
TARGET_TOKENS = 200_000
STEP_ITEMS = 16


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--rungs", default="core,skip,skip-0.95,skip-0.5")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--train", type=int, default=1000, help="training samples")
    parser.add_argument("--test", type=int, default=300, help="test questions")
    parser.add_argument("--target-tokens", type=int, default=TARGET_TOKENS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = tasks.make(TASK, train=options.train, validation=100, test=options.test, seed=0, **TASK_OPTIONS)
    print(
        "| rung | seed | accuracy % | tokens per answer | target tokens | steps |\n|---|---|---|---|---|---|"
    )
    for seed in map(int, options.seeds.split(",")):
        for rung in options.rungs.split(","):
            found = climb(rung, seed, made, options.out / f"{rung}-s{seed}", options.target_tokens)
            print(
                f"| {rung} | {seed} | {100 * found['accuracy']:.1f} | {found['tokens_per_answer']:.1f} | "
                f"{found['train_target_tokens']:,} | {found['train_steps']} |",
                flush=True,
            )


def climb(rung: str, seed: int, made: dict[str, Any], out: Path, target_tokens: int) -> dict[str, Any]:
    """Trains and evaluates one rung; what it found before is read again."""
    result = out / "result.json"
    if result.exists():
        return dict(json.loads(result.read_text(encoding="utf-8")))
    shutil.rmtree(out, ignore_errors=True)
    kind, changes = parts_of(rung)
    n_chunks = changes.get("M", N_CHUNKS)
    chunks = ChunkOptions(M=n_chunks, method="average")
    markers = "text" if "text" in changes else "tokens"
    Student.load(testbed.student_path("S"), n_chunks=n_chunks, seed=seed, frame=Frame(markers=markers)).save(
        out / "fresh"
    )
    method = own_methods()["base" if kind == "core" else "stt"]
    rows = core_only(made["train"]) if kind == "core" else made["train"]
    samples = table(rows)
    given, own = {}, {}
    if kind == "skip":
        given = true_decisions(made["train"], n_chunks, KEPT if "drawn" in changes else 0.0, seed)
        own = {
            "skip_weight": changes.get("weight", 1.0),
            "thought": "none" if "none" in changes else "per-chunk",
        }
    common = {
        "batch_size": STEP_ITEMS // 2, "gradient_accumulation_steps": 2, "learning_rate": 2e-3, "weight_decay": 0.1,
        "adam_beta2": 0.99, "batching": "shuffled", "save_steps": 10_000, **own,
    }  # fmt: skip
    summary = train_method(
        method, student=out / "fresh", samples=samples, out=out / "train", chunks=chunks, seed=seed,
        options=method.Options(**common, budget=BudgetOptions(target_tokens=target_tokens)), **given,
    )  # fmt: skip
    found = evaluate(
        student=out / "train" / "model", samples=table(made["test"]), mode=method.mode, out=out / "evaluate",
        check=CheckOptions(answer="number"), options=EvaluationOptions(alone_questions=0, stage_questions=0),
        chunks=chunks,
    )  # fmt: skip
    kept = {name: summary[name] for name in ("train_steps", "train_target_tokens")}
    write_json(result, {"rung": rung, "seed": seed, **found, **kept})
    return {**found, **kept}


def parts_of(rung: str) -> tuple[str, dict[str, Any]]:
    """The kind of a rung, `core` or `skip`, and what is changed in it.

    Raises:
        SystemExit: there is no such rung.
    """
    kind, *names = rung.split("-")
    changes: dict[str, Any] = {}
    for name in names:
        if name in ("none", "text", "drawn"):
            changes[name] = True
        elif name[:1] == "M" and name[1:].isdigit():
            changes["M"] = int(name[1:])
        elif name.replace(".", "", 1).isdigit():
            changes["weight"] = float(name)
        else:
            raise SystemExit(
                f"rung {rung}: {name} is none of none, text, drawn, M5 (chunks), 0.5 (share of skip items)"
            )
    if kind not in ("core", "skip") or (kind == "core" and changes):
        raise SystemExit(f"rung {rung}: there are core and skip, and skip with changes (see --help)")
    return kind, changes


def core_only(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Samples whose rationales are their core sentences alone."""
    kept = (
        "".join(step for step, role in zip(row["steps"], row["roles"], strict=True) if role == CORE).strip()
        for row in rows
    )
    return [{**row, "rationale": rationale} for row, rationale in zip(rows, kept, strict=True)]


def true_decisions(
    rows: list[dict[str, Any]], n_chunks: int = N_CHUNKS, kept: float = 0.0, seed: int = 0
) -> dict[str, Any]:
    """Average chunks, skipped where they hold no core sentence: boundaries and skipped of `train_method`.

    Args:
        rows: made samples.
        n_chunks: chunks; as many as sentences, and each is its own.
        kept: share of the chunks without core that stay all the same, drawn.
        seed: of the draw.
    """
    boundaries = average_boundaries([len(row["steps"]) for row in rows], n_chunks)
    random = np.random.default_rng(seed)
    skipped = np.zeros((len(rows), n_chunks), dtype=bool)
    for place, row in enumerate(rows):
        for chunk, (start, end) in enumerate(zip(boundaries[place], boundaries[place][1:], strict=False)):
            holds_core = CORE in row["roles"][start:end]
            skipped[place, chunk] = end > start and not holds_core and random.random() >= kept
    return {"boundaries": boundaries, "skipped": skipped}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Samples as a table."""
    return pa.Table.from_pylist(
        [{name: row[name] for name in ("id", "question", "rationale", "answer")} for row in rows]
    )


if __name__ == "__main__":
    main()
