"""Skip-thinking training (STT): chunk-wise items and one skip item a sample (method §7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import EncodedSamples, Ints, Items
from skipthink.student.markers import Markers
from skipthink.training.chunkwise import ChunkwiseTrainer
from skipthink.training.config import ChunkwiseConfig
from skipthink.training.items import join_items, take_items

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class SkipThinkingConfig(ChunkwiseConfig):
    """`ChunkwiseConfig` and what skip-thinking training adds; chunks are those the skip data were made with.

    Attributes:
        thought: what a skip target holds for skipped chunks: "per-chunk", "collapse" (one `[thought]` for a
            run of them) or "none".
        skip_weight: share of skip items among all items, in (0, 1); None: one a sample, 1 / (M + 2).
    """

    thought: str = "per-chunk"
    skip_weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.skip_weight is not None and not 0 < self.skip_weight < 1:
            raise InvalidInputError(f"skip_weight must lie between 0 and 1, got {self.skip_weight}")
        # chunks stay as they were judged: a moved boundary would make the skip data speak of other chunks
        self.chunk_method = "average"


class SkipThinkingTrainer(ChunkwiseTrainer):
    """Trains a fresh student on full and on skipped data.

    Args:
        model: a fresh student, not the chunk-wise trained one.
        args: configuration.
        encoded: the training samples.
        markers: marker ids of the student's tokenizer.
        boundaries: the chunks that were judged, int64 (n, M + 1).
        skipped: bool (n, M), True where the student can do without the chunk.
        progress: called with (steps done, steps in all).
        kwargs: passed to `transformers.Trainer`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: SkipThinkingConfig,
        *,
        encoded: EncodedSamples,
        markers: Markers,
        boundaries: Ints,
        skipped: npt.NDArray[np.bool_],
        progress: Callable[[int, int], None] | None = None,
        **kwargs: Any,
    ) -> None:
        self.skipped, self.skip_config = skipped, args
        super().__init__(
            model, args, encoded=encoded, markers=markers, boundaries=boundaries, progress=progress, **kwargs
        )

    def make_items(self, epoch: int, *, dropout: bool = True) -> Items:
        """Chunk-wise items, then skip items up to their share; the rows that are repeated change with the epoch."""
        skip = self.items_of("skip", skipped=self.skipped, thought=self.skip_config.thought)
        chunkwise = super().make_items(epoch, dropout=dropout)
        return join_items([chunkwise, take_items(skip, self._skip_rows(len(chunkwise), len(skip), epoch))])

    def _skip_rows(self, n_chunkwise: int, n_rows: int, epoch: int) -> Ints:
        """Which rows give a skip item this epoch: each one once, or as often as the share asks for."""
        share = self.skip_config.skip_weight
        count = n_rows if share is None else max(1, round(share / (1 - share) * n_chunkwise))
        order = np.random.default_rng((self.skip_config.seed, epoch, 1)).permutation(n_rows)
        return np.resize(order, count)
