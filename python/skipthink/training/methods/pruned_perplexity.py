"""Pruned by perplexity: one pass on rationales without the steps a student hardly misses (SPIRIT, arXiv 2502.13260)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skipthink.exceptions import InvalidInputError
from skipthink.options import option
from skipthink.student.token_rows import Bools
from skipthink.training.methods.pruned_rule import Pruned
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource

if TYPE_CHECKING:
    from skipthink.training.fresh import Scoring


@dataclass(frozen=True, kw_only=True)
class PerplexityOptions(TrainingOptions):
    """Options of drops by perplexity."""

    max_perplexity_rise: float = option(
        0.1, "share by which the perplexity of a sample may rise while steps are dropped", ge=0
    )


class PrunedByPerplexity(Pruned):
    """One item per sample, without the steps whose loss hardly raises the perplexity of the fresh student."""

    name, Options = "pruned-perplexity", PerplexityOptions

    def prepare(self, source: ItemSource, scoring: Scoring) -> None:
        """Steps are chosen by the student as it is before training."""
        from skipthink.training.perplexity import prune_by_perplexity

        source.kept = scoring.in_first_process(
            lambda student: prune_by_perplexity(
                student,
                source.encoded,
                scoring.folder / "kept.npz",
                max_rise=source.options.max_perplexity_rise,
                autocast=scoring.autocast,
                batch_tokens=scoring.batch_tokens,
            ),
            n_flags=int(source.encoded.n_steps.sum()),
        )

    def choose(self, source: ItemSource) -> Bools:
        """Chosen before the first items are made."""
        raise InvalidInputError(f"{self.name} asks the student which steps it misses: call prepare first")


METHOD = PrunedByPerplexity()
