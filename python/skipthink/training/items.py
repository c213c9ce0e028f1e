"""Items as a torch dataset: what an epoch trains on (method §5, §7)."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from skipthink.encoding import Bools, Ints, Items, TokenRows, flat_index, offsets_of
from skipthink.exceptions import InvalidInputError

IGNORED_LABEL = -100


def join_items(parts: list[Items]) -> Items:
    """Joins items, in the order given."""
    lengths = np.concatenate([part.tokens.lengths for part in parts])
    with_loss = any(part.loss is not None for part in parts)
    return Items(
        TokenRows(np.concatenate([part.tokens.values for part in parts]), offsets_of(lengths)),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("n_prompt", "rows", "stages")),
        *([np.concatenate([loss_mask(part) for part in parts])] if with_loss else []),
    )


def take_items(items: Items, index: Ints) -> Items:
    """Picks items by index; an item may be picked more than once."""
    tokens, loss = items.tokens, items.loss
    if loss is not None:
        loss = loss[flat_index(tokens.offsets[:-1][index], tokens.lengths[index])]
    return Items(tokens.take(index), items.n_prompt[index], items.rows[index], items.stages[index], loss)


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
        return {"input_ids": ids, "labels": labels, "denominators": denominator}


class PadCollator:
    """Pads a batch on the right; padding is masked out and carries no loss."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Rows of ids and labels as one padded batch; no rows: one padding token without loss.

        All processes must take part in every micro-batch, also in one that has no items for them.
        """
        if not rows:
            rows = [{
                "input_ids": torch.tensor([self.pad]),
                "labels": torch.tensor([IGNORED_LABEL]),
                "denominators": torch.tensor(1),
            }]  # fmt: skip
        width = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), width), self.pad, dtype=torch.long)
        labels = torch.full((len(rows), width), IGNORED_LABEL, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[index, :length] = row["input_ids"]
            labels[index, :length] = row["labels"]
            mask[index, :length] = 1
        denominators = torch.stack([row["denominators"] for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "denominators": denominators}
