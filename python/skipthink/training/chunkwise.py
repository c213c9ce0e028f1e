"""Chunk-wise training (CWT) and its one-pass controls, as a `transformers.Trainer` (method §5)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from skipthink.core.search import average_boundaries, chunk
from skipthink.exceptions import InvalidInputError
from skipthink.io.progress import Display, Meter
from skipthink.student.encoding import EncodedSamples, Ints, Items, build_items
from skipthink.student.markers import Markers
from skipthink.student.prompts import max_positions
from skipthink.training.batches import StageBatchSampler
from skipthink.training.boundaries import from_main, score_in_shares
from skipthink.training.checkpoints import StepCounts, mark_complete, newest_checkpoint, read_counts
from skipthink.training.config import ChunkwiseConfig
from skipthink.training.items import ItemDataset, PadCollator, take_items
from skipthink.training.loss import TargetHead

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState


class ChunkwiseTrainer(Trainer):
    """Trains a student on one chunk an item; chunks are searched anew before each epoch.

    Args:
        model: the student; with LoRA adapters, a `peft.PeftModel`.
        args: configuration.
        encoded: the training samples.
        markers: marker ids of the student's tokenizer.
        boundaries: chunk boundaries to start from, int64 (n, M + 1); average chunks where None.
        progress: called with (steps done, steps in all).
        kwargs: passed to `transformers.Trainer`.

    Raises:
        InvalidInputError: an item is too long, no sample is left, or a search over parameters that are sharded.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: ChunkwiseConfig,
        *,
        encoded: EncodedSamples,
        markers: Markers,
        boundaries: Ints | None = None,
        progress: Callable[[int, int], None] | None = None,
        **kwargs: Any,
    ) -> None:
        markers = markers.fitted_to(model.config)
        self.encoded, self.markers = encoded, markers
        average = average_boundaries(encoded.n_steps, markers.n_chunks)
        self.boundaries = average if boundaries is None else boundaries
        self.counts = StepCounts()
        self.config: ChunkwiseConfig = args
        self.rows: Ints = np.arange(len(encoded))
        self.report = _leave_out_long(self, args.max_item_tokens or max_positions(model.config))
        items = self.make_items(epoch=0)
        self.report |= _count_empty_targets(items) | _count_searched(self)
        dataset = ItemDataset(items)
        self.batch_sampler = StageBatchSampler(
            dataset,
            args.layout,
            seed=args.seed,
            by_stage=args.batching == "stage",
            loss_norm=args.loss_norm,
        )
        kwargs |= {"train_dataset": dataset, "data_collator": PadCollator(markers)}
        super().__init__(model=model, args=args, **kwargs)
        # `compute_loss` divides by the whole step; nothing is left for `Trainer` to count or divide
        self.model_accepts_loss_kwargs, self.loss_is_scaled_for_ga = False, True
        if self.searches and (self.is_fsdp_enabled or _zero_stage(args) == 3):
            raise InvalidInputError(
                "chunks cannot be searched while parameters are sharded (FSDP, ZeRO-3): use DDP or ZeRO-2, or "
                'chunk_method "average"'
            )
        self.target_head = TargetHead(model, enabled=not args.torch_compile)
        self.remove_callback(PrinterCallback)  # the caller's progress line replaces it
        self.add_callback(_Epochs(self, progress))

    @property
    def searches(self) -> bool:
        """Whether chunks are searched, or stay as they are given."""
        return self.config.scheme == "chunkwise" and self.config.chunk_method != "average"

    def make_items(self, epoch: int, *, dropout: bool = True) -> Items:
        """The items of an epoch, from the current boundaries; chunk dropout is drawn anew each epoch."""
        config, options = self.config, {}
        if dropout and config.scheme == "chunkwise" and config.chunk_dropout > 0:
            options = {"chunk_dropout": config.chunk_dropout, "seed": config.seed * 100_003 + epoch}
        return self.items_of(config.scheme, **options)

    def items_of(self, scheme: str, **options: Any) -> Items:
        """The items of a scheme, of all samples that are trained on."""
        plan = self.encoded.plan(scheme, self.boundaries, **options)
        return self.of_rows(build_items(self.encoded, plan, self.markers))

    def of_rows(self, items: Items) -> Items:
        """Those of the items whose samples are trained on."""
        if len(self.rows) == len(self.encoded):
            return items
        return take_items(items, np.flatnonzero(np.isin(items.rows, self.rows)))

    def search_boundaries(self) -> Ints:
        """Search-based chunking by the current student, from the current boundaries (method §4).

        Each process scores its share of the samples; the first one searches for all.
        """
        is_main = self.is_world_process_zero()
        shown = closing(Meter("scoring", "tokens", Display(sys.stderr))) if is_main else nullcontext()
        student, samples = _plain(self.model), self.encoded.take(self.rows)
        with shown as meter:
            losses = score_in_shares(
                student, samples, self.markers, self.accelerator, progress=meter, **self.config.score_options
            )
        found = self.boundaries.copy()
        if is_main:
            options = {**self.config.search_options, **losses.chunk_arguments()}
            start = self.boundaries[self.rows]
            found[self.rows] = chunk(None, M=self.markers.n_chunks, init=start, **options).boundaries
        return from_main(found, self.accelerator)

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

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The batch's part of the step's loss: `loss_norm` says what the sum over target tokens is divided by."""
        nll, rows, outputs = self.target_head.token_nll(model, inputs)
        loss = (nll / inputs["denominators"][rows]).sum()
        # gradients are averaged over processes, but every process holds a part of one sum
        loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs, with the mean size of the steps since the last log in items and in tokens."""
        super().log(logs | self.counts.take_window(), start_time)

    def train_resumable(self) -> None:
        """Trains, from the newest complete checkpoint in `output_dir` where there is one.

        Raises:
            InvalidInputError: the checkpoint was made with steps of another size.
        """
        checkpoint = newest_checkpoint(Path(str(self.args.output_dir)), self.accelerator)
        if checkpoint is not None:
            self.counts = read_counts(checkpoint, self.config.layout)
            if self.searches:
                # a checkpoint at the end of an epoch: the next search begins from its chunks, or they are the last ones
                epoch = (self.counts.steps - 1) // len(self.batch_sampler.steps)
                saved = self.config.boundary_folder.load_everywhere(epoch, self.boundaries, self.accelerator)
                self.boundaries = self.boundaries if saved is None else saved
        try:
            self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        finally:
            self.target_head.release()


