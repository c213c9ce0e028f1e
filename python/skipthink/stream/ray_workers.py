"""Parts of files on a Ray cluster: workers that keep what they have loaded, and are replaced when they are lost.

A worker is an actor of Ray: a process that takes one part after the other, so that a model is loaded once. What a
worker writes is whole or not there, and the same whoever writes it; so a part whose worker is lost is given to another
one. A worker that only counts as lost may still write: the same content, or nothing once the place is that of other
work (`PartWork.is_current`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from skipthink.cluster.ray_cluster import (
    RayCluster,
    code_version,
    devices_of_task,
    import_ray,
    is_seen,
    outcome,
    passed_on,
    resources_of_nodes,
    wrong_version,
)
from skipthink.exceptions import RunError, SkipthinkError
from skipthink.stream.options import FileOptions
from skipthink.stream.part_work import Counts, PartTask, PartWork

MOST_LOSSES = 10
"""How often the worker of a part may be lost before the work is given up."""
LOOK_SECONDS = 5.0
"""Between two looks at what the cluster has."""


def work_on_ray(
    work: PartWork,
    tasks: Sequence[PartTask],
    options: FileOptions,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[PartTask, Counts]]:
    """Works on parts on a cluster; each is yielded when it is done, in any order.

    Args:
        work: what is done with each.
        tasks: the parts.
        options: which cluster, how many workers, and their GPUs.
        progress: called with rows that are done.

    Raises:
        RunError: no cluster, a node that cannot do the work, or a part whose worker was lost too often.
        SkipthinkError: what the work raises; parts that were done stay.
    """
    with RayCluster(options.address):
        crew = _Crew(work, options.workers, _gpus(work) if options.gpus is None else options.gpus)
        try:
            for task, counts in crew.work_on(tasks):
                if progress is not None:
                    progress(task.part.n_rows)
                yield task, counts
        finally:
            crew.end()


def _gpus(work: PartWork) -> float:
    """GPUs that a worker takes by default."""
    on_cpu = "cpu" in (getattr(work.function, "device", None), os.environ.get("SKIPTHINK_DEVICE"))
    if not work.function.is_costly or on_cpu:
        return 0.0
    return 1.0 if any(node.get("GPU", 0.0) >= 1 for node in resources_of_nodes()) else 0.0


class _Worker:
    """What runs on a node: a process that works on one part after the other."""

    def __init__(self, work: PartWork, version: str, environment: dict[str, str]) -> None:
        self.work, self.version = work, version
        os.environ.update(environment | devices_of_task())

    def begin(self) -> str | None:
        """Why this node cannot do the work; None where it can."""
        node = str(import_ray().util.get_node_ip_address())
        if refused := wrong_version(node, self.version):
            return refused
        if not is_seen(self.work.is_current):
            return (
                f"node {node} does not see {self.work.folder}: results must lie in a file system that all nodes share, "
                "at the same path on each of them, or in an object store"
            )
        return None

    def do(self, task: PartTask) -> Counts:
        """Works on a part."""
        return self.work.do(task)


class _Crew:
    """The workers of a job, and who works on what."""

    def __init__(self, work: PartWork, workers: int | None, gpus: float) -> None:
        self.ray = import_ray()
        self.work, self.most, self.gpus = work, workers, gpus
        self.kind = self.ray.remote(_Worker).options(
            num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        self.left: list[PartTask] = []
        self.idle: list[Any] = []
        self.running: dict[Any, tuple[Any, PartTask | None]] = {}
        """Ray's reference to a worker and its part; None: it begins, or waits for room."""
        self.losses: Counter[str] = Counter()

    def work_on(self, tasks: Sequence[PartTask]) -> Iterator[tuple[PartTask, Counts]]:
        """Hands out parts until all are done."""
        self.left = list(reversed(tasks))
        while n_open := len(self.left) + sum(task is not None for _, task in self.running.values()):
            self._hire(min(n_open, self._room()))
            while self.idle and self.left:
                worker, task = self.idle.pop(), self.left.pop()
                self.running[worker.do.remote(task)] = (worker, task)
            for reference in self.ray.wait(list(self.running), num_returns=1, timeout=LOOK_SECONDS)[0]:
                worker, done = self.running.pop(reference)
                counts = self._settled(reference, worker, done)
                if done is not None and counts is not None:
                    yield done, counts

    def end(self) -> None:
        """Ends all workers, whatever they are doing."""
        for worker in [*self.idle, *(worker for worker, _ in self.running.values())]:
            self.ray.kill(worker)

    def _room(self) -> int:
        """How many workers there may be; one at least, for which a cluster may grow."""
        if self.most is not None:
            return self.most
        nodes = resources_of_nodes()
        return max(1, sum(self._fitting(node) for node in nodes))

    def _fitting(self, node: dict[str, float]) -> int:
        by_cpus = int(node.get("CPU", 0.0))
        return by_cpus if not self.gpus else min(by_cpus, int(node.get("GPU", 0.0) / self.gpus))

    def _hire(self, n_workers: int) -> None:
        for _ in range(n_workers - len(self.idle) - len(self.running)):
            worker = self.kind.remote(self.work, code_version(), passed_on())
            self.running[worker.begin.remote()] = (worker, None)

    def _settled(self, reference: Any, worker: Any, task: PartTask | None) -> Counts | None:
        """What a worker has done: the counts of a part; None where it has begun, or is lost."""
        found = outcome(reference)
        if found is None:  # cannot be: it was waited for
            raise RunError("Ray says that a part is done and that it is not; give the same command again")
        if found.lost is not None or found.is_out_of_memory:
            self._replace(worker, task, found.lost or "its node ran out of memory")
            return None
        if found.error is not None:
            if isinstance(found.error, SkipthinkError | OSError):
                raise found.error
            raise RunError(f"a worker of Ray failed: {found.error}") from found.error
        if task is None and found.value is not None:
            raise RunError(found.value)
        self.idle.append(worker)
        return None if task is None else found.value

    def _replace(self, worker: Any, task: PartTask | None, reason: str) -> None:
        self.ray.kill(worker)  # where it only counts as lost
        name = "" if task is None else task.name
        self.losses[name] += 1
        if task is not None:
            self.left.append(task)
        if self.losses[name] > MOST_LOSSES:
            where = f"{task.place}, rows from {task.part.first_row} on" if task else "before their first part"
            raise RunError(
                f"{self.losses[name]} workers were lost ({where}), the last one so: {reason}. They may have run out of "
                "memory; the same command goes on from what is done"
            )
