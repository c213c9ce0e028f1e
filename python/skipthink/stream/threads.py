"""Threads of a batch function: one in a worker of any engine, where the other cores have work of their own."""

from __future__ import annotations

import os
import sys
import threading

POOL_VARIABLES = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")
"""What Ray, Spark and schedulers of clusters set for their workers."""


def worker_threads(num_threads: int | None = None) -> int | None:
    """Threads for a call on a batch.

    The first of these that there is: the option, `SKIPTHINK_NUM_THREADS`, the least of `OMP_NUM_THREADS` and
    `RAYON_NUM_THREADS`, one in a worker.

    Args:
        num_threads: what the user has asked for.

    Returns:
        The number of threads; None: the core's own choice, which is `SKIPTHINK_NUM_THREADS`, else all cores.
    """
    if num_threads is not None or os.environ.get("SKIPTHINK_NUM_THREADS"):
        return num_threads
    allowed = [count for name in POOL_VARIABLES if (count := _count(os.environ.get(name, ""))) is not None]
    if allowed:
        return min(allowed)
    return 1 if in_worker() else None


def in_worker() -> bool:
    """Whether somebody else drives this call: in a child process, a worker of an engine, or a thread of a pool."""
    if threading.current_thread() is not threading.main_thread():
        return True
    pools = (sys.modules.get(name) for name in ("multiprocessing", "multiprocess"))
    if any(pool is not None and pool.parent_process() is not None for pool in pools):
        return True
    return _in_ray() or _in_spark() or _in_daft()


def _count(text: str) -> int | None:
    """The number of a variable such as "4" or, for nested teams, "4,2"; None where it says none."""
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _in_ray() -> bool:
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return False
    return bool(ray.get_runtime_context().worker.mode == ray.WORKER_MODE)


def _in_spark() -> bool:
    spark = sys.modules.get("pyspark")
    return spark is not None and spark.TaskContext.get() is not None


def _in_daft() -> bool:
    """Whether this is a process of a UDF with `use_process=True`: a bare subprocess, known by the program it runs."""
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    return program is not None and program.name == "daft.execution.udf_worker"
