"""Where jobs are worked on: a pool starts tries of jobs and says how they end; processes of this machine are one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from typing import Protocol, Self

from skipthink.io.job_progress import JobState
from skipthink.run.children import make_child, preloading
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph, Job
from skipthink.run.process import Order
from skipthink.run.run_files import RunFiles

TERMINATE_SECONDS = 5.0


@dataclass(frozen=True)
class End:
    """How a try has ended.

    Attributes:
        code: exit code of its process; below 0 the signal that ended it.
        lost: why nobody knows more of it: its node is gone. None where there is a code.
        refused: why its node could not work on it at all.
    """

    code: int = 0
    lost: str | None = None
    refused: str | None = None


class Try(Protocol):
    """A try of a job."""

    @property
    def job(self) -> Job:
        """The job."""

    @property
    def node(self) -> str | None:
        """Where it is worked on; None: on this machine."""

    @property
    def began(self) -> float | None:
        """When its process began (`time.monotonic`); None as long as it waits for room."""

    def state(self) -> JobState:
        """What the job has said of itself."""

    def end(self) -> End | None:
        """How it has ended; None before."""


class Pool(AbstractContextManager["Pool"], Protocol):
    """Works on jobs; what it still works on at its end is ended."""

    @property
    def description(self) -> str:
        """What it has, in a few words: "2 at a time"."""

    def room(self, n_running: int) -> int:
        """How many more jobs may be started beside those that are."""

    def start(self, job: Job) -> Try:
        """Starts a try of a job, which goes on from what the tries before it have left."""

    def withdraw(self, tries: Iterable[Try]) -> None:
        """Ends tries: what they have written is kept."""

    def advice(self) -> list[str]:
        """What its user should know, each sentence once."""


class Engine(Protocol):
    """What makes pools: one for every run of a study."""

    def pool(self, files: RunFiles, graph: Graph, lock: int) -> Pool:
        """The pool of a run.

        Args:
            files: its folder, locked; all that is needed to go on is in the folders of its jobs or in their tries.
            graph: its jobs.
            lock: descriptor of the folder's lock.
        """


class LocalEngine:
    """Processes of this machine."""

    def pool(self, files: RunFiles, graph: Graph, lock: int) -> Pool:
        """`workers` processes side by side, of `threads` threads."""
        return LocalPool(files.folder, workers=graph.recipe.workers, threads=graph.recipe.threads, lock=lock)


@dataclass
class _Child:
    """A job's process, and the thread that starts it: the server it is forked from may still be loading torch."""

    job: Job
    process: BaseProcess
    folder: RunFolder
    began: float = field(default_factory=time.monotonic)
    node: str | None = None
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

    def state(self) -> JobState:
        return JobState.read(self.folder.progress(self.job))

    def end(self) -> End | None:
        if self.starting.is_alive():
            return None
        if self.problem is not None:
            raise self.problem
        return None if self.process.exitcode is None else End(self.process.exitcode)


class LocalPool:
    """Processes of this machine, which write in the folders of their jobs.

    Args:
        folder: the run folder, locked.
        workers: processes side by side.
        threads: threads of each. Evaluation, which runs alone, gets no more: on a machine that does something
            else beside, threads that wait for each other would spoil its seconds.
        lock: descriptor of the folder's lock, for the children to hold too.
    """

    def __init__(self, folder: RunFolder, *, workers: int, threads: int, lock: int) -> None:
        self.folder, self.workers, self.threads, self.lock = folder, workers, threads, lock
        self._children: list[_Child] = []
        self._preloading = preloading(threads)

    @property
    def description(self) -> str:
        """How many jobs run side by side."""
        return f"{self.workers} at a time"

    def __enter__(self) -> Self:
        self._preloading.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.withdraw(child for child in self._children if child.process.exitcode is None)
        self._preloading.__exit__(None, None, None)

    def room(self, n_running: int) -> int:
        """Workers that have nothing to do."""
        return self.workers - n_running

    def start(self, job: Job) -> Try:
        """Starts the process of a job."""
        self.folder.progress(job).unlink(missing_ok=True)
        order = Order(
            self.folder.path, job.name, self.threads, log=self.folder.log(job), lock=DupFd(self.lock)
        )
        child = _Child(job, make_child(order, job.kind), self.folder)
        self._children.append(child)
        return child

    def withdraw(self, tries: Iterable[Try]) -> None:
        """Ends processes: asked first, then killed."""
        chosen = {id(one) for one in tries}
        begun = [one for one in self._children if id(one) in chosen and one.process.pid is not None]
        for child in begun:
            child.process.terminate()
        give_up = time.monotonic() + TERMINATE_SECONDS
        for child in begun:
            child.process.join(timeout=max(0.0, give_up - time.monotonic()))
            if child.process.exitcode is None:
                child.process.kill()
                child.process.join()

    def advice(self) -> list[str]:
        """Nothing."""
        return []
