"""Options of training that all methods share; a method's file adds its own (docs/reference/methods)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from skipthink.options import OptionError, Options, option


@dataclass(frozen=True, kw_only=True)
class LoraOptions(Options):
    """Low-rank adapters that are trained instead of all weights (`skipthink.training.lora.add_lora`)."""

    rank: int = option(16, "rank of the adapters", ge=1)
    alpha: float = option(32.0, "scale of the adapters", gt=0)
    dropout: float = option(0.0, "dropout in front of the adapters", ge=0, lt=1)
    target_modules: str | tuple[str, ...] = option(
        "all-linear", "layers that get adapters, as peft names them"
    )
    train_markers: bool = option(True, "whether the embeddings of the markers are trained too")


@dataclass(frozen=True, kw_only=True)
class BudgetOptions(Options):
    """What a training spends in all, the same for all methods (`skipthink.training.budget`)."""

    target_tokens: int | None = option(None, "tokens that carry loss, over all steps", ge=1)
    base_epochs: float | None = option(
        None, "as many target tokens as this number of epochs of `base`, on whole rationales", gt=0
    )
    seconds: float | None = option(None, "seconds of training, searches for chunks included", gt=0)

    def check(self) -> None:
        """There is one limit."""
        given = [
            name for name in ("target_tokens", "base_epochs", "seconds") if getattr(self, name) is not None
        ]
        if not given:
            raise OptionError("target_tokens", "or base_epochs or seconds must be given")
        if len(given) > 1:
            raise OptionError(given[-1], f"is set beside {given[0]}; give one of them")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Options):
    """How a student is trained: for `epochs`, or for `max_steps` or a `budget`, which have precedence.

    `fsdp`, `fsdp_config`, `deepspeed` and `report_to` are passed to `transformers.TrainingArguments` unchanged.
    """

    epochs: float = option(3.0, "passes over the items", gt=0)
    max_steps: int | None = option(None, "optimiser steps instead of `epochs`", ge=1)
    budget: BudgetOptions | None = option(None, "target tokens or seconds in all, instead of `epochs`")
    batch_size: int = option(32, "items per batch of one process", ge=1)
    gradient_accumulation_steps: int = option(1, "batches per optimiser step", ge=1)
    step_target_tokens: int | None = option(
        None,
        "target tokens per optimiser step, about; null: a number of items, `batch_size` times "
        "`gradient_accumulation_steps`",
        ge=1,
    )
    learning_rate: float = option(1e-3, "highest learning rate", gt=0)
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = option(
        "linear", "how the learning rate falls"
    )
    warmup_steps: float = option(0.05, "steps of warm-up; below 1, a share of all steps", ge=0)
    weight_decay: float = option(0.0, "AdamW's weight decay", ge=0)
    adam_beta2: float = option(0.999, "AdamW's second beta", gt=0, lt=1)
    max_grad_norm: float = option(1.0, "norm that gradients are clipped to; 0: not clipped", ge=0)
    bf16: bool | Literal["auto"] = option(
        "auto",
        "whether to train with bfloat16 autocast; auto: students of 20 million weights or more, where the processor or "
        "GPU is faster with it, which is measured once in a run",
    )
    fp16: bool = option(False, "whether to train with float16 autocast")
    activation_checkpointing: bool = option(False, "whether to compute activations twice to save memory")
    lora: LoraOptions | None = option(None, "low-rank adapters instead of all weights")
    last_layers: int | None = option(
        None, "trains this number of the upper layers and the head alone; null: all weights", ge=1
    )
    loss_norm: Literal["batch_tokens", "item"] = option(
        "batch_tokens", "whether the loss of a step is a mean over its target tokens or over its items"
    )
    token_power: float = option(
        0.0,
        "γ of the weights p^γ of target tokens, p being the student's own probability; below 0 hard tokens count more",
        ge=-2,
        le=2,
    )
    batching: Literal["stage", "shuffled"] = option(
        "stage", "whether the items of a step are of one stage or of all"
    )
    max_item_tokens: int | None = option(None, "longest item allowed; null: the student's positions", ge=2)
    long_items: Literal["error", "drop"] = option(
        "error", "longer items: an error, or their samples are left out and counted"
    )
    average_last: int = option(
        1,
        "how many weights of the last steps the trained weights are the mean of; 1: the last ones alone",
        ge=1,
    )
    average_every: float = option(
        0.02,
        "optimiser steps between two weights that are averaged; below 1, a share of all steps or of the budget",
        gt=0,
    )
    save_steps: int = option(200, "optimiser steps between two checkpoints", ge=1)
    report_to: tuple[str, ...] = option(tuple, "trackers that get the curves, as transformers names them")
    fsdp: bool = option(False, "whether parameters are sharded by FSDP")
    fsdp_config: dict[str, Any] | None = option(None, "settings of FSDP")
    deepspeed: dict[str, Any] | None = option(None, "settings of DeepSpeed")

    def check(self) -> None:
        """Options that exclude or need one another."""
        if self.budget is not None and self.max_steps is not None:
            raise OptionError("budget", "is set beside max_steps; give one of them")
        if self.budget is not None and self.warmup_steps >= 1:
            raise OptionError(
                "warmup_steps", f"must be below 1, a share of the budget, got {self.warmup_steps}"
            )
        if (
            self.budget is not None
            and self.average_last > 1
            and self.average_every * (self.average_last - 1) >= 1
        ):
            raise OptionError(
                "average_every",
                f"is {self.average_every}; beside a budget, whose steps are not known beforehand, it is a share of the "
                f"budget, and {self.average_last - 1} of them must be below 1 in all: lower it, or average_last",
            )
        if self.step_target_tokens is not None and self.gradient_accumulation_steps > 1:
            raise OptionError(
                "step_target_tokens",
                "says how large a step is, and batch_size how many items are computed at once; leave "
                "gradient_accumulation_steps at 1",
            )
        if self.step_target_tokens is not None and self.deepspeed is not None:
            raise OptionError("step_target_tokens", "is set beside deepspeed, which counts batches per step")
        if self.bf16 is True and self.fp16:
            raise OptionError("bf16", "is set beside fp16; give one of them")
        if self.fsdp and self.deepspeed is not None:
            raise OptionError("fsdp", "is set beside deepspeed; give one of them")
        if self.fsdp_config is not None and not self.fsdp:
            raise OptionError("fsdp_config", "is set, which needs fsdp: true")
        if self.average_every > 1 and self.average_every != round(self.average_every):
            raise OptionError("average_every", "must be a share below 1, or a whole number of steps")
        if self.average_last > 1 and (self.fsdp or self.deepspeed is not None):
            raise OptionError(
                "average_last", "is above 1 beside sharding, where no process has all weights: set it to 1"
            )
        if self.last_layers is not None and (self.lora or self.fsdp or self.deepspeed is not None):
            raise OptionError("last_layers", "is set beside lora, fsdp or deepspeed; leave those out")
        if self.lora is not None and (self.fsdp or self.deepspeed is not None):
            raise OptionError(
                "lora", "is set beside sharding; adapters are small: leave out fsdp and deepspeed"
            )

    def need_known_length(self, name: str) -> None:
        """Refuses an option that changes over a training whose length is not known beforehand.

        Raises:
            OptionError: there is a budget of seconds.
        """
        if self.budget is not None and self.budget.seconds is not None:
            raise OptionError(
                name,
                "is set beside a budget of seconds, of which nobody knows beforehand which step is how far: set "
                "budget.target_tokens, budget.base_epochs, epochs or max_steps",
            )
