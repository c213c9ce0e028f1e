"""Rungs between the ceiling of skipping and skip-thinking training, on made data where the right decision is known.

    python bench/ladder.py OUT --rungs core,skip,skip-0.95,skip-0.5 --seeds 0,1,2

Every rung trains the test bed's student S on the task of the demo with the same number of target tokens:

    core        one pass over the core sentences alone, without markers: the ceiling
    skip        skip items alone, every sentence its own chunk, all but the core sentences skipped
    skip-W      the same beside chunk-wise items; skip items are the share W of all items

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
from skipthink.training import BudgetOptions, train_method
from skipthink.training.methods import own_methods

TASK = "multi_step_arithmetic"
TASK_OPTIONS = {
    "n_operations": 2, "operations": ["+", "-"], "max_number": 12, "max_value": 30, "styles": ["calculate"],
    "summary_states_answer": 0.25,
}  # fmt: skip
CORE = "reasoning"
N_CHUNKS = 7  # the sentences of a rationale
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
    chunks = ChunkOptions(M=N_CHUNKS, method="average")
    Student.load(testbed.student_path("S"), n_chunks=N_CHUNKS, seed=seed).save(out / "fresh")
    kind, _, weight = rung.partition("-")
    method = own_methods()["base" if kind == "core" else "stt"]
    rows = core_only(made["train"]) if kind == "core" else made["train"]
    samples = table(rows)
    given = {} if kind == "core" else true_decisions(made["train"])
    own = {} if kind == "core" else {"skip_weight": float(weight or 1), "thought": "per-chunk"}
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


def core_only(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Samples whose rationales are their core sentences alone."""
    kept = (
        "".join(step for step, role in zip(row["steps"], row["roles"], strict=True) if role == CORE).strip()
        for row in rows
    )
    return [{**row, "rationale": rationale} for row, rationale in zip(rows, kept, strict=True)]


def true_decisions(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Every sentence a chunk of its own, and skipped where it is not core: boundaries and skipped of `train_method`."""
    boundaries = average_boundaries([len(row["steps"]) for row in rows], N_CHUNKS)
    skipped = np.zeros((len(rows), N_CHUNKS), dtype=bool)
    for place, row in enumerate(rows):
        skipped[place, : len(row["roles"])] = [role != CORE for role in row["roles"]]
    return {"boundaries": boundaries, "skipped": skipped}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Samples as a table."""
    return pa.Table.from_pylist(
        [{name: row[name] for name in ("id", "question", "rationale", "answer")} for row in rows]
    )


if __name__ == "__main__":
    main()
