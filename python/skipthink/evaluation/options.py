"""Options of evaluation (method §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from skipthink.options import Options, option


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """How methods are compared. Tune on `split: validation`, report on `split: test`."""

    split: Literal["test", "validation"] = option("test", "the split the questions are taken from")
    batch_size: int = option(64, "questions answered side by side", ge=1)
    bf16: bool = option(
        False,
        "whether students answer with weights rounded to bfloat16: faster where the processor or GPU multiplies it, "
        "and other answers where two tokens are about equally likely",
    )
    confidence: bool = option(
        False, "whether predictions of one-pass answers hold their confidence, for a fallback"
    )
    alone_questions: int = option(20, "questions that are timed one at a time, in addition", ge=0)
    stage_questions: int = option(32, "questions on which the accuracy by stage is measured", ge=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `bf16` is left out where it is not asked for, so that answers of earlier versions stay valid."""
        return {key: value for key, value in super().to_dict().items() if key != "bf16" or value}


@dataclass(frozen=True, kw_only=True)
class ChooseOptions(Options):
    """How the student to use is chosen, on the validation split: the shortest answers that are accurate enough."""

    within: float = option(
        1.0, "points (percent) by which its accuracy may fall short of the reference, see `of`", ge=0, le=100
    )
    of: Literal["base", "best"] = option(
        "base", "what the accuracy is compared with: that of Base, or of the most accurate of all students"
    )
