"""Runs jobs as processes, side by side where they do not need each other."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.progress import Display, format_progress, format_seconds
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
    job: Job
    process: BaseProcess
    started: float


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
        display: where progress is shown.
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
        display: Display,
    ) -> None:
        self.folder, self.graph, self.lock, self.display = folder, graph, lock, display
        self.workers, self.threads = workers, threads
        self.sorter = TopologicalSorter(graph.needs)
        self.sorter.prepare()
        self.kept = set(finished)
        self.ready: list[Job] = []
        self.running: dict[Job, _Child] = {}
        self.failed: list[RunError] = []

    def run(self) -> None:
        """Runs what is not finished, the longest chain first.

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
            self.display.show([self._progress(child) for child in self.running.values()])

    def _find_ready(self) -> None:
        """Asks which jobs have become ready; those finished before make others ready."""
        while found := self.sorter.get_ready():
            self.sorter.done(*(job for job in found if job in self.kept))
            self.ready += [job for job in found if job not in self.kept]

    def _start_ready(self) -> None:
        self._find_ready()
        self.ready.sort(key=lambda job: -self.graph.ranks[job])
        n_free = self.workers - len(self.running)
        starting, self.ready = self.ready[:n_free], self.ready[n_free:]
        for job in starting:
            self.display.line(f"start  {job.name}")
            self.running[job] = self._start(job)

    def _start(self, job: Job) -> _Child:
        self.folder.progress(job).unlink(missing_ok=True)
        context: Any = multiprocessing.get_context("spawn" if job.kind in WITHOUT_TORCH else START_METHOD)
        process: BaseProcess = context.Process(
            target=run_child,
            args=(self.folder.path, job.name, self.threads, self.folder.log(job), DupFd(self.lock)),
            name=job.name,
        )
        process.start()
        return _Child(job, process, time.monotonic())

    def _collect(self) -> None:
        """Handles the processes that have ended."""
        for job, child in list(self.running.items()):
            code = child.process.exitcode
            if code is None:
                continue
            del self.running[job]
            elapsed = format_seconds(time.monotonic() - child.started)
            done = self.folder.done(job, self.graph.fingerprints[job]) if code == 0 else None
            if done is not None:
                self.sorter.done(job)
                self.display.line(f"done   {job.name}  {elapsed}")
                for warning in done["result"].get("warnings", []):
                    self.display.line(f"       warning: {warning}")
                continue
            self.failed.append(self._failure(job, code))
            self.display.line(f"failed {job.name}  {elapsed}")
            if self.running:
                names = ", ".join(other.name for other in self.running)
                self.display.line(f"       {names} still at work; Ctrl-C stops, work is kept")

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

    def _progress(self, child: _Child) -> str:
        elapsed = time.monotonic() - child.started
        try:
            done, total = json.loads(self.folder.progress(child.job).read_text(encoding="ascii"))
        except (OSError, ValueError):
            done, total = 0, 0
        return format_progress(child.job.name, done, total, elapsed)

    def _stop(self) -> None:
        """Ends the children that still run: asked first, then killed."""
        for child in self.running.values():
            child.process.terminate()
        give_up = time.monotonic() + TERMINATE_SECONDS
        for child in self.running.values():
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
