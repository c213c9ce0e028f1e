"""ICoT-SI: the rationale goes token by token, from the left, as training goes on (arXiv 2405.14838)."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import option
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions


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
        4.0, "rate of the geometric offset by which more tokens go than are due; null: none", gt=0
    )
    reset_optimizer: bool = option(
        True, "whether the optimiser forgets its moments when one more token is removed"
    )


class IcotSi(Method):
    """One-pass items that lose more of their rationale with each optimiser step."""

    name, Options = "icot-si", IcotOptions


METHOD = IcotSi()
