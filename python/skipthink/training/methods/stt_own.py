"""STT that learns from answers of its own: the shortest right ones join the skip items."""

from __future__ import annotations

from skipthink.core.codes import Stage
from skipthink.student.items import Items, join_items
from skipthink.training.methods.stt import SkipThinking
from skipthink.training.own_items import OwnItems, own_items
from skipthink.training.source import ItemSource


class OwnSkipThinking(SkipThinking):
    """The items of `stt`, and for each sample at most one skip item that a student of `stt` wrote itself."""

    name, writer, compared = "stt-own", "stt", False

    def skip_items(self, source: ItemSource) -> Items:
        """The teacher's skip items, then own ones."""
        return join_items([super().skip_items(source), self._own(source).items])

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """`own_items`, and own answers that are not trained on."""
        return self._own(source).report()

    def _own(self, source: ItemSource) -> OwnItems:
        return own_items(source, super().skip_items(source), Stage.SKIP)


METHOD = OwnSkipThinking()
