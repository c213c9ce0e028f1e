"""The report on precisions: a warning where students that are compared were trained in different ones."""

from __future__ import annotations

from collections.abc import Mapping

from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph

MOST_NAMES = 6
"""Trainings that are named per precision."""


def warn_of_precisions(trained: Mapping[str, str | None]) -> str | None:
    """Says which trainings were made in which precision; None where all have the same.

    Args:
        trained: the precision of each training, by its name; None where it is not known.
    """
    groups: dict[str, list[str]] = {}
    for name, precision in trained.items():
        if precision is not None:
            groups.setdefault(precision, []).append(name)
    if len(groups) < 2:
        return None
    parts = [f"{_listed(names)} in {precision}" for precision, names in sorted(groups.items())]
    return (
        f"trained in different precisions: {'; '.join(parts)}; some of their difference may come from that: train all "
        "of them anew with the same training.bf16, true or false"
    )


def run_precisions(folder: RunFolder, graph: Graph) -> dict[str, str | None]:
    """The precision of all trainings of a finished run, those of judges and folds included."""
    notes = {job.name: folder.done(job, graph.fingerprints[job]) for job in graph if job.kind is Kind.TRAIN}
    return {name: note["result"].get("precision") for name, note in notes.items() if note is not None}


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
