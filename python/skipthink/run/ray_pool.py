"""Jobs as tasks of a Ray cluster: each reserves its CPUs and GPUs, and works in a folder of its own (`run.tries`).

Ray says where a job runs and that a node is gone; nothing else is asked of it. Files go through the run folder, which
all nodes see, or through an object store (`run.run_files`). On its node a job is a process like any other
(`run.process`), with a memory and a device of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from skipthink.cluster.ray_cluster import (
    RayCluster,
    code_version,
    devices_of_task,
    import_ray,
    outcome,
    passed_on,
    resources_of_nodes,
    wrong_version,
)
from skipthink.exceptions import RunError
from skipthink.io.files import parse_object, write_json
from skipthink.io.job_progress import JobState
from skipthink.run.children import make_child, preloading
from skipthink.run.fingerprints import Kind
from skipthink.run.jobs import Graph, Job
from skipthink.run.pools import End, Try
from skipthink.run.process import Order
from skipthink.run.run_files import NodeFiles, RunFiles
from skipthink.run.tries import Tries, TryFolder

WITHOUT_STUDENT = (Kind.PREPARE,)
"""Jobs that compute nothing with a student: they get no GPU. `student` has one: it decides what `bf16: auto` means
there."""
LOOK_SECONDS = 1.0
"""Between two looks at the files of a running try."""


class RayEngine(RayCluster):
    """A Ray cluster whose tasks are jobs."""

    def pool(self, files: RunFiles, graph: Graph, lock: int) -> RayPool:
        """Tasks of the cluster; the lock stays with this process, tries need none."""
        del lock
        return RayPool(files, graph)


@dataclass(frozen=True)
class _Assignment:
    """What a node is told: the try, and what it must have to work on it."""

    files: NodeFiles
    job: Job
    threads: int
    environment: dict[str, str]
    version: str = field(default_factory=code_version)


@dataclass
class _RayTry:
    """A try that Ray works on."""

    job: Job
    folder: TryFolder
    task: Any
    pool: RayPool
    node: str | None = None
    began: float | None = None
    last_look: float = 0.0
    told: JobState = field(default_factory=JobState)
    is_over: bool = False

    def state(self) -> JobState:
        """What the job says of itself, which is also shown in the place where jobs of one machine say it."""
        now = time.monotonic()
        # a look at one that is over would make the folder anew that its job has got
        if not self.is_over and now - self.last_look >= LOOK_SECONDS:
            self.last_look = now
            self.mirror()
        return self.told

    def mirror(self) -> None:
        """Copies the progress of the try to where `skipthink status` looks."""
        self.pool.files.look(self.folder)
        with contextlib.suppress(OSError, ValueError):
            content = self.folder.progress(self.job).read_bytes()
            place = self.pool.folder.progress(self.job)
            scratch = place.with_name(place.name + ".tmp")
            scratch.write_bytes(content)
            scratch.replace(place)
            self.told = JobState.read(place)

    def look(self) -> None:
        """Notes that the job has begun, once its node has said so."""
        now = time.monotonic()
        if self.began is None and now - self.last_look >= 0.2:
            self.last_look = now
            self.pool.files.look(self.folder)
            with contextlib.suppress(OSError, ValueError):
                self.node = str(parse_object(self.folder.began.read_bytes(), "it").get("node"))
                self.began = now

    def end(self) -> End | None:
        """How it has ended; finished files are moved to their place first."""
        self.look()
        end = _ended(self.task)
        if end is None:
            return None
        self.pool.files.collect(self.folder)
        self.last_look = 0.0
        self.look()
        self.mirror()
        self.is_over = True
        _append(self.folder.log(self.job), self.pool.folder.log(self.job))
        # a node may be lost right after its last write
        if (end.code == 0 or end.lost) and self.pool.commit(self.job):
            return End()
        return end


class RayPool:
    """The tasks of a run on a cluster.

    Args:
        files: the run folder, locked, and how its files get to nodes and back.
        graph: the jobs.
    """

    def __init__(self, files: RunFiles, graph: Graph) -> None:
        self.files, self.folder, self.graph = files, files.folder, graph
        self.ray = import_ray()
        self._tries: list[_RayTry] = []
        self._advised: set[str] = set()

    @property
    def description(self) -> str:
        """What the cluster has."""
        nodes = resources_of_nodes()
        cpus, gpus = (sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU"))
        return f"Ray with {len(nodes)} nodes, {cpus:g} CPUs, {gpus:g} GPUs"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.withdraw(list(self._tries))

    def room(self, n_running: int) -> int:
        """All: a task waits in Ray until a node has room for it."""
        del n_running
        return len(self.graph)

    def start(self, job: Job) -> Try:
        """A task for a new try of a job."""
        self.folder.progress(job).unlink(missing_ok=True)
        made = Tries(self.folder, job).begin()
        recipe = self.graph.recipe
        assignment = _Assignment(self.files.begin(made, self.graph), job, recipe.threads, passed_on())
        cpus, gpus = self.resources(job)
        remote = self.ray.remote(_work).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=0, name=f"skipthink {job.name}"
        )
        one = _RayTry(job, made, remote.remote(assignment), self)
        self._tries = [*(other for other in self._tries if other.job != job), one]
        return one

    def resources(self, job: Job) -> tuple[int, float]:
        """The CPUs and GPUs that a job reserves."""
        recipe = self.graph.recipe
        cpus = recipe.cluster.cpus or recipe.threads
        if job.kind in WITHOUT_STUDENT or os.environ.get("SKIPTHINK_DEVICE") == "cpu":
            return cpus, 0.0
        if recipe.cluster.gpus is not None:
            return cpus, recipe.cluster.gpus
        return cpus, 1.0 if any(node.get("GPU", 0.0) >= 1 for node in resources_of_nodes()) else 0.0

    def commit(self, job: Job) -> bool:
        """Makes what a finished try has written the files of its job."""
        return Tries(self.folder, job).commit(self.graph.fingerprints[job])

    def withdraw(self, tries: Iterable[Try]) -> None:
        """Cancels tasks; what they have written stays in their tries."""
        chosen = {id(one) for one in tries}
        for one in [one for one in self._tries if id(one) in chosen]:
            self._tries.remove(one)
            one.folder.withdraw()
            self.files.withdraw(one.folder)
            with contextlib.suppress(self.ray.exceptions.RayError):
                self.ray.cancel(one.task, force=True)

    def advice(self) -> list[str]:
        """Jobs for which no node of the cluster is large enough: a cluster that grows may get one."""
        found = []
        for one in self._tries:
            if one.began is not None or one.job.name in self._advised:
                continue
            self._advised.add(one.job.name)
            cpus, gpus = self.resources(one.job)
            nodes = resources_of_nodes()
            if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
                found.append(
                    f"{one.job.name} waits: none of the {len(nodes)} nodes has {cpus} CPUs and {gpus:g} GPUs; lower "
                    "cluster.cpus, cluster.gpus or threads, unless the cluster grows"
                )
        return found


def _ended(task: Any) -> End | None:
    """How a task has ended; None while it runs or waits."""
    found = outcome(task)
    if found is None:
        return None
    if found.is_out_of_memory:
        return End(-9)
    if found.lost is not None:
        return End(lost=found.lost)
    if found.error is not None:
        return End(refused=f"its node could not begin with it: {' '.join(str(found.error).split())[-600:]}")
    code, refused = found.value
    return End(code, refused=refused)


def _work(assignment: _Assignment) -> tuple[int, str | None]:
    """Works on a try, on a node; returns the exit code, and why the node could not work on it."""
    ray = import_ray()
    node, context = str(ray.util.get_node_ip_address()), ray.get_runtime_context()
    if refused := wrong_version(node, assignment.version):
        return 0, refused
    try:
        with assignment.files.here(node, context.get_node_id()) as (run_dir, root):
            seen = TryFolder(run_dir, assignment.job, root)
            write_json(seen.began, {"node": node, "node_id": context.get_node_id(), "worker": os.getpid()})
            return _process(assignment, seen), None
    except RunError as error:
        return 0, str(error)


def _process(assignment: _Assignment, seen: TryFolder) -> int:
    """Runs the process of a try; returns its exit code."""
    job = assignment.job
    order = Order(
        seen.path,
        job.name,
        assignment.threads,
        log=seen.log(job),
        root=seen.root,
        environment=assignment.environment | devices_of_task(),
    )
    with preloading(assignment.threads), _without_main():
        process = make_child(order, job.kind)
        process.start()
    process.join()
    return int(process.exitcode or 0)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Processes that are started do not load the program of Ray's worker, which is this one's `__main__`."""
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)
    try:
        yield
    finally:
        if file is not None:
            main["__file__"] = file


def _append(source: Path, target: Path) -> None:
    """Appends what a try has printed to the log of its job."""
    with contextlib.suppress(OSError):
        content = source.read_bytes()
        with target.open("ab") as stream:
            stream.write(content)
