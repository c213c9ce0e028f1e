"""Base + SBC with the anneal search, whatever the search of the recipe: for comparing searches."""

from __future__ import annotations

from skipthink.training.methods.base_sbc import SearchedChunks


class AnnealChunks(SearchedChunks):
    """Chunks by the anneal search."""

    name, search = "base+sbc-anneal", "anneal"


METHOD = AnnealChunks()
