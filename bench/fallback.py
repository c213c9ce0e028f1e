"""Fallback on a finished run: short answers that are doubtful are given again in full, and all tokens count.

    python bench/fallback.py runs/RUN --first stt:skip --second stt:full
    python bench/fallback.py runs/RUN --first answer-only --second base

For every seed, the threshold on the confidence is set on the validation questions of the run: the fewest tokens at most
`--within` points below second answers alone. Then it is applied to the test questions. A method may be asked in another
mode than its own (`method:mode`), if it was trained for it. Answers are kept in RUN/fallback and not generated again.
Needs `pip install 'skipthink[train]'`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from skipthink.evaluation import EvaluationOptions, evaluate
from skipthink.evaluation.cascade import Cascade, Point
from skipthink.run.recipe import Recipe, load_recipe


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--first", default="stt")
    parser.add_argument("--second", default="base")
    parser.add_argument("--within", type=float, default=1.0, help="points of accuracy below second answers")
    parser.add_argument("--curve", action="store_true", help="print the whole curve of the test questions")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(options.run / "recipe.yaml")
    print(
        "| seed | answers | threshold | asked again % | accuracy % | tokens per answer |\n|---|---|---|---|---|---|"
    )
    for seed in recipe.seeds:
        found = {
            split: cascade_of(options.run, recipe, split, seed, options.first, options.second)
            for split in ("validation", "test")
        }
        threshold = found["validation"].calibrate(options.within).threshold
        test = found["test"]
        print(row_of(seed, f"{options.first} alone", test.at(-np.inf)))
        print(row_of(seed, "with fallback", test.at(threshold)))
        alone = test.right[:, 1].mean(), test.tokens[:, 1].mean()
        print(row_of(seed, f"{options.second} alone", Point(np.nan, 0.0, *map(float, alone))), flush=True)
        for point in test.curve() if options.curve else ():
            print(row_of(seed, "curve", point))


def row_of(seed: int, name: str, point: Point) -> str:
    """A line of the table."""
    shown = "-" if not np.isfinite(point.threshold) else f"{point.threshold:.3f}"
    return f"| {seed} | {name} | {shown} | {100 * point.again:.1f} | {100 * point.accuracy:.1f} | {point.tokens:.1f} |"


def cascade_of(run: Path, recipe: Recipe, split: str, seed: int, first: str, second: str) -> Cascade:
    """First and second answers to the questions of a split."""
    tables = [answers_of(run, recipe, split, seed, name) for name in (first, second)]
    if tables[0]["id"].to_pylist() != tables[1]["id"].to_pylist():
        raise SystemExit(f"{run / 'fallback'} holds answers to other questions; delete it")
    right = [[verdict == "right" for verdict in table["verdict"].to_pylist()] for table in tables]
    tokens = [table["tokens"].to_numpy() for table in tables]
    return Cascade(
        tables[0]["confidence"].to_numpy(), np.asarray(right).T, np.stack(tokens, axis=1).astype(np.int64)
    )


def answers_of(run: Path, recipe: Recipe, split: str, seed: int, name: str) -> pa.Table:
    """Answers of a method in a mode, from disk where they are there."""
    method = recipe.method(name.partition(":")[0])
    mode = name.partition(":")[2] or method.mode
    out = run / "fallback" / split / f"{method.name}-{mode}-s{seed}"
    if not (out / "predictions.parquet").exists():
        evaluate(
            student=run / "train" / method.name / f"s{seed}" / "model",
            samples=pq.read_table(run / "data" / f"{split}.parquet"),
            mode=mode,
            out=out,
            check=recipe.checks,
            options=EvaluationOptions(confidence=True, alone_questions=0, stage_questions=0),
            chunks=recipe.chunks_of(method),
        )
    return pq.read_table(out / "predictions.parquet")


if __name__ == "__main__":
    main()
