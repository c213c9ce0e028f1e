"""Answers at every level of skipping, of a student that can be told how much to skip (method `stt-levels`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from skipthink.answers import Verdict
from skipthink.evaluation.intervals import wilson_interval
from skipthink.student.inference import Answered, Decoding
from skipthink.student.student import Student

if TYPE_CHECKING:
    import pyarrow as pa

OBEYED = 0.5
"""Share of the difference in length between the levels it was trained on, below which a student does not obey."""


def measure_levels(
    student: Student,
    answer: Callable[[Decoding], list[Answered]],
    check: Callable[[str | None, str], Verdict],
    gold: Sequence[str],
    decoding: Decoding,
    known: list[Answered],
    progress: Callable[[int, int], None],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Has all questions answered at each level.

    Args:
        student: trained with levels.
        answer: gives the answers to the questions.
        check: gives the verdict of an answer, of (text, gold).
        gold: the right answers.
        decoding: how the student writes, at the level `known` was written at.
        known: the answers at that level.
        progress: called with (levels done, levels in all).

    Returns:
        A row per level (level, accuracy, accuracy_low, accuracy_high, tokens_per_answer, trained_tokens: the mean
        target in training), and one per level and question (row, level, answer, verdict, tokens).
    """
    levels, rows, answers = student.about["levels"], [], []
    for level, trained in enumerate(levels, 1):
        written = known if level == decoding.level else answer(decoding.at_level(level))
        texts = [student.answer_text(one) for one in written]
        verdicts = [check(text, right) for text, right in zip(texts, gold, strict=True)]
        n, n_right = len(verdicts), verdicts.count(Verdict.RIGHT)
        low, high = wilson_interval(n_right, n)
        rows.append(
            {
                "level": level,
                "accuracy": n_right / n,
                "accuracy_low": low,
                "accuracy_high": high,
                "tokens_per_answer": sum(one.n_generated for one in written) / n,
                "trained_tokens": trained["mean_target_tokens"],
            }
        )
        answers += [
            {"row": row, "level": level, "answer": text, "verdict": str(verdict), "tokens": one.n_generated}
            for row, (text, verdict, one) in enumerate(zip(texts, verdicts, written, strict=True))
        ]
        progress(level, len(levels))
    return rows, answers


def levels_table(ids: Sequence[str], answers: list[dict[str, Any]]) -> pa.Table:
    """Answers at every level as a table: id, level, answer, verdict, tokens."""
    import pyarrow as pa

    types = {"level": pa.int64(), "answer": pa.string(), "verdict": pa.string(), "tokens": pa.int64()}
    columns = {name: pa.array([one[name] for one in answers], kind) for name, kind in types.items()}
    return pa.table({"id": pa.array([ids[one["row"]] for one in answers], pa.string()), **columns})


def obeys(levels: Sequence[dict[str, Any]]) -> bool:
    """Whether answers differ in length from the first to the last level by half as much as those of training.

    Args:
        levels: as `measure_levels` gives them.
    """
    spans = [float(levels[0][key] - levels[-1][key]) for key in ("tokens_per_answer", "trained_tokens")]
    return spans[0] >= OBEYED * spans[1]
