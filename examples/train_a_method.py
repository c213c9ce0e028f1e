"""Trains the student of the test bed with one method, in Python, and measures it on held-out questions.

    python examples/train_a_method.py OUT [STEPS]

OUT becomes a folder with the trained student, its chunks and its predictions. Needs `pip install 'skipthink[train]'`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from skipthink import tasks, testbed
from skipthink.answers.options import CheckOptions
from skipthink.evaluation import evaluate
from skipthink.evaluation.options import EvaluationOptions
from skipthink.scoring.options import ChunkOptions
from skipthink.student import Student
from skipthink.training import train_method
from skipthink.training.methods import own_methods


def main(out: Path, steps: int) -> None:
    made = tasks.make("multi_step_arithmetic", train=500, validation=0, test=50, seed=0)
    splits = {split: pa.Table.from_pylist(rows) for split, rows in made.items() if rows}
    chunks = ChunkOptions(M=4, objective="variance")
    method = own_methods()["base+sbc"]

    # the markers of four chunks are added to the vocabulary of the fresh student
    Student.load(testbed.student_path("S"), n_chunks=chunks.M).save(out / "fresh")
    summary = train_method(
        method,
        student=out / "fresh",
        samples=splits["train"],
        out=out / "trained",
        options=method.Options(max_steps=steps, batch_size=16, learning_rate=2e-3),
        chunks=chunks,
        seed=0,
        progress=lambda done, total: print(f"\rstep {done} of {total}", end="", flush=True),
    )
    print(f"\n{summary['train_target_tokens']} target tokens in {summary['seconds']:.0f} seconds")

    result = evaluate(
        student=out / "trained" / "model",
        samples=splits["test"],
        mode=method.mode,
        out=out / "evaluated",
        check=CheckOptions(answer="number"),
        options=EvaluationOptions(alone_questions=0, stage_questions=0),
        chunks=chunks,
    )
    print(f"{result['right']} of {result['n']} right, {result['tokens_per_answer']:.1f} tokens per answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)
