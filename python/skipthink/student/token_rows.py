"""Ragged rows of token ids, and the arithmetic of their offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TokenRows:
    """Ragged token ids: row r is `values[offsets[r]:offsets[r + 1]]` (int64 both)."""

    values: Ints
    offsets: Ints

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | Ints]) -> TokenRows:
        """Joins rows of ids."""
        values = (
            np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
            if rows
            else np.empty(0, np.int64)
        )
        return cls(values.astype(np.int64, copy=False), offsets_of([len(row) for row in rows]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ints:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Ints:
        """Tokens per row, int64 (n,)."""
        return np.diff(self.offsets)

    def take(self, rows: Ints) -> TokenRows:
        """Picks rows; a row may be picked more than once."""
        lengths = self.lengths[rows]
        return TokenRows(self.values[flat_index(self.offsets[:-1][rows], lengths)], offsets_of(lengths))


def offsets_of(lengths: Sequence[int] | Ints | Bools) -> Ints:
    """Lengths to offsets: int64 (n + 1,), starting at 0."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def flat_index(starts: Ints, lengths: Ints) -> Ints:
    """Indices of the runs `starts[i] … starts[i] + lengths[i] - 1`, one behind the other."""
    runs = offsets_of(lengths)
    return np.arange(runs[-1], dtype=np.int64) + np.repeat(starts - runs[:-1], lengths)
