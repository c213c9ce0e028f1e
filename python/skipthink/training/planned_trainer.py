"""A trainer on planned steps: within a budget, in pieces where steps are large, with the loss of every step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments

from skipthink.student.items import Items
from skipthink.training.batches import StageBatchSampler
from skipthink.training.budget import Budget, make_schedule
from skipthink.training.device_trainer import DeviceTrainer, refuse_divergence
from skipthink.training.halving import Halving, cut_into
from skipthink.training.loss_curve import LossCurve
from skipthink.training.options import TrainingOptions

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import TrainerControl, TrainerState


class PlannedTrainer(DeviceTrainer):
    """Trains on the steps that a sampler has planned.

    Args:
        sampler: the micro-batches of this process.
        options: of the training.
        kwargs: of `ResumableTrainer` and `transformers.Trainer`.

    Attributes:
        batch_sampler: the sampler.
        steps_per_epoch: optimiser steps of every epoch that is not cut short.
        budget: what is spent in all; None: epochs or steps are counted.
        curve: the loss of every step.
    """

    def __init__(self, sampler: StageBatchSampler, options: TrainingOptions, **kwargs: Any) -> None:
        self.batch_sampler, self.options = sampler, options
        self.steps_per_epoch = len(sampler.steps)
        self.budget = None if options.budget is None else Budget(options.budget)
        self.curve = LossCurve()
        super().__init__(**kwargs)
        if self.layout.step_target_tokens is not None:
            self.halving = Halving(self.layout.batch_size)
        self.add_callback(_BudgetEnd(self))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process; their order depends on seed and epoch alone."""
        # not prepared by accelerate: the sampler deals steps out itself, without repeated or lost items
        return DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.batch_sampler,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory and self.args.device.type == "cuda",
        )

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As in `DeviceTrainer`; the loss is noted where it is."""
        loss = super().training_step(*args, **kwargs)
        self.curve.add(loss)
        return loss

    def pieces(self, inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """Pieces of `batch_size` items at most, as many in every process, where a step has any number of items."""
        if self.layout.step_target_tokens is None:
            return [inputs]
        step = self.batch_sampler.steps[self.state.global_step % self.steps_per_epoch]
        return cut_into(inputs, self.layout.pieces_of(step))

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        """The learning rate by steps or, where there is a budget, by what is spent of it."""
        if self.budget is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        of = optimizer or self.optimizer
        assert of is not None  # noqa: S101 - transformers makes the optimiser first
        schedule = make_schedule(self.options, of, self.spent_share)
        self.lr_scheduler, self._created_lr_scheduler = schedule, True
        return schedule

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs, with the mean size of the steps since the last log in items and in tokens."""
        self.curve.fetch(self.accelerator)
        super().log(logs | self.counts.take_window(), start_time)

    def count_step(self, step: int) -> None:
        """Items and tokens of the step."""
        steps = self.batch_sampler.steps
        self.counts.add(self.batch_sampler.dataset.items, steps[step % self.steps_per_epoch])
        self.curve.end_step(self.counts.train_target_tokens)
        if self.budget is not None:
            self.budget.agree(self.counts, self.accelerator)

    def spent_share(self) -> float:
        """The share of the budget that the steps so far have spent, 0 … 1; 0 without one."""
        return 0.0 if self.budget is None else self.budget.share(self.counts)

    def progress_of(self, state: TrainerState) -> tuple[int, int]:
        """Steps or, where there is a budget, what is spent of it."""
        if self.budget is None:
            return super().progress_of(state)
        return round(self.budget.spent(self.counts)), round(self.budget.limit)

    def plan_epoch(self, epoch: int, items: Items) -> None:
        """Plans the steps of an epoch, counted from 0, over its items; a budget of target tokens may end within it."""
        sampler, counts = self.batch_sampler, self.counts
        sampler.begin_epoch(epoch, items)
        if self.budget is None:
            return
        # where training resumes within the epoch, a part of it is counted already
        done = sampler.steps[: counts.steps - epoch * self.steps_per_epoch]
        before = counts.train_target_tokens - sum(int(items.n_loss[step].sum()) for step in done)
        left = self.budget.tokens_left(before)
        if left is not None:
            sampler.end_after(left)

    def save_more(self, checkpoint: Path) -> None:
        """The losses of the steps so far."""
        self.curve.fetch(self.accelerator)
        if self.is_world_process_zero():
            self.curve.save(checkpoint)

    def restore(self, checkpoint: Path) -> None:
        """The counts and the losses."""
        super().restore(checkpoint)
        self.curve.load(checkpoint)

    def train_resumable(self) -> None:
        """As in `ResumableTrainer`; refuses a student that has diverged since the last log.

        Raises:
            InvalidInputError: the loss is not finite.
        """
        super().train_resumable()
        self.curve.fetch(self.accelerator)
        refuse_divergence(self.curve.last, self.state.global_step)


class _BudgetEnd(TrainerCallback):
    """Ends training where its budget is spent."""

    def __init__(self, trainer: PlannedTrainer) -> None:
        self.trainer = trainer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ends training where its budget is spent; the student itself is saved next, not a checkpoint."""
        if self.trainer.spent_share() >= 1:
            control.should_training_stop, control.should_save = True, False
