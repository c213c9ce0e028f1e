"""Budgets: training ends, and its learning rate falls, by what has been spent instead of by steps.

Methods differ in the items and tokens of a step and in the seconds it takes. Under a budget they are compared at equal
target tokens, or at equal seconds: the learning rate depends on the share that is spent, whatever a step costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.training.boundaries import from_main

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

    from skipthink.training.checkpoints import StepCounts
    from skipthink.training.options import BudgetOptions, TrainingOptions

SCHEDULE_STEPS = 1_000_000
"""Steps of a schedule that stand for the whole budget; they are passed in fractions."""


class Budget:
    """What is to be spent in all.

    Args:
        options: the limit.
    """

    def __init__(self, options: BudgetOptions) -> None:
        self.of = "seconds" if options.target_tokens is None else "target_tokens"
        self.limit = float(options.target_tokens or options.seconds or 0)

    def spent(self, counts: StepCounts) -> float:
        """What the steps so far have spent."""
        return counts.seconds if self.of == "seconds" else float(counts.train_target_tokens)

    def share(self, counts: StepCounts) -> float:
        """What they have spent of it, 0 … 1."""
        return min(1.0, self.spent(counts) / self.limit)

    def tokens_left(self, tokens_before: int) -> int | None:
        """Target tokens that are left for an epoch; None under a budget of seconds.

        Args:
            tokens_before: target tokens of all epochs before.
        """
        return None if self.of == "seconds" else int(self.limit) - tokens_before

    def agree(self, counts: StepCounts, accelerator: Accelerator) -> None:
        """Gives all processes the clock of the first one: they must end after the same step."""
        if self.of == "seconds" and accelerator.num_processes > 1:
            microseconds = np.asarray([round(counts.seconds * 1e6)], dtype=np.int64)
            counts.seconds = int(from_main(microseconds, accelerator)[0]) / 1e6

    def summary(self, counts: StepCounts) -> dict[str, Any]:
        """The limit and what was spent, for `train.json`."""
        return {"of": self.of, "limit": self.limit, "spent": round(self.spent(counts), 3)}


def make_schedule(options: TrainingOptions, optimizer: Optimizer, share: Callable[[], float]) -> LambdaLR:
    """The learning rate by the share of the budget that is spent; warm-up is a share of it too.

    Args:
        options: how the rate rises and falls.
        optimizer: whose rate it is.
        share: says what is spent, 0 … 1; asked before each step.
    """
    from transformers import get_scheduler

    schedule: Any = get_scheduler(
        options.lr_scheduler,
        optimizer=optimizer,
        num_warmup_steps=round(options.warmup_steps * SCHEDULE_STEPS),
        num_training_steps=SCHEDULE_STEPS,
    )
    schedule.lr_lambdas = [_by_share(factor, share) for factor in schedule.lr_lambdas]
    return schedule  # type: ignore[no-any-return]


def _by_share(factor: Callable[[float], float], share: Callable[[], float]) -> Callable[[int], float]:
    # a plain function: a schedule saves the attributes of other callables in its checkpoints
    def factor_now(_step: int) -> float:
        return factor(share() * SCHEDULE_STEPS)

    return factor_now
