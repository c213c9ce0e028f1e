"""Skip bookkeeping: the ledger of what the student was asked about each chunk (method §6)."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from skipthink import _core
from skipthink.core.ragged import Ints, to_boundaries, to_ints
from skipthink.exceptions import InvalidInputError, InvalidTypeError, LedgerError

if TYPE_CHECKING:
    import pyarrow as pa

OPEN, KEPT, SKIPPED, EMPTY = 0, 1, 2, 3
"""States of a chunk."""
UNKNOWN, RIGHT, WRONG = 0, 1, 2
"""States of a row: the student's answer with nothing dropped."""

MAGIC = b"SKIPSTAT"
FORMAT = 1
_HEAD = struct.Struct("<8sIIQ32s")
_CRC = struct.Struct("<I")
_METADATA = b"skipthink.ledger"

_Codes = npt.NDArray[np.uint8]


class SkipLedger:
    """The questions that the judge is asked about each chunk, and the answers (a state machine over rows and chunks).

    Question 0 of a row drops nothing; if its answer is wrong, the row keeps all its chunks. Question c drops
    chunk c, on top of those skipped before. Chunks without a step are never asked about. Takes M + 1 bytes per row.

    Args:
        boundaries: chunks of the rows, integers (n, M + 1).

    Raises:
        InvalidInputError: boundaries have another shape or decrease; names the row.
    """

    def __init__(self, boundaries: Any) -> None:
        cuts = to_boundaries(boundaries)
        self._core = _core.Ledger(cuts.ravel(), cuts.shape[1] - 1)
        self._digest = _digest(cuts)

    @classmethod
    def _of(cls, base: _Codes, states: _Codes, digest: bytes, boundaries: Any) -> Self:
        """A ledger of given states, which must belong to the given boundaries."""
        if boundaries is not None:
            cuts = to_boundaries(boundaries)
            if cuts.shape != (len(states), states.shape[1] + 1) or _digest(cuts) != digest:
                raise LedgerError(
                    "these states belong to other boundaries than those given: other data, steps or chunks"
                )
        ledger = cls.__new__(cls)
        ledger._core = _core.Ledger.from_states(base, states.ravel(), states.shape[1])
        ledger._digest = digest
        return ledger

    @classmethod
    def from_bytes(cls, content: bytes, *, boundaries: Any = None) -> Self:
        """A ledger from `to_bytes`.

        Args:
            content: the bytes.
            boundaries: where given, those the ledger must have been made for.

        Raises:
            LedgerError: the bytes are no ledger, are damaged, or are of other boundaries.
        """
        if content[:8] != MAGIC or len(content) < _HEAD.size + _CRC.size:
            raise LedgerError("these bytes are no skip ledger")
        _, version, n_chunks, n_rows, digest = _HEAD.unpack_from(content)
        if version != FORMAT:
            raise LedgerError(f"these bytes are a skip ledger of format {version}; this is format {FORMAT}")
        body, end = _HEAD.size, len(content) - _CRC.size
        if end - body != n_rows * (n_chunks + 1) or _CRC.unpack_from(content, end)[0] != zlib.crc32(
            memoryview(content)[:end]
        ):
            raise LedgerError("these bytes of a skip ledger are damaged: length or checksum do not fit")
        base = np.frombuffer(content, np.uint8, n_rows, body)
        states = np.frombuffer(content, np.uint8, n_rows * n_chunks, body + n_rows)
        return cls._of(base, states.reshape(n_rows, n_chunks), digest, boundaries)

    def to_bytes(self) -> bytes:
        """The whole state as bytes; docs/reference/ledger.md describes the format."""
        head = _HEAD.pack(MAGIC, FORMAT, self.n_chunks, len(self), self._digest)
        content = b"".join((head, self.base().data, self.states().data))
        return content + _CRC.pack(zlib.crc32(content))

    @classmethod
    def from_arrow(cls, table: pa.Table, *, boundaries: Any = None) -> Self:
        """A ledger from `to_arrow`, its rows in any order.

        Args:
            table: columns row, n_chunks, base, states.
            boundaries: where given, those the ledger must have been made for; needed where the table has lost
                its schema metadata on the way.

        Raises:
            LedgerError: the table is no ledger, or one of other boundaries.
        """
        base, states = _read_table(table)
        noted = (table.schema.metadata or {}).get(_METADATA)
        if noted is None and boundaries is None:
            raise LedgerError(
                "the table does not say which boundaries it is of (schema metadata are gone); give boundaries"
            )
        digest = (
            _digest(to_boundaries(boundaries))
            if noted is None
            else bytes.fromhex(json.loads(noted)["boundaries"])
        )
        return cls._of(base, states, digest, boundaries)

    def to_arrow(self) -> pa.Table:
        """The whole state as a table.

        Returns:
            row (int64), n_chunks (int32: chunks with a step), base (uint8: 0 not asked, 1 right, 2 wrong with
            nothing dropped), states (fixed-size list of M uint8: 0 open, 1 kept, 2 skipped, 3 no step).
        """
        import pyarrow as pa

        states = self.states()
        columns = {
            "row": np.arange(len(self), dtype=np.int64),
            "n_chunks": _count_chunks(states),
            "base": self.base(),
            "states": pa.FixedSizeListArray.from_arrays(pa.array(states.ravel()), self.n_chunks),
        }
        noted = json.dumps({"format": FORMAT, "boundaries": self.digest})
        return pa.table(columns).replace_schema_metadata({_METADATA: noted})

    def __len__(self) -> int:
        return len(self._core)

    @property
    def digest(self) -> str:
        """SHA-256 of the boundaries the ledger belongs to, in hexadecimal digits."""
        return self._digest.hex()

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
        skipped: npt.NDArray[np.bool_] = self.states() == SKIPPED
        return skipped

    def states(self, rows: Any = None) -> _Codes:
        """The current states of chunks; only what is asked for is copied.

        Args:
            rows: rows to look at, integers, in any order; None: all.

        Returns:
            uint8 (rows, M): 0 open, 1 kept, 2 skipped, 3 no step.

        Raises:
            InvalidTypeError: rows are not integers.
            LedgerError: there is no such row.
        """
        return self._core.states(None if rows is None else to_ints("rows", rows))

    def base(self, rows: Any = None) -> _Codes:
        """The current states of rows: the student's answer with nothing dropped.

        Args:
            rows: as in `states`.

        Returns:
            uint8 (rows,): 0 not asked, 1 right, 2 wrong.

        Raises:
            InvalidTypeError: rows are not integers.
            LedgerError: there is no such row.
        """
        return self._core.base(None if rows is None else to_ints("rows", rows))

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
        """Records answers; all are checked before the first one counts.

        Raises:
            InvalidTypeError: rows or chunks are not integers, or right is not boolean.
            LedgerError: a question that is not its row's next one, a row twice, unequal lengths.
        """
        self._core.record(to_ints("rows", rows), to_ints("chunks", chunks), to_flags(right))

    def check(self, rows: Any, chunks: Any, n_right: int) -> None:
        """Checks answers without recording them; raises what `record` would raise."""
        self._core.check(to_ints("rows", rows), to_ints("chunks", chunks), n_right)

    def stats(self) -> dict[str, Any]:
        """Counts and skip rates so far.

        A skip rate is the share of questions about a chunk after which it is skipped; None without a question.

        Returns:
            rows; asked (questions answered); base_open, base_right, base_wrong (rows by the answer with nothing
            dropped); open, kept, skipped, empty (chunks); skip_rate (list, by chunk 1 … M); rows_by_n_chunks and
            skip_rate_by_n_chunks (lists, by the number of chunks with a step, 0 … M).
        """
        base, states, by_chunk, by_n_chunks = self._core.stats()
        return {
            "rows": len(self),
            "asked": self.asked,
            **dict(zip(("base_open", "base_right", "base_wrong"), base, strict=True)),
            **dict(zip(("open", "kept", "skipped", "empty"), states, strict=True)),
            "skip_rate": [_rate(*counts) for counts in by_chunk.tolist()],
            "rows_by_n_chunks": by_n_chunks[:, 0].tolist(),
            "skip_rate_by_n_chunks": [_rate(*counts) for counts in by_n_chunks[:, 1:].tolist()],
        }


