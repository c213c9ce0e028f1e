"""STT on average chunks: the judge is the student of base+ac, so that no chunks are searched."""

from __future__ import annotations

from skipthink.training.methods.stt import SkipThinking


class AverageSkipThinking(SkipThinking):
    """The items of STT, on average chunks."""

    name, judge, compared = "stt-ac", "base+ac", False


METHOD = AverageSkipThinking()
