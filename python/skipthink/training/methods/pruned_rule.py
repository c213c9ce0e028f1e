"""Pruned by rule: one pass on rationales without the steps that state nothing new."""

from __future__ import annotations

from skipthink.student.items import Items
from skipthink.student.token_rows import Bools
from skipthink.training.dropping import count_dropped, drop_by_rule
from skipthink.training.method import Method
from skipthink.training.one_pass import kept_items
from skipthink.training.source import ItemSource


class Pruned(Method):
    """One item per sample: `q | kept steps of r [answer] a <end>`. Subclasses say which steps are kept."""

    name = "pruned-rule"

    def choose(self, source: ItemSource) -> Bools:
        """The steps that stay, bool (total_steps,)."""
        return drop_by_rule(source.encoded)

    def kept(self, source: ItemSource) -> Bools:
        """The steps that stay; they are chosen once."""
        if source.kept is None:
            source.kept = self.choose(source)
        return source.kept

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        return kept_items(source, self.kept(source))

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Steps and tokens of the rationales, and those that are dropped."""
        return count_dropped(source.encoded, source.rows, self.kept(source))


METHOD = Pruned()
