"""The trainer of all methods: items of an epoch, chunks that are searched between epochs, the loss of a step."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from skipthink.core.options import SearchOptions
from skipthink.core.ragged import Ints
from skipthink.core.search import average_boundaries, chunk
from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_parquet
from skipthink.io.job_progress import measure, shown_phase
from skipthink.options import pick
from skipthink.scoring.options import ChunkOptions
from skipthink.student.encoding import EncodedSamples
from skipthink.student.items import Items
from skipthink.student.losses import Floats, StepLosses
from skipthink.student.student import Student
from skipthink.student.token_rows import Bools, TokenRows
from skipthink.training.arguments import ItemArguments
from skipthink.training.averaging import WeightAverage
from skipthink.training.batches import ItemDataset, PadCollator, StageBatchSampler
from skipthink.training.boundaries import from_main, score_in_shares
from skipthink.training.fresh import Scoring
from skipthink.training.loss import TargetHead
from skipthink.training.method import Method
from skipthink.training.options import BudgetOptions, TrainingOptions
from skipthink.training.planned_trainer import PlannedTrainer
from skipthink.training.record import LOSSES_FILE, append_log, losses_table
from skipthink.training.resumable import Progress
from skipthink.training.source import ItemSource
from skipthink.training.token_weights import token_weights

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState


class ItemTrainer(PlannedTrainer):
    """Trains a student on the items of a method; chunks may be searched again before each epoch.

    Args:
        student: a fresh student; with LoRA adapters, its model is a `peft.PeftModel`.
        method: what the items of an epoch are.
        args: arguments of `transformers`, as `make_arguments` makes them.
        encoded: the training samples.
        options: the method's options; those `args` were made from.
        chunks: how chunks are found.
        boundaries: chunks that stay as they are, int64 (n, M + 1); None: average chunks, from which the method's
            search starts.
        skipped: chunks the judge can do without, bool (n, M).
        turns: when each of these chunks goes, float64 (n, M), for methods with levels.
        own: chains of own answers, one per sample, empty where there is none.
        progress: called with (steps done, steps in all).
        kwargs: passed to `transformers.Trainer`.

    Raises:
        InvalidInputError: what the method needs of a judge is missing, an item is too long, no sample is left, a
            search over parameters that are sharded, or FSDP on a device where nothing is sharded.
    """

    def __init__(
        self,
        student: Student,
        method: Method,
        args: ItemArguments,
        *,
        encoded: EncodedSamples,
        options: TrainingOptions,
        chunks: ChunkOptions,
        boundaries: Ints | None = None,
        skipped: Bools | None = None,
        turns: Floats | None = None,
        own: TokenRows | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> None:
        method.refuse_inputs(boundaries, skipped, own)
        self.student, self.method, self.chunks, self.arguments = student, method, chunks, args
        self.search = "average" if boundaries is not None else method.search_of(chunks)
        if boundaries is None:
            boundaries = average_boundaries(encoded.n_steps, student.n_chunks)
        options = _in_target_tokens(options, encoded, boundaries)
        layout = replace(args.layout, step_target_tokens=options.step_target_tokens)
        self.source: ItemSource = ItemSource(
            encoded,
            student.markers,
            options,
            boundaries,
            args.seed,
            layout.step_size,
            skipped,
            turns=turns,
            own=own,
        )
        method.prepare(self.source, Scoring.of(student, args, chunks))
        self.report = leave_out_long(method, self.source, options.max_item_tokens or student.longest_input)
        items = method.items(self.source, 0)
        self.report |= _count_empty_targets(items) | _count_searched(self) | method.report(self.source, items)
        self.source.step_plan.in_order = method.keeps_order(options)
        sampler = StageBatchSampler(
            ItemDataset(items), layout, self.source.step_plan, loss_norm=options.loss_norm
        )
        kwargs |= {"train_dataset": sampler.dataset, "data_collator": PadCollator(student.markers)}
        super().__init__(
            sampler, options, layout=layout, progress=progress, model=student.model, args=args, **kwargs
        )
        # `compute_loss` divides by the whole step; nothing is left for `Trainer` to count or divide
        self.model_accepts_loss_kwargs, self.loss_is_scaled_for_ga = False, True
        _refuse_sharding(self, options, args)
        self.target_head = TargetHead(student.model, enabled=not args.torch_compile)
        share = None if self.budget is None else self.spent_share
        self.average = WeightAverage.of(student.model, options, Path(str(args.output_dir)), share)
        for callback in filter(None, (_Epochs(self), self.average)):
            self.add_callback(callback)

    @property
    def searches(self) -> bool:
        """Whether chunks are searched, or stay as they are."""
        return self.search != "average"

    def search_boundaries(self, epoch: int) -> Ints:
        """Search-based chunking by the current student, from the current boundaries, before an epoch (method §4).

        Each process scores its share of the samples; the first one searches for all, and keeps the losses.
        """
        source, is_main = self.source, self.is_world_process_zero()
        with shown_phase(self.progress, "scoring", "tokens") if is_main else nullcontext() as meter:
            losses = score_in_shares(
                self.student,
                source.encoded.take(source.rows),
                self.accelerator,
                passes=self.chunks.passes,
                batch_tokens=self.chunks.score_batch_tokens,
                autocast=self.arguments.autocast,
                cache=self.arguments.score_folder / str(self.args.process_index),
                progress=meter,
            )
        found = source.boundaries.copy()
        if is_main:
            options = pick(SearchOptions, self.chunks).replace(method=self.search).chunk_arguments()
            found[source.rows] = chunk(
                None,
                M=self.student.n_chunks,
                init=source.boundaries[source.rows],
                seed=source.seed,
                **options,
                **losses.chunk_arguments(),
            ).boundaries
            _keep_losses(self, losses, epoch)
        return from_main(found, self.accelerator)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The batch's part of the step's loss: `loss_norm` says what the sum over target tokens is divided by."""
        nll, rows, outputs = self.target_head.token_nll(model, inputs)
        if power := self.source.options.token_power:
            nll = nll * token_weights(nll, rows, power)
        loss = (nll / inputs["denominators"][rows]).sum()
        # gradients are averaged over processes, but every process holds a part of one sum
        loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def restore(self, checkpoint: Path) -> None:
        """The counts, the losses, and the chunks of the epoch that the checkpoint lies in or ends."""
        super().restore(checkpoint)
        if self.searches:
            # a checkpoint at the end of an epoch: the next search begins from its chunks, or they are the last ones
            epoch = (self.counts.steps - 1) // self.steps_per_epoch
            folder, current = self.arguments.boundary_folder, self.source.boundaries
            saved = folder.load_everywhere(epoch, current, self.accelerator)
            self.source.boundaries = current if saved is None else saved

    def train_resumable(self) -> None:
        """As in `ResumableTrainer`; the student's head is its own again afterwards."""
        try:
            super().train_resumable()
        finally:
            self.target_head.release()


