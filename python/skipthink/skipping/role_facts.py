"""What the roles of data are, before anything is trained: which kinds of steps the gate `trial` would do without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skipthink.core.search import average_boundaries
from skipthink.core.steps import StepSpans, split_steps_batch
from skipthink.data import load_samples
from skipthink.data.audit_text import Section, clean, percent
from skipthink.skipping.roles import find_roles

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
    texts = [rationales[row] for row in drawn]
    spans = split_steps_batch(texts, rules=rules)
    steps = _texts(texts, spans)
    boundaries = average_boundaries(spans.n_steps, max(1, int(spans.n_steps.max(initial=0))))
    roles = find_roles([questions[row] for row in drawn], steps, boundaries, n_roles=n_roles, seed=seed)
    last = np.maximum(spans.n_steps - 1, 1)[:, None]
    places = np.arange(roles.of.shape[1])[None] / last
    facts = []
    for role, example in enumerate(roles.examples):
        held = roles.of == role
        low, high = np.quantile(places[held], (0.05, 0.95))
        facts.append(
            RoleFacts(example, float(held.sum() / len(texts)), (float(low), float(high)), roles.new[role])
        )
    return facts


def roles_of_files(
    files: Sequence[str | Path], *, n_roles: int, rules: str | Sequence[str] = "auto"
) -> dict[str, list[RoleFacts]]:
    """The roles of the training rows of each file; of all rows where none are marked as training rows.

    Args:
        files: files, folders or data sets that `load_samples` reads.
        n_roles: R, the most roles there may be.
        rules: step rules, as in `skipthink.split_steps`.

    Raises:
        DataError: a file cannot be read.
        InvalidInputError: n_roles < 1.
    """
    found = {}
    for file in files:
        rows = load_samples(str(file), teacher="all", require_rationale=False).table
        rows = rows.filter(rows["rationale"].is_valid())
        if "split" in rows.column_names:
            of_training = [split == "train" for split in rows["split"].to_pylist()]
            rows = rows.filter(of_training) if any(of_training) else rows
        found[str(file)] = describe_roles(
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


def _texts(rationales: Sequence[str], spans: StepSpans) -> list[list[str]]:
    return [[text[start:end] for start, end in spans[row]] for row, text in enumerate(rationales)]
