"""Masked: one-pass items whose loss is taken on chosen parts."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.options import OptionError, option
from skipthink.student.items import Items
from skipthink.student.markers import Markers
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource

ItemPart = Literal["question", "rationale", "answer"]
PARTS: tuple[ItemPart, ...] = typing.get_args(ItemPart)
"""Parts of a one-pass item; the answer starts with its marker and ends with the end token."""


@dataclass(frozen=True, kw_only=True)
class MaskedOptions(TrainingOptions):
    """Options of chosen losses."""

    loss_on: tuple[ItemPart, ...] = option(
        ("question", "rationale", "answer"), "parts of an item that carry loss", min_length=1
    )

    def check(self) -> None:
        """Every part is known, and named once."""
        super().check()
        if len(set(self.loss_on)) < len(self.loss_on) or not set(self.loss_on) <= set(PARTS):
            raise OptionError(
                "loss_on", f"must name some of {', '.join(PARTS)}, each once; got {list(self.loss_on)}"
            )


class Masked(Method):
    """One-pass items with loss on some of their parts."""

    name, Options = "masked", MaskedOptions

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        self.refuse(source.options, source.markers)
        items, n_open = source.planned("base"), len(source.markers.block_open)
        return lose_on(items, source.rationale_lengths(items), source.options.loss_on, n_open=n_open)

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Tokens that carry loss, and those that do not."""
        n_loss = int(items.n_loss.sum())
        return {"tokens_with_loss": n_loss, "tokens_without_loss": len(items.tokens.values) - n_loss}

    def refuse(self, options: Any, markers: Markers) -> None:
        """An encoder predicts no token, so the question of an encoder-decoder carries no loss."""
        if markers.decoder_start_id is not None and "question" in options.loss_on:
            raise InvalidInputError(
                "loss_on names the question, but this student reads it in its encoder, where no token is predicted; "
                "leave it out: loss_on: [rationale, answer]"
            )


def lose_on(items: Items, n_rationale: Ints, parts: tuple[ItemPart, ...], *, n_open: int = 0) -> Items:
    """One-pass items whose loss is taken on some of their `PARTS`.

    The first token of an item is never predicted, so it carries no loss in the question either.

    Args:
        items: one-pass items, whose targets begin with the rationale.
        n_rationale: tokens of the rationale of each item, int64 (n_items,).
        parts: some of `PARTS`.
        n_open: tokens of the target in front of the rationale; they count as part of it.
    """
    places, answer = items.target_places, np.repeat(n_open + n_rationale, items.tokens.lengths)
    of_part = {
        "question": places < 0,
        "rationale": (places >= 0) & (places < answer),
        "answer": places >= answer,
    }
    loss = np.logical_or.reduce([of_part[part] for part in parts])
    loss[items.tokens.offsets[:-1]] = False
    return replace(items, loss=loss)


METHOD = Masked()