def _keep_losses(trainer: ItemTrainer, losses: StepLosses, epoch: int) -> None:
    """Writes the losses that the boundaries of an epoch were searched on, in place of those of the epoch before."""
    ids = [trainer.source.encoded.ids[row] for row in trainer.source.rows]
    write_parquet(trainer.arguments.boundary_folder.path / LOSSES_FILE, losses_table(ids, losses, epoch))


class _Epochs(TrainerCallback):
    """Boundaries and items of an epoch, an optimiser that forgets where the method wants it to, and the log."""

    def __init__(self, trainer: ItemTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Boundaries (searched, or those found when this epoch first began), then items."""
        trainer = self.trainer
        epoch = int((state.epoch or 0.0) + 1e-6)  # fractional where a run resumes within an epoch
        if trainer.searches:
            self._find_boundaries(epoch)
        trainer.plan_epoch(epoch, trainer.method.items(trainer.source, epoch))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Depends on the step alone, so a resumed run forgets where an uninterrupted one does."""
        trainer = self.trainer
        if trainer.method.forgets(trainer.source, state.global_step, trainer.steps_per_epoch):
            optimizer: Any = trainer.optimizer
            getattr(optimizer, "optimizer", optimizer).state.clear()  # its learning rate stays

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Keeps what is logged, for those who look at it now or later."""
        if state.is_world_process_zero and logs is not None:
            append_log(self.trainer.arguments.record_folder, state.log_history[-1])
            measure(self.trainer.progress, loss=logs.get("loss"), accuracy=logs.get("eval_accuracy"))

    def _find_boundaries(self, epoch: int) -> None:
        trainer, source = self.trainer, self.trainer.source
        folder = trainer.arguments.boundary_folder
        saved = folder.load_everywhere(epoch, source.boundaries, trainer.accelerator)
        if saved is not None:
            source.boundaries = saved
            return
        if epoch % trainer.chunks.research_every == 0:
            source.boundaries = trainer.search_boundaries(epoch)
        if trainer.is_world_process_zero():
            folder.save(epoch, source.boundaries)
            # the student moves on: what it has scored is of no more use
            shutil.rmtree(trainer.arguments.score_folder, ignore_errors=True)


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """Weights gathered from all processes where parameters are sharded; else None: the model has them.

    All processes take part; the first one gets the weights, the others may get none.
    """
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    weights: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    # tied weights were gathered one by one: copies of one tensor, which would all be saved
    first: dict[int, str] = {}
    for name, weight in trainer.model.named_parameters(remove_duplicate=False):  # type: ignore[union-attr]
        if name in weights:
            weights[name] = weights[first.setdefault(id(weight), name)]
    return weights


def leave_out_long(method: Method, source: ItemSource, limit: int | None) -> dict[str, int]:
    """Refuses or leaves out samples with an item over the limit; nothing is cut.

    A sample goes whole, so that every stage keeps the same number of items in every epoch.

    Returns:
        Counts: long items, samples left out.

    Raises:
        InvalidInputError: an item is too long, or no sample is left.
    """
    items = method.longest_items(source)
    lengths = items.longest_side
    long = lengths > (limit or np.iinfo(np.int64).max)
    if long.any() and source.options.long_items == "error":
        worst = int(np.argmax(lengths))
        raise InvalidInputError(
            f"{int(long.sum())} of {len(lengths)} items exceed {limit} tokens; the longest, of sample "
            f"{source.encoded.ids[items.rows[worst]]!r}, has {lengths[worst]}; use a student with more "
            "positions, drop long samples, or have them left out and counted (long_items: drop)"
        )
    rows = np.setdiff1d(source.rows, items.rows[long])
    if not len(rows):
        raise InvalidInputError(f"every sample has an item of more than {limit} tokens; none is left")
    source.rows = rows
    return {"long_items": int(long.sum()), "samples_left_out": len(source.encoded) - len(rows)}


def _in_target_tokens(options: TrainingOptions, encoded: EncodedSamples, boundaries: Ints) -> TrainingOptions:
    """The options with a budget of epochs of `base` counted in target tokens, the same for all methods."""
    if options.budget is None or options.budget.base_epochs is None:
        return options
    epoch_tokens = int(encoded.plan("base", boundaries).target_lengths_tokens.sum())
    tokens = max(1, round(options.budget.base_epochs * epoch_tokens))
    return options.replace(budget=BudgetOptions(target_tokens=tokens))


def _refuse_sharding(trainer: ItemTrainer, options: TrainingOptions, args: ItemArguments) -> None:
    """Refuses a search over parameters that are sharded, and FSDP where accelerate shards nothing."""
    if trainer.searches and (trainer.is_fsdp_enabled or _zero_stage(args) == 3):
        raise InvalidInputError(
            "chunks cannot be searched while parameters are sharded (FSDP, ZeRO-3): use DDP or ZeRO-2, or the "
            "search average"
        )
    n_ranks = args.layout.n_ranks
    if options.fsdp and n_ranks > 1 and not trainer.is_fsdp_enabled:
        raise InvalidInputError(
            f"fsdp: true, but accelerate does not shard on {args.device.type}: {n_ranks} processes would each hold "
            "the whole student (DDP); leave out fsdp, or train on accelerators"
        )


def _zero_stage(args: TrainingArguments) -> int:
    config: Any = getattr(args, "hf_deepspeed_config", None)
    return 0 if config is None else int(config.get_value("zero_optimization.stage") or 0)


def _count_searched(trainer: ItemTrainer) -> dict[str, int]:
    """Samples whose chunks are searched, and those with too few steps, which keep their average chunks."""
    if not trainer.searches:
        return {}
    source, least = trainer.source, trainer.student.n_chunks * trainer.chunks.min_steps
    n_short = int((source.encoded.n_steps[source.rows] < least).sum())
    return {"samples_searched": len(source.rows) - n_short, "samples_too_short": n_short}


def _count_empty_targets(items: Items) -> dict[str, int]:
    return {
        "items_without_target": int((items.n_target == 0).sum()),
        "items_of_end_only": int((items.n_target == 1).sum()),
    }
