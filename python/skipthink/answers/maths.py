"""Equivalence of mathematical answers, decided by math-verify in a process that can be killed.

A student may write an expression that no computer algebra finishes, or that fills the memory. So a process of its
own does the work (`skipthink.answers.maths_worker`); it answers within a time limit, or is killed and replaced.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import threading
from enum import StrEnum

from skipthink.exceptions import InvalidInputError, RunError

TIMEOUT_SECONDS = 5.0
"""An answer not settled by then counts as unparsed, and as timed out."""
START_SECONDS = 120.0


class MathsVerdict(StrEnum):
    """Result of a comparison; `BAD_GOLD`: the gold answer is not a mathematical expression."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    BAD_GOLD = "bad gold"


class MathsProcess:
    """A process that compares answers one at a time. It starts with the first question, and again after a kill.

    Args:
        timeout_seconds: time limit of one question, in seconds.

    Attributes:
        timeouts: number of questions during which the process was killed or died.
    """

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.timeout_seconds, self.timeouts = timeout_seconds, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def ask(self, text: str | None, gold: str) -> MathsVerdict:
        """Compares the last stated answer of a text with the gold answer; without a text, reads only the latter."""
        with self._lock:
            process = self._started()
            request = json.dumps([text, gold]).encode("ascii") + b"\n"
            try:
                assert process.stdin is not None  # noqa: S101 - a pipe
                process.stdin.write(request)
                process.stdin.flush()
                answer = self._read_line(process, self.timeout_seconds)
            except OSError:
                answer = b""
            if not answer:  # out of time, out of memory, or dead
                self.timeouts += 1
                self._kill()
                return MathsVerdict.UNPARSED
            return MathsVerdict(answer.decode("ascii").strip())

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            self._kill()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # after a fork the process belongs to the parent
            self._process, self._owner = None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            self._kill()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "skipthink.answers.maths_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            if not self._read_line(self._process, START_SECONDS):
                self._kill()
                raise RunError(
                    "the process that compares mathematical answers does not start; see what "
                    f"`{sys.executable} -m skipthink.answers.maths_worker` prints"
                )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what it has not read, it will not
                    stream.close()

    @staticmethod
    def _read_line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """The next line; nothing if none arrives in time. One short line answers one question."""
        stream = process.stdout
        assert stream is not None  # noqa: S101 - a pipe
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            return stream.readline() if selector.select(seconds) else b""


_process = MathsProcess()
atexit.register(_process.close)


def check_maths(text: str, gold: str) -> MathsVerdict:
    """Compares the last stated answer of a text with the gold answer by math-verify.

    Raises:
        InvalidInputError: math-verify is not installed, or the gold answer is not a mathematical expression.
    """
    _need_math_verify()
    verdict = _process.ask(text, gold)
    if verdict is MathsVerdict.BAD_GOLD:
        raise InvalidInputError(f"gold answer {gold!r} is no answer of the kind 'maths'; name the right kind")
    return verdict


def is_maths(gold: str) -> bool:
    """Whether math-verify can read a gold answer within the time limit.

    Raises:
        InvalidInputError: math-verify is not installed.
    """
    _need_math_verify()
    return _process.ask(None, gold) is MathsVerdict.RIGHT


def count_timeouts() -> int:
    """Number of questions given up in this process so far; they count as unparsed."""
    return _process.timeouts


def _need_math_verify() -> None:
    if importlib.util.find_spec("math_verify") is None:
        raise InvalidInputError(
            "answers of the kind 'maths' need math-verify; install it with: pip install 'skipthink[math]'"
        )
