"""Base + AC: chunk-wise training (CWT) on average chunks (method §5)."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import option
from skipthink.student.items import Items
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class ChunkwiseOptions(TrainingOptions):
    """Options of the methods whose items are chunks."""

    chunk_dropout: float = option(
        0.0, "probability that an earlier chunk of a prompt is replaced by `[thought]`", ge=0, lt=1
    )


class AverageChunks(Method):
    """One item per chunk and one for the answer; chunks of equal numbers of steps.

    stage m    `[m] q c_1 … c_{m-1} | c_m <end>`
    answer     `[answer] q c_1 … c_M | a <end>`
    """

    name, mode, Options, has_chunks, compared = "base+ac", "full", ChunkwiseOptions, True, True

    def items(self, source: ItemSource, epoch: int) -> Items:
        """Chunk dropout is drawn anew for each epoch."""
        return chunkwise_items(source, epoch)

    def longest_items(self, source: ItemSource) -> Items:
        """Without chunk dropout."""
        return source.planned("chunkwise")


def chunkwise_items(source: ItemSource, epoch: int) -> Items:
    """The chunk-wise items of an epoch."""
    dropout: float = source.options.chunk_dropout
    if not dropout:
        return source.planned("chunkwise")
    return source.planned("chunkwise", chunk_dropout=dropout, seed=source.seed * 100_003 + epoch)


METHOD = AverageChunks()
