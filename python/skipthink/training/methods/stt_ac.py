"""STT on average chunks: the judge is the student of base+ac, so that no chunks are searched."""

from __future__ import annotations

from typing import Any

from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import SkipOptions
from skipthink.training.method import StandIn
from skipthink.training.methods.stt import SkipThinking


class AverageSkipThinking(SkipThinking):
    """The items of STT, on average chunks."""

    name, judge, compared = "stt-ac", "base+ac", False

    def stand_in(self, chunks: ChunkOptions, skip: SkipOptions, options: Any) -> StandIn | None:
        """It differs from STT by its judge alone."""
        if skip.has_judge:
            return None
        return StandIn(
            SkipThinking.name,
            f"differs from {SkipThinking.name} by its judge alone, and the gate {skip.gate} asks none",
            "name a gate with a judge (skip.gate: answer is the paper's)",
        )


METHOD = AverageSkipThinking()
