"""Progress of long work: bars on a terminal, drawn by rich; occasional plain lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from skipthink.exceptions import InvalidInputError
from skipthink.io.visible import visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REDRAW_SECONDS = 0.5
PLAIN_SECONDS = 30.0
"""Between two progress lines where the output is not a terminal."""
JSON_SECONDS = 5.0
"""Between two events of progress."""
TICK_SECONDS = 1.0
MODES = ("auto", "plain", "json", "none")
MODE_VARIABLE = "SKIPTHINK_DISPLAY"
BAR_WIDTH = 24
RATES = ((1, "s"), (60, "min"), (3600, "h"))
"""Seconds that a rate can be shown for; the first one in which a unit is done."""


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
        unit: what is counted; named, a rate is shown: "tokens" makes "5,400 tokens/s", or per minute or hour where
            there are few.
    """
    if total <= 0:
        return ProgressText(f"{name} … {format_seconds(elapsed)}")
    fresh = done - kept
    left = f", {format_seconds(elapsed / fresh * (total - done))} left" if fresh else ""
    speed = fresh / elapsed if elapsed else 0.0
    rate = f", {_format_rate(speed, unit)}" if unit and speed else ""
    text = f"{name} {100 * done // total}% ({done}/{total}, {format_seconds(elapsed)}{left}{rate})"
    return ProgressText(text, done / total)


def _format_rate(speed: float, unit: str) -> str:
    times, per = next(((times, per) for times, per in RATES if speed * times >= 1), RATES[-1])
    return f"{speed * times:,.{0 if speed * times >= 10 else 1}f} {unit}/{per}"


class Display:
    """Shows events as lines and, below them, what is running.

    Modes: "auto": on a terminal a bar for each piece of work, redrawn in place, and elsewhere "plain"; "plain": lines,
    and every 30 s one with the time that says how far the work is; "json": an object per line; "none": nothing.

    Args:
        stream: where to; standard output by default.
        clock: seconds that only grow; replaced in tests.
        mode: one of `MODES`; None: what the environment variable SKIPTHINK_DISPLAY says, or "auto".

    Raises:
        InvalidInputError: an unknown mode.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        mode: str | None = None,
    ) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.clock = clock
        self.is_terminal = self.stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
        self.mode = check_mode(mode or os.environ.get(MODE_VARIABLE) or "auto")
        if self.mode == "auto":
            self.mode = "live" if self.is_terminal else "plain"
        self._live: Live | None = None
        self._last = float("-inf") if self.mode == "live" else clock()

    def line(self, text: str) -> None:
        """Prints a line that stays."""
        if self.mode == "json":
            self.event("line", text=text)
        elif self.mode != "none" and self._live is None:
            self._write(visible(text, keep="\n"))
        elif self._live is not None:
            self._live.console.print(visible(text, keep="\n"), markup=False, highlight=False, soft_wrap=True)

    def event(self, name: str, /, **fields: Any) -> None:
        """Prints an event as an object, where the mode is "json"."""
        if self.mode == "json":
            self._write(json.dumps({"time": now(), "event": name, **fields}))

    def is_due(self) -> bool:
        """Whether `show` would show something now."""
        pause = (
            REDRAW_SECONDS if self.mode == "live" else PLAIN_SECONDS if self.mode == "plain" else JSON_SECONDS
        )
        return self.mode != "none" and self.clock() - self._last >= pause

    def show(self, running: Sequence[str], jobs: Sequence[dict[str, Any]] | None = None) -> None:
        """Shows what is running; redrawn in place on a terminal, now and then printed elsewhere.

        Args:
            running: a line per piece of work.
            jobs: the same for programs.
        """
        if not running or not self.is_due():
            return
        self._last = self.clock()
        if self.mode == "json":
            self.event("progress", **({"running": list(running)} if jobs is None else {"jobs": list(jobs)}))
        elif self.mode == "plain":
            self._write(f"  {now()}  " + " | ".join(visible(text) for text in running))
        else:
            if self._live is None:
                self._live = _start(self.stream)
            self._live.update(_bars(running), refresh=True)

    def clear(self) -> None:
        """Removes the bars from a terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _write(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()


def check_mode(mode: str) -> str:
    """Checks a mode of display.

    Raises:
        InvalidInputError: an unknown one.
    """
    if mode not in MODES:
        raise InvalidInputError(
            f"the display (--display, {MODE_VARIABLE}) is one of {', '.join(MODES)}, got {mode!r}"
        )
    return mode


def now() -> str:
    """The time of day with its zone, to the second: 2026-11-28T07:30:12+00:00."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def _start(stream: TextIO) -> Live:
    from rich.console import Console
    from rich.live import Live

    options: dict[str, Any] = {"auto_refresh": False, "redirect_stdout": False, "redirect_stderr": False}
    live = Live(console=Console(file=stream), transient=True, **options)
    live.start()
    live.console.show_cursor(True)  # whatever ends the process, the terminal is left as it was
    return live


def _bars(running: Sequence[str]) -> RenderableType:
    """A row for each piece of work: a bar, where its share is known, and its line, cut to the width of the terminal."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 1))
    for text in running:
        share = getattr(text, "share", None)
        bar = Text("") if share is None else ProgressBar(1.0, share, width=BAR_WIDTH)
        rows.add_row(bar, Text(visible(text), no_wrap=True, overflow="ellipsis"))
    return rows


class Meter:
    """Shows the progress of one piece of work, with the time left and the rate; called with (done, in all).

    What was done before the first call (kept from an earlier run) counts as done, but not for rate and time left.
    Between two calls the time goes on being shown.

    Args:
        name: of the work.
        unit: what is counted, for the rate: "tokens" makes "5,400 tokens/s".
        display: where it is shown; standard output by default.
    """

    def __init__(self, name: str, unit: str, display: Display | None = None) -> None:
        self.name, self.unit = name, unit
        self.display = Display() if display is None else display
        self._first: tuple[int, float] | None = None
        self._reached = (0, 0)
        self._lock, self._ended = threading.Lock(), threading.Event()

    def __call__(self, done: int, total: int) -> None:
        """Shows the progress, now and then."""
        if self._first is None:
            self._first = done, self.display.clock()
            if self.display.mode != "none":
                threading.Thread(target=self._tick, daemon=True).start()
        self._reached = done, total
        self._show()

    def close(self) -> None:
        """Removes the bar from a terminal."""
        self._ended.set()
        with self._lock:
            self.display.clear()

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._show()

    def _show(self) -> None:
        assert self._first is not None  # noqa: S101 - called once it is
        kept, started = self._first
        (done, total), elapsed = self._reached, self.display.clock() - started
        with self._lock:
            if self.display.is_due() and not self._ended.is_set():
                line = format_progress(self.name, done, total, elapsed, kept=kept, unit=self.unit)
                about = {"job": self.name, "done": done, "total": total, "seconds": round(elapsed, 1)}
                self.display.show([line], [about])
