"""Base + SBC with the optimal search, whatever the search of the recipe: for comparing searches."""

from __future__ import annotations

from skipthink.training.methods.base_sbc import SearchedChunks


class OptimalChunks(SearchedChunks):
    """Chunks by the optimal search."""

    name, search = "base+sbc-optimal", "optimal"


METHOD = OptimalChunks()
