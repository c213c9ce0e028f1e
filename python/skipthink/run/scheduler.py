"""Runs jobs as processes, side by side where they do not need each other."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.job_progress import JobState
from skipthink.io.progress import format_seconds
from skipthink.run.events import Events
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph, Job
from skipthink.run.process import NO_ROOM, REFUSAL, REFUSED, WITHOUT_TORCH, job_environment, run_child

POLL_SECONDS = 0.1
TERMINATE_SECONDS = 5.0
TAIL_LINES = 15
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""Loading torch and transformers takes a process many seconds; jobs forked from a server share one load."""
PRELOADED = ["skipthink.training.train", "skipthink.skipping.skip_data", "skipthink.evaluation.measure"]


class JobRefusedError(RunError):
    """A job was given something wrong: the user's to mend."""


class JobCrashedError(RunError):
    """A job's process crashed."""


@dataclass
class _Child:
    """A job's process, and the thread that starts it: the server it is forked from may still be loading torch."""

    job: Job
    process: BaseProcess
    started: float
    starting: threading.Thread = field(init=False)
    problem: BaseException | None = None

    def __post_init__(self) -> None:
        # where the run ends meanwhile, the process ends as soon as it has begun: it watches its parent
        self.starting = threading.Thread(target=self._start, daemon=True)
        self.starting.start()

    def _start(self) -> None:
        try:
            self.process.start()
        except BaseException as error:
            self.problem = error

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        if self.starting.is_alive():
            return None
        if self.problem is not None:
            raise self.problem
        return self.process.exitcode


class Scheduler:
    """Runs the jobs of a run.

    Args:
        folder: the run folder, locked.
        graph: the jobs.
        finished: those that are finished already.
        workers: processes side by side.
        threads: threads of each. Evaluation, which runs alone, gets no more: on a machine that does something
            else beside, threads that wait for each other would spoil its seconds.
        lock: descriptor of the folder's lock, for the children to hold too.
        events: where what happens is said.
        cheapest_first: starts the shortest chain first; else the longest one, which ends sooner with several workers.
    """

    def __init__(
        self,
        folder: RunFolder,
        graph: Graph,
        finished: Iterable[Job],
        *,
        workers: int,
        threads: int,
        lock: int,
        events: Events,
        cheapest_first: bool = False,
    ) -> None:
        self.folder, self.graph, self.lock, self.events = folder, graph, lock, events
        self.workers, self.threads = workers, threads
        self.sign = 1 if cheapest_first else -1
        self.sorter = TopologicalSorter(graph.needs)
        self.sorter.prepare()
        self.kept = set(finished)
        self.n_done = len(self.kept)
        self.ready: list[Job] = []
        self.running: dict[Job, _Child] = {}
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
        with _preloading(self.threads):
            try:
                self._run_jobs()
            finally:
                self._stop()
        if self.failed:
            raise self.failed[0]

    def _run_jobs(self) -> None:
        while True:
            if not self.failed:
                self._start_ready()
            if not self.running:
                break
            time.sleep(POLL_SECONDS)
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
        n_free = self.workers - len(self.running)
        starting, self.ready = self.ready[:n_free], self.ready[n_free:]
        for job in starting:
            self.events.say("start", f"start  {job.name}", job=job.name)
            self.running[job] = self._start(job)

    def _start(self, job: Job) -> _Child:
        self.folder.progress(job).unlink(missing_ok=True)
        context: Any = multiprocessing.get_context("spawn" if job.kind in WITHOUT_TORCH else START_METHOD)
        process: BaseProcess = context.Process(
            target=run_child,
            args=(self.folder.path, job.name, self.threads, self.folder.log(job), DupFd(self.lock)),
            name=job.name,
        )
        return _Child(job, process, time.monotonic())

    def _collect(self) -> None:
        """Handles the processes that have ended."""
        for job, child in list(self.running.items()):
            code = child.exit_code
            if code is None:
                continue
            self._show()  # the last it has said
            del self.running[job]
            seconds = time.monotonic() - child.started
            elapsed = format_seconds(seconds)
            done = self.folder.done(job, self.graph.fingerprints[job]) if code == 0 else None
            if done is not None:
                self.sorter.done(job)
                self.n_done += 1
                self.events.say(
                    "done", f"done   {job.name}  {elapsed}", job=job.name, seconds=round(seconds, 3)
                )
                for warning in done["result"].get("warnings", []):
                    self.events.say("warning", f"       warning: {warning}", job=job.name, text=warning)
                continue
            self.failed.append(self._failure(job, code))
            error = str(self.failed[-1])
            self.events.say("failed", f"failed {job.name}  {elapsed}", job=job.name, error=error)
            if self.running:
                names = ", ".join(other.name for other in self.running)
                text = f"{names} still at work; Ctrl-C stops, work is kept"
                self.events.say("note", f"       {text}", text=text)

    def _failure(self, job: Job, code: int) -> RunError:
        log = self.folder.log(job)
        lines = _tail(log, TAIL_LINES)
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
        states = {
            child.job.name: (JobState.read(self.folder.progress(child.job)), now - child.started)
            for child in self.running.values()
        }
        self.events.show(states, self.n_done, len(self.graph))

    def _stop(self) -> None:
        """Ends the children that still run: asked first, then killed."""
        begun = [child for child in self.running.values() if child.process.pid is not None]
        for child in begun:
            child.process.terminate()
        give_up = time.monotonic() + TERMINATE_SECONDS
        for child in begun:
            child.process.join(timeout=max(0.0, give_up - time.monotonic()))
            if child.process.exitcode is None:
                child.process.kill()
                child.process.join()


@contextmanager
def _preloading(threads: int) -> Iterator[None]:
    """Starts the server that jobs are forked from, with what all of them import, as `prepare` goes on.

    The environment it starts in bounds the threads of every library that starts its own.
    """
    wanted = {
        **job_environment(threads),
        # asking for devices must not start CUDA before the fork
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        if START_METHOD == "forkserver":
            multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
            forkserver.ensure_running()
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
