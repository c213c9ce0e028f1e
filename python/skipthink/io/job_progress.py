"""How far a job has come: what it says while it works, and one line that says it to a reader."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from skipthink.io.progress import Display, Meter, ProgressText, format_progress

Progress = Callable[[int, int], None]

LOSSES_KEPT = 32
"""Losses that a sparkline is made of; older ones are thinned out."""
SPARKS = "▁▂▃▄▅▆▇█"
WRITE_SECONDS = 0.5


@dataclass
class JobState:
    """What a job has said of itself.

    Attributes:
        done: what is done of `total`, in units of the job's own.
        total: in all; 0: not known.
        counted: what the job counts, for its rate: "steps".
        kept: what was done before this try: it says nothing about the time left.
        phase: what it does at the moment, where that is a part of its own: "scoring".
        phase_done: what is done of the phase.
        phase_total: of the phase in all; 0: not known.
        unit: what the phase counts.
        phase_seconds: since the phase began.
        losses: logged so far, the newest last; of many a sample.
        accuracy: the newest accuracy that was measured, 0 … 1.
        notes: lines for the reader, each shown once.
    """

    done: int = 0
    total: int = 0
    counted: str = ""
    kept: int = 0
    phase: str | None = None
    phase_done: int = 0
    phase_total: int = 0
    unit: str = ""
    phase_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    accuracy: float | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> JobState:
        """What a job has written last; nothing yet where it is not there, or half written."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**content)
        except (OSError, ValueError, TypeError):
            return cls()

    def line(self, name: str, elapsed: float) -> ProgressText:
        """The state as a line: share, time left, phase, losses, accuracy."""
        text = format_progress(name, self.done, self.total, elapsed, kept=self.kept, unit=self.counted)
        share = text.share
        parts = [str(text)]
        if self.phase is not None:
            part = format_progress(
                self.phase, self.phase_done, self.phase_total, self.phase_seconds, unit=self.unit
            )
            parts.append(str(part))
            share = part.share if share is None else share
        if self.losses:
            parts.append(f"loss {self.losses[-1]:.3f} {sparkline(self.losses)}")
        if self.accuracy is not None:
            parts.append(f"accuracy {100 * self.accuracy:.1f} %")
        return ProgressText("  ".join(parts), share)


