"""Chunk dropout that begins late in a training: a judge first learns to reason, then to do without chunks.

A curriculum, as the share of skip items in `skipthink.training.mixing`: dropout that rises from nothing is that of
Curriculum Dropout (arXiv 1703.06229), here of chunks of the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints
from skipthink.student.items import Items, join_items, take_items

if TYPE_CHECKING:
    from skipthink.training.source import ItemSource

LEVELS = 16
"""Probabilities that occur between 0 and the highest one."""


def item_times(source: ItemSource, items: Items, epoch: int) -> npt.NDArray[np.float64]:
    """The share of the training that is done when the step of each item begins, float64 (n_items,), at least 0.

    Args:
        source: how long the training is (`epochs`, `max_steps` or a budget of target tokens), and what a step holds.
        items: those of the epoch.
        epoch: counted from 0.
    """
    options = source.options
    steps = source.steps(items, epoch)
    if options.budget is not None:
        tokens = [int(items.n_loss[step].sum()) for step in steps]
        begins = np.cumsum([0, *tokens[:-1]])
        times = (epoch * sum(tokens) + begins) / options.budget.target_tokens
    else:
        begins = epoch * len(steps) + np.arange(len(steps))
        times = begins / (options.max_steps or options.epochs * len(steps))
    found = np.zeros(len(items), dtype=np.float64)
    for step, time in zip(steps, times, strict=True):
        found[step] = time
    return found


def dropout_levels(times: npt.NDArray[np.float64], begin: float) -> Ints:
    """How many sixteenths of the highest probability items have: 0 up to `begin`, then evenly up to all at the end."""
    shares = np.clip((times - begin) / (1 - begin), 0, 1)
    levels: Ints = np.ceil(LEVELS * shares - 1e-9).astype(np.int64)
    return levels


def rising_items(source: ItemSource, epoch: int, seed: int) -> Items:
    """The chunk-wise items of an epoch, each with the chunk dropout of its time.

    What is left out is drawn by the same random numbers whatever the probability: a chunk that goes at a low one goes
    at a higher one too. Targets are those without dropout, so steps hold the same items.

    Args:
        source: samples and options: `chunk_dropout`, `chunk_dropout_from`.
        epoch: counted from 0.
        seed: of the epoch.
    """
    whole = source.planned("chunkwise")
    levels = dropout_levels(item_times(source, whole, epoch), source.options.chunk_dropout_from)
    parts, places = [], []
    for level in np.unique(levels):
        items = whole
        if level:
            rate = source.options.chunk_dropout * level / LEVELS
            items = source.planned("chunkwise", chunk_dropout=rate, seed=seed)
        places.append(np.flatnonzero(levels == level))
        parts.append(take_items(items, places[-1]))
    return take_items(join_items(parts), np.argsort(np.concatenate(places), kind="stable"))
