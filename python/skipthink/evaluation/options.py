"""Options of evaluation (method §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import Options, option


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """How methods are compared. Tune on `split: validation`, report on `split: test`."""

    split: Literal["test", "validation"] = option("test", "the split the questions are taken from")
    batch_size: int = option(64, "questions answered side by side", ge=1)
    confidence: bool = option(
        False, "whether predictions of one-pass answers hold their confidence, for a fallback"
    )
    alone_questions: int = option(20, "questions that are timed one at a time, in addition", ge=0)
    stage_questions: int = option(32, "questions on which the accuracy by stage is measured", ge=0)


@dataclass(frozen=True, kw_only=True)
class ChooseOptions(Options):
    """How the student to use is chosen, on the validation split: the shortest answers that are accurate enough."""

    within: float = option(
        1.0, "points (percent) by which its accuracy may fall short of that of Base", ge=0, le=100
    )
