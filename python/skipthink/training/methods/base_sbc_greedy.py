"""Base + SBC with the greedy search, whatever the search of the recipe: for comparing searches."""

from __future__ import annotations

from skipthink.training.methods.base_sbc import SearchedChunks


class GreedyChunks(SearchedChunks):
    """Chunks by the greedy search."""

    name, search = "base+sbc-greedy", "greedy"


METHOD = GreedyChunks()
