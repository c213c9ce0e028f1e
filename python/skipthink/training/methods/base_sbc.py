"""Base + SBC: chunk-wise training on chunks that are searched before each epoch (method §4, §5)."""

from __future__ import annotations

from skipthink.scoring.options import ChunkOptions
from skipthink.training.methods.base_ac import AverageChunks


class SearchedChunks(AverageChunks):
    """One item per chunk and one for the answer; chunks by the search of the recipe."""

    name, search, compared = "base+sbc", "recipe", False

    def stand_in(self, chunks: ChunkOptions) -> str | None:
        """Without a search chunks are even."""
        return AverageChunks.name if self.search_of(chunks) == "average" else None


METHOD = SearchedChunks()
