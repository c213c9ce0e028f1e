"""Evaluation of trained students: accuracy, tokens, seconds (method §8)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.evaluation.intervals import wilson_interval
    from skipthink.evaluation.measure import check_text, evaluate
    from skipthink.evaluation.options import EvaluationOptions

__all__ = [
    "EvaluationOptions",
    "check_text",
    "evaluate",
    "wilson_interval",
]

__getattr__ = lazy_names(
    __name__,
    {
        "EvaluationOptions": "options",
        "check_text": "measure",
        "evaluate": "measure",
        "wilson_interval": "intervals",
    },
)
