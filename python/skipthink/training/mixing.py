"""The mixture of full and skip items: how many of each an epoch holds, and, where their share rises, in which order.

A student that skips is tested in a mode that few of its items practise. A share that rises lets it first learn the
reasoning, then the form in which it answers (a curriculum, as in stepwise internalisation, arXiv 2405.14838).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints


@dataclass(frozen=True)
class Ramp:
    """A share of skip items that rises (or falls) evenly over the training.

    A training ends after so many items, or after so many target tokens: then an item counts with the mean of its kind,
    and a share that goes evenly in tokens is bent in items, as skip items are shorter than full ones.

    Attributes:
        start: share at the beginning.
        end: share at the end.
        length: of the training, in what `full` and `skip` count.
        full: what a full item adds to it: 1, or target tokens.
        skip: what a skip item adds to it.
    """

    start: float
    end: float
    length: float
    full: float = 1.0
    skip: float = 1.0

    def shares(self, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The share of skip items behind so many items, float64: `start` at 0, `end` where the training ends.

        With t spent of the length L the share is p = start + (end - start) t / L, and an item adds
        full + (skip - full) p to t: an exponential in the number of items, a line where both kinds add the same.
        """
        rate = (self.end - self.start) / self.length
        first = self.full + (self.skip - self.full) * self.start  # what the first item adds
        bend = (self.skip - self.full) * rate
        spent = first * (np.expm1(bend * places) / bend if bend else places)
        found: npt.NDArray[np.float64] = self.start + rate * np.minimum(spent, self.length)
        return found

    def is_skip(self, epoch: int, n_items: int) -> npt.NDArray[np.bool_]:
        """Which places of an epoch are skip items, bool (n_items,): every part of it has its share, to one item."""
        shares = self.shares(np.arange(n_items, dtype=np.float64) + (epoch * n_items + 0.5))
        found: npt.NDArray[np.bool_] = np.diff(np.floor(np.cumsum(shares) + 1e-9), prepend=0) > 0
        return found

    def order(self, epoch: int, n_full: int, n_skip: int, seed: int) -> Ints:
        """The items of an epoch in their order, int64: full items are 0 … n_full - 1, skip items follow.

        Those of a kind come in a drawn order; when all have been taken, the first ones are taken again.

        Args:
            epoch: counted from 0.
            n_full: full items there are.
            n_skip: skip items there are.
            seed: of the run.
        """
        is_skip = self.is_skip(epoch, items_of_epoch(self.start, self.end, n_full))
        random = np.random.default_rng((seed, epoch, 2))
        order = np.empty(len(is_skip), dtype=np.int64)
        order[~is_skip] = np.resize(random.permutation(n_full), int((~is_skip).sum()))
        order[is_skip] = np.resize(n_full + random.permutation(n_skip), int(is_skip.sum()))
        return order


def items_of_epoch(start: float, end: float, n_full: int) -> int:
    """Items of an epoch: as many as hold each full item once, at the mean of the first and the last share."""
    return max(1, round(n_full / (1 - (start + end) / 2)))


def skip_rows(share: float | None, n_full: int, n_rows: int, seed: int, epoch: int) -> Ints:
    """Which rows give a skip item in an epoch: each one once, or as often as the share asks for."""
    count = n_rows if share is None else max(1, round(share / (1 - share) * n_full))
    order = np.random.default_rng((seed, epoch, 1)).permutation(n_rows)
    return np.resize(order, count)
