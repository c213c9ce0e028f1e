"""The verdict of an audit: whether chunks can be searched, whether there is something to skip, what to fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.data.leaks import Leak, Repeats
from skipthink.data.teachers import Teachers

SEARCHABLE = 0.2
"""Least share of rationales with more steps than chunks for search to matter."""
WORTH = 1.2
"""Least ceiling of the speed-up for skipping to be worth while."""
BLIND = 0.5
"""Share of rationales without a new fact before their end above which the ceiling says nothing."""
WRONG = 0.05
"""Share of wrong teachers above which they should be fixed first."""


@dataclass(frozen=True)
class Verdict:
    """What samples are good for.

    Attributes:
        search: "yes" or "little": whether searched chunks can differ from average ones; "no" without rationales.
        skip: "yes", "little" or "unknown": whether there is something to skip; "no" without rationales.
        carries: "yes", "in part" or "no".
        sentences: why, and what to fix first.
    """

    search: str
    skip: str
    carries: str
    sentences: tuple[str, ...]


def judge(
    *,
    n_rationales: int,
    searchable: float,
    chunks: int,
    ceiling: float,
    ceiling_by_steps: float,
    blind: float,
    teachers: Teachers,
    leaks: Sequence[Leak],
    repeats: Repeats,
) -> Verdict:
    """Judges what an audit has found.

    Args:
        n_rationales: rationales with a step.
        searchable: share of them with more steps than chunks.
        chunks: M, as recommended.
        ceiling: ceiling of the speed-up with M average chunks.
        ceiling_by_steps: the same step by step.
        blind: share of rationales whose reasoning states no new number, name or option.
        teachers: rationales held against the gold answers.
        leaks: splits compared.
        repeats: rows that stand twice.
    """
    defects = tuple(_defects(teachers, leaks, repeats))
    if n_rationales == 0:
        return Verdict(
            "no", "no", "no", ("There is no rationale, so nothing to cut and nothing to skip.", *defects)
        )
    search = "yes" if searchable >= SEARCHABLE else "little"
    skip = "unknown" if blind >= BLIND else "yes" if ceiling >= WORTH else "little"
    good = [search == "yes", skip == "yes"]
    carries = "yes" if all(good) else "in part" if any(good) or skip == "unknown" else "no"
    return Verdict(
        search,
        skip,
        carries,
        (
            _on_search(search, searchable, chunks),
            _on_skip(skip, chunks, ceiling, ceiling_by_steps, blind),
            *defects,
        ),
    )


def _on_search(search: str, searchable: float, chunks: int) -> str:
    rows = f"{100 * searchable:.0f} % of the rationales have more than M = {chunks} steps"
    if search == "yes":
        return f"Chunks can be searched: {rows}."
    return f"Search can change little: {rows}, the others have one segmentation; use average chunks or a smaller M."


def _on_skip(skip: str, chunks: int, ceiling: float, by_steps: float, blind: float) -> str:
    if skip == "unknown":
        return (
            f"How much can be skipped is unknown: in {100 * blind:.0f} % of the rationales the reasoning states no new "
            "number, name or option, so the ceilings say nothing; let the gate find out "
            "(docs/explanation/skipping.md)."
        )
    found = f"at most {ceiling:.2f}x fewer tokens with M = {chunks}, {by_steps:.2f}x step by step"
    if skip == "yes":
        return f"There is something to skip: {found}."
    return f"There is little to skip: {found}; an answer can hardly become shorter."


def _defects(teachers: Teachers, leaks: Sequence[Leak], repeats: Repeats) -> list[str]:
    defects = []
    if teachers.flagged_wrong:
        defects.append(
            f"Teachers went wrong in {teachers.flagged_wrong} of {teachers.checked} rows, says the column `correct`: a "
            "run leaves the training rows among them out."
        )
    elif teachers.flagged_wrong is None and teachers.wrong >= WRONG * max(1, teachers.checked):
        defects.append(
            f"The final answer is not the gold one in {teachers.wrong} of {teachers.checked} rationales: check them, "
            "and give a column `correct`, so that a run can leave them out."
        )
    if teachers.odd_golds:
        defects.append(
            f"{teachers.odd_golds} gold answers are not of the kind {teachers.kind}: name the kind, or fix them."
        )
    same = sum(leak.same for leak in leaks)
    spelling = sum(leak.spelling for leak in leaks)
    if same:
        defects.append(
            f"{same} questions stand in two splits: a run takes them out of the training rows (docs/how-to/data.md)."
        )
    if spelling > same:
        defects.append(
            f"{spelling - same} more are the same but for spaces and punctuation: remove them, a run does not see them."
        )
    if repeats.contradictions:
        defects.append(f"{repeats.contradictions} questions have two gold answers: one of them is wrong.")
    return defects
