"""The training methods: chunk-wise training, skip-thinking training and their controls (method §5, §7)."""

from skipthink.methods import METHODS
from skipthink.training.chunkwise import ChunkwiseTrainer
from skipthink.training.config import ChunkwiseConfig
from skipthink.training.methods import train_method
from skipthink.training.skip_thinking import SkipThinkingConfig, SkipThinkingTrainer

__all__ = [
    "METHODS",
    "ChunkwiseConfig",
    "ChunkwiseTrainer",
    "SkipThinkingConfig",
    "SkipThinkingTrainer",
    "train_method",
]
