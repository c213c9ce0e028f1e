"""Claims of one process: its pending requests and what they may cost, in a file beside the answers.

The file is locked while its process lives, so others see at once whether a claim still holds: the system frees the
lock of a killed process. Lines are JSON: {"take": key, "cost": amount}, {"free": key} and {"lost": amount}.
"""

from __future__ import annotations

import fcntl
import json
import os
from decimal import Decimal
from pathlib import Path

from skipthink.exceptions import DataError

PREFIX = "claims-"


class Claims:
    """The claims of this process.

    Args:
        path: a file that does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: dict[str, Decimal] = {}
        self.lost = Decimal(0)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    @property
    def reserved(self) -> Decimal:
        """Maximum cost of pending requests and lost answers."""
        return sum(self.open.values(), self.lost)

    def take(self, key: str, cost: Decimal) -> None:
        """Claims a request."""
        self._write({"take": key, "cost": str(cost)})
        self.open[key] = cost

    def free(self, key: str) -> None:
        """Releases a claim whose request was answered or has cost nothing."""
        self._write({"free": key})
        del self.open[key]

    def lose(self, key: str) -> None:
        """Counts an attempt without an answer that may be charged; the claim stays."""
        self.lost += self.open[key]
        self._write({"lost": str(self.open[key])})

    def close(self) -> None:
        """Ends the claims; the file stays only if an answer was lost, whose cost must stay known."""
        if not self.lost:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _write(self, record: dict[str, str]) -> None:
        # in the system's hands at once, which is enough: a claim has no meaning after a power cut
        os.write(self._descriptor, json.dumps(record).encode() + b"\n")


class ForeignClaims:
    """The claims of another process, alive or dead, as far as they are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: dict[str, Decimal] = {}
        self.lost = Decimal(0)
        self.is_alive = True
        self._offset = 0

    @property
    def reserved(self) -> Decimal:
        """Maximum cost of its requests; pending requests of a dead process may have been charged."""
        return sum(self.open.values(), self.lost)

    def refresh(self) -> bool:
        """Reads new lines; whether the file still exists."""
        try:
            with self.path.open("rb") as file:
                self.is_alive = self.is_alive and _is_locked(file.fileno())
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return False
        whole = content.rfind(b"\n") + 1  # the end of a killed process's file may be torn
        for line in content[:whole].splitlines():
            self._apply(line)
        self._offset += whole
        return True

    def _apply(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if "take" in record:
                self.open[record["take"]] = Decimal(record["cost"])
            elif "free" in record:
                self.open.pop(record["free"], None)
            else:
                self.lost += Decimal(record["lost"])
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise DataError(
                f"{self.path} holds {line[:80]!r}, no claim: the file was changed; if no other process asks with "
                "this store, remove it"
            ) from error


def _is_locked(descriptor: int) -> bool:
    """Whether its process lives."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
