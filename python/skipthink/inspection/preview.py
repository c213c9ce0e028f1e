"""Samples of a file before any training: steps, losses and boundaries by a student, and the items it would train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.data import load_samples
from skipthink.exceptions import InvalidInputError
from skipthink.inspection.samples import SEARCHES, search_rows, stage_name
from skipthink.student.items import Items, build_items, loss_mask
from skipthink.student.student import Student
from skipthink.student.token_texts import as_tokens, special_ids

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMES = {"answer-only": "answer-only", "base": "base", "base+sbc": "chunkwise"}
"""Methods that need no judge, to the plan of their items."""


def preview(
    file: Path,
    *,
    student: str,
    n_chunks: int | None,
    rules: str,
    choose: Callable[[pa.Table], list[int]],
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Views of some samples, as `samples.SampleViews.views` describes them.

    Args:
        file: see `skipthink.data.load_samples`.
        student: folder or name; it scores the steps with the weights it has.
        n_chunks: M; None: that of the student.
        rules: step rules.
        choose: picks rows of the table of samples that have a rationale.
        progress: called with (tokens scored, tokens in all).

    Raises:
        DataError: the file or the student cannot be read.
        InvalidInputError: no row is chosen, or the student does not fit.
    """
    import pyarrow.compute as pc

    table = load_samples(file, teacher="all").table
    table = table.filter(pc.is_valid(table["rationale"]))
    rows = choose(table)
    if not rows:
        raise InvalidInputError(f"no sample of {file} with a rationale is among those asked for")
    samples = table.take(rows)
    asked = Student.load(student, n_chunks=n_chunks)
    encoded = asked.encode(samples, rules)
    losses = asked.score(encoded, progress=progress)
    rows_of_losses = [losses.row(row) for row in range(len(encoded))]
    found: dict[str, Any] = {
        method: search_rows(rows_of_losses, {"M": asked.n_chunks}, method) for method in SEARCHES
    }
    average = search_rows(rows_of_losses, {"M": asked.n_chunks}, "average")
    views = []
    for row, sample in enumerate(samples.to_pylist()):
        boundaries = [
            {
                "source": source,
                "epoch": None,
                "boundaries": chunking.boundaries[row].tolist(),
                "objective": float(chunking.objective[row]),
                "losses": None if source == "average" else "student",
            }
            for source, chunking in {"average": average, **found}.items()
        ]
        views.append(
            {
                "id": sample["id"],
                "split": None,
                **{name: sample[name] for name in ("question", "rationale", "answer")},
                "steps": encoded.steps[row],
                "losses": {"the student": {**rows_of_losses[row], "epoch": None}},
                "boundaries": boundaries,
                "items": {},
                "gate": {},
                "outputs": {},
            }
        )
    for method, scheme in SCHEMES.items():
        plan = encoded.plan(scheme, np.ascontiguousarray(found["greedy"].boundaries))
        _add_items(views, method, build_items(encoded, plan, asked.markers), asked)
    return views


def _add_items(views: list[dict[str, Any]], method: str, items: Items, student: Student) -> None:
    backend: Any = student.tokenizer.backend_tokenizer
    special, loss = special_ids(backend), loss_mask(items)
    for index in range(len(items)):
        start, end = items.tokens.offsets[index : index + 2]
        source = None if items.sources is None else items.sources[index].tolist()
        stage = int(items.stages[index])
        item = {
            "stage": stage,
            "name": stage_name(stage),
            "source": None if source is None else as_tokens(backend, source, [False] * len(source), special),
            "tokens": as_tokens(backend, items.tokens[index].tolist(), loss[start:end].tolist(), special),
        }
        views[int(items.rows[index])]["items"].setdefault(method, []).append(item)
