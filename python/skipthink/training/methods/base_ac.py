"""Base + AC: chunk-wise training (CWT) on average chunks (method §5)."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import option
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions


@dataclass(frozen=True, kw_only=True)
class ChunkwiseOptions(TrainingOptions):
    """Options of the methods whose items are chunks."""

    chunk_dropout: float = option(
        0.0, "probability that an earlier chunk of a prompt is replaced by `[thought]`", ge=0, lt=1
    )


class AverageChunks(Method):
    """One item per chunk and one for the answer; chunks of equal numbers of steps."""

    name, mode, Options, has_chunks, compared = "base+ac", "full", ChunkwiseOptions, True, True


METHOD = AverageChunks()
