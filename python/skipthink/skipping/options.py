"""Options of skip data (method §6, docs/explanation/skipping.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import OptionError, Options, option


@dataclass(frozen=True, kw_only=True)
class SkipOptions(Options):
    """Options of how the judge is asked which chunks it can do without."""

    continuation: Literal["student", "teacher"] = option(
        "student", "who writes the chunks after a dropped one; `teacher` leaks the answer and is an ablation"
    )
    max_growth: float | None = option(
        0.25,
        "share by which the chunks the student writes may be longer than the teacher's; null: no bound",
        ge=0,
    )
    votes: int = option(1, "sampled continuations per question; the majority decides", ge=1)
    temperature: float = option(0.0, "sampling temperature of the votes", ge=0)
    crossfit: int = option(
        1,
        "judges, each asked about the fold it was not trained on; 1: one judge, trained on all samples",
        ge=1,
    )
    batch_size: int = option(128, "continuations generated side by side", ge=1)
    keep_prefixes: bool = option(True, "whether the common beginning of a sample's prompts is read only once")

    def check(self) -> None:
        """More than one vote needs a temperature."""
        if self.votes > 1 and self.temperature == 0:
            raise OptionError(
                "votes", f"is {self.votes} at temperature 0, where all votes are the same; raise it"
            )
