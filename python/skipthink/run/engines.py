"""Which engine works on the jobs of a run: processes of this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skipthink.exceptions import InvalidInputError
from skipthink.run.pools import Engine, LocalEngine

ENGINES = ("local", "ray")


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
