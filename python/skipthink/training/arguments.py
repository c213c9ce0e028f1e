"""The arguments of `transformers.Trainer`, made from our options in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainingArguments

from skipthink.exceptions import InvalidInputError
from skipthink.student.devices import (
    avoid_attention_plans,
    check_one_device,
    uses_accelerator,
)
from skipthink.training.boundaries import BoundaryFolder, from_main
from skipthink.training.options import TrainingOptions
from skipthink.training.precision import decide_precision, precision_of, read_precision
from skipthink.training.steps import Layout

REFUSED = {
    "dataloader_persistent_workers": "workers that outlive an epoch would go on with the items of the epoch before",
    "dataloader_drop_last": "every item is trained on; the last batch of a stage is smaller instead",
    "auto_find_batch_size": "a step is planned for one batch size; set gradient_accumulation_steps instead",
    "ignore_data_skip": "a resumed epoch goes on where it stood",
    "label_smoothing_factor": "the loss is that of the targets, as in scoring",
}
"""Arguments of `transformers` that must stay unset, and why."""

SAME_NAMES = (
    "gradient_accumulation_steps",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "adam_beta2",
    "max_grad_norm",
    "fp16",
    "save_steps",
    "fsdp",
    "fsdp_config",
    "deepspeed",
)
"""Options that `transformers` knows by the same name."""

ENDLESS_EPOCHS = 1_000_000

CHECKPOINTING = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if hasattr(TrainingArguments, name)
)
"""What `transformers` calls our `activation_checkpointing`; 5.17 knows the second name only."""

PASSED_ON = ("ACCELERATE_", "FSDP_")
"""What the names of environment variables begin with by which accelerate tells itself how to train."""


@contextmanager
def restored_environment() -> Iterator[None]:
    """Takes back what a training leaves in the environment for those after it in the same process.

    accelerate and `transformers` note there that parameters are sharded, or a model compiled: without this, the next
    training would be so, too, whatever its options say.
    """
    before = _passed_on()
    try:
        yield
    finally:
        for name in _passed_on().keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _passed_on() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}


@dataclass
class ItemArguments(TrainingArguments):
    """`TrainingArguments` that are checked: one device per process, and nothing that would change items or steps.

    `make_arguments` makes them from options.
    """

    def __post_init__(self) -> None:
        # looking at each loss would make the host wait for it; one that is not finite ends the run when it is logged
        self.logging_nan_inf_filter = False
        if not uses_accelerator():
            self.use_cpu = True  # several processes find each other on CPUs only where this is said
        try:
            super().__post_init__()  # type: ignore[no-untyped-call]
        except ImportError as error:  # deepspeed, tensorboard, … that an argument asks for
            raise InvalidInputError(f"a training argument needs a package: {error}") from error
        except ValueError as error:
            if not self.bf16 or "bf16" not in str(error):
                raise
            raise InvalidInputError(
                "this machine cannot compute in bfloat16, which the training was begun in, its run has decided on, or "
                f"bf16 asks for: train it on a machine that can, or anew with bf16: false ({error})"
            ) from error
        for name, reason in REFUSED.items():
            if getattr(self, name):
                raise InvalidInputError(f"{name} must stay unset: {reason}")
        check_one_device(self.n_gpu)
        avoid_attention_plans(self.device)
        expected = int(os.environ.get("WORLD_SIZE", "1"))
        if self.world_size != expected:
            raise InvalidInputError(
                f"{expected} processes were started, but they form a group of {self.world_size}: each would train "
                "by itself; start them with torchrun"
            )

    @property
    def layout(self) -> Layout:
        """How the items of a step are divided among processes and micro-batches."""
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
    def record_folder(self) -> Path:
        """Where lies what is recorded of a training until it is finished."""
        return Path(str(self.output_dir))

    @property
    def score_folder(self) -> Path:
        """Where scores are kept until the boundaries of the epoch are."""
        return Path(str(self.output_dir)) / "scores"

    @property
    def autocast(self) -> str | None:
        """Precision of forward passes, as `Student.score` names it."""
        precision = precision_of(self)
        return None if precision == "float32" else precision


def make_arguments(
    options: TrainingOptions,
    out: str | Path,
    *,
    seed: int,
    n_weights: int = 0,
    auto_precision: str | None = None,
    **more: Any,
) -> ItemArguments:
    """The arguments of a training.

    Args:
        options: the method's options.
        out: folder for checkpoints.
        seed: seeds the order of the data, and whatever torch draws.
        n_weights: weights of the student, by which `bf16: auto` decides.
        auto_precision: what `bf16: auto` means, where that is decided; None: it is decided here. A training that goes
            on keeps the precision that it was begun in.
        more: further fields of `transformers.TrainingArguments`; they win.

    Raises:
        InvalidInputError: an argument does not fit the options or the machine.
        DataError: the note of the precision beside the checkpoints is damaged.
    """
    arguments: dict[str, Any] = {
        "output_dir": str(out),
        "seed": seed,
        "data_seed": seed,
        # a budget ends training by itself
        "num_train_epochs": options.epochs if options.budget is None else ENDLESS_EPOCHS,
        "max_steps": -1 if options.max_steps is None else options.max_steps,
        "per_device_train_batch_size": options.batch_size,
        "lr_scheduler_type": options.lr_scheduler,
        "save_strategy": "steps",
        "save_total_limit": 2,
        "logging_steps": _logging_steps(options.save_steps),
        "report_to": list(options.report_to) or "none",
        "disable_tqdm": True,
        "log_level": "error",
        "bf16": options.bf16 is True,
        CHECKPOINTING: options.activation_checkpointing,
        **{name: getattr(options, name) for name in SAME_NAMES},
    }
    arguments |= more
    if options.bf16 == "auto" and not arguments["fp16"] and "bf16" not in more:
        precision = read_precision(Path(out)) or auto_precision or decide_precision(n_weights)
        arguments["bf16"] = _of_first_process(arguments, precision == "bfloat16")
    return ItemArguments(**arguments)


def _of_first_process(arguments: dict[str, Any], decided: bool) -> bool:
    """What the first process of a training has decided: each may have measured something else."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return decided
    state = ItemArguments(**arguments).distributed_state  # which brings the processes together
    if state is None:
        return decided
    return bool(from_main(np.asarray([decided], dtype=np.int64), state)[0])


def _logging_steps(save_steps: int) -> int:
    """A divisor of save_steps: a window that a checkpoint cuts in two would log another loss after a resume."""
    return save_steps // 5 if save_steps % 5 == 0 else save_steps
