"""Base-trim: Base without a last step that only repeats, the fair reference of shorter answers."""

from __future__ import annotations

from skipthink.student.items import Items
from skipthink.student.token_rows import Bools
from skipthink.training.dropping import trim_last
from skipthink.training.methods.pruned_rule import Pruned
from skipthink.training.source import ItemSource


class Trimmed(Pruned):
    """One item per sample: `q | r without its last step, where that states nothing new [answer] a <end>`."""

    name, compared = "base-trim", True

    def choose(self, source: ItemSource) -> Bools:
        """All steps but last ones that state nothing new."""
        return trim_last(source.encoded)

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """`rationales_shortened`: how many lost their last step."""
        return super().report(source, items)


METHOD = Trimmed()
