"""The training methods: chunk-wise training, skip-thinking training and their controls (method §5, §7)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.training.chunkwise import ChunkwiseTrainer
    from skipthink.training.config import ChunkwiseConfig
    from skipthink.training.method_table import METHODS
    from skipthink.training.skip_thinking import SkipThinkingConfig, SkipThinkingTrainer
    from skipthink.training.train import train_method

__all__ = [
    "METHODS",
    "ChunkwiseConfig",
    "ChunkwiseTrainer",
    "SkipThinkingConfig",
    "SkipThinkingTrainer",
    "train_method",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ChunkwiseConfig": "config",
        "ChunkwiseTrainer": "chunkwise",
        "METHODS": "method_table",
        "SkipThinkingConfig": "skip_thinking",
        "SkipThinkingTrainer": "skip_thinking",
        "train_method": "train",
    },
)
