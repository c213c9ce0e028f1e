"""What all work on Ray needs: a cluster that is found or started, ends of tasks, nodes that cannot do the work."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from skipthink import _core
from skipthink.exceptions import InvalidInputError, RunError

ADDRESS_VARIABLE = "RAY_ADDRESS"
PASSED_ON = ("SKIPTHINK_DEVICE", "SKIPTHINK_DEBUG", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables of the driver that work sees on every node; no keys of endpoints, for Ray shows what it passes on."""
DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR")
"""Variables in which Ray says which devices a task may use."""
SEEN_SECONDS = 60.0
"""How long a node may take to see a file of another node."""


class RayCluster:
    """A Ray cluster; use it as a context manager.

    Args:
        address: of the cluster, as Ray writes it; None: the environment's RAY_ADDRESS, or a Ray of this machine that is
            started now and ended with the block. A Ray that this process uses already is used.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address or os.environ.get(ADDRESS_VARIABLE) or "local"
        self.is_ours = False

    def __enter__(self) -> Self:
        ray = import_ray()
        if not ray.is_initialized():
            os.environ.setdefault(
                "RAY_USAGE_STATS_ENABLED", "0"
            )  # a Ray that is started here reports to nobody
            # a task without GPUs is told so: it must not take those of another one
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
            local: dict[str, Any] = {"include_dashboard": False} if self.address == "local" else {}
            try:
                ray.init(address=self.address, log_to_driver=False, logging_level="WARNING", **local)
            except Exception as error:  # Ray raises a bare one where a node is slow to start
                raise RunError(
                    f"no Ray cluster at {self.address}: {' '.join(str(error).split())}; check --address and "
                    f"{ADDRESS_VARIABLE}, or leave both out to start a Ray on this machine"
                ) from error
            self.is_ours = True
        return self

    def __exit__(self, *error: object) -> None:
        if self.is_ours:
            import_ray().shutdown()


def import_ray() -> Any:
    """The package ray.

    Raises:
        InvalidInputError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InvalidInputError(
            "the engine ray needs the package ray: pip install 'skipthink[ray]'"
        ) from error
    return ray


def passed_on() -> dict[str, str]:
    """The variables of this process that work sees on every node."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def resources_of_nodes() -> list[dict[str, float]]:
    """What each node that is alive has: "CPU", "GPU" and more."""
    return [node["Resources"] for node in import_ray().nodes() if node["Alive"]]


def devices_of_task() -> dict[str, str]:
    """The variables that tell a process which devices this task, or this actor, was given.

    They are set anew for a process that is forked from a server of an earlier task; and a task that was given no GPU
    must not take those of another one, which Ray prevents on clusters that were started so alone.
    """
    found = {name: os.environ[name] for name in DEVICES if name in os.environ}
    if not any(import_ray().get_runtime_context().get_accelerator_ids().values()):
        found["CUDA_VISIBLE_DEVICES"] = ""
    return found


@dataclass(frozen=True)
class Outcome:
    """How a task, or a call of an actor, has ended.

    Attributes:
        value: what it returned.
        lost: why nobody knows what became of it: its node or its process is gone. None where it is known.
        is_out_of_memory: whether Ray ended it, since its node ran out of memory.
        error: what it raised, or why it could not begin; None where it returned.
    """

    value: Any = None
    lost: str | None = None
    is_out_of_memory: bool = False
    error: Exception | None = None


def outcome(reference: Any) -> Outcome | None:
    """How a task has ended; None while it runs or waits.

    Args:
        reference: what Ray gave for the task.
    """
    ray = import_ray()
    errors = ray.exceptions
    if not ray.wait([reference], timeout=0)[0]:
        return None
    try:
        return Outcome(ray.get(reference))
    except errors.OutOfMemoryError as error:
        return Outcome(is_out_of_memory=True, error=error)
    except (
        errors.NodeDiedError,
        errors.WorkerCrashedError,
        errors.LocalRayletDiedError,
        errors.ObjectLostError,
    ) as error:
        return Outcome(lost=f"its node is gone ({type(error).__name__})")
    except (errors.ActorDiedError, errors.ActorUnavailableError) as error:
        return Outcome(lost=f"its process is gone ({' '.join(str(error).split())[:300]})")
    except errors.RayTaskError as error:
        return Outcome(error=error.cause if isinstance(error.cause, Exception) else error)
    except errors.RayError as error:
        return Outcome(error=error)


@cache
def code_version() -> str:
    """The version of skipthink and a hash of its Python code, which may differ within a version: "0.1.0 (3f2a91c4)"."""
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode() + file.read_bytes())
    return f"{_core.__version__} ({digest.hexdigest()[:8]})"


def wrong_version(node: str, expected: str) -> str | None:
    """Why a node cannot do work that other code of skipthink has handed out; None where it can.

    Args:
        node: the node that asks, for the message.
        expected: the `code_version` of what has handed it out.
    """
    own = code_version()
    if own == expected:
        return None
    return f"node {node} has skipthink {own}, the work was started with {expected}: install the same on all nodes"


def is_seen(there: Callable[[], bool], seconds: float = SEEN_SECONDS) -> bool:
    """Whether a file of another node is seen from here, for which file systems over a network may need a while."""
    give_up = time.monotonic() + seconds
    while not there():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.2)
    return True