def to_flags(right: Any) -> npt.NDArray[np.bool_]:
    """Answers as booleans.

    Raises:
        InvalidTypeError: no booleans.
    """
    flags = np.asarray(right)
    if flags.dtype != np.bool_ and flags.size:
        raise InvalidTypeError(f"right must hold booleans, got dtype {flags.dtype}")
    return np.ascontiguousarray(flags, dtype=np.bool_)


def _rate(asked: int, skipped: int) -> float | None:
    return skipped / asked if asked else None


def _digest(cuts: Ints) -> bytes:
    """SHA-256 of the shape and of all boundaries, as little-endian 64-bit integers."""
    digest = hashlib.sha256(struct.pack("<QQ", *cuts.shape))
    digest.update(cuts.astype("<i8", copy=False).data)
    return digest.digest()


def _count_chunks(states: _Codes) -> npt.NDArray[np.int32]:
    """Chunks with a step, per row; column by column, which is far faster than row by row."""
    counts = np.zeros(len(states), dtype=np.int32)
    for column in states.T:
        counts += column != EMPTY
    return counts


def _read_table(table: pa.Table) -> tuple[_Codes, _Codes]:
    """States of rows and chunks of a ledger's table, in the order of its column row."""
    import pyarrow as pa

    missing = {"row", "n_chunks", "base", "states"} - set(table.column_names)
    if missing:
        raise LedgerError(f"the table is no skip ledger: it has no column {min(missing)!r}")
    kind = table.schema.field("states").type
    if not isinstance(kind, pa.FixedSizeListType) or kind.value_type != pa.uint8() or kind.list_size < 1:
        raise LedgerError(f"the table is no skip ledger: states are {kind}, not fixed-size lists of uint8")
    if any(table[name].null_count for name in ("row", "n_chunks", "base", "states")):
        raise LedgerError("the table of the skip ledger has nulls")
    row, n_chunks, base = (table[name].to_numpy() for name in ("row", "n_chunks", "base"))
    every = np.arange(len(row))
    order = slice(None) if np.array_equal(row, every) else np.argsort(row, kind="stable")
    if not np.array_equal(row[order], every):
        raise LedgerError(
            f"the table of the skip ledger does not hold each of the rows 0 … {len(row) - 1} once"
        )
    parts = [chunk.flatten().to_numpy() for chunk in table["states"].chunks]
    codes = np.concatenate([np.empty(0, np.uint8), *parts]).reshape(len(row), kind.list_size)
    wrong = np.flatnonzero(_count_chunks(codes) != n_chunks)
    if len(wrong):
        raise LedgerError(f"row {row[wrong[0]]} of the table has states that do not fit its n_chunks")
    return base[order].astype(np.uint8, casting="same_kind"), codes[order]
