"""Losses of the steps of rationales: what boundary search runs on (method §4)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.scoring.agreement import Agreement, compare_stages
    from skipthink.scoring.losses import StepLosses
    from skipthink.scoring.score import STAGES, score_steps

__all__ = [
    "STAGES",
    "Agreement",
    "StepLosses",
    "compare_stages",
    "score_steps",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Agreement": "agreement",
        "STAGES": "score",
        "StepLosses": "losses",
        "compare_stages": "agreement",
        "score_steps": "score",
    },
)
