"""Which engine works on the jobs of a run: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skipthink.exceptions import InvalidInputError
from skipthink.run.pools import Engine, LocalEngine

ENGINES = ("local", "ray")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/(?!\w:)")


@contextmanager
def open_engine(name: str, address: str | None = None) -> Iterator[Engine]:
    """An engine by its name, as long as the block lasts.

    Args:
        name: one of `ENGINES`.
        address: of a Ray cluster; None: see `RayEngine`.

    Raises:
        InvalidInputError: there is no such engine, its package is missing, or it has no address.
        RunError: there is no cluster at the address.
    """
    if name == "ray":
        from skipthink.run.ray_pool import RayEngine

        with RayEngine(address) as engine:
            yield engine
        return
    if name != "local":
        raise InvalidInputError(f"--engine must be one of {', '.join(ENGINES)}, got {name!r}")
    if address is not None:
        raise InvalidInputError("--address is that of a Ray cluster: give --engine ray with it")
    yield LocalEngine()


def refuse_object_store(out: str | Path) -> None:
    """Refuses a run folder in an object store.

    A run appends to its ledger and its logs, links checkpoints and renames folders in one step. Object stores can do
    none of this.

    Raises:
        InvalidInputError: the folder is an address, such as s3://bucket/run.
    """
    if _ADDRESS.match(str(out)):
        raise InvalidInputError(
            f"{out} is an address, not a folder: a run appends to files, renames folders in one step and resumes from "
            "checkpoints, which needs a file system; name a folder that all nodes mount (NFS, Lustre, EFS, Filestore), "
            "and copy it to the store when the run is finished"
        )
