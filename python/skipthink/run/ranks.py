"""One run in several processes: `torchrun --nproc_per_node N -m skipthink run recipe.yaml`.

Every process goes through the same jobs in the same order. A training job is run by all of them, each on its part of
every step; any other job by the first process alone, while the others wait for its note that the job is finished. The
run folder lies where all processes see it. When one process fails, torchrun ends the others; the same command goes on
from there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.job_progress import Report
from skipthink.io.progress import format_seconds
from skipthink.run.events import Events
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph, Job, build_graph
from skipthink.run.process import job_environment, set_threads, unit_of
from skipthink.run.recipe import Recipe
from skipthink.run.work import run_job

POLL_SECONDS = 0.2
LONGEST_READING = timedelta(hours=12)
"""Bound on the time the first process may take to read the data; torchrun ends the others when it fails."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is.

    Attributes:
        rank: 0 … n_ranks - 1.
        n_ranks: processes of the run.
    """

    rank: int
    n_ranks: int

    @classmethod
    def of_environment(cls) -> Ranks:
        """What torchrun has set; one process where it has not.

        Raises:
            RunError: it is set, but not to numbers.
        """
        found = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
        if None in found.values():
            return cls(0, 1)
        try:
            return cls(int(found["RANK"] or ""), int(found["WORLD_SIZE"] or ""))
        except ValueError:
            raise RunError(f"the environment has {found}; torchrun sets both to numbers") from None


def shared_graph(ranks: Ranks, recipe: Recipe) -> Graph:
    """The jobs of a run of several processes: the first one reads data and student and tells the others their hashes.

    The others are told through the store of torchrun. Where there is none, each process reads them itself.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return build_graph(recipe)
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    key = f"skipthink/read/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if ranks.rank == 0:
        graph = build_graph(recipe)
        store.set(key, json.dumps({"data": graph.data, "student": graph.student}))
        return graph
    store.wait([key], LONGEST_READING)
    return build_graph(recipe, **json.loads(store.get(key)))


def lead(folder: RunFolder, graph: Graph, ranks: Ranks, events: Events) -> None:
    """Runs every job that is not finished, in the order of the graph; the work of the first process.

    Args:
        folder: the run folder, locked, its recipe written.
        graph: the jobs.
        ranks: which process this is.
        events: where what happens is said.

    Raises:
        RunError: the gate `trial` has not decided yet: it trains in a single process.
    """
    trials = [job for job in graph if job.kind is Kind.SKIP_DATA and graph.recipe.skip.gate == "trial"]
    waiting = [job.name for job in trials if folder.done(job, graph.fingerprints[job]) is None]
    if waiting:
        raise RunError(
            f"{', '.join(waiting)}: trials train in a single process; give the command once without torchrun, stop it "
            "when skip-data are done, then give it with torchrun"
        )
    _set_up(graph.recipe)
    text = f"{ranks.n_ranks} processes: they train together, one job after the other"
    events.say("note", text, text=text)
    for number, job in enumerate(graph):
        if folder.done(job, graph.fingerprints[job]) is not None:
            continue
        events.say("start", f"start  {job.name}", job=job.name)
        started = time.monotonic()
        set_threads(graph.recipe.threads, job)
        run_job(folder, graph, job, _Shown(events, job, unit_of(graph, job), number, len(graph)))
        seconds = time.monotonic() - started
        events.say(
            "done", f"done   {job.name}  {format_seconds(seconds)}", job=job.name, seconds=round(seconds, 3)
        )
    _leave()


def follow(folder: RunFolder, graph: Graph) -> None:
    """Trains with the first process, and otherwise waits for it; the work of every other process.

    Raises:
        RunError: torchrun has ended, so a failure of the first process would stay unnoticed.
    """
    _set_up(graph.recipe)
    parent = os.getppid()
    for job in graph:
        fingerprint = graph.fingerprints[job]
        if job.kind is Kind.TRAIN and folder.done(job, fingerprint) is None:
            set_threads(graph.recipe.threads, job)
            run_job(folder, graph, job, _say_nothing, is_main=False)
        while folder.done(job, fingerprint) is None:
            if os.getppid() != parent:
                raise RunError("torchrun has ended; start the run again, it goes on from where it stands")
            time.sleep(POLL_SECONDS)
    _leave()


def _set_up(recipe: Recipe) -> None:
    os.environ.update(job_environment(recipe.threads))


def _leave() -> None:
    """Processes leave their group in good order, if they ever were one."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


class _Shown(Report):
    """Shows what a job of this process says."""

    def __init__(self, events: Events, job: Job, unit: str, n_done: int, n_jobs: int) -> None:
        super().__init__(unit)
        self.events, self.name, self.counts = events, job.name, (n_done, n_jobs)
        self.started = time.monotonic()

    def told(self, *, is_last: bool) -> None:
        """Shows the state."""
        super().told(is_last=is_last)
        self.events.show({self.name: (self.state, time.monotonic() - self.started)}, *self.counts)


def _say_nothing(done: int, total: int) -> None:
    """The first process shows the progress."""
