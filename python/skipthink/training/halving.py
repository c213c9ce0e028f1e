"""Micro-batches in smaller pieces if memory runs out: the run becomes slower instead of ending."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from skipthink.exceptions import RunError
from skipthink.student.devices import is_out_of_memory

POSITIONS = ("target_rows", "target_columns")
"""What a batch holds per target token; all else is per item."""

Batch = dict[str, torch.Tensor]


class Halving:
    """Runs backward passes of micro-batches in pieces that fit into memory.

    The loss of a step is a sum over its items, each divided by what its step says, so pieces give the same gradients
    up to the order of additions. A backward pass that runs out of memory leaves a part of its gradients behind: then
    all micro-batches of the step are fed again.

    Args:
        most_items: items that are computed at once; None: those of a micro-batch, as long as memory does not run out.

    Attributes:
        halved: how often memory has run out.
    """

    def __init__(self, most_items: int | None = None) -> None:
        self.most_items = most_items
        self.halved = 0
        self._earlier: list[Batch] = []

    def begin_step(self) -> None:
        """Forgets the micro-batches of the step before."""
        self._earlier = []

    def feed(
        self, batch: Batch, train: Callable[[Batch], torch.Tensor], forget: Callable[[], None]
    ) -> torch.Tensor:
        """Trains on the next micro-batch of a step.

        Args:
            batch: what `training.batches.PadCollator` gives.
            train: forward and backward pass of a batch or piece; returns its loss, which holds on to nothing.
            forget: drops all gradients of the step, and memory that is kept for later.

        Returns:
            The loss of the micro-batch.

        Raises:
            RunError: memory runs out on a single item.
        """
        todo = [batch]
        while True:
            losses = self._try(todo, train)
            if losses is not None:
                self._earlier.append(batch)
                return losses
            forget()
            todo = [*self._earlier, batch]

    def _try(self, todo: list[Batch], train: Callable[[Batch], torch.Tensor]) -> torch.Tensor | None:
        """The loss of the last micro-batch; None where memory runs out, and pieces are smaller from then on."""
        size, width = 0, 0
        try:
            for batch in todo:
                losses = []
                for piece in self._pieces(batch):
                    size, width = piece["labels"].shape
                    losses.append(train(piece))
            return torch.stack(losses).sum()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        if size == 1:
            raise RunError(
                f"out of memory on a single item, in a batch {width} tokens wide; drop long samples (max_item_tokens, "
                "long_items: drop), use activation_checkpointing, a smaller student or a device with more memory"
            )
        self.most_items = (size + 1) // 2
        self.halved += 1
        return None

    def _pieces(self, batch: Batch) -> list[Batch]:
        """A batch whole, or cut into pieces of `most_items`."""
        n_items = len(batch["labels"])
        if self.most_items is None or n_items <= self.most_items:
            return [batch]
        return [
            cut_batch(batch, first, min(first + self.most_items, n_items))
            for first in range(0, n_items, self.most_items)
        ]


def cut_batch(batch: Batch, first: int, end: int) -> Batch:
    """Items first … end - 1 of a batch in the host's memory, without columns that are padding in all of them."""
    rows = batch["target_rows"]
    inside = (rows >= first) & (rows < end)
    piece: dict[str, Any] = {name: batch[name][first:end] for name in batch.keys() - set(POSITIONS)}
    width = int(piece["attention_mask"].sum(dim=1).max())
    read = ("input_ids", "attention_mask")
    # what a decoder reads has a width of its own
    names = read if "decoder_input_ids" in batch else (*read, "labels")
    piece |= {name: piece[name][:, :width] for name in names}
    return {**piece, "target_rows": rows[inside] - first, "target_columns": batch["target_columns"][inside]}


def cut_into(batch: Batch, n_pieces: int) -> list[Batch]:
    """A batch in a number of pieces; one without items is the first item without its targets."""
    cuts = [len(batch["labels"]) * place // n_pieces for place in range(n_pieces + 1)]
    pieces = []
    for first, end in zip(cuts, cuts[1:], strict=False):
        piece = cut_batch(batch, first, max(end, first + 1))
        if end == first:
            piece |= {name: piece[name][:0] for name in POSITIONS}
        pieces.append(piece)
    return pieces
