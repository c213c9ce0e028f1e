"""Statistics of skip data: skips by position, by number of chunks and by task; and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skipthink.core.ledger import EMPTY, OPEN, RIGHT, SKIPPED

WEAK_BELOW = 0.5
"""A judge that is right on a smaller share of samples with nothing dropped is called weak."""
ALL_ABOVE = 0.95
"""Where a larger share of questions finds its chunk dispensable, the judge may know its samples by heart."""

Codes = npt.NDArray[np.uint8]


def group_skips(base: Codes, states: Codes, tasks: Sequence[str] | None) -> list[dict[str, Any]]:
    """Skips of all samples, of those with so many chunks, and of each task.

    Args:
        base: the rows' answers with nothing dropped, uint8 (n,) as in `SkipLedger.to_arrow`.
        states: their chunks, uint8 (n, M).
        tasks: the task of each sample, where there are several.

    Returns:
        A row a group: by ("all", "chunks" or "task"), group, rows, judge_right (rows), asked and skipped (questions
        about a chunk), asked_by_chunk (list, chunk 1 … M) and skip_rate (list; None where none was asked).
    """
    n_chunks = (states != EMPTY).sum(axis=1)
    groups = [("all", "all", np.ones(len(base), dtype=np.bool_))]
    groups += [("chunks", str(count), n_chunks == count) for count in np.unique(n_chunks)]
    if tasks is not None:
        names = np.asarray(tasks)
        groups += [("task", str(name), names == name) for name in np.unique(names)]
    return [_count(by, group, base[rows], states[rows]) for by, group, rows in groups]


def find_warnings(total: dict[str, Any], unparsed: int, *, n_judges: int, torn_bytes: int) -> list[str]:
    """Warnings about the skip data.

    Args:
        total: the row of all samples, of `group_skips`.
        unparsed: rows whose answer with nothing dropped was none.
        n_judges: F of cross-fitting, or 1.
        torn_bytes: cut off the end of the ledger's file.
    """
    rows, right, asked = total["rows"], total["judge_right"], total["asked"]
    found = []
    if torn_bytes:
        found.append(describe_torn(torn_bytes))
    if rows and right < WEAK_BELOW * rows:
        unseen = " it was not trained on" if n_judges > 1 else ""
        found.append(
            f"the judge is weak: with nothing dropped it is right on {right} of {rows} training samples{unseen} "
            f"({100 * right / rows:.1f} %); the others keep all their chunks, so the skip data hold little and stt "
            f"learns mostly whole rationales. {unparsed} of its continuations, over all questions, stated no answer. "
            "Train the judge longer (training.methods: {base+sbc: {epochs: …}}), take a larger student, or check "
            "answer and tolerance of the recipe"
        )
    if n_judges == 1 and asked and total["skipped"] > ALL_ABOVE * asked:
        found.append(
            f"nearly every chunk looks dispensable ({total['skipped']} of {asked}): a judge that knows its training "
            "samples by heart needs no chunk; judge samples by students that have not seen them (skip: {crossfit: 2})"
        )
    return found


def describe_torn(torn_bytes: int) -> str:
    """The message about a torn end of a ledger."""
    return (
        f"the ledger ended in a torn record of {torn_bytes} bytes, as a kill in the midst of writing leaves it; it was "
        "cut off, and at most one batch of questions is asked again"
    )


def _count(by: str, group: str, base: Codes, states: Codes) -> dict[str, Any]:
    answered = (states != EMPTY) & (states != OPEN) & (base == RIGHT)[:, None]
    skipped = (states == SKIPPED).sum(axis=0)
    asked = answered.sum(axis=0)
    return {
        "by": by,
        "group": group,
        "rows": len(base),
        "judge_right": int((base == RIGHT).sum()),
        "asked": int(asked.sum()),
        "skipped": int(skipped.sum()),
        "asked_by_chunk": asked.tolist(),
        "skip_rate": [
            int(found) / int(all_) if all_ else None for found, all_ in zip(skipped, asked, strict=True)
        ],
    }
