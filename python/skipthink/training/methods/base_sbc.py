"""Base + SBC: chunk-wise training on chunks that are searched before each epoch (method §4, §5)."""

from __future__ import annotations

from typing import Any

from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import SkipOptions
from skipthink.training.method import StandIn
from skipthink.training.methods.base_ac import AverageChunks


class SearchedChunks(AverageChunks):
    """One item per chunk and one for the answer; chunks by the search of the recipe."""

    name, search, compared = "base+sbc", "recipe", False

    def stand_in(self, chunks: ChunkOptions, skip: SkipOptions, options: Any) -> StandIn | None:
        """Without a search chunks are even."""
        if self.search_of(chunks) != "average":
            return None
        return StandIn(
            AverageChunks.name,
            "trains on chunks of a search, and chunks.method is average, which searches nothing",
            "name a search (chunks.method: greedy is the paper's)",
        )


METHOD = SearchedChunks()
