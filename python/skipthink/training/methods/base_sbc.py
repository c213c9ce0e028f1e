"""Base + SBC: chunk-wise training on chunks that are searched before each epoch (method §4, §5)."""

from __future__ import annotations

from skipthink.training.methods.base_ac import AverageChunks


class SearchedChunks(AverageChunks):
    """One item per chunk and one for the answer; chunks by the search of the recipe."""

    name, search = "base+sbc", "recipe"


METHOD = SearchedChunks()
