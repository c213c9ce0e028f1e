"""Items as a torch dataset: what an epoch trains on (method §5, §7)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import Bools, Ints, Items, TokenRows, flat_index, offsets_of
from skipthink.student.inputs import model_inputs
from skipthink.student.markers import Markers
from skipthink.student.prompts import NOTHING

IGNORED_LABEL = -100


def join_items(parts: list[Items]) -> Items:
    """Joins items of one student, in the order given."""
    with_loss = any(part.loss is not None for part in parts)
    sources = [part.sources for part in parts if part.sources is not None]
    return Items(
        _join_rows([part.tokens for part in parts]),
        n_prompt=np.concatenate([part.n_prompt for part in parts]),
        rows=np.concatenate([part.rows for part in parts]),
        stages=np.concatenate([part.stages for part in parts]),
        loss=np.concatenate([loss_mask(part) for part in parts]) if with_loss else None,
        sources=_join_rows(sources) if sources else None,
    )


def _join_rows(parts: list[TokenRows]) -> TokenRows:
    lengths = np.concatenate([part.lengths for part in parts])
    return TokenRows(np.concatenate([part.values for part in parts]), offsets_of(lengths))


def take_items(items: Items, index: Ints) -> Items:
    """Picks items by index; an item may be picked more than once."""
    tokens, loss = items.tokens, items.loss
    if loss is not None:
        loss = loss[flat_index(tokens.offsets[:-1][index], tokens.lengths[index])]
    return replace(
        items,
        tokens=tokens.take(index),
        n_prompt=items.n_prompt[index],
        rows=items.rows[index],
        stages=items.stages[index],
        loss=loss,
        sources=None if items.sources is None else items.sources.take(index),
    )


def loss_mask(items: Items) -> Bools:
    """Which tokens carry loss, bool (n_tokens,)."""
    return items.target_places >= 0 if items.loss is None else items.loss


class ItemDataset(Dataset[dict[str, torch.Tensor]]):
    """The items of the current epoch and what their losses are divided by; their number stays from epoch to epoch."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.denominators: Ints = np.ones(len(items), dtype=np.int64)

    def set_items(self, items: Items, denominators: Ints) -> None:
        """Swaps in the items of the next epoch, and what the summed loss of each is divided by in its step.

        Raises:
            InvalidInputError: the stages differ from those before, so an epoch would change its length.
        """
        if not np.array_equal(items.stages, self.items.stages):
            raise InvalidInputError("items of an epoch must have the stages of the epoch before")
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

        All processes must take part in every micro-batch, also in one that has no items for them: no rows become
        one padding token without loss.
        """
        rows = rows or [self._nothing()]
        inputs = model_inputs(
            [row["input_ids"].numpy() for row in rows],
            [row["source_ids"].numpy() if "source_ids" in row else NOTHING for row in rows],
            self.markers.pad,
        )
        labels = pad_sequence([row["labels"] for row in rows], batch_first=True, padding_value=IGNORED_LABEL)
        return {
            **inputs,
            "labels": labels,
            "denominators": torch.stack([row["denominators"] for row in rows]),
        }

    def _nothing(self) -> dict[str, torch.Tensor]:
        pad = torch.tensor([self.markers.pad])
        row = {
            "input_ids": pad,
            "labels": torch.tensor([IGNORED_LABEL]),
            "denominators": torch.tensor(1),
        }
        return row if self.markers.start is None else {**row, "source_ids": pad}
