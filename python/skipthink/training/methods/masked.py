"""Masked: one-pass items whose loss is taken on chosen parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import option
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions

ItemPart = Literal["question", "rationale", "answer"]


@dataclass(frozen=True, kw_only=True)
class MaskedOptions(TrainingOptions):
    """Options of chosen losses."""

    loss_on: tuple[ItemPart, ...] = option(
        ("question", "rationale", "answer"), "parts of an item that carry loss", min_length=1
    )


class Masked(Method):
    """One-pass items with loss on some of their parts."""

    name, Options = "masked", MaskedOptions


METHOD = Masked()
