"""Options of answer checks (docs/reference/answers.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import Options, option

AnswerKind = Literal["number", "choice", "yes_no", "date", "string", "maths"]


@dataclass(frozen=True, kw_only=True)
class CheckOptions(Options):
    """How an answer is compared with the gold answer."""

    answer: AnswerKind = option(help="kind of the answers")
    tolerance: float = option(1e-6, "greatest absolute difference of two numbers that count as equal", ge=0)
    relative_tolerance: float = option(
        0.0, "greatest difference as a share of the gold number; the larger tolerance counts", ge=0
    )
