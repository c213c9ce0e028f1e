"""The source of items: what a method makes the items of an epoch from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import EncodedSamples
from skipthink.student.items import Items, build_items, take_items
from skipthink.student.losses import Floats
from skipthink.student.markers import Markers
from skipthink.student.token_rows import Bools, TokenRows
from skipthink.training.steps import StepPlan


@dataclass
class ItemSource:
    """Samples, their chunks and the options of a training.

    Attributes:
        encoded: the training samples.
        markers: marker ids, fitted to the student.
        options: the method's options, an instance of its `Options`.
        boundaries: chunks as they are now, int64 (n, M + 1); a search replaces them.
        seed: of the run.
        step_size: items of an optimiser step, over all processes.
        skipped: chunks that the judge can do without, bool (n, M); None where the method does not ask for them.
        kept: steps that one-pass items keep, bool (total_steps,); None: not chosen, or all.
        turns: when each chunk goes that can be done without (`skipping.levels`), float64 (n, M); None: from the front.
        own: the chain of a student's own answer per sample, empty where there is none; None: no student was asked.
        rows: the samples that are trained on, int64; those with an item that is too long are left out.
    """

    encoded: EncodedSamples
    markers: Markers
    options: Any
    boundaries: Ints
    seed: int
    step_size: int
    skipped: Bools | None = None
    kept: Bools | None = None
    turns: Floats | None = None
    own: TokenRows | None = None
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.rows):
            self.rows = np.arange(len(self.encoded))
        self.step_plan = StepPlan(
            self.step_size, self.seed, self.options.batching == "stage", self.options.step_target_tokens
        )

    def planned(self, scheme: str, **options: Any) -> Items:
        """The items of a scheme of `skipthink.plan_items`, of all samples that are trained on.

        Args:
            scheme: "chunkwise", "skip", "base" or "answer-only".
            options: of `skipthink.plan_items`.

        Raises:
            InvalidInputError: chunk-wise items of more chunks than the student has markers for.
        """
        n_chunks = self.boundaries.shape[1] - 1
        if scheme == "chunkwise" and n_chunks > self.markers.n_chunks:
            raise InvalidInputError(
                f"samples have up to {n_chunks} chunks, one per step, but the student has markers for "
                f"{self.markers.n_chunks}; train on skip items alone (skip_weight: 1) or beside whole rationales "
                f"(full_items: one-pass), or raise chunks.M to {n_chunks}"
            )
        plan = self.encoded.plan(scheme, self.boundaries, **options)
        return self.of_rows(build_items(self.encoded, plan, self.markers))

    def of_rows(self, items: Items) -> Items:
        """Those of the items whose samples are trained on."""
        if len(self.rows) == len(self.encoded):
            return items
        return take_items(items, np.flatnonzero(np.isin(items.rows, self.rows)))

    def steps(self, items: Items, epoch: int) -> list[Ints]:
        """The items of each optimiser step of an epoch, int64; known before the epoch begins."""
        return self.step_plan.steps(items.stages, items.n_loss, epoch)

    def rationale_lengths(self, items: Items) -> Ints:
        """Tokens of the rationale of each item's sample, int64 (n_items,)."""
        return self.encoded.rationale.lengths[items.rows]

    @property
    def longest_rationale(self) -> int:
        """Tokens of the longest rationale that is trained on."""
        return int(self.encoded.rationale.lengths[self.rows].max())
