"""Forward passes that yield losses instead of logits.

Logits are the largest tensor of a forward pass, and most of them are not needed. Here the positions
that predict a target are picked out in front of the head, within the model's own forward pass, and pass the
head a few at a time, so that no more than `LOGITS_BYTES` of logits ever exist (`GPU_LOGITS_BYTES` on a GPU).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from skipthink.exceptions import InvalidInputError
from skipthink.student.inputs import probe_inputs
from skipthink.student.losses import Floats
from skipthink.student.sequences import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LOGITS_BYTES = 64 * 2**20
GPU_LOGITS_BYTES = 512 * 2**20
"""Float32 logits held in memory at once: more is no faster on a CPU (dev/log.md); a GPU wants larger products."""

AUTOCAST = ("bfloat16", "float16")

PROBE_LOGIT = 60.0
"""Size of the logits by which a head is probed: large enough that a model that caps its logits shows it."""


class NllHead:
    """Computes the nll of targets within a model's forward pass; a context manager, for the time of scoring.

    Args:
        model: a causal language model or an encoder-decoder; put into eval mode meanwhile.
        end: id of the end token.
        autocast: "bfloat16", "float16", or None for the precision of the weights. Reductions are float32 anyway.

    Attributes:
        whole: whether the logits of a batch's targets have to exist at once, because the model does something to
            them behind its head (scales or caps them).

    Raises:
        InvalidInputError: a model without a language-model head, or an unknown precision.
    """

    def __init__(self, model: PreTrainedModel, end: int, *, autocast: str | None = None) -> None:
        if autocast is not None and autocast not in AUTOCAST:
            raise InvalidInputError(
                f"autocast must be one of {', '.join(AUTOCAST)} or None, got {autocast!r}"
            )
        module: Any = model
        self.model, self.head = module, module.get_output_embeddings()
        if self.head is None:
            raise InvalidInputError(
                f"{type(model).__name__} has no language-model head; load the student as a causal or "
                "sequence-to-sequence language model"
            )
        self.end, self.autocast = end, autocast
        self.whole = False
        self._batch: Batch | None = None
        self._found: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __enter__(self) -> NllHead:
        self._training = self.model.training
        self.model.eval()
        try:
            self.whole = not self._is_plain()
        except BaseException:
            self.model.train(self._training)
            raise
        self._handle = self.head.register_forward_pre_hook(self._pick)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()
        self.model.train(self._training)

    def max_rows(self) -> int | None:
        """Positions a batch may have; None where a batch's logits need not exist at once."""
        return self._part_rows() if self.whole else None

    def __call__(self, batch: Batch) -> tuple[Floats, Floats]:
        """One forward pass.

        Returns:
            nll of each target and of the end token in its place, nats, float64 (n,) both; reduced in float32.
        """
        self._batch, self._found = batch, []
        try:
            with torch.inference_mode(), self._precision():
                logits = self.model(**batch.inputs, use_cache=False).logits
                if self.whole:
                    self._reduce(logits.reshape(-1, logits.shape[-1]), batch.targets)
                nll, end_nll = (torch.cat(parts) for parts in zip(*self._found, strict=True))
        finally:
            self._batch, self._found = None, []
        # widened here: not every device has float64
        return nll.cpu().double().numpy(), end_nll.cpu().double().numpy()

    def _pick(self, head: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Stands in front of the head: keeps the positions that predict a target, and leaves the rest out."""
        batch = self._batch
        if batch is None:
            return None
        states = args[0][batch.rows, batch.columns]
        if self.whole:
            return (states[None], *args[1:])
        size = self._part_rows()
        for part, targets in zip(states.split(size), batch.targets.split(size), strict=True):
            # forward, not the module itself: that would come back here
            self._reduce(head.forward(part), targets)
        return (args[0][:, :0], *args[1:])

    def _reduce(self, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Logits to losses, as logsumexp does it, but in place, because nothing else uses the logits."""
        logits = logits.float()
        picked, ends = logits.gather(1, targets[:, None])[:, 0], logits[:, self.end].clone()
        largest = logits.amax(dim=-1, keepdim=True)
        normaliser = logits.sub_(largest).exp_().sum(dim=-1).log_() + largest[:, 0]
        self._found.append((normaliser - picked, normaliser - ends))

    def _part_rows(self) -> int:
        """Positions whose logits may exist at once."""
        allowed = LOGITS_BYTES if self.model.device.type == "cpu" else GPU_LOGITS_BYTES
        return max(1, allowed // (4 * _vocabulary(self.head)))

    def _precision(self) -> AbstractContextManager[Any]:
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=getattr(torch, self.autocast))

    def _is_plain(self) -> bool:
        """Whether the model's logits are its head's output, with nothing done to them behind it.

        The head is shown states blown up until its logits are large: with the small logits of an untrained student
        a cap would not be seen.
        """
        seen: list[tuple[torch.Tensor, torch.Tensor]] = []

        def blow_up(head: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            states = args[0][:, -1:]
            logits = head.forward(states).float()
            factor = PROBE_LOGIT / logits.abs().amax().clamp(min=1e-6)
            states = (states.float() * factor).to(states.dtype)
            seen.append((states, head.forward(states).float()))
            return (states, *args[1:])

        inputs = probe_inputs(self.model, torch.arange(2)[None])
        handle = self.head.register_forward_pre_hook(blow_up)
        try:
            with torch.inference_mode(), self._precision():
                found = self.model(**inputs, use_cache=False).logits.float()
        finally:
            handle.remove()
        expected = seen[-1][1]
        return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-2, atol=1e-2)


def _vocabulary(head: Any) -> int:
    return int(getattr(head, "out_features", 0) or head.weight.shape[0])
