"""Options of answers that students write themselves (docs/explanation/own-answers.md)."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import Options, option

WRITTEN = ("base", "skip")
"""Inference modes of students that may write: in one pass, with a chain of thought."""


@dataclass(frozen=True, kw_only=True)
class OwnAnswersOptions(Options):
    """How students answer the questions of training, for the methods that learn from the shortest right answers."""

    rounds: int = option(
        1,
        "how often answers are drawn: first from students trained on the teacher's rationales, then from those that "
        "have learnt from the answers of the round before",
        ge=1,
    )
    samples: int = option(8, "answers drawn per question", ge=1)
    temperature: float = option(0.7, "sampling temperature", gt=0)
    crossfit: int = option(
        1,
        "students that write, each for the fold it was not trained on; 1: one student, trained on all samples",
        ge=1,
    )
    batch_size: int = option(128, "answers generated side by side", ge=1)
