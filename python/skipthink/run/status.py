"""The status of a run: from another terminal, after a kill, at any time."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skipthink.inspection.layout import EVENTS_FILE, LOCK_FILE, RECIPE_FILE, progress_file
from skipthink.inspection.record import JobRecord, RunRecord
from skipthink.io.job_progress import JobState
from skipthink.io.progress import format_seconds

DONE, UNDER_WAY, STOPPED, FAILED, WAITING = "done", "under way", "stopped", "failed", "waiting"
"""States of a job. "stopped": it was under way when its run was stopped or killed."""


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Attributes:
        name: the job.
        state: one of the states above.
        seconds: what it took, or has taken so far; None where that is not known.
        progress: what it said last, of jobs under way, stopped or failed.
        error: why it failed.
    """

    name: str
    state: str
    seconds: float | None = None
    progress: JobState | None = None
    error: str | None = None


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        name: of the recipe.
        is_running: whether a process holds the folder.
        process: its id, where it is known.
        jobs: in the order in which they can run.
        has_results: whether the results are written.
        command: what goes on with it; None where it is finished or running.
    """

    name: str
    is_running: bool
    process: int | None
    jobs: list[JobStatus]
    has_results: bool
    command: str | None

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        found: dict[str, int] = {}
        for job in self.jobs:
            found[job.state] = found.get(job.state, 0) + 1
        return found


def read_status(folder: str | Path) -> RunStatus:
    """Where the run of a folder stands.

    Raises:
        DataError: it is no run folder.
        RunError: it was written by another skipthink.
    """
    record = RunRecord(Path(folder))
    is_running, process = _holder(record.path)
    told = _last_events(record.path)
    listed = [job for job in record.jobs.values() if job.kind != "evaluate" or job.method is None]
    jobs = [_job_status(record.path, job, told.get(job.name), is_running) for job in listed]
    has_results = record.results() is not None
    whole = has_results and all(job.state == DONE for job in jobs)
    command = None if is_running or whole else _command(record.path)
    return RunStatus(record.name, is_running, process, jobs, has_results, command)


def format_status(status: RunStatus, folder: str | Path) -> Iterator[str]:
    """The status as lines."""
    who = f"running (process {status.process})" if status.process else "running"
    whole = all(job.state == DONE for job in status.jobs) and status.has_results
    state = who if status.is_running else "finished" if whole else "not running, not finished"
    counts = ", ".join(f"{count} {name}" for name, count in status.counts().items())
    yield f"run {status.name} in {folder}: {state}; {counts or 'no job is noted yet'}"
    width = max((len(job.name) for job in status.jobs), default=0)
    for job in status.jobs:
        took = "" if job.seconds is None else format_seconds(job.seconds)
        line = f"{job.state:<9}  {job.name:<{width}}  {took}"
        if job.progress is not None and (job.progress.total or job.progress.phase):
            line = f"{job.state:<9}  {job.progress.line(job.name, job.seconds or 0.0)}"
        yield line.rstrip()
        if job.error is not None:
            yield from (f"           {part}" for part in job.error.splitlines())
    if status.command is not None:
        yield f"to go on: {status.command}"


def _job_status(folder: Path, job: JobRecord, told: dict[str, Any] | None, is_running: bool) -> JobStatus:
    if job.is_done:
        return JobStatus(job.name, DONE, job.seconds)
    if told is None or told["event"] not in ("start", "failed"):
        return JobStatus(job.name, WAITING)
    path = folder / progress_file(job.name)
    progress = JobState.read(path)
    if told["event"] == "failed":
        return JobStatus(job.name, FAILED, None, progress, str(told.get("error")))
    if is_running:
        return JobStatus(job.name, UNDER_WAY, max(0.0, time.time() - _seconds_of(told)), progress)
    try:
        seconds: float | None = max(0.0, path.stat().st_mtime - _seconds_of(told))
    except OSError:
        seconds = None
    return JobStatus(job.name, STOPPED, seconds, progress)


def _last_events(folder: Path) -> dict[str, dict[str, Any]]:
    """The last event of each job that says where it stands; a torn line is passed over."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = (folder / EVENTS_FILE).read_bytes().split(b"\n")
    except OSError:
        return found
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") in (
            "start",
            "done",
            "failed",
            "lost",
            "taken",
            "kept",
        ):
            found[str(event.get("job"))] = event
    return found


def _seconds_of(event: dict[str, Any]) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(event.get("time"))).timestamp()
    except ValueError:
        return time.time()


def _holder(folder: Path) -> tuple[bool, int | None]:
    """Whether a process holds the folder, and which."""
    import fcntl

    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False, None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return True, int(owner) if owner.isdigit() else None
    finally:
        os.close(descriptor)
    return False, None


def _command(folder: Path) -> str:
    """What goes on with a run: its folder holds the recipe with every default and every path."""
    return shlex.join(["skipthink", "run", str(folder / RECIPE_FILE), "--out", str(folder)])
