"""Two prompts: whole rationales under one, shortened ones under another that is asked (C3oT, arXiv 2412.11664)."""

from __future__ import annotations

from skipthink.core.codes import Stage
from skipthink.student.items import Items, join_items
from skipthink.training.methods.pruned_rule import Pruned
from skipthink.training.one_pass import kept_items
from skipthink.training.source import ItemSource


class TwoPrompts(Pruned):
    """Two items per sample: `q | r [answer] a <end>` and `[skip] q | kept steps of r [answer] a <end>`."""

    name, mode = "two-prompts", "skip"

    def items(self, source: ItemSource, epoch: int) -> Items:
        """Whole rationales, then those without the steps that state nothing new; the same in every epoch."""
        return join_items([source.planned("base"), kept_items(source, self.kept(source), Stage.SKIP)])


METHOD = TwoPrompts()
