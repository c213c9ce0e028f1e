"""Options of evaluation (method §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import Options, option


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """How methods are compared. Tune on `split: validation`, report on `split: test`."""

    split: Literal["test", "validation"] = option("test", "the split the questions are taken from")
    batch_size: int = option(64, "questions side by side", ge=1)
    alone_questions: int = option(20, "questions answered once more one at a time, to be timed", ge=0)
    stage_questions: int = option(32, "questions that the accuracy by stage is measured on", ge=0)
