"""SkipALL: skip-thinking training with every chunk skipped, the ablation of the skip gate (method §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.options import option
from skipthink.student.items import Items, join_items, take_items
from skipthink.student.token_rows import Bools
from skipthink.training.method import Method, Needs
from skipthink.training.methods.base_ac import ChunkwiseOptions, chunkwise_items
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class SkipItemOptions(ChunkwiseOptions):
    """Options of the methods that train on skip items (method §7)."""

    skip_weight: float | None = option(
        None,
        "share of skip items among all items; 1: nothing else is trained on; null: one per sample, 1 / (M + 2)",
        gt=0,
        le=1,
    )
    thought: Literal["per-chunk", "collapse", "none"] = option(
        "per-chunk",
        "what a skip target holds for skipped chunks: a `[thought]` each, one per run of them, or nothing",
    )


class SkipAll(Method):
    """Chunk-wise items and one skip item per sample, which holds no chunk: `[skip] q | [thought] … [answer] a <end>`.

    Chunks stay as they were judged: a boundary that moved would make the skip data speak of other chunks.
    """

    name, mode, Options, has_chunks, compared = "skip-all", "skip", SkipItemOptions, True, True
    needs, judge = Needs.CHUNKS, "base+sbc"

    def items(self, source: ItemSource, epoch: int) -> Items:
        """Chunk-wise items, then skip items up to their share; the rows that are repeated change with the epoch."""
        return self._with_skips(source, epoch, lambda: chunkwise_items(source, epoch))

    def longest_items(self, source: ItemSource) -> Items:
        """Without chunk dropout."""
        return self._with_skips(source, 0, lambda: source.planned("chunkwise"))

    def skipped(self, source: ItemSource) -> Bools:
        """The chunks that skip items leave out, bool (n, M): all that hold a step."""
        return np.diff(source.boundaries, axis=1) > 0

    def _with_skips(self, source: ItemSource, epoch: int, full: Callable[[], Items]) -> Items:
        skip = source.planned("skip", skipped=self.skipped(source), thought=source.options.thought)
        share = source.options.skip_weight
        if share == 1:
            return skip
        chunkwise = full()
        rows = skip_rows(share, len(chunkwise), len(skip), source.seed, epoch)
        return join_items([chunkwise, take_items(skip, rows)])


def skip_rows(share: float | None, n_chunkwise: int, n_rows: int, seed: int, epoch: int) -> Ints:
    """Which rows give a skip item in an epoch: each one once, or as often as the share asks for."""
    count = n_rows if share is None else max(1, round(share / (1 - share) * n_chunkwise))
    order = np.random.default_rng((seed, epoch, 1)).permutation(n_rows)
    return np.resize(order, count)


METHOD = SkipAll()
