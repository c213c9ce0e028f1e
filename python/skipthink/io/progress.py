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


def format_progress(
    name: str, done: int, total: int, elapsed: float, *, kept: int = 0, unit: str = ""
) -> str:
    """One stage: name, share, time so far and time left (unknown until something is done).

    Args:
        name: of the stage.
        done: what is done of `total`.
        total: in all.
        elapsed: seconds so far.
        kept: what was done before these seconds; it says nothing about the time left.
        unit: what is counted; named, a rate is shown: "tokens" makes "5,400 tokens/s".
    """
    if total <= 0:
        return f"{name} … {format_seconds(elapsed)}"
    fresh = done - kept
    left = f", {format_seconds(elapsed / fresh * (total - done))} left" if fresh else ""
    rate = f", {fresh / elapsed:,.0f} {unit}/s" if unit and fresh and elapsed else ""
    return f"{name} {100 * done // total}% ({done}/{total}, {format_seconds(elapsed)}{left}{rate})"


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
        self.clear()
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
        self.clear()
        self.stream.write(text)
        self.stream.flush()
        self._width = len(text)

    def clear(self) -> None:
        """Wipes what is shown off a terminal."""
        if self._width:
            self.stream.write("\r" + " " * self._width + "\r")
            self._width = 0


class Meter:
    """Shows how far one piece of work has come, with the time left and the rate; called with (done, in all).

    What was done before the first call (kept from an earlier run) counts as done, but not for rate and time left.

    Args:
        name: of the work.
        unit: what is counted, for the rate: "tokens" makes "5,400 tokens/s".
        display: where it is shown; standard output by default.
    """

    def __init__(self, name: str, unit: str, display: Display | None = None) -> None:
        self.name, self.unit = name, unit
        self.display = Display() if display is None else display
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Shows the progress, now and then."""
        now = self.display.clock()
        if self._first is None:
            self._first = done, now
        kept, started = self._first
        line = format_progress(self.name, done, total, now - started, kept=kept, unit=self.unit)
        self.display.show([line])

    def close(self) -> None:
        """Wipes the line off a terminal."""
        self.display.clear()
