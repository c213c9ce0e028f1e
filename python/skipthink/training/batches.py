"""Items as batches of tensors: what an epoch trains on, in the order of its steps (method §5, §7)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, Sampler

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.student.inputs import model_inputs
from skipthink.student.items import Items
from skipthink.student.markers import Markers
from skipthink.student.prompts import NOTHING
from skipthink.training.steps import Layout, StepPlan, cut_off, loss_denominators

IGNORED_LABEL = -100


class ItemDataset(Dataset[dict[str, torch.Tensor]]):
    """The items of the current epoch and the denominators of their losses; every epoch has the same number of items."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.denominators: Ints = np.ones(len(items), dtype=np.int64)

    def set_items(self, items: Items, denominators: Ints, *, stages: bool = True) -> None:
        """Swaps in the items of the next epoch, and what the summed loss of each is divided by in its step.

        Args:
            items: the items.
            denominators: int64 (n_items,).
            stages: whether the stages must stay as they are, not only the number of items.

        Raises:
            InvalidInputError: they differ from those before, so an epoch would change its length.
        """
        if stages and not np.array_equal(items.stages, self.items.stages):
            raise InvalidInputError("items of an epoch must have the stages of the epoch before")
        if len(items) != len(self.items):
            raise InvalidInputError(
                f"an epoch must have as many items as the one before, {len(self.items)}, got {len(items)}"
            )
        self.items, self.denominators = items, denominators

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        items = self.items
        ids = torch.from_numpy(items.tokens[index].copy())
        labels = ids.clone()
        if items.loss is None:
            labels[: int(items.n_prompt[index])] = IGNORED_LABEL
        else:
            start, end = items.tokens.offsets[index : index + 2]
            labels[torch.from_numpy(~items.loss[start:end])] = IGNORED_LABEL
        denominator = torch.tensor(self.denominators[index])
        row = {"input_ids": ids, "labels": labels, "denominators": denominator}
        if items.sources is not None:
            row["source_ids"] = torch.from_numpy(items.sources[index].copy())
        return row


class PadCollator:
    """Pads a batch on the right; padding is masked out and carries no loss.

    Args:
        markers: marker ids, fitted to the student.
    """

    def __init__(self, markers: Markers) -> None:
        self.markers = markers

    def __call__(self, rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Rows of ids and labels as the model's inputs, with labels (a label for every id) and denominators.

        `target_rows` and `target_columns`, int64 (n_target_tokens,) both, say which positions predict a target.

        All processes must take part in every micro-batch, also in one that has no items for them: no rows become
        one padding token without loss.
        """
        rows = rows or [self._nothing()]
        inputs = model_inputs(
            [row["input_ids"].numpy() for row in rows],
            [row["source_ids"].numpy() if "source_ids" in row else NOTHING for row in rows],
            self.markers.pad_id,
        )
        labels = pad_sequence([row["labels"] for row in rows], batch_first=True, padding_value=IGNORED_LABEL)
        target_rows, target_columns = torch.nonzero(labels[:, 1:] != IGNORED_LABEL, as_tuple=True)
        return {
            **inputs,
            "labels": labels,
            "target_rows": target_rows,
            "target_columns": target_columns,
            "denominators": torch.stack([row["denominators"] for row in rows]),
        }

    def _nothing(self) -> dict[str, torch.Tensor]:
        pad = torch.tensor([self.markers.pad_id])
        row = {
            "input_ids": pad,
            "labels": torch.tensor([IGNORED_LABEL]),
            "denominators": torch.tensor(1),
        }
        return row if self.markers.decoder_start_id is None else {**row, "source_ids": pad}


class StageBatchSampler(Sampler[list[int]]):
    """The micro-batches of one process, epoch by epoch.

    Args:
        dataset: the items; told what each counts, epoch by epoch.
        layout: how steps are dealt out.
        plan: which items each step holds.
        loss_norm: see `loss_denominators`.
    """

    def __init__(
        self, dataset: ItemDataset, layout: Layout, plan: StepPlan, *, loss_norm: str = "batch_tokens"
    ) -> None:
        self.dataset, self.layout, self.plan, self.loss_norm = dataset, layout, plan, loss_norm
        self.begin_epoch(0, dataset.items)

    def begin_epoch(self, epoch: int, items: Items) -> None:
        """Plans the steps of an epoch, counted from 0, over its items.

        Raises:
            InvalidInputError: the stages differ from those of the epoch before, or where the order is given their
                number does, so an epoch would change length.
        """
        self.steps = self.plan.steps(items.stages, items.n_loss, epoch)
        self._set(items)

    def end_after(self, target_tokens: int) -> None:
        """Ends the epoch with the item that reaches a number of target tokens."""
        self.steps = cut_off(self.steps, self.dataset.items.n_loss, target_tokens)
        self._set(self.dataset.items)

    def _set(self, items: Items) -> None:
        denominators = loss_denominators(self.steps, items.n_loss, self.loss_norm)
        self.dataset.set_items(items, denominators, stages=not self.plan.in_order)

    def __len__(self) -> int:
        return len(self.steps) * self.layout.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        lengths = self.dataset.items.n_read
        for step in self.steps:
            for batch in self.layout.deal(step, lengths):
                yield batch.tolist()
