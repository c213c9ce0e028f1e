"""STT: skip-thinking training, on full data and on data without the chunks a judge can do without (method §7)."""

from __future__ import annotations

from typing import Any

from skipthink.exceptions import InvalidInputError
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import SkipOptions
from skipthink.student.token_rows import Bools
from skipthink.training.method import Needs, StandIn
from skipthink.training.methods.skip_all import SkipAll
from skipthink.training.source import ItemSource


class SkipThinking(SkipAll):
    """One skip item per sample, which holds the chunks that are needed, alone or beside full items."""

    name, needs, compared = "stt", Needs.SKIPS, True

    def skipped(self, source: ItemSource) -> Bools:
        """The chunks that the judge can do without, bool (n, M)."""
        if source.skipped is None:
            raise InvalidInputError(f"{self.name} needs skip data")
        return source.skipped

    def stand_in(self, chunks: ChunkOptions, skip: SkipOptions, options: Any) -> StandIn | None:
        """None trains the same: what is kept is the gate's to say."""
        return None


METHOD = SkipThinking()
