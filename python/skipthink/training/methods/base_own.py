"""Base that learns from answers of its own: the shortest right ones join the whole rationales (arXiv 2502.20122)."""

from __future__ import annotations

from skipthink.core.codes import Stage
from skipthink.student.items import Items, join_items
from skipthink.training.method import Method
from skipthink.training.own_items import own_items
from skipthink.training.source import ItemSource


class OwnBase(Method):
    """The items of `base`, and for each sample at most one that a student of `base` wrote itself."""

    name, writer = "base-own", "base"

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The teacher's rationales, then own ones; the same in every epoch."""
        teacher = source.planned("base")
        return join_items([teacher, own_items(source, teacher, Stage.BASE).items])

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """`own_items`, and own answers that are not trained on."""
        return own_items(source, source.planned("base"), Stage.BASE).report()


METHOD = OwnBase()
