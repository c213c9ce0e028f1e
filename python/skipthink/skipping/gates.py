"""The gates that decide by roles or rules rather than sample by sample: what they have in common.

A gate says which chunks of the training samples are skipped. Its files are those of every skip data: `skip.parquet` and
`report.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ledger import EMPTY, KEPT, RIGHT, SKIPPED
from skipthink.core.ragged import Ints
from skipthink.io.files import write_json
from skipthink.skipping.skip_data import tasks_of, write_skips
from skipthink.skipping.statistics import group_skips
from skipthink.student.token_rows import Bools

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING_ASKED = {
    "judges": 0,
    "votes": 1,
    "asked": 0,
    "tokens_generated": 0,
    "prompt_tokens": 0,
    "prompt_tokens_read": 0,
    "unparsed": 0,
    "regrown": 0,
    "seconds": 0.0,
}
"""What a report counts, of a gate that asks nobody."""


def write_decisions(
    out: Path, samples: pa.Table, boundaries: Ints, skipped: Bools, report: dict[str, Any]
) -> dict[str, Any]:
    """Writes the decisions of a gate.

    Args:
        out: folder for `skip.parquet` and `report.json`.
        samples: training samples: column id; where there is one, task.
        boundaries: their chunks, int64 (n, M + 1).
        skipped: which of them are skipped, bool (n, M).
        report: gate, and what else is to be said; counts that are missing are 0.

    Returns:
        The report, with rows, kept, skipped, empty (chunks), groups (`statistics.group_skips`) and warnings.
    """
    empty = np.diff(boundaries, axis=1) == 0
    states = np.where(empty, EMPTY, np.where(skipped, SKIPPED, KEPT)).astype(np.uint8)
    # nobody was asked with nothing dropped: every row counts
    base = np.full(len(states), RIGHT, dtype=np.uint8)
    whole = {
        **NOTHING_ASKED,
        "rows": len(states),
        "kept": int((states == KEPT).sum()),
        "skipped": int((states == SKIPPED).sum()),
        "empty": int(empty.sum()),
        "warnings": [],
        **report,
        "groups": group_skips(base, states, tasks_of(samples)),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_skips(out, samples["id"].to_pylist(), boundaries, states == SKIPPED)
    write_json(out / "report.json", whole)
    return whole
