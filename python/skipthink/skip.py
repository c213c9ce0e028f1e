"""Skip bookkeeping: the ledger of what the student was asked about each chunk, in memory and on disk (method §6)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from skipthink import _core
from skipthink.exceptions import InvalidInputError, InvalidTypeError, LedgerError, SkipthinkError
from skipthink.ragged import Ints, to_ints

KEPT, SKIPPED, EMPTY = 1, 2, 3
"""States of a chunk; 0 is open."""

FORMAT = 1


class SkipLedger:
    """State machine over (row, chunk).

    Question 0 of a row drops nothing; a row that is wrong then keeps all its chunks. Question c drops chunk c, on
    top of those found dispensable before. Chunks without a step are never asked about.

    Args:
        boundaries: chunks of the rows, integers (n, M + 1).
    """

    def __init__(self, boundaries: Any) -> None:
        cuts = to_ints("boundaries", boundaries, ndim=2)
        if cuts.shape[1] < 2:
            raise InvalidInputError(
                f"boundaries must have M + 1 columns with M at least 1, got {cuts.shape[1]}"
            )
        self._core = _core.Ledger(cuts.ravel(), cuts.shape[1] - 1)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """A ledger from `to_bytes`.

        Raises:
            LedgerError: the bytes are no ledger.
        """
        ledger = cls.__new__(cls)
        ledger._core = _core.Ledger.from_bytes(content)
        return ledger

    def to_bytes(self) -> bytes:
        """The whole state."""
        return self._core.to_bytes()

    def __len__(self) -> int:
        return len(self._core)

    @property
    def n_chunks(self) -> int:
        """M."""
        return self._core.n_chunks

    @property
    def done(self) -> bool:
        """Whether every row is settled."""
        return self._core.done

    @property
    def n_settled(self) -> int:
        """Rows that need no question more."""
        return self._core.n_settled

    @property
    def asked(self) -> int:
        """Questions answered so far."""
        return self._core.asked

    @property
    def skipped(self) -> npt.NDArray[np.bool_]:
        """Chunks the student can do without, bool (n, M)."""
        skipped: npt.NDArray[np.bool_] = self._core.states() == SKIPPED
        return skipped

    def next_batch(self, limit: int | None = None) -> tuple[Ints, Ints]:
        """The next questions: rows ascending, all about the same chunk; the same ones until they are recorded.

        Args:
            limit: most questions; None: the whole round.

        Returns:
            rows and chunks (0: nothing dropped), int64 both; empty when all is settled.
        """
        if limit is not None and limit < 1:
            raise InvalidInputError(f"limit must be at least 1, got {limit}")
        return self._core.next_batch(len(self) if limit is None else limit)

    def record(self, rows: Any, chunks: Any, right: Any) -> None:
        """Takes answers; all are checked before the first one counts.

        Raises:
            LedgerError: a question that is not its row's next one, a row twice, unequal lengths.
        """
        flags = np.asarray(right)
        if flags.dtype != np.bool_ and flags.size:
            raise InvalidTypeError(f"right must hold booleans, got dtype {flags.dtype}")
        flags = np.ascontiguousarray(flags, dtype=np.bool_)
        self._core.record(to_ints("rows", rows), to_ints("chunks", chunks), flags)

    def check(self, rows: Any, chunks: Any, n_right: int) -> None:
        """Checks answers without taking them; raises what `record` would."""
        self._core.check(to_ints("rows", rows), to_ints("chunks", chunks), n_right)

    def stats(self) -> dict[str, Any]:
        """Counts: rows, questions asked, rows right with nothing dropped, states, and skip rate by chunk.

        The skip rate of chunk m is taken over the rows that are right with nothing dropped and in which the chunk
        has a step; None where there is no such row.
        """
        states, right = self._core.states(), self._core.base_right()
        judged = right[:, None] & (states != EMPTY)
        rates = [
            float((states[:, chunk] == SKIPPED)[judged[:, chunk]].mean()) if judged[:, chunk].any() else None
            for chunk in range(self.n_chunks)
        ]
        return {
            "rows": len(self),
            "asked": self.asked,
            "base_right": int(right.sum()),
            "kept": int((states == KEPT).sum()),
            "skipped": int((states == SKIPPED).sum()),
            "empty": int((states == EMPTY).sum()),
            "skip_rate": rates,
        }


class LedgerFile:
    """A ledger on disk: JSON lines, one a batch of answers, written and flushed before the state changes.

    On opening, the file is replayed into the ledger. A last line that a kill tore is cut off and counted; a batch
    is a line, so it counts whole or not at all.

    Args:
        path: the file; made where it is missing.
        ledger: a ledger with nothing asked.
        fingerprint: says what the answers depend on; a file with another one is refused.

    Raises:
        LedgerError: another fingerprint, or a line that cannot be (with its number).
    """

    def __init__(self, path: str | Path, ledger: SkipLedger, fingerprint: str) -> None:
        self.path, self.ledger = Path(path), ledger
        self.torn_lines = 0
        self._header = {
            "format": FORMAT,
            "rows": len(ledger),
            "chunks": ledger.n_chunks,
            "fingerprint": fingerprint,
        }
        self._replay()
        self._file: BinaryIO = self.path.open("ab")
        if self._file.tell() == 0:
            self._append(self._header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def record(self, rows: Ints, chunks: Ints, right: npt.NDArray[np.bool_], **notes: int | float) -> None:
        """Checks answers, writes them, then counts them.

        Args:
            rows: as in `SkipLedger.record`.
            chunks: as in `SkipLedger.record`.
            right: as in `SkipLedger.record`.
            notes: numbers kept beside the batch, such as what it cost.
        """
        self.ledger.check(rows, chunks, len(right))  # what cannot be must not reach the disk
        self._append(
            {"rows": np.asarray(rows).tolist(), "chunks": np.asarray(chunks).tolist(),
             "right": np.asarray(right).tolist(), **notes}
        )  # fmt: skip
        self.ledger.record(rows, chunks, right)

    def total(self, note: str) -> float:
        """Sum of a note over all batches on disk."""
        lines = self.path.read_bytes().splitlines()[1:]
        return float(sum(json.loads(line).get(note, 0) for line in lines))

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _replay(self) -> None:
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            self.torn_lines = 1
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            self._replay_line(number, line)

    def _replay_line(self, number: int, line: bytes) -> None:
        place = f"{self.path}, line {number}"
        try:
            entry = json.loads(line)
            if number == 1:
                self._check_header(entry)
            else:
                self.ledger.record(entry["rows"], entry["chunks"], np.asarray(entry["right"], dtype=np.bool_))
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, SkipthinkError):
                raise LedgerError(f"{place}: {error}; move the file away to ask anew") from error
            raise LedgerError(
                f"{place}: not a line of a skip ledger ({error}); move the file away to ask anew"
            ) from error
        except LedgerError as error:
            raise LedgerError(f"{place}: {error}; move the file away to ask anew") from error

    def _check_header(self, found: dict[str, Any]) -> None:
        for key, expected in self._header.items():
            if found.get(key) != expected:
                raise LedgerError(
                    f"it was made with {key} {found.get(key)!r}, this run has {expected!r}: another judge, other "
                    "chunks, data or settings"
                )
