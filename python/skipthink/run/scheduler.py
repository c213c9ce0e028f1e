"""Runs the jobs of a run in a pool, side by side where they do not need each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from pathlib import Path

from skipthink.exceptions import RunError
from skipthink.io.job_progress import JobState
from skipthink.io.progress import format_seconds
from skipthink.run.events import Events
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph, Job
from skipthink.run.pools import End, Pool, Try
from skipthink.run.process import NO_ROOM, REFUSAL, REFUSED

POLL_SECONDS = 0.1
TAIL_LINES = 15
MAX_LOSSES = 20
"""Nodes that a job may lose; one that ends every node it comes to must end sometime."""


class JobRefusedError(RunError):
    """A job was given something wrong: the user's to mend."""


class JobCrashedError(RunError):
    """A job's process crashed."""


class Scheduler:
    """Runs the jobs of a run.

    Args:
        folder: the run folder, locked.
        graph: the jobs.
        finished: those that are finished already.
        pool: where they are worked on.
        events: where what happens is said.
        cheapest_first: starts the shortest chain first; else the longest one, which ends sooner with several workers.
        keep: called when a job is finished, before any job starts that needs it.
    """

    def __init__(
        self,
        folder: RunFolder,
        graph: Graph,
        finished: Iterable[Job],
        *,
        pool: Pool,
        events: Events,
        cheapest_first: bool = False,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.keep = keep
        self.folder, self.graph, self.pool, self.events = folder, graph, pool, events
        self.sign = 1 if cheapest_first else -1
        self.sorter = TopologicalSorter(graph.needs)
        self.sorter.prepare()
        self.kept = set(finished)
        self.n_done = len(self.kept)
        self.ready: list[Job] = []
        self.running: dict[Job, Try] = {}
        self.begun: set[Job] = set()
        self.losses: dict[Job, int] = {}
        self.failed: list[RunError] = []

    def run(self) -> None:
        """Runs what is not finished, the longest chain first unless `cheapest_first`.

        After a failure nothing new is started, but what runs is run to its end: its work is kept.

        Raises:
            JobRefusedError: a job was given something wrong.
            JobCrashedError: a job crashed.
        """
        self._find_ready()
        if not self.ready:
            return
        with self.pool:
            self._run_jobs()
        if self.failed:
            raise self.failed[0]

    def _run_jobs(self) -> None:
        while True:
            if not self.failed:
                self._start_ready()
            if not self.running:
                break
            time.sleep(POLL_SECONDS)
            self._say_begun()
            self._collect()
            self._show()

    def _find_ready(self) -> None:
        """Asks which jobs have become ready; those finished before make others ready."""
        while found := self.sorter.get_ready():
            self.sorter.done(*(job for job in found if job in self.kept))
            self.ready += [job for job in found if job not in self.kept]

    def _start_ready(self) -> None:
        self._find_ready()
        self.ready.sort(key=lambda job: self.sign * self.graph.ranks[job])
        n_free = self.pool.room(len(self.running))
        starting, self.ready = self.ready[:n_free], self.ready[n_free:]
        for job in starting:
            self.running[job] = self.pool.start(job)
        self._say_begun()

    def _say_begun(self) -> None:
        for text in self.pool.advice():
            self.events.say("note", f"       {text}", text=text)
        for job, one in self.running.items():
            if job not in self.begun and one.began is not None:
                self.begun.add(job)
                where = {} if one.node is None else {"node": one.node}
                on = "" if one.node is None else f"  on {one.node}"
                self.events.say("start", f"start  {job.name}{on}", job=job.name, **where)

    def _collect(self) -> None:
        """Handles the tries that have ended."""
        for job, one in list(self.running.items()):
            end = one.end()
            if end is None:
                continue
            self._say_begun()
            self._show()  # the last it has said
            del self.running[job]
            self.begun.discard(job)
            if end.lost is not None:
                self._start_again(job, end.lost)
            else:
                self._settle(job, end, time.monotonic() - (one.began or time.monotonic()))

    def _settle(self, job: Job, end: End, seconds: float) -> None:
        """Notes that a job is done, or why it is not."""
        is_whole = end.code == 0 and end.refused is None
        done = self.folder.done(job, self.graph.fingerprints[job]) if is_whole else None
        elapsed = format_seconds(seconds)
        if done is not None:
            self.keep()
            self.sorter.done(job)
            self.n_done += 1
            self.events.say("done", f"done   {job.name}  {elapsed}", job=job.name, seconds=round(seconds, 3))
            for warning in done["result"].get("warnings", []):
                self.events.say("warning", f"       warning: {warning}", job=job.name, text=warning)
            return
        self._fail(job, self._failure(job, end), elapsed)

    def _start_again(self, job: Job, why: str) -> None:
        """Repeats a job whose node is gone; it goes on from what it had written."""
        self.losses[job] = self.losses.get(job, 0) + 1
        text = f"{why}; it goes on elsewhere from what it had written"
        self.events.say("lost", f"lost   {job.name}  ({text})", job=job.name, text=why)
        if self.losses[job] >= MAX_LOSSES:
            error = JobCrashedError(
                f"job {job.name} has lost {MAX_LOSSES} nodes, the last one so: {why}; its work is kept, the same "
                "command goes on from there"
            )
            self._fail(job, error, "")
        elif not self.failed:
            self.running[job] = self.pool.start(job)

    def _fail(self, job: Job, error: RunError, elapsed: str) -> None:
        self.failed.append(error)
        line = f"failed {job.name}  {elapsed}".rstrip()
        self.events.say("failed", line, job=job.name, error=str(error))
        waiting = [other for other in self.running if other not in self.begun]
        self.pool.withdraw([self.running.pop(other) for other in waiting])
        if self.running:
            names = ", ".join(other.name for other in self.running)
            text = f"{names} still at work; Ctrl-C stops, work is kept"
            self.events.say("note", f"       {text}", text=text)

    def _failure(self, job: Job, end: End) -> RunError:
        log, code = self.folder.log(job), end.code
        lines = _tail(log, TAIL_LINES)
        if end.refused is not None:
            return JobRefusedError(f"job {job.name}: {end.refused}")
        if code == REFUSED and lines and lines[-1].startswith(REFUSAL):
            return JobRefusedError(f"job {job.name}: {lines[-1].removeprefix(REFUSAL)}")
        if code == NO_ROOM:
            return JobRefusedError(f"job {job.name}: {_no_room(self.folder, lines)}")
        how = f"was ended by signal {-code}" if code < 0 else f"crashed (exit code {code})"
        hint = "; it may have run out of memory: lower workers or batch_size" if code == -9 else ""
        tail = "\n".join(f"  | {line}" for line in lines)
        return JobCrashedError(
            f"job {job.name} {how}{hint}; finished jobs are kept, the same command goes on from there; "
            f"the end of {log}:\n{tail}"
        )

    def _show(self) -> None:
        now = time.monotonic()
        states: dict[str, tuple[JobState, float]] = {
            job.name: (one.state(), now - one.began)
            for job, one in self.running.items()
            if one.began is not None
        }
        self.events.show(states, self.n_done, len(self.graph))


def _no_room(folder: RunFolder, lines: list[str]) -> str:
    """What a job without room to write said; the log may have had none either."""
    if lines and lines[-1].startswith(f"{REFUSAL}no room to write"):
        return lines[-1].removeprefix(REFUSAL)
    return (
        f"no room to write in {folder.path}, not even to its log; make room and give the same command again: what "
        "was finished before is kept"
    )


def _tail(path: Path, n_lines: int) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 65536))
            return stream.read().decode("utf-8", "replace").rstrip().splitlines()[-n_lines:]
    except OSError:
        return []