class _Epochs(TrainerCallback):
    """What happens between steps: boundaries and items of an epoch, counts, the mark of a whole checkpoint."""

    def __init__(self, trainer: ChunkwiseTrainer, progress: Callable[[int, int], None] | None) -> None:
        self.trainer, self.progress = trainer, progress

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Boundaries (searched, or those found when this epoch first began), then items."""
        trainer = self.trainer
        epoch = int((state.epoch or 0.0) + 1e-6)  # fractional where a run resumes within an epoch
        if trainer.searches:
            self._find_boundaries(epoch)
        trainer.batch_sampler.begin_epoch(epoch, trainer.make_items(epoch))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Counts what the step held in all processes."""
        trainer = self.trainer
        steps = trainer.batch_sampler.steps
        trainer.counts.add(trainer.batch_sampler.dataset.items, steps[(state.global_step - 1) % len(steps)])
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Marks the checkpoint as complete once every process has written its part."""
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            mark_complete(folder, self.trainer.counts, self.trainer.config.layout)

    def _find_boundaries(self, epoch: int) -> None:
        trainer = self.trainer
        folder = trainer.config.boundary_folder
        saved = folder.load_everywhere(epoch, trainer.boundaries, trainer.accelerator)
        if saved is not None:
            trainer.boundaries = saved
            return
        if epoch % trainer.config.research_every == 0:
            trainer.boundaries = trainer.search_boundaries()
        if trainer.is_world_process_zero():
            folder.save(epoch, trainer.boundaries)
            # the student moves on: what it has scored is of no more use
            shutil.rmtree(trainer.config.score_folder, ignore_errors=True)


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """Weights gathered from all processes where parameters are sharded; else None: the model has them."""
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    weights: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return weights


def _leave_out_long(trainer: ChunkwiseTrainer, limit: int | None) -> dict[str, int]:
    """Refuses or leaves out samples with an item over the limit; nothing is cut.

    A sample goes whole, so that every stage keeps the same number of items in every epoch.
    """
    items = trainer.make_items(epoch=0, dropout=False)
    lengths = items.longest_side
    long = lengths > (limit or np.iinfo(np.int64).max)
    if long.any() and trainer.config.long_items == "error":
        worst = int(np.argmax(lengths))
        raise InvalidInputError(
            f"{int(long.sum())} of {len(lengths)} items exceed {limit} tokens; the longest, of sample "
            f"{trainer.encoded.ids[items.rows[worst]]!r}, has {lengths[worst]}; use a student with more "
            "positions, drop long samples, or have them left out and counted (long_items: drop)"
        )
    trainer.rows = np.setdiff1d(trainer.rows, items.rows[long])
    if not len(trainer.rows):
        raise InvalidInputError(f"every sample has an item of more than {limit} tokens; none is left")
    return {"long_items": int(long.sum()), "samples_left_out": len(trainer.encoded) - len(trainer.rows)}


def _plain(model: Any) -> PreTrainedModel:
    """The student under its adapters, which stay at work in it."""
    base: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base


def _zero_stage(args: TrainingArguments) -> int:
    config: Any = getattr(args, "hf_deepspeed_config", None)
    return 0 if config is None else int(config.get_value("zero_optimization.stage") or 0)


def _count_searched(trainer: ChunkwiseTrainer) -> dict[str, int]:
    """Samples whose chunks are searched, and those with too few steps, which keep their average chunks."""
    if not trainer.searches:
        return {}
    least = trainer.markers.n_chunks * trainer.config.min_steps
    n_short = int((trainer.encoded.n_steps[trainer.rows] < least).sum())
    return {"samples_searched": len(trainer.rows) - n_short, "samples_too_short": n_short}


def _count_empty_targets(items: Items) -> dict[str, int]:
    return {
        "items_without_target": int((items.n_target == 0).sum()),
        "items_of_end_only": int((items.n_target == 1).sum()),
    }
