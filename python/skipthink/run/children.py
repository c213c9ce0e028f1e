"""Processes that work on jobs: how they are started, on this machine or on a node of a cluster."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from skipthink.run.fingerprints import Kind
from skipthink.run.process import WITHOUT_TORCH, Order, job_environment, run_child

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""Loading torch and transformers takes a process many seconds; jobs forked from a server share one load."""
PRELOADED = ["skipthink.training.train", "skipthink.skipping.skip_data", "skipthink.evaluation.measure"]


def make_child(order: Order, kind: Kind) -> BaseProcess:
    """The process of a job, not yet started."""
    context: Any = multiprocessing.get_context("spawn" if kind in WITHOUT_TORCH else START_METHOD)
    process: BaseProcess = context.Process(target=run_child, args=(order,), name=order.job)
    return process


@contextmanager
def preloading(threads: int) -> Iterator[None]:
    """Starts the server that jobs are forked from, with what all of them import, as `prepare` goes on.

    The environment it starts in bounds the threads of every library that starts its own.
    """
    wanted = {
        **job_environment(threads),
        # asking for devices must not start CUDA before the fork
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        if START_METHOD == "forkserver":
            multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
            forkserver.ensure_running()
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
