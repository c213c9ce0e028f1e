"""SkipALL: skip-thinking training with every chunk skipped, the ablation of the skip gate (method §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import option
from skipthink.training.method import Method, Needs
from skipthink.training.methods.base_ac import ChunkwiseOptions


@dataclass(frozen=True, kw_only=True)
class SkipItemOptions(ChunkwiseOptions):
    """Options of the methods that train on skip items (method §7)."""

    skip_weight: float | None = option(
        None, "share of skip items among all items; null: one per sample, 1 / (M + 2)", gt=0, lt=1
    )
    thought: Literal["per-chunk", "collapse", "none"] = option(
        "per-chunk",
        "what a skip target holds for skipped chunks: a `[thought]` each, one per run of them, or nothing",
    )


class SkipAll(Method):
    """Chunk-wise items and one skip item per sample, which holds no chunk."""

    name, mode, Options, has_chunks, compared = "skip-all", "skip", SkipItemOptions, True, True
    needs, judge = Needs.CHUNKS, "base+sbc"


METHOD = SkipAll()
