"""The skip ledger on disk: batches of answers, appended and flushed before they count (method §6).

The file is described in docs/reference/ledger.md: a head that binds it to its data, then one record per batch. Every
part has a checksum, so a torn end after a kill can be told from damage in the middle.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from skipthink.core.ledger import SkipLedger, to_flags
from skipthink.core.ragged import Ints, to_ints
from skipthink.exceptions import LedgerError
from skipthink.io.files import write_bytes

MAGIC = b"SKIPBOOK"
FORMAT = 1
_START = struct.Struct("<8sII")
"""magic, format, bytes of the head's JSON"""
_LENGTH = struct.Struct("<II")
"""bytes of the record's body, CRC-32 of those four bytes"""
_COUNTS = struct.Struct("<IIII")
"""answers, bytes of a row number (4 or 8), chunk numbers (1 where all are the same), bytes of the notes"""
_CRC = struct.Struct("<I")

_Flags = npt.NDArray[np.bool_]


class LedgerFile:
    """A ledger on disk: one record per batch of answers, written and flushed before the state changes.

    On opening, the file is replayed into the ledger. A last record that a kill tore is cut off and counted in
    `torn_bytes`; a batch is a record, so it counts whole or not at all.

    Args:
        path: the file; made where it is missing.
        ledger: a ledger with nothing asked.
        fingerprint: says what else the answers depend on; a file with another one is refused, as is one of
            other boundaries.

    Raises:
        LedgerError: a file of another fingerprint or other boundaries, or one that is damaged (with the byte).
    """

    def __init__(self, path: str | Path, ledger: SkipLedger, fingerprint: str) -> None:
        if ledger.asked:
            raise LedgerError(
                f"the ledger holds {ledger.asked} answers already; give a new one, the file fills it"
            )
        self.path, self.ledger = Path(path), ledger
        self.torn_bytes = 0
        self._totals: dict[str, int | float] = {}
        self._lock = Lock()
        self._head = {
            "rows": len(ledger),
            "chunks": ledger.n_chunks,
            "boundaries": ledger.digest,
            "fingerprint": fingerprint,
        }
        end = self._replay()
        self._file: BinaryIO = self.path.open("r+b", buffering=0)
        self._file.truncate(end)
        self._file.seek(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def record(self, rows: Any, chunks: Any, right: Any, **notes: int | float) -> None:
        """Checks answers, writes them, then counts them. May be called from several threads.

        Args:
            rows: as in `SkipLedger.record`.
            chunks: as in `SkipLedger.record`.
            right: as in `SkipLedger.record`.
            notes: numbers kept beside the batch, such as what it cost.

        Raises:
            LedgerError: as in `SkipLedger.record`; or a write failed, now or before, and the file must be opened anew.
        """
        rows, chunks, flags = to_ints("rows", rows), to_ints("chunks", chunks), to_flags(right)
        with self._lock:
            if self._file.closed:
                raise LedgerError(f"{self.path} is closed; open it anew, with a new ledger")
            self.ledger.check(rows, chunks, len(flags))  # what cannot be must not reach the disk
            try:
                self._append(_pack_record(rows, chunks, flags, notes))
                self.ledger.record(rows, chunks, flags)
            except BaseException as error:
                # what has reached the disk is not known: opening the file anew finds out, and cuts off what is torn
                self._file.close()
                if isinstance(error, OSError):
                    raise LedgerError(
                        f"cannot write answers to {self.path}: {error}; those written before are kept: make room, and "
                        "the same call goes on from there"
                    ) from error
                raise
            self._count(notes)

    def total(self, note: str) -> int | float:
        """Sum of a note over all batches on disk."""
        return self._totals.get(note, 0)

    def _count(self, notes: dict[str, int | float]) -> None:
        for name, number in notes.items():
            self._totals[name] = self._totals.get(name, 0) + number

    def _append(self, record: bytes) -> None:
        left = memoryview(record)
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())

    def _replay(self) -> int:
        """Reads the file into the ledger; returns where its last whole record ends."""
        head = _pack_head(self._head)
        found = _read_start(self.path, len(head))
        if not found or (found != head and head.startswith(found)):
            self.torn_bytes = len(found)
            write_bytes(self.path, head)
            return len(head)
        if found != head:
            raise LedgerError(
                f"{self.path}: {_head_problem(self.path, self._head)}; move the file away to ask anew"
            )
        end = len(head)
        with self.path.open("rb") as file:
            file.seek(end)
            for body in _records(self.path, file):
                try:
                    *answers, notes = _unpack_record(body)
                    self.ledger.record(*answers)
                except (ValueError, struct.error, LedgerError) as error:
                    raise LedgerError(
                        f"{self.path}, record at byte {end}: {error}; move the file away to ask anew"
                    ) from error
                self._count(notes)
                end = file.tell()
            self.torn_bytes = os.fstat(file.fileno()).st_size - end
        return end


