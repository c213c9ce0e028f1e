"""Which items an optimiser step holds, and which part of it each process sees (method §5).

A step is planned as a whole, then dealt out: to the processes of a run and to the micro-batches that each of
them accumulates. How it is dealt out changes nothing that is computed but the order of additions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skipthink.core.ragged import Ints


@dataclass(frozen=True)
class Layout:
    """How the items of an optimiser step are divided.

    Attributes:
        batch_size: items that a process sees at once.
        accumulation: micro-batches a process adds up before the optimiser steps.
        n_ranks: processes.
        rank: this one, 0 … n_ranks - 1.
    """

    batch_size: int
    accumulation: int = 1
    n_ranks: int = 1
    rank: int = 0

    @property
    def step_size(self) -> int:
        """Items an optimiser step holds, over all processes and micro-batches."""
        return self.batch_size * self.accumulation * self.n_ranks

    def deal(self, step: Ints, lengths_tokens: Ints) -> list[Ints]:
        """The micro-batches of this process.

        Items of like length go into one micro-batch, which spares padding, and in turn to the processes, which
        spares waiting. A micro-batch is empty where a step has fewer items than micro-batches.

        Args:
            step: items of the step, int64.
            lengths_tokens: length of every item of the epoch, int64.
        """
        if self.accumulation * self.n_ranks > 1:
            step = step[np.argsort(-lengths_tokens[step], kind="stable")]
        return [block[self.rank :: self.n_ranks] for block in np.array_split(step, self.accumulation)]


def plan_steps(stages: Ints, step_size: int, *, seed: int, epoch: int, by_stage: bool = True) -> list[Ints]:
    """The optimiser steps of an epoch: every item in one of them, in an order drawn from (seed, epoch).

    Args:
        stages: stage of every item, int64 (n_items,).
        step_size: items per step; the last step of a stage holds what is left.
        seed: of the run.
        epoch: counted from 0.
        by_stage: a step holds items of one stage, and the stages take turns: any part of an epoch holds each
            stage about in proportion. Else items of all stages are mixed.

    Returns:
        Items of each step, int64.
    """
    generator = np.random.default_rng((seed, epoch))
    keys = stages if by_stage else np.zeros(len(stages), dtype=np.int64)
    steps: list[Ints] = []
    places = []
    for key in np.unique(keys):
        order = generator.permutation(np.flatnonzero(keys == key))
        group = [order[start : start + step_size] for start in range(0, len(order), step_size)]
        steps += group
        # steps of a stage lie evenly over the epoch, each somewhere in its own stretch of it
        jitter = generator.random(len(group)) if by_stage else 0.0
        places.append((np.arange(len(group)) + jitter) / len(group))
    if not steps:
        return []
    return [steps[index] for index in np.argsort(np.concatenate(places), kind="stable")]


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
