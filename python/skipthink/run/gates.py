"""The gates that train nobody: chunks are skipped by a rule or at random (docs/explanation/skipping.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.search import average_boundaries
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.gates import write_decisions
from skipthink.skipping.options import SkipOptions
from skipthink.student.student import Student
from skipthink.training.dropping import drop_at_random, drop_by_rule

if TYPE_CHECKING:
    import pyarrow as pa


def skip_by_rule(
    *,
    student: Path,
    samples: pa.Table,
    out: Path,
    options: SkipOptions,
    chunks: ChunkOptions,
    seed: int = 0,
) -> dict[str, Any]:
    """Skips steps by the rule of `pruned-rule`, or as many tokens at random; every step is a chunk of its own.

    Args:
        student: folder of the fresh student, by whose tokens rates are measured.
        samples: training samples: columns id, question, rationale, answer.
        out: folder for `skip.parquet` and `report.json`.
        options: `gate` ("rule" or "random") and `random_rate`.
        chunks: the step rules.
        seed: of random drops.

    Returns:
        The report, as `gates.write_decisions` writes it.
    """
    encoded = Student.load(student, device="cpu").encode(samples, chunks.rules)
    boundaries = average_boundaries(encoded.n_steps, int(encoded.n_steps.max()))
    by_rule = options.gate == "rule"
    kept = drop_by_rule(encoded) if by_rule else drop_at_random(encoded, options.random_rate, seed)
    skipped = np.zeros((len(encoded), boundaries.shape[1] - 1), dtype=np.bool_)
    skipped[np.diff(boundaries, axis=1) > 0] = ~kept
    return write_decisions(out, samples, boundaries, skipped, {"gate": options.gate})
