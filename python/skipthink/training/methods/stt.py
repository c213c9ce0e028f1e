"""STT: skip-thinking training, on full data and on data without the chunks a judge can do without (method §7)."""

from __future__ import annotations

from skipthink.training.method import Needs
from skipthink.training.methods.skip_all import SkipAll


class SkipThinking(SkipAll):
    """Chunk-wise items and one skip item per sample, which holds the chunks that are needed."""

    name, needs = "stt", Needs.SKIPS


METHOD = SkipThinking()
