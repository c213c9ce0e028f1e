"""A `transformers.Trainer` that resumes after a kill, and counts what its steps hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from skipthink.training.checkpoints import StepCounts, mark_complete, newest_checkpoint, read_counts
from skipthink.training.precision import precision_of, refuse_other_precision, write_precision
from skipthink.training.steps import Layout

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState

Progress = Callable[[int, int], None]


class ResumableTrainer(Trainer):
    """Trains from the newest complete checkpoint; `count_step` says what a step held.

    Args:
        layout: how a step is dealt out.
        progress: called with what `progress_of` gives, after each step.
        kwargs: passed to `transformers.Trainer`.

    Attributes:
        counts: what the steps so far held, over all processes.
    """

    def __init__(self, *, layout: Layout, progress: Progress | None = None, **kwargs: Any) -> None:
        self.layout, self.progress = layout, progress
        self.counts = StepCounts()
        super().__init__(**kwargs)
        self.remove_callback(PrinterCallback)  # the caller's progress line replaces it
        self.add_callback(_Steps(self))

    def count_step(self, step: int) -> None:
        """Adds what a step held, counted from 0, to `counts`."""
        raise NotImplementedError

    def progress_of(self, state: TrainerState) -> tuple[int, int]:
        """What is done, and what there is in all."""
        return state.global_step, state.max_steps

    def restore(self, checkpoint: Path) -> None:
        """Takes up what the steps before a checkpoint left.

        Raises:
            DataError: a file of the checkpoint is damaged.
            InvalidInputError: the checkpoint was made with steps of another size, or in another precision.
        """
        self.counts = read_counts(checkpoint, self.layout)
        refuse_other_precision(checkpoint, precision_of(self.args))

    def save_more(self, checkpoint: Path) -> None:
        """Writes into a checkpoint, before it is marked as complete; called in all processes."""

    def train_resumable(self) -> None:
        """Trains, from the newest complete checkpoint in `output_dir` where there is one.

        Raises:
            DataError: a file of that checkpoint is damaged.
            InvalidInputError: it was made with steps of another size, or in another precision.
        """
        folder = Path(str(self.args.output_dir))
        checkpoint = newest_checkpoint(folder, self.accelerator)
        if checkpoint is not None:
            self.restore(checkpoint)
        # before the first step: what is searched and scored depends on it, too
        if self.is_world_process_zero():
            write_precision(folder, precision_of(self.args))
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


class _Steps(TrainerCallback):
    """Counts steps and seconds, shows progress, and marks checkpoints that are whole."""

    def __init__(self, trainer: ResumableTrainer) -> None:
        self.trainer = trainer
        self.began = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Goes on with the seconds of the tries before."""
        self.began = time.monotonic() - self.trainer.counts.seconds

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Counts what the step held in all processes, before the learning rate of the next one is asked for."""
        self.trainer.counts.seconds = time.monotonic() - self.began
        self.trainer.count_step(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Shows progress."""
        trainer = self.trainer
        if trainer.progress is not None:
            trainer.progress(*trainer.progress_of(state))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Marks the checkpoint as complete once every process has written its part."""
        trainer = self.trainer
        trainer.accelerator.wait_for_everyone()
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        trainer.save_more(folder)
        if state.is_world_process_zero:
            mark_complete(folder, trainer.counts, trainer.layout)
