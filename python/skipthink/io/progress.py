"""Progress of long work: bars on a terminal, drawn by rich; occasional plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REDRAW_SECONDS = 0.5
PLAIN_SECONDS = 30.0
"""Between two progress lines where the output is not a terminal."""
BAR_WIDTH = 24


def format_seconds(seconds: float) -> str:
    """Seconds in a readable form: 7s, 3m08s, 2h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class ProgressText(str):
    """A line on a piece of work, with the share of it that is done, from 0 to 1; None: not known."""

    __slots__ = ("share",)
    share: float | None

    def __new__(cls, text: str, share: float | None = None) -> ProgressText:
        """A line with its share."""
        made = super().__new__(cls, text)
        made.share = share
        return made


def format_progress(
    name: str, done: int, total: int, elapsed: float, *, kept: int = 0, unit: str = ""
) -> ProgressText:
    """One piece of work: name, share, time so far and time left (unknown until something is done).

    Args:
        name: of the work.
        done: what is done of `total`.
        total: in all; 0: not known.
        elapsed: seconds so far.
        kept: what was done before these seconds; it says nothing about the time left.
        unit: what is counted; named, a rate is shown: "tokens" makes "5,400 tokens/s".
    """
    if total <= 0:
        return ProgressText(f"{name} … {format_seconds(elapsed)}")
    fresh = done - kept
    left = f", {format_seconds(elapsed / fresh * (total - done))} left" if fresh else ""
    rate = f", {fresh / elapsed:,.0f} {unit}/s" if unit and fresh and elapsed else ""
    text = f"{name} {100 * done // total}% ({done}/{total}, {format_seconds(elapsed)}{left}{rate})"
    return ProgressText(text, done / total)


class Display:
    """Prints events as lines; below them, on a terminal, a bar for each piece of work that is running.

    Args:
        stream: where to; standard output by default.
        clock: seconds that only grow; replaced in tests.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.clock = clock
        self.is_terminal = self.stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
        self._live: Live | None = None
        self._last = float("-inf") if self.is_terminal else clock()

    def line(self, text: str) -> None:
        """Prints a line that stays."""
        if self._live is None:
            self.stream.write(text + "\n")
            self.stream.flush()
        else:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, running: list[str]) -> None:
        """Shows what is running; redrawn in place on a terminal, now and then printed elsewhere."""
        now = self.clock()
        if not running or now - self._last < (REDRAW_SECONDS if self.is_terminal else PLAIN_SECONDS):
            return
        self._last = now
        if not self.is_terminal:
            self.line("  " + " | ".join(running))
            return
        if self._live is None:
            self._live = _start(self.stream)
        self._live.update(_bars(running), refresh=True)

    def clear(self) -> None:
        """Removes the bars from a terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _start(stream: TextIO) -> Live:
    from rich.console import Console
    from rich.live import Live

    options: dict[str, Any] = {"auto_refresh": False, "redirect_stdout": False, "redirect_stderr": False}
    live = Live(console=Console(file=stream), transient=True, **options)
    live.start()
    live.console.show_cursor(True)  # whatever ends the process, the terminal is left as it was
    return live


def _bars(running: list[str]) -> RenderableType:
    """A row for each piece of work: a bar, where its share is known, and its line, cut to the width of the terminal."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 1))
    for text in running:
        share = getattr(text, "share", None)
        bar = Text("") if share is None else ProgressBar(1.0, share, width=BAR_WIDTH)
        rows.add_row(bar, Text(text, no_wrap=True, overflow="ellipsis"))
    return rows


class Meter:
    """Shows the progress of one piece of work, with the time left and the rate; called with (done, in all).

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
        """Removes the bar from a terminal."""
        self.display.clear()
