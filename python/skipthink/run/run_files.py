"""How the files of a run get to those who work on it, and back: a folder that all of them see needs nothing.

This is the seam between the work on jobs and where a run is kept. `RunFiles` is a folder, of this machine or shared by
all nodes; `skipthink.run.store_mirror` puts an object store behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from skipthink.cluster.ray_cluster import is_seen
from skipthink.exceptions import RunError
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph, Job
from skipthink.run.tries import TryFolder


class NodeFiles(Protocol):
    """What a node is told of the files of a try; it can be pickled."""

    def here(self, node: str, node_id: str) -> AbstractContextManager[tuple[Path, Path]]:
        """The run folder and the folder of the try as this node sees them, as long as it works on the try.

        Args:
            node: its address, for messages.
            node_id: what it is called in the cluster.

        Raises:
            RunError: the node cannot get at them.
        """


class RunFiles:
    """A run folder that everybody sees who works on its jobs.

    Args:
        path: the folder in which this process works.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = RunFolder(path)

    def __str__(self) -> str:
        return str(self.folder.path)

    def part(self, name: str) -> RunFiles:
        """The files of a run of a study."""
        return RunFiles(self.folder.path / name)

    def held(self, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Keeps runs of other machines out, where the lock of the folder does not.

        Args:
            say: told why it waits.
        """
        del say
        return nullcontext()

    def fetch_words(self) -> None:
        """Gets what the run has said so far: its recipe, events and logs."""

    def fetch(self, graph: Graph) -> None:
        """Gets the finished jobs that are not here yet, and learns of tries.

        Raises:
            RunError: a job was finished or begun with other inputs.
        """

    def put_words(self) -> None:
        """Keeps what the run says of itself."""

    def put(self, graph: Graph, *, is_over: bool = False) -> None:
        """Keeps the finished jobs, and what the run says of itself.

        Args:
            graph: the jobs.
            is_over: the run is finished: no try is needed any more.
        """

    def take_back(self, job: Job) -> None:
        """Gets what the newest try of a job has left, for this machine to go on from."""

    def begin(self, made: TryFolder, graph: Graph) -> NodeFiles:
        """Tells of a new try; what its node needs to know."""
        del graph
        return SharedFiles(self.folder.path.resolve(), made.root.resolve(), made.job)

    def look(self, one: TryFolder) -> None:
        """Gets what a try says of itself."""

    def collect(self, one: TryFolder) -> None:
        """Gets what a try has left that has ended: what it printed, and its files where it is finished."""

    def withdraw(self, one: TryFolder) -> None:
        """Tells the node of a try that it no longer counts."""


@dataclass(frozen=True)
class SharedFiles:
    """A try in a file system that all nodes share."""

    run_dir: Path
    root: Path
    job: Job

    @contextmanager
    def here(self, node: str, node_id: str) -> Iterator[tuple[Path, Path]]:
        """The same paths as everywhere."""
        del node_id
        if not is_seen(TryFolder(self.run_dir, self.job, self.root).ticket.exists):
            raise RunError(
                f"node {node} does not see {self.root}: a run folder must lie in a file system that all nodes share, "
                "at the same path on each of them; or let --out be in an object store"
            )
        yield self.run_dir, self.root
