"""The process of one stage: `python -m skipthink.worker RUN_DIR STAGE`, started by the pipeline.

Exit codes: 0 finished · 2 refused (a wrong recipe, data or setting; the last line says which) · else a crash.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from skipthink.exceptions import SkipthinkError

PROGRESS_SECONDS = 0.5
PARENT_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Runs one stage; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m skipthink.worker", description="Runs one stage of a run folder."
    )
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("stage")
    parser.add_argument("--parent", type=int, help="process to end with")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.parent is not None:
        end_with(options.parent)
    from skipthink.pipeline.state import RunFolder
    from skipthink.pipeline.work import run_stage

    folder = RunFolder(options.run_dir)
    _set_threads(options.threads, options.stage)
    try:
        run_stage(folder, options.stage, ProgressFile(folder.progress(options.stage)))
    except SkipthinkError as error:
        if os.environ.get("SKIPTHINK_DEBUG"):
            raise
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    return 0


class ProgressFile:
    """Writes (done, in all) where the pipeline looks for it, now and then.

    Args:
        path: a small JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        """Notes how far the stage has come."""
        now = time.monotonic()
        if now - self._last < PROGRESS_SECONDS and done < total:
            return
        self._last = now
        scratch = self.path.with_name(self.path.name + ".tmp")
        scratch.write_text(json.dumps([int(done), int(total)]), encoding="ascii")
        scratch.replace(self.path)


def end_with(parent: int) -> None:
    """Makes this process end when its parent has ended, however that ended.

    Args:
        parent: process id of the parent, as the parent knows it.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the signal was asked for
        os._exit(1)
    if sys.platform != "linux":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def _set_threads(threads: int, stage: str) -> None:
    """Bounds torch's threads; `prepare` needs no torch, and is not made to load it."""
    if stage == "prepare":
        return
    import torch

    torch.set_num_threads(threads)


if __name__ == "__main__":
    sys.exit(main())
