"""Pruned at random: one pass on rationales that have lost steps drawn at random, the control of every choice."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import option
from skipthink.student.token_rows import Bools
from skipthink.training.dropping import drop_at_random
from skipthink.training.methods.pruned_rule import Pruned
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class RandomOptions(TrainingOptions):
    """Options of random drops."""

    drop_rate: float | None = option(
        None,
        "share of the rationale tokens that is dropped; null: the share that `pruned-rule` drops",
        gt=0,
        lt=1,
    )


class RandomlyPruned(Pruned):
    """One item per sample, without steps that are drawn at random."""

    name, Options = "pruned-random", RandomOptions

    def choose(self, source: ItemSource) -> Bools:
        """Drawn from all samples by the seed of the run."""
        return drop_at_random(source.encoded, source.options.drop_rate, source.seed)


METHOD = RandomlyPruned()