def _pack_head(head: dict[str, Any]) -> bytes:
    text = json.dumps(head).encode()
    content = _START.pack(MAGIC, FORMAT, len(text)) + text
    return content + _CRC.pack(zlib.crc32(content))


def _read_start(path: Path, length: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(length)


def _head_problem(path: Path, expected: dict[str, Any]) -> str:
    """Why a file's head is not the one expected."""
    content = path.read_bytes()[: 2**16]  # a head is far shorter
    if content[:8] != MAGIC or len(content) < _START.size:
        return "not the file of a skip ledger"
    _, version, length = _START.unpack_from(content)
    if version != FORMAT:
        return f"a skip ledger of format {version}, this is format {FORMAT}"
    end = _START.size + length
    if len(content) < end + _CRC.size or _CRC.unpack_from(content, end)[0] != zlib.crc32(content[:end]):
        return "its head is damaged (checksum at byte 0)"
    found = json.loads(content[_START.size : end])
    for key, value in expected.items():
        if found.get(key) != value:
            return (
                f"it was made with {key} {found.get(key)!r}, this run has {value!r}: another judge, other chunks, "
                "data or options"
            )
    return "its head is written in another way"


def _records(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Bodies of the complete records from the current position on; stops before a torn last one.

    A kill leaves a beginning of the last record, and a power cut may leave zeros where it was to be; all else that
    fails its checksum is damage.
    """
    size = os.fstat(file.fileno()).st_size
    while size - (start := file.tell()) >= _LENGTH.size:
        length, check = _LENGTH.unpack(head := file.read(_LENGTH.size))
        if zlib.crc32(head[:4]) != check:
            if _only_zeros(head, file):
                return
            raise _damage(path, start)
        if size - file.tell() < length + _CRC.size:
            return
        body = file.read(length)
        if _CRC.unpack(file.read(_CRC.size))[0] != zlib.crc32(body):
            raise _damage(path, start)
        yield body


def _only_zeros(head: bytes, file: BinaryIO) -> bool:
    blocks = iter(lambda: file.read(2**20), b"")
    return not any(head) and not any(block.strip(b"\0") for block in blocks)


def _damage(path: Path, start: int) -> LedgerError:
    return LedgerError(
        f"{path}: the record at byte {start} is damaged (its checksum does not fit); restore the file, or cut it to "
        f"{start} bytes to ask anew what came after"
    )


def _pack_record(rows: Ints, chunks: Ints, flags: _Flags, notes: dict[str, int | float]) -> bytes:
    same = len(chunks) > 0 and bool((chunks == chunks[0]).all())
    numbers = (chunks[:1] if same else chunks).astype("<u4")
    width = 4 if rows.max(initial=0) < 2**32 else 8
    text = json.dumps(notes, allow_nan=False).encode() if notes else b""
    body = b"".join(
        (
            _COUNTS.pack(len(rows), width, len(numbers), len(text)),
            rows.astype(f"<u{width}").tobytes(),
            numbers.tobytes(),
            np.packbits(flags, bitorder="little").tobytes(),
            text,
        )
    )
    length = len(body).to_bytes(4, "little")
    return b"".join((length, _CRC.pack(zlib.crc32(length)), body, _CRC.pack(zlib.crc32(body))))


def _unpack_record(body: bytes) -> tuple[Ints, Ints, _Flags, dict[str, int | float]]:
    """rows, chunks, right, notes.

    Raises:
        ValueError: lengths that do not fit together, or notes that are no JSON.
    """
    n_answers, width, n_numbers, n_text = _COUNTS.unpack_from(body)
    ends = np.cumsum([_COUNTS.size, width * n_answers, 4 * n_numbers, -(-n_answers // 8), n_text]).tolist()
    if ends[-1] != len(body) or width not in (4, 8) or n_numbers not in (min(1, n_answers), n_answers):
        raise ValueError("its lengths do not fit together")
    rows = np.frombuffer(body, f"<u{width}", n_answers, ends[0]).astype(np.int64)
    chunks = np.frombuffer(body, "<u4", n_numbers, ends[1]).astype(np.int64)
    bits = np.frombuffer(body, np.uint8, ends[3] - ends[2], ends[2])
    right = np.unpackbits(bits, count=n_answers, bitorder="little").astype(np.bool_)
    notes = json.loads(body[ends[3] :]) if n_text else {}
    return rows, np.ascontiguousarray(np.broadcast_to(chunks, n_answers)), right, notes
