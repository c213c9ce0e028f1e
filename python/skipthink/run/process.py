"""The process of one job; `python -m skipthink.run.process RUN_DIR JOB` runs one by hand.

Exit codes: 0 finished · 2 refused (a wrong recipe, data or option; the last line says which) · 3 no
room left on the disk · else a crash.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from skipthink.exceptions import RunError, SkipthinkError
from skipthink.io.files import describe_full_disk
from skipthink.io.job_progress import ReportFile
from skipthink.run.fingerprints import Kind

if TYPE_CHECKING:
    from skipthink.run.folder import RunFolder
    from skipthink.run.jobs import Graph, Job

REFUSED, NO_ROOM = 2, 3
"""Exit codes; the second one tells also where a log without room cannot."""
REFUSAL = "ERROR: "
"""What the line begins with that says why a job was refused."""
WITHOUT_TORCH = (Kind.TEACH, Kind.PREPARE)
"""Jobs that may need no torch; where a local model is the teacher, the environment bounds its threads."""
COUNTED = {
    Kind.TEACH: "samples",
    Kind.TRAIN: "steps",
    Kind.SKIP_DATA: "samples",
    Kind.OWN_ANSWERS: "samples",
}
"""What the progress of a job counts, where that has a rate."""
TICKET_SECONDS = 1.0
"""Between two looks of a process at its ticket."""
SEEN_SECONDS = 120.0
"""How long a node may take to see what another one has written: file systems over a network keep what they know for
up to a minute."""
LOG = logging.getLogger(__name__)


class Descriptor(Protocol):
    """A file descriptor on its way to another process (`multiprocessing.reduction.DupFd`)."""

    def detach(self) -> int:
        """The descriptor in this process."""


@dataclass(frozen=True)
class Order:
    """What the process of a job is to do.

    Attributes:
        run_dir: the run folder.
        job: name of the job.
        threads: bound on threads.
        log: file that takes all output, appended to.
        lock: descriptor of the folder's lock. It stays open in the process, so that no other run enters the folder as
            long as that lives. None on a cluster: there a try has its own folder.
        root: the folder of the try; None: the process writes in the folder of the job.
        environment: variables that are set before anything is computed; the server it is forked from may have others.
    """

    run_dir: Path
    job: str
    threads: int
    log: Path
    lock: Descriptor | None = None
    root: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> int:
    """Runs one job by hand; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m skipthink.run.process", description="Runs one job of a run folder."
    )
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("job")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    return work(options.run_dir, options.job, options.threads)


def run_child(order: Order) -> None:
    """What a process of the pipeline does."""
    if order.lock is not None:
        order.lock.detach()
    os.setsid()  # Ctrl-C goes to the parent alone, which then ends its children in good order
    os.environ.update(order.environment)
    descriptor = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    _end_with_parent()
    code = work(order.run_dir, order.job, order.threads, order.root)
    if code == NO_ROOM:
        # what is buffered for the log cannot be written either: leaving must not fail over it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    sys.exit(code)


def work(run_dir: Path, name: str, threads: int, root: Path | None = None) -> int:
    """Runs the job of a name; returns the exit code.

    Args:
        run_dir: the run folder.
        name: of the job.
        threads: bound on threads.
        root: the folder of a try, in which everything is written; None: the folder of the job.
    """
    from skipthink.run.folder import RunFolder
    from skipthink.run.work import run_job

    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr, force=True)
    folder = RunFolder(run_dir)
    try:
        graph = folder.graph()
        job = graph.named(name)
        if root is not None:
            folder = _begin_try(folder, graph, job, root)
        set_threads(threads, job)
        run_job(folder, graph, job, ReportFile(folder.progress(job), unit_of(graph, job)))
    except SkipthinkError as error:
        if os.environ.get("SKIPTHINK_DEBUG"):
            raise
        return _fail(str(error), REFUSED)
    except Exception as error:
        message, code = describe_full_disk(error), NO_ROOM
        if message is None and "torch" in sys.modules:
            from skipthink.student.devices import describe_full_memory

            message, code = describe_full_memory(error), REFUSED
        if message is None or os.environ.get("SKIPTHINK_DEBUG"):
            raise
        return _fail(message, code)
    return 0


def unit_of(graph: Graph, job: Job) -> str:
    """What the progress of a job counts; empty where that has no rate."""
    recipe = graph.recipe
    if job.kind is Kind.SKIP_DATA and recipe.skip.gate == "trial":
        return "trials"
    if job.kind is Kind.TRAIN:
        budget = recipe.options_of(recipe.method(str(job.method))).budget
        if budget is not None:  # what is spent is counted; seconds have no rate
            return "" if budget.seconds is not None else "target tokens"
    return COUNTED.get(job.kind, "")


def _fail(message: str, code: int) -> int:
    LOG.error("%s", " ".join(message.split()))  # the log may have no room either: the code tells then
    return code


def _begin_try(folder: RunFolder, graph: Graph, job: Job, root: Path) -> RunFolder:
    """The run folder as a try sees it, once what the job needs can be seen; the try ends with its ticket.

    Raises:
        RunError: a file that another node has written cannot be seen.
    """
    from skipthink.run.tries import TryFolder

    seen = TryFolder(folder.path, job, root)
    _end_with_ticket(seen.ticket)
    give_up = time.monotonic() + SEEN_SECONDS
    for need in graph.needs[job]:
        while folder.done(need, graph.fingerprints[need]) is None:
            if time.monotonic() > give_up:
                raise RunError(
                    f"{need.name} is finished, but its files cannot be seen here: {folder.path} must lie in a file "
                    "system that all nodes share"
                )
            time.sleep(0.5)
    return seen


def _end_with_ticket(ticket: Path) -> None:
    """Ends this process when its try is no longer the one that counts: the cluster has given its node up."""

    def watch() -> None:
        missed = 0
        while missed < 2:  # once may be a hiccup of the network
            missed = 0 if os.path.exists(ticket) else missed + 1  # noqa: PTH110 - any error counts
            time.sleep(TICKET_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the run that started it has ended, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def job_environment(threads: int) -> dict[str, str]:
    """Environment that bounds the threads of every library that starts its own, set before any is loaded."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def set_threads(threads: int, job: Job) -> None:
    """Bounds torch's threads; jobs that may need no torch are not made to load it."""
    if job.kind in WITHOUT_TORCH:
        return
    import torch

    torch.set_num_threads(threads)


if __name__ == "__main__":
    sys.exit(main())
