"""What the roles of data are, before anything is trained: which kinds of steps the gate `trial` would do without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skipthink.core.search import average_boundaries
from skipthink.core.steps import split_steps
from skipthink.data.audit_text import Section, clean, percent
from skipthink.skipping.roles import find_roles

if TYPE_CHECKING:
    import pyarrow as pa

MOST_LOOKED_AT = 2_000
"""Rationales that are looked at; of more, so many are drawn. Roles hardly change beyond."""


@dataclass(frozen=True)
class RoleFacts:
    """A role of steps.

    Attributes:
        example: a step in the middle of it, masked.
        per_rationale: steps of it, per rationale.
        places: from where to where in rationales 90 % of its steps stand, 0 (first step) … 1 (last step).
        new: share of its steps that have a number that is new.
    """

    example: str
    per_rationale: float
    places: tuple[float, float]
    new: float


def describe_roles(
    questions: Sequence[str],
    rationales: Sequence[str],
    *,
    n_roles: int,
    rules: str | Sequence[str] = "auto",
    seed: int = 0,
) -> list[RoleFacts]:
    """The roles of rationales in which every step is a chunk, in the order of their mean place.

    Args:
        questions: of the samples.
        rationales: of the samples.
        n_roles: R, the most roles there may be.
        rules: step rules, as in `skipthink.split_steps`.
        seed: of which are drawn where there are many, and of the clustering.

    Raises:
        InvalidInputError: n_roles < 1.
    """
    drawn = list(range(len(rationales)))
    if len(drawn) > MOST_LOOKED_AT:
        drawn = sorted(np.random.default_rng(seed).choice(drawn, MOST_LOOKED_AT, replace=False).tolist())
    steps = [split_steps(rationales[row], rules=rules) for row in drawn]
    n_steps = np.array([len(row) for row in steps], dtype=np.int64)
    boundaries = average_boundaries(n_steps, max(1, int(n_steps.max(initial=0))))
    roles = find_roles([questions[row] for row in drawn], steps, boundaries, n_roles=n_roles, seed=seed)
    last = np.maximum(n_steps - 1, 1)[:, None]
    places = np.arange(roles.of.shape[1])[None] / last
    facts = []
    for role, example in enumerate(roles.examples):
        held = roles.of == role
        low, high = np.quantile(places[held], (0.05, 0.95))
        facts.append(
            RoleFacts(example, float(held.sum() / len(drawn)), (float(low), float(high)), roles.new[role])
        )
    return facts


def roles_of_files(
    tables: Mapping[str, pa.Table], *, n_roles: int, rules: str | Sequence[str] = "auto"
) -> dict[str, list[RoleFacts]]:
    """The roles of the training rows of each file; of all rows where none are marked as training rows.

    Args:
        tables: the rows of each file, as `load_samples` gives them.
        n_roles: R, the most roles there may be.
        rules: step rules, as in `skipthink.split_steps`.

    Raises:
        InvalidInputError: n_roles < 1.
    """
    found = {}
    for file, table in tables.items():
        rows = table.filter(table["rationale"].is_valid())
        if "split" in rows.column_names:
            of_training = [split == "train" for split in rows["split"].to_pylist()]
            rows = rows.filter(of_training) if any(of_training) else rows
        found[file] = describe_roles(
            rows["question"].to_pylist(), rows["rationale"].to_pylist(), n_roles=n_roles, rules=rules
        )
    return found


def role_sections(found: Mapping[str, Sequence[RoleFacts]]) -> list[Section]:
    """A table of each file, with what to look for."""
    return [
        Section(
            "Roles of steps" + (f" of {clean(Path(name).name)}" if len(found) > 1 else ""),
            [
                (
                    "example (# given number, ## new one, @ word of the question)",
                    "per rationale",
                    "place",
                    "new",
                ),
                *(
                    (
                        clean(role.example),
                        f"{role.per_rationale:.2f}",
                        f"{role.places[0]:.2f} - {role.places[1]:.2f}",
                        percent(role.new),
                    )
                    for role in roles
                ),
            ],
            [
                "place: where 90 % of them stand, 0 the first step, 1 the last; new: those with a new number.",
                "A role that holds what is needed beside what is not cannot go: where kinds of steps share one, or a "
                "place is wide, take more roles (skip.roles).",
            ],
        )
        for name, roles in found.items()
    ]
