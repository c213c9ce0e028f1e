"""Chunk-wise training (CWT) and its one-pass controls, as a `transformers.Trainer` (method §5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from skipthink.chunking import average_boundaries, chunk
from skipthink.encoding import EncodedSamples, Ints, Items, build_items
from skipthink.exceptions import InvalidInputError
from skipthink.files import write_bytes, write_text
from skipthink.markers import Markers
from skipthink.scoring import score_steps
from skipthink.students import has_plain_head
from skipthink.training.items import IGNORED_LABEL, ItemDataset, PadCollator, StageBatchSampler

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState

COMPLETE_MARK = "skipthink.json"
"""Written last into a checkpoint: a checkpoint without it was cut off by a kill and is not resumed from."""


@dataclass
class ChunkwiseConfig(TrainingArguments):
    """`TrainingArguments` and what chunk-wise training adds.

    Attributes:
        scheme: "chunkwise", or a one-pass control: "base", "answer-only".
        chunk_method: how chunks are found: "average", "greedy", "anneal", "optimal".
        objective: "mean", "variance", "max".
        eta: least gain a search result must bring (nats).
        scope: "pair" or "left" (greedy).
        min_steps: least steps of a chunk in the search.
        score_stages: "conditioned" or "free" loss cache.
        research_every: epochs between two searches.
        score_batch_tokens: padded tokens of a scoring pass.
        chunk_dropout: probability that an earlier chunk of a prompt is replaced by `[thought]`.
        batching: "stage" or "shuffled".
        max_item_tokens: longest item allowed; None: the student's positions.
    """

    scheme: str = "chunkwise"
    chunk_method: str = "greedy"
    objective: str = "mean"
    eta: float = 0.1
    scope: str = "pair"
    min_steps: int = 1
    score_stages: str = "conditioned"
    research_every: int = 1
    score_batch_tokens: int = 8192
    chunk_dropout: float = 0.0
    batching: str = field(default="stage")
    max_item_tokens: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.scheme not in ("chunkwise", "base", "answer-only"):
            raise InvalidInputError(
                f'scheme must be "chunkwise", "base" or "answer-only", got {self.scheme!r}'
            )
        if self.batching not in ("stage", "shuffled"):
            raise InvalidInputError(f'batching must be "stage" or "shuffled", got {self.batching!r}')
        if self.research_every < 1:
            raise InvalidInputError(f"research_every must be at least 1, got {self.research_every}")
        if self.dataloader_num_workers:
            raise InvalidInputError("dataloader_num_workers must be 0: items change between epochs")


class ChunkwiseTrainer(Trainer):
    """Trains a student on one chunk an item; chunks are searched anew before each epoch.

    Args:
        model: the student.
        args: configuration.
        encoded: the training samples.
        markers: marker ids of the student's tokenizer.
        boundaries: chunk boundaries to start from, int64 (n, M + 1); average chunks where None.
        progress: called with (steps done, steps in all).
        kwargs: passed to `transformers.Trainer`.
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
        self.encoded, self.markers = encoded, markers
        if boundaries is None:
            boundaries = average_boundaries(encoded.n_steps, markers.n_chunks)
        self.boundaries = boundaries
        self.counts = {"train_tokens": 0, "train_target_tokens": 0}
        self.config: ChunkwiseConfig = args
        first_items = self.make_items(epoch=0)
        _refuse_long(first_items, encoded, args.max_item_tokens or _positions(model))
        super().__init__(
            model=model,
            args=args,
            train_dataset=ItemDataset(first_items),
            data_collator=PadCollator(markers.pad),
            **kwargs,
        )
        self.plain_head = has_plain_head(model)
        self.remove_callback(PrinterCallback)  # the caller's progress line replaces it
        self.add_callback(_EpochItems(self))
        self.add_callback(_CheckpointGuard(self))
        if progress is not None:
            self.add_callback(_StepProgress(progress))

    def make_items(self, epoch: int) -> Items:
        """The items of an epoch, from the current boundaries; chunk dropout is drawn anew each epoch."""
        return build_items(
            self.encoded,
            self.encoded.plan(self.config.scheme, self.boundaries, **self.dropout(epoch)),
            self.markers,
        )

    def dropout(self, epoch: int) -> dict[str, Any]:
        """Options that make the planner drop chunks out of prompts, none where there is no dropout."""
        if self.config.scheme != "chunkwise" or self.config.chunk_dropout == 0:
            return {}
        return {"chunk_dropout": self.config.chunk_dropout, "seed": self.config.seed * 100_003 + epoch}

    def search_boundaries(self) -> Ints:
        """Search-based chunking by the current student, from the current boundaries (method §4)."""
        config = self.config
        student: Any = self.model
        losses = score_steps(
            student,
            self.encoded,
            self.markers,
            stages=config.score_stages,
            batch_tokens=config.score_batch_tokens,
        )
        result = chunk(
            None,
            M=self.markers.n_chunks,
            eta=config.eta,
            method=config.chunk_method,
            objective=config.objective,
            scope=config.scope,
            min_steps=config.min_steps,
            init=self.boundaries,
            seed=config.seed,
            **losses.chunk_arguments(),
        )
        return result.boundaries

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of one stage each; the order depends on seed and epoch alone."""
        dataset: Any = self.train_dataset
        sampler = StageBatchSampler(
            dataset.items.stages,
            batch_size=self._train_batch_size,
            seed=self.config.seed,
            by_stage=self.config.batching == "stage",
        )
        self.batch_sampler = sampler
        loader: DataLoader[Any] = self.accelerator.prepare(
            DataLoader(dataset, batch_sampler=sampler, collate_fn=self.data_collator)
        )
        return loader

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """One step, with its tokens counted."""
        self.counts["train_tokens"] += int(inputs["attention_mask"].sum())
        self.counts["train_target_tokens"] += int((inputs["labels"] >= 0).sum())
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)
        return loss

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean loss over the batch's target tokens (paper, equation 3); the head sees target positions alone.

        Most tokens of a chunk-wise item are prompt: their logits would be computed for nothing.
        """
        # mixed precision and wrapped models work through the model's own forward alone
        wrapped = self.args.bf16 or self.args.fp16 or not isinstance(model, PreTrainedModel)
        if return_outputs or wrapped or not self.plain_head:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        module: Any = model
        labels = inputs["labels"]
        hidden = module.base_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        rows, columns = torch.nonzero(labels[:, 1:] != IGNORED_LABEL, as_tuple=True)
        logits = module.get_output_embeddings()(hidden.last_hidden_state[rows, columns]).float()
        total = functional.cross_entropy(logits, labels[rows, columns + 1], reduction="sum")
        return total / (len(rows) if num_items_in_batch is None else num_items_in_batch)

    def train_resumable(self) -> None:
        """Trains, from the newest complete checkpoint in `output_dir` where there is one."""
        checkpoint = newest_checkpoint(Path(str(self.args.output_dir)))
        if checkpoint is not None:
            self.counts.update(json.loads((checkpoint / COMPLETE_MARK).read_text(encoding="utf-8")))
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def losses_logged(self) -> list[float]:
        """Mean training losses of the logging windows, in order."""
        return [entry["loss"] for entry in self.state.log_history if "loss" in entry]


