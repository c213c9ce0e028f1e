"""Truncated: training on the front of each target alone (arXiv 2512.21002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.options import option
from skipthink.student.items import Items, drop_places
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class TruncatedOptions(TrainingOptions):
    """Options of truncated targets."""

    truncate: float = option(0.5, "share of the tokens that is trained on, from the front", gt=0, le=1)
    truncate_of: Literal["target", "rationale"] = option(
        "target", "share of the whole target, or of the rationale with the answer behind it"
    )


class Truncated(Method):
    """One-pass items whose targets, or rationales, are cut."""

    name, Options = "truncated", TruncatedOptions

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        options: TruncatedOptions = source.options
        items = self.whole_items(source)
        if options.truncate_of == "target":
            return cut_targets(items, options.truncate)
        n_open = len(source.markers.block_open)
        return cut_rationales(items, source.rationale_lengths(items), options.truncate, n_open=n_open)

    def whole_items(self, source: ItemSource) -> Items:
        """With nothing cut: a student may write whole targets."""
        return source.planned("base")

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Target tokens, those that were cut, and targets that lost their end."""
        whole = self.whole_items(source)
        n_cut = whole.n_target - items.n_target
        n_endless = int((n_cut > 0).sum()) if source.options.truncate_of == "target" else 0
        return {
            "target_tokens": int(whole.n_target.sum()),
            "target_tokens_cut": int(n_cut.sum()),
            "targets_without_end": n_endless,
        }


def cut_targets(items: Items, share: float) -> Items:
    """The first `share` of every target, rounded up to whole tokens; prompts stay."""
    return drop_places(items, share_of(items.n_target, share), items.n_target)


def cut_rationales(items: Items, n_rationale: Ints, share: float, *, n_open: int = 0) -> Items:
    """The first `share` of every rationale, rounded up to whole tokens; the answer behind it stays.

    Args:
        items: one-pass items, whose targets begin with the rationale.
        n_rationale: tokens of the rationale of each item, int64 (n_items,).
        share: 0 < share ≤ 1.
        n_open: tokens of the target in front of the rationale.
    """
    return drop_places(items, n_open + share_of(n_rationale, share), n_open + n_rationale)


def share_of(lengths: Ints, share: float) -> Ints:
    """A share of lengths, rounded up: 0.1 of 30 is 3, though 0.1 · 30 is a little more in floats."""
    kept: Ints = np.ceil(lengths * share - 1e-9).astype(np.int64)
    return kept


METHOD = Truncated()