class Report:
    """Where a job says how far it has come; called with (done, in all), like any progress.

    Args:
        counted: what the job counts, for its rate.
    """

    def __init__(self, counted: str = "") -> None:
        self.state = JobState(counted=counted)
        self._phase_began = time.monotonic()
        self._is_begun = False

    def __call__(self, done: int, total: int) -> None:
        """Notes how far the job has come."""
        if not self._is_begun:
            # one that goes on begins behind what it has kept
            self._is_begun, self.state.kept = True, int(done) if done > 1 else 0
        self.state.done, self.state.total = int(done), int(total)
        self.told(is_last=done >= total)

    @contextmanager
    def phase(self, name: str, unit: str = "") -> Iterator[Progress]:
        """A part of the work with a progress of its own, as long as the block lasts."""
        state = self.state
        before = (state.phase, state.phase_done, state.phase_total, state.unit, self._phase_began)
        state.phase, state.phase_done, state.phase_total, state.unit = name, 0, 0, unit
        self._phase_began = time.monotonic()
        self.told(is_last=True)

        def progress(done: int, total: int) -> None:
            state.phase_done, state.phase_total = int(done), int(total)
            self.told(is_last=done >= total)

        try:
            yield progress
        finally:
            state.phase, state.phase_done, state.phase_total, state.unit, self._phase_began = before
            self.told(is_last=True)

    def measure(self, *, loss: float | None = None, accuracy: float | None = None) -> None:
        """Notes what was measured."""
        if loss is not None:
            losses = self.state.losses
            losses.append(float(loss))
            if len(losses) > LOSSES_KEPT:
                # every second one of the older half: the shape of the whole curve stays
                self.state.losses = losses[: LOSSES_KEPT // 2 : 2] + losses[LOSSES_KEPT // 2 :]
        if accuracy is not None:
            self.state.accuracy = float(accuracy)
        self.told(is_last=True)

    def note(self, text: str) -> None:
        """A line for the reader, shown once."""
        self.state.notes.append(text)
        self.told(is_last=True)

    def told(self, *, is_last: bool) -> None:
        """Something was said; what comes of it is the subclass's. `is_last`: it should not be passed over."""
        self.state.phase_seconds = round(time.monotonic() - self._phase_began, 3)


class ReportFile(Report):
    """Writes the state to a file, from time to time; the scheduler and `skipthink status` read it.

    Args:
        path: a small JSON file.
        counted: what the job counts, for its rate.
    """

    def __init__(self, path: Path, counted: str = "") -> None:
        super().__init__(counted)
        self.path = path
        self._last = float("-inf")

    def told(self, *, is_last: bool) -> None:
        """Writes the state; not each time, but always what comes last."""
        super().told(is_last=is_last)
        now = time.monotonic()
        if now - self._last < WRITE_SECONDS and not is_last:
            return
        self._last = now
        scratch = self.path.with_name(self.path.name + ".tmp")
        with contextlib.suppress(OSError):  # only shown: not worth failing for
            scratch.write_text(json.dumps(asdict(self.state)), encoding="utf-8")
            scratch.replace(self.path)


class _Within(Report):
    """What a piece of a job says of itself, said of the job."""

    def __init__(self, whole: Progress) -> None:
        super().__init__()
        self.whole = whole

    @contextmanager
    def phase(self, name: str, unit: str = "") -> Iterator[Progress]:
        """A phase of the job."""
        with phase_of(self.whole, name, unit) as progress:
            yield progress

    def measure(self, *, loss: float | None = None, accuracy: float | None = None) -> None:
        """Measured by the job."""
        measure(self.whole, loss=loss, accuracy=accuracy)

    def note(self, text: str) -> None:
        """A line of the job."""
        if isinstance(self.whole, Report):
            self.whole.note(text)


class PartReport(_Within):
    """One of several equal parts of a job: what it says of itself is said of the job.

    Args:
        whole: the job's report.
        index: which part, from 0.
        n_parts: of how many.
    """

    def __init__(self, whole: Progress, index: int, n_parts: int) -> None:
        super().__init__(whole)
        self.index, self.n_parts = index, n_parts

    def __call__(self, done: int, total: int) -> None:
        """The job's progress, in percent of a part."""
        self.whole(100 * self.index + 100 * done // max(total, 1), 100 * self.n_parts)


class PhaseReport(_Within):
    """A phase of a job, for work that would report as a job itself: how far it has come is the phase's progress.

    Args:
        whole: the job's report.
        progress: of the phase.
    """

    def __init__(self, whole: Progress, progress: Progress) -> None:
        super().__init__(whole)
        self.progress = progress

    def __call__(self, done: int, total: int) -> None:
        """The progress of the phase."""
        self.progress(done, total)


def phase_of(progress: Progress | None, name: str, unit: str = "") -> AbstractContextManager[Progress]:
    """A phase of a job that reports; of any other progress (or none) nobody sees it."""
    if isinstance(progress, Report):
        return progress.phase(name, unit)
    return contextlib.nullcontext(_nothing)


@contextmanager
def shown_phase(progress: Progress | None, name: str, unit: str = "") -> Iterator[Progress]:
    """A phase of a job that reports; elsewhere it is shown by itself, on standard error."""
    if isinstance(progress, Report):
        with progress.phase(name, unit) as phase:
            yield phase
        return
    meter = Meter(name, unit, Display(sys.stderr))
    try:
        yield meter
    finally:
        meter.close()


def measure(progress: Progress | None, **values: float | None) -> None:
    """Tells a job's report what was measured; any other progress knows no measures."""
    if isinstance(progress, Report):
        progress.measure(**values)


def sparkline(values: list[float]) -> str:
    """Numbers as a line of small bars, from their least to their greatest; those that are not finite are "!"."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "!" * len(values)
    low, high = min(finite), max(finite)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((value - low) * scale)] if math.isfinite(value) else "!" for value in values)


def describe(states: Mapping[str, tuple[JobState, float]]) -> list[dict[str, Any]]:
    """Running jobs for programs: name, seconds, and what each says of itself.

    Args:
        states: job → its state, and seconds since it began.
    """
    found = []
    for name, (state, elapsed) in states.items():
        fields = asdict(state)
        del fields["notes"]
        # JSON has no form for what is not finite
        fields["losses"] = [loss if math.isfinite(loss) else None for loss in state.losses]
        found.append({"job": name, "seconds": round(elapsed, 1), **fields})
    return found


def _nothing(done: int, total: int) -> None:
    """Progress that nobody looks at."""
