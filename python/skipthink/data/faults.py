"""Rows that break a rule: all are counted, and the first is named."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from skipthink.exceptions import DataError


class _Rows(Protocol):
    source: str

    def place(self, row: int, /) -> str: ...


class Faults:
    """Faults of the rows of a source.

    Args:
        raw: the source, for the names of rows.
    """

    def __init__(self, raw: _Rows) -> None:
        self._raw = raw
        self._first: tuple[int, str] | None = None
        self._counts: Counter[str] = Counter()
        self._rows: list[int] = []

    def add(self, row: int, kind: str, text: str) -> None:
        """Notes a fault of a row: its kind, which is counted, and what was found and what to do."""
        if self._first is None:
            self._first = row, text
        self._counts[kind] += 1
        self._rows.append(row)

    def refuse(self) -> None:
        """Raises where there was a fault.

        Raises:
            DataError: the first fault, how many rows have one, and where the next ones are.
        """
        if self._first is None:
            return
        row, text = self._first
        message = f"{self._raw.source}, {self._raw.place(row)}: {text}"
        if len(self._rows) > 1:
            kinds = ", ".join(f"{kind}: {count}" for kind, count in self._counts.items())
            others = [self._raw.place(other) for other in self._rows[1:4]]
            more = ", …" if len(self._rows) > 4 else ""
            message += f" ({len(self._rows)} rows in all; {kinds}; the next are {'; '.join(others)}{more})"
        raise DataError(message)
