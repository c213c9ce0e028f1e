"""Progress of a run: one line a stage with an estimate of the time left; plain lines where nobody watches."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

REDRAW_SECONDS = 0.5
PLAIN_SECONDS = 30.0
"""Between two progress lines where the output is not a terminal."""


def format_seconds(seconds: float) -> str:
    """Seconds as people say them: 7s, 3m08s, 2h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def format_progress(name: str, done: int, total: int, elapsed: float) -> str:
    """One stage: name, share, time so far and time left (unknown until something is done)."""
    if total <= 0:
        return f"{name} … {format_seconds(elapsed)}"
    left = f", {format_seconds(elapsed / done * (total - done))} left" if done else ""
    return f"{name} {100 * done // total}% ({done}/{total}, {format_seconds(elapsed)}{left})"


class Display:
    """Prints events as lines and shows what is running in one line at the bottom of a terminal.

    Args:
        stream: where to; standard output by default.
        clock: seconds that only grow; replaced in tests.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.clock = clock
        self.is_terminal = self.stream.isatty()
        self._width = 0
        self._last = float("-inf") if self.is_terminal else clock()

    def line(self, text: str) -> None:
        """Prints a line that stays."""
        self._clear()
        self.stream.write(text + "\n")
        self.stream.flush()

    def show(self, running: list[str]) -> None:
        """Shows what is running; redrawn in place on a terminal, now and then printed elsewhere."""
        now = self.clock()
        if not running or now - self._last < (REDRAW_SECONDS if self.is_terminal else PLAIN_SECONDS):
            return
        self._last = now
        text = " | ".join(running)
        if not self.is_terminal:
            self.line("  " + text)
            return
        text = text[: shutil.get_terminal_size().columns - 1]  # a wrapped line could not be wiped
        self._clear()
        self.stream.write(text)
        self.stream.flush()
        self._width = len(text)

    def _clear(self) -> None:
        if self._width:
            self.stream.write("\r" + " " * self._width + "\r")
            self._width = 0
