"""The events of a run: appended to `events.jsonl` in its folder, and shown as they happen."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from skipthink.inspection.layout import EVENTS_FILE
from skipthink.io.job_progress import JobState, describe
from skipthink.io.progress import Display, now

PROGRESS_SECONDS = 30.0
"""Between two events of progress in the file."""


class Events:
    """Says what happens in a run.

    Args:
        folder: the run folder.
        display: where it is shown.
    """

    def __init__(self, folder: Path, display: Display) -> None:
        self.path, self.display = folder / EVENTS_FILE, display
        self._last = time.monotonic()
        self._n_notes: dict[str, int] = {}

    def say(self, event: str, line: str | None = None, /, **fields: Any) -> None:
        """An event: into the file, and as a line, or an object, on the display.

        Args:
            event: "run", "kept", "taken", "start", "done", "warning", "note", "failed", "stopped" or "finished".
            line: what readers see of it; None: nothing.
            fields: what belongs to it, ready for JSON.
        """
        self._append(event, fields)
        if self.display.mode == "json":
            self.display.event(event, **fields)
        elif line is not None:
            self.display.line(line)

    def show(self, states: dict[str, tuple[JobState, float]], n_done: int, n_jobs: int) -> None:
        """What is running: on the display, and now and then in the file.

        Args:
            states: job → its state, and seconds since it began.
            n_done: jobs that are finished.
            n_jobs: jobs of the run.
        """
        for name, (state, _) in states.items():
            for note in state.notes[self._n_notes.get(name, 0) :]:
                self.say("note", f"       {name}: {note}", job=name, text=note)
            self._n_notes[name] = len(state.notes)
        if self.display.is_due():
            lines: list[str] = [state.line(name, elapsed) for name, (state, elapsed) in states.items()]
            if self.display.mode == "live":
                lines.append(f"{n_done} of {n_jobs} jobs are finished")
            self.display.show(lines, describe(states))
        if time.monotonic() - self._last >= PROGRESS_SECONDS:
            self._last = time.monotonic()
            self._append("progress", {"jobs": describe(states)})

    def _append(self, event: str, fields: dict[str, Any]) -> None:
        line = json.dumps({"time": now(), "event": event, **fields})
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")  # a full disk ends the job that needs room, with a message of its own


def command_line() -> list[str]:
    """How this process was called, for the record."""
    return ["skipthink", *sys.argv[1:]]
