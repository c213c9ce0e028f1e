"""The store of answers: append-only, keyed by the hash of the request, safe for several processes at once.

A folder with a file of answers per process (only its own process appends to it), a file of claims for each process
that is asking, and a lock that is held for microseconds. An answer is a line that begins with its CRC-32; it is written
before it counts. A line torn by a kill is the last of its file and is left out; damage elsewhere is an error.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from skipthink.exceptions import DataError, RunError
from skipthink.teacher.claims import PREFIX, Claims, ForeignClaims
from skipthink.teacher.cost import exact_text
from skipthink.teacher.requests import Reply, Request

ANSWERS = "answers-"
_OFFSET_BITS = 44
"""Of a place in the index: the number of the file above, the offset in it below."""


class Claim(StrEnum):
    """Outcome of a process's claim to a request."""

    TAKEN = "taken"
    """It is this process's to ask."""
    ANSWERED = "answered"
    """The store has the answer."""
    BUSY = "busy"
    """Another process has it under way."""
    BUDGET = "budget"
    """It could cost more than is left of the budget."""


class Store:
    """Answers on disk. Use it as a context manager, or call `close`.

    Args:
        folder: folder of the store; it is created if it does not exist.

    Attributes:
        paid: total cost of all answers.

    Raises:
        DataError: a file of the store is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.paid = Decimal(0)
        self._index: dict[bytes, int] = {}
        self._files: list[Path] = []
        self._ends: dict[Path, int] = {}
        self._complete: set[Path] = set()
        self._foreign: dict[Path, ForeignClaims] = {}
        self._own: Claims | None = None
        self._descriptor: int | None = None
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        self._name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{secrets.token_hex(4)}"
        with self._locked():
            self._refresh()
            self._remove_dead_claims()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def n_torn(self) -> int:
        """Number of files whose last line was torn by a kill; the request of that line is asked again."""
        return sum(path.stat().st_size > self._ends[path] for path in self._complete)

    @property
    def reserved(self) -> Decimal:
        """Maximum cost of pending requests, and of requests whose answer was lost."""
        own = self._own.reserved if self._own is not None else Decimal(0)
        return sum((claims.reserved for claims in self._foreign.values()), own)

    @property
    def under_way(self) -> int:
        """Number of pending requests in living processes, including this one."""
        own = len(self._own.open) if self._own is not None else 0
        return own + sum(len(claims.open) for claims in self._foreign.values() if claims.is_alive)

    def get(self, key: str) -> Reply | None:
        """The reply to a request.

        Args:
            key: hash of the request.

        Returns:
            The reply; None if the store has none.

        Raises:
            DataError: the line of the reply has changed since it was read.
        """
        record = self.record(key)
        return None if record is None else Reply(**record["reply"])

    def record(self, key: str) -> dict[str, Any] | None:
        """The record of a request: key, request, reply, cost, time; None if it has no answer."""
        place = self._index.get(bytes.fromhex(key))
        if place is None:
            return None
        path, offset = self._files[place >> _OFFSET_BITS], place & ((1 << _OFFSET_BITS) - 1)
        with path.open("rb") as file:
            file.seek(offset)
            return _parse(file.readline(), path, offset)

    def claim(self, key: str, cost: Decimal = Decimal(0), budget: Decimal | None = None) -> Claim:
        """Claims a request for this process, unless it is answered, pending elsewhere, or too expensive.

        Args:
            key: hash of the request.
            cost: its maximum cost.
            budget: maximum cost of all answers of the store together.
        """
        if bytes.fromhex(key) in self._index:
            return Claim.ANSWERED
        with self._locked():
            self._refresh()
            if bytes.fromhex(key) in self._index:
                return Claim.ANSWERED
            if any(key in claims.open for claims in self._foreign.values() if claims.is_alive):
                return Claim.BUSY
            if budget is not None and self.paid + self.reserved + cost > budget:
                return Claim.BUDGET
            self._claims().take(key, cost)
        return Claim.TAKEN

    def put(self, request: Request, reply: Reply, cost: Decimal) -> None:
        """Keeps an answer and frees its claim. A kill no longer loses it; after `flush` a power cut does not either.

        Args:
            request: the request; if it has an answer already, the first one is kept, and both are paid.
            reply: the reply.
            cost: cost of the reply.

        Raises:
            OSError: the answer cannot be written.
        """
        path, descriptor = self._answers_path, self._open_answers()
        line, end = _line(request, reply, cost), self._ends[path]
        try:
            _write_all(descriptor, line)
        except OSError:
            os.ftruncate(descriptor, end)  # a torn line may stand last only
            raise
        self._ends[path] = end + len(line)
        self._index.setdefault(bytes.fromhex(request.key), self._files.index(path) << _OFFSET_BITS | end)
        self.paid += cost
        if self._own is not None and request.key in self._own.open:
            self._own.free(request.key)

    def flush(self) -> None:
        """Flushes the answers of this process to disk; a thread may call it.

        Raises:
            OSError: they cannot be written.
        """
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def free(self, key: str) -> None:
        """Releases a claim whose request has cost nothing."""
        if self._own is None or key not in self._own.open:
            raise RunError(f"the request {key[:12]}… is not claimed by this process")
        self._own.free(key)

    def lose(self, key: str) -> None:
        """Counts the cost of a claimed request whose answer is lost but may be charged."""
        if self._own is None or key not in self._own.open:
            raise RunError(f"the request {key[:12]}… is not claimed by this process")
        self._own.lose(key)

    def refresh(self) -> None:
        """Reads what other processes have written."""
        with self._locked():
            self._refresh()

    def close(self) -> None:
        """Closes the files; claims without an answer count as lost, because they may be charged.

        Raises:
            OSError: answers cannot be written to disk.
        """
        self.flush()
        if self._own is not None:
            for key in list(self._own.open):
                self._own.lose(key)
                self._own.free(key)
            self._own.close()
            self._own = None
        for descriptor in (self._descriptor, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = None

    @property
    def _answers_path(self) -> Path:
        return self.folder / f"{ANSWERS}{self._name}.jsonl"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _claims(self) -> Claims:
        if self._own is None:
            self._own = Claims(self.folder / f"{PREFIX}{self._name}")
        return self._own

    def _open_answers(self) -> int:
        if self._descriptor is None:
            self._claims()  # tells others that this process lives and may go on writing
            path = self._answers_path
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            self._files.append(path)
            self._ends[path] = 0
            _flush_names(self.folder)
        return self._descriptor

    def _refresh(self) -> None:
        """Reads the claims of others, then what they have appended: an answer is written before its claim ends."""
        names = sorted(entry.name for entry in self.folder.iterdir())
        for path in [self.folder / name for name in names if name.startswith(PREFIX)]:
            if self._own is None or path != self._own.path:
                self._foreign.setdefault(path, ForeignClaims(path))
        self._foreign = {path: claims for path, claims in self._foreign.items() if claims.refresh()}
        for path in [self.folder / name for name in names if name.startswith(ANSWERS)]:
            if path != self._answers_path and path not in self._complete:
                claims = self._foreign.get(_claims_path(path))
                was_alive = claims is not None and claims.is_alive
                self._read_on(path, claims)
                if not was_alive:  # nobody writes there any more
                    self._complete.add(path)

    def _read_on(self, path: Path, claims: ForeignClaims | None) -> None:
        if path not in self._ends:
            self._files.append(path)
            self._ends[path] = 0
        end = self._ends[path]
        if path.stat().st_size == end:
            return
        number = self._files.index(path)
        with path.open("rb") as file:
            file.seek(end)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                record = _parse(line, path, end)
                key = bytes.fromhex(record["key"])
                if key not in self._index:
                    self._index[key] = number << _OFFSET_BITS | end
                self.paid += Decimal(record["cost"])
                if claims is not None:
                    claims.open.pop(record["key"], None)
                end += len(line)
        self._ends[path] = end

    def _remove_dead_claims(self) -> None:
        """Removes claims of dead processes if they involve no cost."""
        for path, claims in list(self._foreign.items()):
            if not claims.is_alive and not claims.reserved:
                path.unlink(missing_ok=True)
                del self._foreign[path]


def _claims_path(answers: Path) -> Path:
    return answers.with_name(PREFIX + answers.stem.removeprefix(ANSWERS))


def _line(request: Request, reply: Reply, cost: Decimal) -> bytes:
    record = {
        "key": request.key,
        "request": request.as_dict(),
        "reply": reply.as_dict(),
        "cost": exact_text(cost),
        "time": round(time.time(), 3),
    }
    content = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _parse(line: bytes, path: Path, offset: int) -> dict[str, Any]:
    content = line[9:-1]
    if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(content):
        raise DataError(
            f"{path}, byte {offset}: the line is damaged (its checksum differs); restore the file, or remove this "
            "line: its request is then asked once more"
        )
    record: dict[str, Any] = json.loads(content)
    return record


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _flush_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
