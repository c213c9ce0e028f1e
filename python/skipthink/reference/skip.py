"""The skip ledger, as method §6 writes the questions down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skipthink.exceptions import InvalidInputError, LedgerError
from skipthink.reference.checks import read_boundaries

STATES = ("open", "kept", "skipped", "empty")
BASES = (None, True, False)


class SkipLedger:
    """Asks chunk by chunk, in rounds; a row wrong with nothing dropped keeps all its chunks."""

    def __init__(self, boundaries: Sequence[Sequence[int]]) -> None:
        cuts = read_boundaries(boundaries)
        self.n_chunks = len(cuts[0]) - 1 if cuts else 0
        self._states = [
            ["open" if row[m] < row[m + 1] else "empty" for m in range(self.n_chunks)] for row in cuts
        ]
        self._base: list[bool | None] = [None] * len(cuts)
        self.asked = 0

    def __len__(self) -> int:
        return len(self._base)

    def question(self, row: int) -> int | None:
        """The next question of a row, None when it is settled."""
        if self._base[row] is None:
            return 0
        if not self._base[row] or "open" not in self._states[row]:
            return None
        return self._states[row].index("open") + 1

    @property
    def done(self) -> bool:
        """Whether every row is settled."""
        return self.n_settled == len(self)

    @property
    def n_settled(self) -> int:
        """Rows that need no question more."""
        return sum(self.question(row) is None for row in range(len(self)))

    @property
    def skipped(self) -> list[list[bool]]:
        """Chunks the student can do without."""
        return [[state == "skipped" for state in row] for row in self._states]

    def states(self, rows: Sequence[int] | None = None) -> list[list[int]]:
        """States of the chunks of some rows: 0 open, 1 kept, 2 skipped, 3 no step."""
        return [[STATES.index(state) for state in self._states[row]] for row in self._checked(rows)]

    def base(self, rows: Sequence[int] | None = None) -> list[int]:
        """States of some rows with nothing dropped: 0 not asked, 1 right, 2 wrong."""
        return [BASES.index(self._base[row]) for row in self._checked(rows)]

    def next_batch(self, limit: int | None = None) -> tuple[list[int], list[int]]:
        """The questions about the lowest pending chunk, rows ascending."""
        if limit is not None and limit < 1:
            raise InvalidInputError(f"limit must be at least 1, got {limit}")
        pending = [
            (question, row) for row in range(len(self)) if (question := self.question(row)) is not None
        ]
        if not pending:
            return [], []
        lowest = min(pending)[0]
        rows = [row for question, row in pending if question == lowest][:limit]
        return rows, [lowest] * len(rows)

    def record(self, rows: Sequence[int], chunks: Sequence[int], right: Sequence[bool]) -> None:
        """Takes answers to the next questions of different rows; all are checked before the first one counts."""
        if not len(rows) == len(chunks) == len(right):
            raise LedgerError(f"{len(rows)} rows, {len(chunks)} chunks and {len(right)} answers")
        if len(set(rows)) < len(rows):
            raise LedgerError("a row is answered twice in one call")
        for row, chunk in zip(rows, chunks, strict=True):
            self._checked([row])
            if self.question(row) != chunk:
                raise LedgerError(f"row {row} was not asked about chunk {chunk}")
        for row, chunk, is_right in zip(rows, chunks, right, strict=True):
            self.asked += 1
            if chunk:
                self._states[row][chunk - 1] = "skipped" if is_right else "kept"
                continue
            self._base[row] = is_right
            if not is_right:
                self._states[row] = ["kept" if state == "open" else state for state in self._states[row]]

    def stats(self) -> dict[str, Any]:
        """Counts, and the share of skips among the answers about each chunk and about rows of so many chunks."""
        right = [row for row in range(len(self)) if self._base[row]]
        by_chunk: list[list[bool]] = [[] for _ in range(self.n_chunks)]
        by_n_chunks: list[list[bool]] = [[] for _ in range(self.n_chunks + 1)]
        for row in right:
            for chunk, state in enumerate(self._states[row]):
                if state in ("kept", "skipped"):
                    by_chunk[chunk].append(state == "skipped")
                    by_n_chunks[self._n_chunks_of(row)].append(state == "skipped")
        states = [state for row in self._states for state in row]
        sizes = [self._n_chunks_of(row) for row in range(len(self))]
        return {
            "rows": len(self),
            "asked": self.asked,
            "base_open": self._base.count(None),
            "base_right": len(right),
            "base_wrong": self._base.count(False),
            **{name: states.count(name) for name in STATES},
            "skip_rate": [_share(skips) for skips in by_chunk],
            "rows_by_n_chunks": [sizes.count(size) for size in range(self.n_chunks + 1)],
            "skip_rate_by_n_chunks": [_share(skips) for skips in by_n_chunks],
        }

    def _checked(self, rows: Sequence[int] | None) -> Sequence[int]:
        for row in rows or ():
            if not 0 <= row < len(self):
                raise LedgerError(f"row {row} is not one of the ledger's {len(self)} rows")
        return range(len(self)) if rows is None else rows

    def _n_chunks_of(self, row: int) -> int:
        return sum(state != "empty" for state in self._states[row])


def _share(flags: list[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
