"""What skipthink.yaml calls: questions in, verdicts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skipthink import tasks
from skipthink.answers import Verdict, check_answer, infer_kind
from skipthink.data import load_samples

if TYPE_CHECKING:
    import datasets  # type: ignore[import-untyped]


def load_questions(
    *,
    file: str | None = None,
    task: str = "multi_step_arithmetic",
    n: int = 100,
    seed: int = 0,
    task_options: dict[str, Any] | None = None,
    answer: str | None = None,
    **others: Any,
) -> dict[str, datasets.Dataset]:
    """The questions, as lm-evaluation-harness wants them; options come from its `--metadata`.

    Args:
        file: a file of samples, such as `runs/demo/data/test.parquet`; then `task` and `task_options` say nothing.
        task: a task of `skipthink.tasks`, whose first `n` test questions are asked.
        n: how many questions are asked at most.
        seed: seeds the task.
        task_options: options of the task.
        answer: kind of the answers; that of the task, or of all gold answers together, where not given.
        others: what else stands in the metadata.

    Returns:
        The split "test" with the columns id, question, answer, kind.
    """
    from datasets import Dataset

    del others
    if file is None:
        rows = list(tasks.rows(task, split="test", n=n, seed=seed, **(task_options or {})))
        kind = answer or tasks.answer_kind(task, **(task_options or {}))
    else:
        rows = load_samples(file, require_rationale=False).table.slice(0, n).to_pylist()
        kind = answer or infer_kind(row["answer"] for row in rows)
    return {
        "test": Dataset.from_list(
            [{name: row[name] for name in ("id", "question", "answer")} | {"kind": kind} for row in rows]
        )
    }


def check(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Checks the one answer to a question."""
    verdict = check_answer(doc["kind"], results[0], doc["answer"])
    return {"accuracy": float(verdict is Verdict.RIGHT), "unparsed": float(verdict is Verdict.UNPARSED)}