class _EpochItems(TrainerCallback):
    """Before each epoch: boundaries (searched, or those saved when this epoch first began), then items."""

    def __init__(self, trainer: ChunkwiseTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        trainer = self.trainer
        epoch = int((state.epoch or 0.0) + 1e-6)  # fractional where a run resumes within an epoch
        if trainer.config.scheme == "chunkwise" and trainer.config.chunk_method != "average":
            self._find_boundaries(Path(str(args.output_dir)) / "boundaries", epoch)
        trainer.batch_sampler.set_epoch(epoch)
        dataset: Any = trainer.train_dataset
        dataset.set_items(trainer.make_items(epoch))

    def _find_boundaries(self, folder: Path, epoch: int) -> None:
        path = folder / f"epoch-{epoch:04d}.npy"
        if path.exists():  # a resumed run must not search again: its student has moved on since
            self.trainer.boundaries = np.load(path, allow_pickle=False)
            return
        if epoch % self.trainer.config.research_every == 0:
            self.trainer.boundaries = self.trainer.search_boundaries()
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, _npy(self.trainer.boundaries))


class _CheckpointGuard(TrainerCallback):
    """Marks a checkpoint as complete once everything in it is written."""

    def __init__(self, trainer: ChunkwiseTrainer) -> None:
        self.trainer = trainer

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        write_text(folder / COMPLETE_MARK, json.dumps(self.trainer.counts))


class _StepProgress(TrainerCallback):
    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self.progress = progress

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.progress(state.global_step, state.max_steps)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a training folder, or None."""
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE_MARK}")]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _npy(array: Ints) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _positions(model: PreTrainedModel) -> int | None:
    limit: int | None = getattr(model.config, "max_position_embeddings", None)
    return limit


def _refuse_long(items: Items, encoded: EncodedSamples, limit: int | None) -> None:
    """An over-long item is an error before any work is lost; nothing is cut silently."""
    lengths = items.tokens.lengths
    if limit is None or not len(lengths) or lengths.max() <= limit:
        return
    worst = int(np.argmax(lengths))
    raise InvalidInputError(
        f"{int((lengths > limit).sum())} of {len(lengths)} items exceed {limit} tokens; the longest, of sample "
        f"{encoded.ids[items.rows[worst]]!r}, has {lengths[worst]}; drop long samples (data.max_tokens) or use a "
        "student with more positions"
    )
