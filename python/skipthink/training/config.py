"""Configuration of chunk-wise training: `TrainingArguments` and what the method adds (method §4, §5)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from skipthink.exceptions import InvalidInputError
from skipthink.student.devices import check_one_device, uses_accelerator
from skipthink.training.batches import LOSS_NORMS, Layout
from skipthink.training.boundaries import BoundaryFolder

CHOICES = {
    "scheme": ("chunkwise", "base", "answer-only"),
    "batching": ("stage", "shuffled"),
    "loss_norm": LOSS_NORMS,
    "long_items": ("error", "drop"),
}

REFUSED = {
    "dataloader_persistent_workers": "workers that outlive an epoch would go on with the items of the epoch before",
    "dataloader_drop_last": "every item is trained on; the last batch of a stage is smaller instead",
    "auto_find_batch_size": "a step is planned for one batch size; set gradient_accumulation_steps instead",
    "ignore_data_skip": "a resumed epoch goes on where it stood",
    "label_smoothing_factor": "the loss is that of the targets, as in scoring",
}
"""Arguments of `transformers` that must stay unset, and why."""


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
        batching: "stage": an optimiser step holds items of one stage, in all processes and micro-batches;
            "shuffled": of all stages.
        loss_norm: "batch_tokens": mean over the target tokens of the step; "item": mean over its items.
        max_item_tokens: longest item allowed; None: the student's positions.
        long_items: what a longer item is: an "error", or "drop": its sample is left out whole and counted.
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
    batching: str = "stage"
    loss_norm: str = "batch_tokens"
    max_item_tokens: int | None = None
    long_items: str = "error"

    def __post_init__(self) -> None:
        if not uses_accelerator():
            self.use_cpu = True  # several processes find each other on CPUs only where this is said
        try:
            super().__post_init__()  # type: ignore[no-untyped-call]
        except ImportError as error:  # deepspeed, tensorboard, … that an argument asks for
            raise InvalidInputError(f"a training argument needs a package: {error}") from error
        for name, known in CHOICES.items():
            found = getattr(self, name)
            if found not in known:
                names = ", ".join(f'"{choice}"' for choice in known[:-1]) + f' or "{known[-1]}"'
                raise InvalidInputError(f"{name} must be {names}, got {found!r}")
        if self.research_every < 1:
            raise InvalidInputError(f"research_every must be at least 1, got {self.research_every}")
        for name, reason in REFUSED.items():
            if getattr(self, name):
                raise InvalidInputError(f"{name} must stay unset: {reason}")
        check_one_device(self.n_gpu)

        expected = int(os.environ.get("WORLD_SIZE", "1"))
        if self.world_size != expected:
            raise InvalidInputError(
                f"{expected} processes were started, but they form a group of {self.world_size}: each would train "
                "by itself; start them with torchrun"
            )

    @property
    def layout(self) -> Layout:
        """How the items of a step are dealt out to processes and micro-batches."""
        return Layout(
            self.per_device_train_batch_size,
            self.gradient_accumulation_steps,
            self.world_size,
            self.process_index,
        )

    @property
    def boundary_folder(self) -> BoundaryFolder:
        """Where the boundaries of each epoch are kept."""
        return BoundaryFolder(Path(str(self.output_dir)) / "boundaries")

    @property
    def score_folder(self) -> Path:
        """Where scores are kept until the boundaries of the epoch are."""
        return Path(str(self.output_dir)) / "scores"

    @property
    def score_options(self) -> dict[str, Any]:
        """Options of `score_steps`; what a killed search has scored is kept beside the checkpoints."""
        return {
            "stages": self.score_stages,
            "batch_tokens": self.score_batch_tokens,
            "autocast": "bfloat16" if self.bf16 else "float16" if self.fp16 else None,
            "cache": self.score_folder / str(self.process_index),
        }

    @property
    def search_options(self) -> dict[str, Any]:
        """Options of `skipthink.chunk`."""
        names = ("eta", "objective", "scope", "min_steps", "seed")
        return {"method": self.chunk_method, **{name: getattr(self, name) for name in names}}
