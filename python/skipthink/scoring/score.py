"""Scores that are kept: the losses of steps, computed once per student and sample (method §4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from skipthink.scoring.cache import ScoreCache
from skipthink.student.encoding import EncodedSamples
from skipthink.student.losses import StepLosses
from skipthink.student.student import Student


def score_steps(
    student: Student,
    encoded: EncodedSamples,
    *,
    passes: str = "conditioned",
    batch_tokens: int = 8192,
    autocast: str | None = None,
    cache: str | Path | None = None,
    write_seconds: float = 20.0,
    progress: Callable[[int, int], None] | None = None,
) -> StepLosses:
    """Scores all steps of all samples, as `Student.score` does, and keeps the scores in a folder.

    Args:
        student: the student.
        encoded: the samples.
        passes: see `Student.score`.
        batch_tokens: see `Student.score`.
        autocast: see `Student.score`.
        cache: folder of scores; those found there are not computed again, those computed are put there. A killed call
            goes on from there. None: nothing is kept.
        write_seconds: between two writes to the cache; a kill loses no more than that.
        progress: see `Student.score`.

    Raises:
        InvalidInputError: see `Student.score`.
        RunError: memory runs out on a single sequence, or the cache cannot be written.
        DataError: the cache folder cannot be used.
    """
    store = None
    if cache is not None:
        precision = f"{autocast} end={student.markers.end_id}"
        store = ScoreCache(cache, student.network, precision=precision, write_seconds=write_seconds)
    return student.score(
        encoded, passes=passes, batch_tokens=batch_tokens, autocast=autocast, store=store, progress=progress
    )
