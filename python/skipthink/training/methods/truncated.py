"""Truncated: training on the front of each target alone (arXiv 2512.21002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import option
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions


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


METHOD = Truncated()
