"""Answer-only: the question and its answer, without a rationale."""

from __future__ import annotations

from skipthink.student.items import Items
from skipthink.training.method import Method
from skipthink.training.source import ItemSource


class AnswerOnly(Method):
    """One item per sample: `[answer] q | a <end>`."""

    name, mode, compared = "answer-only", "answer-only", True

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        return source.planned("answer-only")


METHOD = AnswerOnly()
