"""The loss of a batch: the head sees target positions only, and every item has the weight its step gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from skipthink.student.inputs import probe_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel


NOT_READ = {"labels", "denominators", "target_rows", "target_columns"}
"""What a batch holds beside the student's inputs."""


class TargetHead:
    """Lets a student's head see target positions only, also inside wrappers.

    Most tokens of a chunk-wise item are prompt: their logits would be computed for nothing. The positions are
    picked out in front of the module of the output embeddings, within the student's own forward pass, so that
    mixed precision, DDP, FSDP, LoRA and whatever a model does to its logits stay as they are.

    Args:
        model: the student, not yet wrapped.
        enabled: False leaves the student alone: all logits are computed, then those of targets picked.
    """

    def __init__(self, model: PreTrainedModel, *, enabled: bool = True) -> None:
        self._positions: tuple[torch.Tensor, torch.Tensor] | None = None
        self._handle: Any = None
        head: Any = model.get_output_embeddings()
        if enabled and head is not None:
            self._handle = head.register_forward_pre_hook(self._pick)
            if not self._agrees(model):
                self.release()

    @property
    def picks(self) -> bool:
        """Whether the head sees target positions alone."""
        return self._handle is not None

    def release(self) -> None:
        """Takes the hook off the student."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def token_nll(
        self, model: Any, inputs: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """The nll of every target token.

        Args:
            model: the student, as wrapped as may be.
            inputs: what `training.items.PadCollator` gives; the labels are those of the ids that end with the target.
                Where targets stand is known from there: to find it out on a GPU, the host would have to wait for it.

        Returns:
            nll in nats, float32 or wider (n_target_tokens,); the row of each, int64; the model's output.
        """
        labels = inputs["labels"]
        rows, columns = inputs["target_rows"], inputs["target_columns"]
        self._positions = (rows, columns) if self.picks else None
        try:
            output = model(**{name: inputs[name] for name in inputs.keys() - NOT_READ})
        finally:
            self._positions = None
        logits = output.logits[0] if self.picks else output.logits[rows, columns]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return functional.cross_entropy(logits, labels[rows, columns + 1], reduction="none"), rows, output

    def _pick(self, module: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._positions is None:
            return None
        rows, columns = self._positions
        return (args[0][rows, columns][None], *args[1:])

    def _agrees(self, model: Any) -> bool:
        """Whether picking in front of the head gives what picking behind it gives."""
        training = model.training
        model.eval()
        inputs = probe_inputs(model, torch.arange(3)[None].repeat(2, 1))
        at = (torch.tensor([0, 1], device=model.device), torch.tensor([1, 0], device=model.device))
        try:
            with torch.inference_mode():
                expected = model(**inputs).logits[at]
                self._positions = at
                found = model(**inputs).logits[0]
        except (IndexError, RuntimeError, ValueError):  # the model wants a logit a position
            return False
        finally:
            self._positions = None
            model.train(training)
        if found.shape != expected.shape:
            return False
        # a GPU takes other kernels for other numbers of rows, and bfloat16 rounds to two digits; a logit of another
        # position is off by about the spread of all
        difference = (found.float() - expected.float()).abs().max()
        return bool(difference <= 0.05 * expected.float().std())
