"""Which items an optimiser step holds, and which part of it each process sees (method §5).

A step is planned as a whole, then dealt out: to the processes of a run and to the micro-batches that each of
them accumulates. How it is dealt out changes nothing that is computed but the order of additions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints


@dataclass(frozen=True)
class Layout:
    """How the items of an optimiser step are divided.

    Attributes:
        batch_size: items that a process sees at once.
        accumulation: micro-batches a process adds up before the optimiser steps.
        n_ranks: processes.
        rank: this one, 0 … n_ranks - 1.
        step_target_tokens: target tokens of a step; None: a step has a number of items.
    """

    batch_size: int
    accumulation: int = 1
    n_ranks: int = 1
    rank: int = 0
    step_target_tokens: int | None = None

    @property
    def step_size(self) -> int:
        """Items an optimiser step holds, over all processes and micro-batches, where it has a number of them."""
        return self.batch_size * self.accumulation * self.n_ranks

    def pieces_of(self, step: Ints) -> int:
        """Batches that every process computes one after the other for a step of any number of items."""
        largest_part = -(-len(step) // self.n_ranks)
        return max(1, -(-largest_part // self.batch_size))

    def deal(self, step: Ints, lengths_tokens: Ints) -> list[Ints]:
        """The micro-batches of this process; a single one where steps have a number of target tokens.

        Items of like length go into one micro-batch, which spares padding, and in turn to the processes, which
        spares waiting. A micro-batch is empty where a step has fewer items than micro-batches.

        Args:
            step: items of the step, int64.
            lengths_tokens: length of every item of the epoch, int64.
        """
        if self.accumulation * self.n_ranks > 1 or self.step_target_tokens is not None:
            step = step[np.argsort(-lengths_tokens[step], kind="stable")]
        return [block[self.rank :: self.n_ranks] for block in np.array_split(step, self.accumulation)]


@dataclass
class StepPlan:
    """The optimiser steps of every epoch.

    Attributes:
        step_size: items per step; the last step of a stage holds what is left.
        seed: of the run.
        by_stage: a step holds items of one stage, and the stages take turns: any part of an epoch holds each stage
            about in proportion. Else items of all stages are mixed.
        step_target_tokens: target tokens per step, about, instead of a number of items.
        in_order: items come in the order given, whatever their stages; else it is drawn.
    """

    step_size: int
    seed: int
    by_stage: bool = True
    step_target_tokens: int | None = None
    in_order: bool = False
    _n_steps: int | None = None

    def steps(self, stages: Ints, n_loss: Ints, epoch: int) -> list[Ints]:
        """The steps of an epoch: every item in one of them, in an order drawn from (seed, epoch).

        Steps of target tokens are as many in every epoch as in the first one that is planned: their number is that of
        the epoch's target tokens, divided by those of a step.

        Args:
            stages: stage of every item, int64 (n_items,).
            n_loss: tokens of every item that carry loss, int64 (n_items,).
            epoch: counted from 0.

        Returns:
            Items of each step, int64.
        """
        size, everything = self.step_size, np.arange(len(stages))
        if self.step_target_tokens is None:
            if self.in_order:
                return np.split(everything, np.arange(size, len(stages), size))
            return plan_steps(stages, size, seed=self.seed, epoch=epoch, by_stage=self.by_stage)
        keys = stages if self.by_stage and not self.in_order else np.zeros_like(stages)
        if self._n_steps is None:
            wanted = round(int(n_loss.sum()) / self.step_target_tokens)
            self._n_steps = min(max(wanted, len(np.unique(keys))), len(stages))
        if self.in_order:
            return cut_evenly(everything, n_loss, self._n_steps)
        _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        counts = apportion(np.bincount(group, weights=n_loss), self._n_steps, most=sizes)
        generator = np.random.default_rng((self.seed, epoch))
        return _alternate(
            keys,
            generator,
            lambda place, order: cut_evenly(order, n_loss[order], int(counts[place])),
            by_stage=self.by_stage,
        )


def plan_steps(stages: Ints, step_size: int, *, seed: int, epoch: int, by_stage: bool = True) -> list[Ints]:
    """The optimiser steps of an epoch where a step has a number of items; see `StepPlan`."""
    keys = stages if by_stage else np.zeros(len(stages), dtype=np.int64)

    def cut(place: int, order: Ints) -> list[Ints]:
        return [order[start : start + step_size] for start in range(0, len(order), step_size)]

    return _alternate(keys, np.random.default_rng((seed, epoch)), cut, by_stage=by_stage)


def _alternate(
    keys: Ints, generator: np.random.Generator, cut: Callable[[int, Ints], list[Ints]], *, by_stage: bool
) -> list[Ints]:
    """Shuffles the items of each key, cuts them into steps, and lets the steps of all keys take turns."""
    steps: list[Ints] = []
    places = []
    for place, key in enumerate(np.unique(keys)):
        group = cut(place, generator.permutation(np.flatnonzero(keys == key)))
        steps += group
        # steps of a stage lie evenly over the epoch, each somewhere in its own stretch of it
        jitter = generator.random(len(group)) if by_stage else 0.0
        places.append((np.arange(len(group)) + jitter) / len(group))
    if not steps:
        return []
    return [steps[index] for index in np.argsort(np.concatenate(places), kind="stable")]


def apportion(weights: npt.NDArray[Any], total: int, *, most: Ints) -> Ints:
    """Whole numbers in proportion to weights, each from 1 to its `most`, that add up to a total.

    One after the other goes to whoever is owed most (by largest remainders, ties to the first).

    Args:
        weights: not negative, (n,).
        total: from n to the sum of `most`.
        most: the largest number each may get, int64 (n,).
    """
    shares = weights / max(float(weights.sum()), 1.0) * total
    counts = np.clip(np.floor(shares).astype(np.int64), 1, most)
    while (missing := total - int(counts.sum())) != 0:
        owed = shares - counts
        if missing > 0:
            counts[np.argmax(np.where(counts < most, owed, -np.inf))] += 1
        else:
            counts[np.argmin(np.where(counts > 1, owed, np.inf))] -= 1
    return counts


def cut_evenly(order: Ints, n_loss: Ints, n_parts: int) -> list[Ints]:
    """Cuts items, in their order, into parts of about equally many target tokens; none is empty.

    Args:
        order: items, int64 (n,).
        n_loss: tokens of each that carry loss, int64 (n,).
        n_parts: from 1 to n.
    """
    sums = np.cumsum(n_loss)
    wanted = np.arange(1, n_parts) / n_parts * sums[-1]
    above = np.searchsorted(sums, wanted)
    # the cut behind the item whose end lies nearest
    before = np.where(above > 0, sums[np.maximum(above - 1, 0)], 0)
    cuts = np.where(wanted - before < sums[above] - wanted, above, above + 1)
    for place in range(len(cuts)):
        least = cuts[place - 1] + 1 if place else 1
        cuts[place] = np.clip(cuts[place], least, len(order) - (len(cuts) - place))
    return np.split(order, cuts)


def cut_off(steps: list[Ints], n_loss: Ints, target_tokens: int) -> list[Ints]:
    """The first steps that hold a number of target tokens; the last of them ends with the item that reaches it."""
    left = target_tokens
    kept: list[Ints] = []
    for step in steps:
        sums = np.cumsum(n_loss[step])
        if len(step) and sums[-1] >= left:
            return [*kept, step[: int(np.searchsorted(sums, left)) + 1]]
        kept.append(step)
        left -= int(sums[-1]) if len(step) else 0
    return kept


def loss_denominators(steps: list[Ints], n_loss: Ints, loss_norm: str) -> Ints:
    """What the summed loss of each item is divided by in its step, int64 (n_items,).

    "batch_tokens": the target tokens of the step, so that a step's loss is the mean over its target tokens
    (paper, equation 3); "item": the item's target tokens times the step's items, so that it is the mean over
    items of their mean losses. An item without target counts nothing, also not as an item. Target tokens are
    those that carry loss: `n_loss` of every item of the epoch, int64 (n_items,).
    """
    denominators = np.ones(len(n_loss), dtype=np.int64)
    for step in steps:
        tokens = n_loss[step]
        whole = tokens.sum() if loss_norm == "batch_tokens" else tokens * (tokens > 0).sum()
        denominators[step] = np.maximum(whole, 1)
    return denominators
