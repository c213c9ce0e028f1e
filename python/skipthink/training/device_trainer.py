"""A `transformers.Trainer` that shares a device with other jobs: it copies ahead, and survives a lack of memory."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch

from skipthink.exceptions import InvalidInputError
from skipthink.student.devices import free_memory
from skipthink.training.halving import Halving
from skipthink.training.resumable import ResumableTrainer


class DeviceTrainer(ResumableTrainer):
    """Copies batches while the device computes, and trains on smaller pieces if memory runs out.

    Subclasses have a `report`.

    Attributes:
        halving: the pieces that fit into memory.
        report: what a run counts; here `halved_batches`, where there are any.
    """

    report: dict[str, int]

    def __init__(self, **kwargs: Any) -> None:
        self.halving, self._step = Halving(), -1
        super().__init__(**kwargs)

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Forward and backward pass of a micro-batch, in smaller pieces where memory runs out.

        Processes that train together take as many passes each: there, memory that runs out ends the run.
        """
        train = super().training_step
        if self.accelerator.num_processes > 1 or self.is_deepspeed_enabled:
            losses = [train(model, piece, num_items_in_batch) for piece in self.pieces(inputs)]
            return torch.stack(losses).sum()
        if self.state.global_step != self._step:
            self._step = self.state.global_step
            self.halving.begin_step()
        before = self.halving.halved
        loss = self.halving.feed(
            inputs, lambda piece: train(model, piece, num_items_in_batch), lambda: self._forget(model)
        )
        if self.halving.halved > before:
            self.report["halved_batches"] = self.halving.halved
            sys.stderr.write(f"out of memory: at most {self.halving.most_items} items at once from here on\n")
        return loss

    def pieces(self, inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """A micro-batch in as many pieces in every process of several; one by default."""
        return [inputs]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs.

        Raises:
            InvalidInputError: the loss is not finite.
        """
        refuse_divergence(logs.get("loss", 0.0), self.state.global_step)
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Zero: `transformers` would count all parameters at every step, for a figure that nothing here reads."""
        return 0

    def _forget(self, model: torch.nn.Module) -> None:
        model.zero_grad()
        free_memory(self.args.device)

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Copies a batch to the device; from pinned memory the host goes on at once."""
        if self.args.device.type == "cuda":
            inputs = {name: part.to(self.args.device, non_blocking=True) for name, part in inputs.items()}
        prepared: dict[str, Any] = super()._prepare_inputs(inputs)
        return prepared


def refuse_divergence(loss: float, step: int) -> None:
    """Refuses a loss that is not finite.

    Raises:
        InvalidInputError: it is not.
    """
    if not math.isfinite(loss):
        raise InvalidInputError(
            f"the loss is {loss} by step {step}: training has diverged; lower learning_rate, lengthen warmup_steps, or "
            "train with bf16 instead of fp16"
        )
