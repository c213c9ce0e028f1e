"""Options of chunks and of the losses they are searched on (method §4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.core.options import SearchName, SearchOptions
from skipthink.options import Options, option


@dataclass(frozen=True, kw_only=True)
class ScoringOptions(Options):
    """How steps are scored."""

    passes: Literal["conditioned", "free"] = option(
        "conditioned", "M forward passes per sample, one per stage marker, or a single one without markers"
    )
    score_batch_tokens: int = option(8192, "padded tokens of a scoring pass", ge=1)


@dataclass(frozen=True, kw_only=True)
class ChunkOptions(ScoringOptions, SearchOptions):
    """How rationales are split into steps, and the steps into chunks.

    Even chunks are the default: no search has beaten them over several tasks (dev/results.md). The paper's chunks are
    `method: greedy`, `objective: mean`.
    """

    method: SearchName = option("average", "how boundaries are found; `average` searches nothing")
    M: int = option(help="number of chunks per sample", ge=1)
    rules: Literal["auto", "lines", "sentences"] | tuple[str, ...] = option(
        "auto", "step rules, or a list of separators"
    )
    research_every: int = option(1, "epochs between two searches", ge=1)
