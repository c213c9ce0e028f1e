"""STT: skip-thinking training, on full data and on data without the chunks a judge can do without (method §7)."""

from __future__ import annotations

from skipthink.exceptions import InvalidInputError
from skipthink.student.token_rows import Bools
from skipthink.training.method import Needs
from skipthink.training.methods.skip_all import SkipAll
from skipthink.training.source import ItemSource


class SkipThinking(SkipAll):
    """Chunk-wise items and one skip item per sample, which holds the chunks that are needed."""

    name, needs = "stt", Needs.SKIPS

    def skipped(self, source: ItemSource) -> Bools:
        """The chunks that the judge can do without, bool (n, M)."""
        if source.skipped is None:
            raise InvalidInputError(f"{self.name} needs skip data")
        return source.skipped


METHOD = SkipThinking()
