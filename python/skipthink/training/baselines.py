"""The baselines that are not chunk-wise, in the same trainer (docs/methods)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import TrainerCallback, TrainingArguments

from skipthink.core.codes import STEP
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import EncodedSamples, Ints, Items
from skipthink.student.markers import Markers
from skipthink.training.baseline_items import (
    PARTS,
    cut_rationales,
    cut_targets,
    drop_left,
    lose_on,
    stepwise_items,
)
from skipthink.training.batches import plan_steps
from skipthink.training.chunkwise import ChunkwiseTrainer
from skipthink.training.config import ChunkwiseConfig
from skipthink.training.method_table import BASELINES

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainerControl, TrainerState

EVERYTHING = np.iinfo(np.int64).max


@dataclass
class BaselineConfig(ChunkwiseConfig):
    """`ChunkwiseConfig` and what the baselines add; each reads the options of its own.

    Attributes:
        baseline: "stepwise", "icot-si", "truncated" or "masked".
        truncate: "truncated": share of the tokens that is trained on, from the front, 0 < share ≤ 1.
        truncate_of: "truncated": share of the "target", or of the "rationale" with the answer behind it.
        loss_on: "masked": the parts that carry loss, of "question", "rationale", "answer".
        remove_per_epoch: "icot-si": tokens of the rationale that go, from the left, an epoch.
        remove_from_epoch: "icot-si": epochs with the whole rationale before the first token goes.
        remove_all_beyond: "icot-si": once so many tokens are to go, all go; None: no such jump.
        removal_smoothing: "icot-si": rate of the geometric offset by which more tokens go than are due; None: none.
        reset_optimizer: "icot-si": the optimiser forgets its moments when one more token goes.
    """

    baseline: str = "stepwise"
    truncate: float = 0.5
    truncate_of: str = "target"
    loss_on: list[str] = field(default_factory=lambda: list(PARTS))
    remove_per_epoch: float = 8.0
    remove_from_epoch: float = 0.0
    remove_all_beyond: int | None = None
    removal_smoothing: float | None = 4.0
    reset_optimizer: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scheme, self.chunk_method = "base", "average"
        if self.baseline not in BASELINES:
            raise InvalidInputError(f"baseline must be one of {', '.join(BASELINES)}, got {self.baseline!r}")
        if self.truncate_of not in ("target", "rationale"):
            raise InvalidInputError(f'truncate_of must be "target" or "rationale", got {self.truncate_of!r}')
        if not self.remove_per_epoch > 0:
            raise InvalidInputError(f"remove_per_epoch must be above 0, got {self.remove_per_epoch}")
        if self.remove_from_epoch < 0:
            raise InvalidInputError(f"remove_from_epoch must not be negative, got {self.remove_from_epoch}")
        if self.remove_all_beyond is not None and self.remove_all_beyond < 1:
            raise InvalidInputError(f"remove_all_beyond must be at least 1, got {self.remove_all_beyond}")
        if self.removal_smoothing is not None and not self.removal_smoothing > 0:
            raise InvalidInputError(
                f"removal_smoothing must be above 0 or None, got {self.removal_smoothing}"
            )
        if self.baseline == "icot-si" and self.reset_optimizer and self.deepspeed is not None:
            raise InvalidInputError(
                "the optimiser's moments cannot be reset in DeepSpeed's own optimiser: set reset_optimizer to false"
            )

    def n_due(self, step: int, steps_per_epoch: int) -> int:
        """Tokens that have gone from the left of each rationale at an optimiser step, counted from 0."""
        due = int(
            self.remove_per_epoch * (step - self.remove_from_epoch * steps_per_epoch) // steps_per_epoch
        )
        if self.remove_all_beyond is not None and due >= self.remove_all_beyond:
            return EVERYTHING
        return max(due, 0)


class BaselineTrainer(ChunkwiseTrainer):
    """Trains a student with one of the `BASELINES`.

    Args:
        model: a fresh student.
        args: configuration.
        encoded: the training samples.
        markers: marker ids of the student's tokenizer.
        progress: called with (steps done, steps in all).
        kwargs: passed to `transformers.Trainer`.

    Raises:
        InvalidInputError: an option out of range, or what `ChunkwiseTrainer` refuses.
    """

    config: BaselineConfig

    def __init__(
        self,
        model: PreTrainedModel,
        args: BaselineConfig,
        *,
        encoded: EncodedSamples,
        markers: Markers,
        progress: Callable[[int, int], None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, args, encoded=encoded, markers=markers, progress=progress, **kwargs)
        self.report |= self._count()
        if args.baseline == "icot-si" and args.reset_optimizer:
            self.add_callback(_Resets(self))

    def make_items(self, epoch: int, *, dropout: bool = True) -> Items:
        """The items of an epoch; those of "icot-si" lose tokens by the optimiser step that holds them.

        Without `dropout` nothing is left out that another epoch may hold.
        """
        config, items, n_open = self.config, self.whole_items(), len(self.markers.open)
        if config.baseline == "truncated":
            if config.truncate_of == "target":
                return cut_targets(items, config.truncate)
            return cut_rationales(items, self._n_rationale(items), config.truncate, n_open=n_open)
        if config.baseline == "masked":
            return lose_on(items, self._n_rationale(items), tuple(config.loss_on), n_open=n_open)
        if config.baseline == "icot-si" and dropout:
            return drop_left(items, self._n_rationale(items), self._n_dropped(items, epoch), n_open=n_open)
        return items

    def whole_items(self) -> Items:
        """The items with nothing cut: what a student may write at inference is bounded by their targets."""
        if self.config.baseline == "stepwise":
            return self.of_rows(stepwise_items(self.encoded, self.markers))
        return self.items_of("base")

    @property
    def most_steps(self) -> int:
        """Most steps of a sample ("stepwise"): bounds how many a student may write."""
        items = self.whole_items()
        return int(np.bincount(items.rows[items.stages == STEP]).max()) - 1

    @property
    def longest_rationale(self) -> int:
        """Tokens of the longest rationale that is trained on."""
        return int(self.encoded.rationale.lengths[self.rows].max())

    def _n_rationale(self, items: Items) -> Ints:
        return self.encoded.rationale.lengths[items.rows]

    def _n_dropped(self, items: Items, epoch: int) -> Ints:
        """Tokens each item has lost in the step that holds it: those due, and at times some more."""
        config = self.config
        by_stage = config.batching == "stage"
        steps = plan_steps(
            items.stages, config.layout.step_size, seed=config.seed, epoch=epoch, by_stage=by_stage
        )
        offsets = np.zeros(len(items), dtype=np.int64)
        if config.removal_smoothing is not None:
            generator = np.random.default_rng((config.seed, epoch, 2))
            offsets = generator.geometric(-math.expm1(-config.removal_smoothing), len(items)) - 1
        n_dropped = np.zeros(len(items), dtype=np.int64)
        for place, step in enumerate(steps, start=epoch * len(steps)):
            if place >= config.remove_from_epoch * len(steps):
                due = config.n_due(place, len(steps))
                n_dropped[step] = due if due == EVERYTHING else due + offsets[step]
        return n_dropped

    def _count(self) -> dict[str, int]:
        """What the items leave out of the samples."""
        config, whole, items = self.config, self.whole_items(), self.batch_sampler.dataset.items
        if config.baseline == "stepwise":
            n_step_items = int((items.stages == STEP).sum()) - len(self.rows)
            return {"step_items": n_step_items, "stop_items": len(self.rows)}
        if config.baseline == "truncated":
            n_cut = whole.n_target - items.n_target
            n_endless = int((n_cut > 0).sum()) if config.truncate_of == "target" else 0
            return {
                "target_tokens": int(whole.n_target.sum()),
                "target_tokens_cut": int(n_cut.sum()),
                "targets_without_end": n_endless,
            }
        if config.baseline == "masked":
            n_loss = int(items.n_loss.sum())
            return {"tokens_with_loss": n_loss, "tokens_without_loss": len(items.tokens.values) - n_loss}
        n_steps = len(self.batch_sampler.steps)
        n_run = config.max_steps if config.max_steps > 0 else math.ceil(config.num_train_epochs * n_steps)
        n_rationale = self._n_rationale(whole)
        n_gone = np.minimum(n_rationale, config.n_due(max(n_run - 1, 0), n_steps))
        return {
            "rationale_tokens": int(n_rationale.sum()),
            "rationale_tokens_gone_at_end": int(n_gone.sum()),
            "rationales_gone_at_end": int((n_gone == n_rationale).sum()),
        }


class _Resets(TrainerCallback):
    """Before a step in which one more token is gone, the optimiser forgets its moments; its learning rate stays."""

    def __init__(self, trainer: BaselineTrainer) -> None:
        self.trainer = trainer

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Depends on the step alone, so a resumed run resets where an uninterrupted one does."""
        trainer, step = self.trainer, state.global_step
        n_steps = len(trainer.batch_sampler.steps)
        before, now = (trainer.config.n_due(place, n_steps) for place in (step - 1, step))
        if now > before and before < trainer.longest_rationale:
            optimizer: Any = trainer.optimizer
            getattr(optimizer, "optimizer", optimizer).state.clear()
