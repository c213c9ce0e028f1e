"""ICoT-SI: during training the rationale is removed token by token, from the left (arXiv 2405.14838)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.options import OptionError, option
from skipthink.student.items import Items, drop_places
from skipthink.student.markers import Markers
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource

EVERYTHING = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class IcotOptions(TrainingOptions):
    """Options of ICoT-SI."""

    remove_per_epoch: float = option(8.0, "tokens of the rationale that are removed per epoch", gt=0)
    remove_from_epoch: float = option(
        0.0, "epochs with whole rationales before the first token is removed", ge=0
    )
    remove_all_beyond: int | None = option(
        None, "once this number of tokens is to be removed, the whole rationale is; null: no such jump", ge=1
    )
    removal_smoothing: float | None = option(
        4.0, "rate of the geometric offset by which more tokens are removed; null: no offset", gt=0
    )
    reset_optimizer: bool = option(
        True, "whether the optimiser forgets its moments when one more token is removed"
    )

    def check(self) -> None:
        """DeepSpeed's optimiser keeps its moments to itself."""
        super().check()
        if self.reset_optimizer and self.deepspeed is not None:
            raise OptionError(
                "reset_optimizer",
                "is set beside deepspeed, whose optimiser keeps its moments; set it to false",
            )

    def n_due(self, step: int, steps_per_epoch: int) -> int:
        """Tokens that are gone from the left of each rationale at an optimiser step, counted from 0."""
        due = int(
            self.remove_per_epoch * (step - self.remove_from_epoch * steps_per_epoch) // steps_per_epoch
        )
        if self.remove_all_beyond is not None and due >= self.remove_all_beyond:
            return EVERYTHING
        return max(due, 0)


class IcotSi(Method):
    """One-pass items that lose more of their rationale with each optimiser step.

    The items of a step are known before the epoch, so a resumed run drops the same tokens.
    """

    name, Options = "icot-si", IcotOptions

    def items(self, source: ItemSource, epoch: int) -> Items:
        """Each item has lost what is due in the step that holds it."""
        items = self.whole_items(source)
        n_dropped, n_open = count_dropped(source, items, epoch), len(source.markers.block_open)
        return drop_left(items, source.rationale_lengths(items), n_dropped, n_open=n_open)

    def longest_items(self, source: ItemSource) -> Items:
        """With nothing lost."""
        return self.whole_items(source)

    def whole_items(self, source: ItemSource) -> Items:
        """With nothing lost."""
        return source.planned("base")

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Tokens of the rationales, and what of them is gone in the last step."""
        options: IcotOptions = source.options
        n_rationale = source.rationale_lengths(items)
        if options.budget is not None:  # what is gone at the end depends on what the steps spend
            return {"rationale_tokens": int(n_rationale.sum())}
        n_steps = len(source.steps(items, 0))
        n_run = options.max_steps or math.ceil(options.epochs * n_steps)
        n_gone = np.minimum(n_rationale, options.n_due(max(n_run - 1, 0), n_steps))
        return {
            "rationale_tokens": int(n_rationale.sum()),
            "rationale_tokens_gone_at_end": int(n_gone.sum()),
            "rationales_gone_at_end": int((n_gone == n_rationale).sum()),
        }

    def refuse(self, options: Any, markers: Markers) -> None:
        """What an item loses depends on the step that holds it, which must not depend on what it loses."""
        if options.step_target_tokens is not None:
            raise InvalidInputError(
                f"{self.name} removes tokens step by step, so its steps hold a number of items; leave out "
                "step_target_tokens for it (training.methods: {icot-si: {step_target_tokens: null}})"
            )

    def forgets(self, source: ItemSource, step: int, steps_per_epoch: int) -> bool:
        """Where one more token is gone than in the step before, while there is one left."""
        options: IcotOptions = source.options
        before, now = (options.n_due(place, steps_per_epoch) for place in (step - 1, step))
        return options.reset_optimizer and now > before and before < source.longest_rationale


def count_dropped(source: ItemSource, items: Items, epoch: int) -> Ints:
    """Tokens each item has lost in the step that holds it: those due, and at times some more."""
    options: IcotOptions = source.options
    steps = source.steps(items, epoch)
    offsets = np.zeros(len(items), dtype=np.int64)
    if options.removal_smoothing is not None:
        generator = np.random.default_rng((source.seed, epoch, 2))
        offsets = generator.geometric(-math.expm1(-options.removal_smoothing), len(items)) - 1
    n_dropped = np.zeros(len(items), dtype=np.int64)
    for place, step in enumerate(steps, start=epoch * len(steps)):
        if place >= options.remove_from_epoch * len(steps):
            due = options.n_due(place, len(steps))
            n_dropped[step] = due if due == EVERYTHING else due + offsets[step]
    return n_dropped


def drop_left(items: Items, n_rationale: Ints, n_dropped: Ints, *, n_open: int = 0) -> Items:
    """Drops the first tokens of the rationales, at most all of them; the answer behind them stays.

    Args:
        items: one-pass items, whose targets begin with the rationale.
        n_rationale: tokens of the rationale of each item, int64 (n_items,).
        n_dropped: how many of them to drop, int64 (n_items,), not negative.
        n_open: tokens of the target in front of the rationale.
    """
    first = np.full_like(n_rationale, n_open)
    return drop_places(items, first, first + np.minimum(n_dropped, n_rationale))


METHOD = IcotSi()
