"""Evaluation of trained students: accuracy, tokens, seconds (method §8)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.evaluation.measure import EvaluationSettings, answer_text, evaluate, wilson_interval

__all__ = [
    "EvaluationSettings",
    "answer_text",
    "evaluate",
    "wilson_interval",
]

__getattr__ = lazy_names(
    __name__,
    {
        "EvaluationSettings": "measure",
        "answer_text": "measure",
        "evaluate": "measure",
        "wilson_interval": "measure",
    },
)
