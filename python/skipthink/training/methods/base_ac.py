"""Base + AC: chunk-wise training (CWT) on average chunks (method §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skipthink.options import OptionError, option
from skipthink.student.items import Items
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions
from skipthink.training.rising_dropout import rising_items
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class ChunkwiseOptions(TrainingOptions):
    """Options of the methods whose items are chunks."""

    chunk_dropout: float = option(
        0.0, "probability that an earlier chunk of a prompt is replaced by `[thought]`", ge=0, lt=1
    )


@dataclass(frozen=True, kw_only=True)
class JudgeOptions(ChunkwiseOptions):
    """Options of the methods whose students judge what can be skipped."""

    chunk_dropout_from: float | None = option(
        None,
        "share of the training up to which no chunk is replaced; behind it the probability rises evenly, to "
        "`chunk_dropout` at the end; null: the same throughout",
        ge=0,
        lt=1,
    )

    def check(self) -> None:
        """What rises has an end, and it is known how far a training has come."""
        if self.chunk_dropout_from is None:
            return
        if not self.chunk_dropout:
            raise OptionError("chunk_dropout_from", "needs chunk_dropout, the probability it rises to")
        self.need_known_length("chunk_dropout_from")


class AverageChunks(Method):
    """One item per chunk and one for the answer; chunks of equal numbers of steps.

    stage m    `[m] q c_1 … c_{m-1} | c_m <end>`
    answer     `[answer] q c_1 … c_M | a <end>`
    """

    name, mode, Options, has_chunks = "base+ac", "full", JudgeOptions, True

    def items(self, source: ItemSource, epoch: int) -> Items:
        """Chunk dropout is drawn anew for each epoch."""
        if source.options.chunk_dropout_from is not None:
            return rising_items(source, epoch, _seed_of(source, epoch))
        return chunkwise_items(source, epoch)

    def longest_items(self, source: ItemSource) -> Items:
        """Without chunk dropout."""
        return source.planned("chunkwise")

    def has_chunkwise_items(self, options: Any) -> bool:
        """Nothing else."""
        return True


def chunkwise_items(source: ItemSource, epoch: int) -> Items:
    """The chunk-wise items of an epoch."""
    dropout: float = source.options.chunk_dropout
    if not dropout:
        return source.planned("chunkwise")
    return source.planned("chunkwise", chunk_dropout=dropout, seed=_seed_of(source, epoch))


def _seed_of(source: ItemSource, epoch: int) -> int:
    return source.seed * 100_003 + epoch


METHOD = AverageChunks()
