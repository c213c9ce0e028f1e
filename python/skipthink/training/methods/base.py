"""Base: classic distillation, the whole rationale and the answer in one pass."""

from __future__ import annotations

from skipthink.student.items import Items
from skipthink.training.method import Method
from skipthink.training.source import ItemSource


class Base(Method):
    """One item per sample: `q | r [answer] a <end>`."""

    name, compared, is_reference = "base", True, True

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        return source.planned("base")


METHOD = Base()
