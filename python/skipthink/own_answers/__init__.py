"""Answers of a student's own: drawn to the questions of training, the shortest right ones are learnt from."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.own_answers.answers import make_own_answers, read_chains
    from skipthink.own_answers.options import OwnAnswersOptions

__all__ = ["OwnAnswersOptions", "make_own_answers", "read_chains"]

__getattr__ = lazy_names(
    __name__,
    {"OwnAnswersOptions": "options", "make_own_answers": "answers", "read_chains": "answers"},
)
