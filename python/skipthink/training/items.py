"""Items as a torch dataset: what an epoch trains on, and in which batches (method §5, §7)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from skipthink.encoding import Ints, Items, TokenRows, flat_index, offsets_of
from skipthink.exceptions import InvalidInputError

IGNORED_LABEL = -100


def join_items(parts: list[Items]) -> Items:
    """Joins items, in the order given."""
    lengths = np.concatenate([part.tokens.lengths for part in parts])
    return Items(
        TokenRows(np.concatenate([part.tokens.values for part in parts]), offsets_of(lengths)),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("n_prompt", "rows", "stages")),
    )


def take_items(items: Items, index: Ints) -> Items:
    """Picks items by index; an item may be picked more than once."""
    lengths = items.tokens.lengths[index]
    values = items.tokens.values[flat_index(items.tokens.offsets[:-1][index], lengths)]
    return Items(
        TokenRows(values, offsets_of(lengths)), items.n_prompt[index], items.rows[index], items.stages[index]
    )


class ItemDataset(Dataset[dict[str, torch.Tensor]]):
    """The items of the current epoch; `set_items` swaps them between epochs, the number of items stays."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def set_items(self, items: Items) -> None:
        """Swaps in the items of the next epoch.

        Raises:
            InvalidInputError: the stages differ from those before, so the sampler's batches would not fit.
        """
        if not np.array_equal(items.stages, self.items.stages):
            raise InvalidInputError("items of an epoch must have the stages of the epoch before")
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.items.tokens[index].copy())
        labels = ids.clone()
        labels[: int(self.items.n_prompt[index])] = IGNORED_LABEL
        return {"input_ids": ids, "labels": labels}


class StageBatchSampler(Sampler[list[int]]):
    """Batches of one stage each, in an order drawn from (seed, epoch) (method §5, `batching="stage"`).

    With `by_stage=False` items of all stages are mixed (`batching="shuffled"`).
    """

    def __init__(self, stages: Ints, *, batch_size: int, seed: int, by_stage: bool = True) -> None:
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        keys = stages if by_stage else np.zeros(len(stages), dtype=np.int64)
        self.groups = [np.flatnonzero(keys == key) for key in np.unique(keys)]

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order `iter` gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(-(-len(group) // self.batch_size) for group in self.groups)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        batches = []
        for group in self.groups:
            order = generator.permutation(group)
            batches += [
                order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)
            ]
        # one group is in random order already; left so, two batches of 4 hold the items of one batch of 8
        order = generator.permutation(len(batches)) if len(self.groups) > 1 else np.arange(len(batches))
        for index in order:
            yield batches[index].tolist()


class PadCollator:
    """Pads a batch on the right; padding is masked out and carries no loss."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Rows of ids and labels as one padded batch."""
        width = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), width), self.pad, dtype=torch.long)
        labels = torch.full((len(rows), width), IGNORED_LABEL, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[index, :length] = row["input_ids"]
            labels[index, :length] = row["labels"]
            mask[index, :length] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}
