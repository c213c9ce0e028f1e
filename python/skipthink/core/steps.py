"""Step splitting: texts to contiguous steps that tile them (method §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skipthink import _core
from skipthink.core.ragged import Ints, text_rows
from skipthink.exceptions import InvalidTypeError


@dataclass(frozen=True)
class StepSpans:
    """Steps of n texts as ragged spans in code points.

    Attributes:
        ends: end of each step within its text, int64 (total_steps,).
        offsets: rows of steps, int64 (n + 1,).
    """

    ends: Ints
    offsets: Ints

    @property
    def starts(self) -> Ints:
        """Start of each step within its text, int64 (total_steps,)."""
        starts = np.zeros_like(self.ends)
        starts[1:] = self.ends[:-1]
        first = self.offsets[:-1][np.diff(self.offsets) > 0]
        starts[first] = 0
        return starts

    @property
    def n_steps(self) -> Ints:
        """K a row, int64 (n,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> list[tuple[int, int]]:
        """(start, end) of the steps of one row, in code points."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} is outside the {len(self)} rows")
        row %= len(self)
        ends = self.ends[self.offsets[row] : self.offsets[row + 1]].tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []


def split_steps(text: str, *, rules: str | Sequence[str] = "auto") -> list[str]:
    """Splits one text into steps.

    Args:
        text: a rationale.
        rules: "auto" (lines, then sentences), "lines", "sentences", or separator strings that end a step.

    Returns:
        The steps; `"".join(steps) == text`. Text of white space alone has none.

    Raises:
        InvalidTypeError: no str.
        InvalidInputError: unknown rules, an empty separator, or a lone surrogate in the text.
    """
    if not isinstance(text, str):
        raise InvalidTypeError(f"text must be a str, got {type(text).__name__}")
    return [text[start:end] for start, end in split_steps_batch([text], rules=rules, num_threads=1)[0]]


def split_steps_batch(
    texts: Any,
    *,
    rules: str | Sequence[str] = "auto",
    num_threads: int | None = None,
) -> StepSpans:
    """Splits many texts into steps.

    Args:
        texts: list of str, or Arrow strings (pyarrow, polars, pandas, a column of `datasets`).
        rules: as in `split_steps`.
        num_threads: threads to use; None: `SKIPTHINK_NUM_THREADS`, else all cores. Results do not depend on it.

    Returns:
        Ragged spans in code points: `text[start:end]` is a step.

    Raises:
        InvalidTypeError: an item that is no str, with its row.
        InvalidInputError: unknown rules, nulls, lone surrogates, with the row.
    """
    name, separators = _rules(rules)
    rows = text_rows("texts", texts)
    if isinstance(rows, tuple):
        return StepSpans(*_core.split_buffer(*rows, name, separators, num_threads))
    return StepSpans(*_core.split_list(rows, name, separators, num_threads))


LONG_CHARACTERS = 300
"""A rationale of so many characters has more than one step, unless its steps are not found."""


def count_unsplit(texts: Any, spans: StepSpans | None = None, *, rules: str | Sequence[str] = "auto") -> int:
    """Counts texts of `LONG_CHARACTERS` or more that have a single step: signs of rules that do not fit them.

    Args:
        texts: as in `split_steps_batch`.
        spans: their steps, where they are known.
        rules: as in `split_steps`.

    Returns:
        The number of such texts.
    """
    found = split_steps_batch(texts, rules=rules) if spans is None else spans
    single = found.offsets[:-1][found.n_steps == 1]
    return int((found.ends[single] >= LONG_CHARACTERS).sum())


def _rules(rules: str | Sequence[str]) -> tuple[str, list[str]]:
    """Rules as a name and separators.

    Raises:
        InvalidTypeError: neither a name nor strings.
    """
    if isinstance(rules, str):
        return rules if rules != "separators" else "separators (give a list)", []
    separators = list(rules) if isinstance(rules, Sequence) else None
    if separators is None or not all(isinstance(separator, str) for separator in separators):
        raise InvalidTypeError(f"rules must be a name or a list of separator strings, got {rules!r}")
    return "separators", separators
