"""Runs stages as processes, side by side where they do not need each other."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.progress import Display, format_progress, format_seconds
from skipthink.run.folder import RunFolder
from skipthink.run.process import NO_ROOM, REFUSED, run_child, stage_environment
from skipthink.run.stages import Stage

POLL_SECONDS = 0.1
TERMINATE_SECONDS = 5.0
TAIL_LINES = 15
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""Loading torch and transformers takes a process many seconds; stages forked from a server share one load."""
PRELOADED = ["skipthink.training.train", "skipthink.skipping.skip_data", "skipthink.evaluation.measure"]


class StageRefusedError(RunError):
    """A stage was given something wrong: the user's to mend."""


class StageCrashedError(RunError):
    """A stage's process crashed."""


@dataclass
class _Child:
    stage: Stage
    process: BaseProcess
    started: float


class Scheduler:
    """Runs the stages of a run.

    Args:
        folder: the run folder, locked.
        stages: all stages by name.
        finished: names of those that are finished already.
        workers: processes side by side.
        threads: threads of each. Evaluation, which runs alone, gets no more: on a machine that does something
            else beside, threads that wait for each other would spoil its seconds.
        lock: descriptor of the folder's lock, for the children to hold too.
        display: where progress is shown.
    """

    def __init__(
        self,
        folder: RunFolder,
        stages: dict[str, Stage],
        finished: Iterable[str],
        *,
        workers: int,
        threads: int,
        lock: int,
        display: Display,
    ) -> None:
        self.folder, self.stages, self.lock, self.display = folder, stages, lock, display
        self.workers, self.threads = workers, threads
        self.finished = set(finished)
        self.running: dict[str, _Child] = {}
        self.failed: dict[str, RunError] = {}

    def run(self) -> None:
        """Runs what is not finished, the longest chain first.

        After a failure nothing new is started, but what runs is run to its end: its work is kept.

        Raises:
            StageRefusedError: a stage was given something wrong.
            StageCrashedError: a stage crashed.
        """
        if all(name in self.finished for name in self.stages):
            return
        with _preloading(self.threads):
            try:
                self._run_stages()
            finally:
                self._stop()
        if self.failed:
            raise next(iter(self.failed.values()))

    def _run_stages(self) -> None:
        while True:
            if not self.failed:
                self._start_ready()
            if not self.running:
                break
            time.sleep(POLL_SECONDS)
            self._collect()
            self.display.show([self._progress(child) for child in self.running.values()])

    def _start_ready(self) -> None:
        ready = [
            stage
            for stage in self.stages.values()
            if stage.name not in self.finished
            and stage.name not in self.running
            and all(need in self.finished for need in stage.needs)
        ]
        for stage in sorted(ready, key=lambda stage: -stage.rank)[: self.workers - len(self.running)]:
            self.display.line(f"start  {stage.name}")
            self.running[stage.name] = self._start(stage)

    def _start(self, stage: Stage) -> _Child:
        self.folder.progress(stage.name).unlink(missing_ok=True)
        context: Any = multiprocessing.get_context("spawn" if stage.kind == "prepare" else START_METHOD)
        process: BaseProcess = context.Process(
            target=run_child,
            args=(self.folder.path, stage.name, self.threads, self.folder.log(stage.name), DupFd(self.lock)),
            name=stage.name,
        )
        process.start()
        return _Child(stage, process, time.monotonic())

    def _collect(self) -> None:
        """Takes note of the processes that have ended."""
        for name, child in list(self.running.items()):
            code = child.process.exitcode
            if code is None:
                continue
            del self.running[name]
            elapsed = format_seconds(time.monotonic() - child.started)
            done = self.folder.done(name, child.stage.fingerprint) if code == 0 else None
            if done is not None:
                self.finished.add(name)
                self.display.line(f"done   {name}  {elapsed}")
                for warning in done["result"].get("warnings", []):
                    self.display.line(f"       warning: {warning}")
                continue
            self.failed[name] = self._failure(name, code)
            self.display.line(f"failed {name}  {elapsed}")
            if self.running:
                self.display.line(
                    f"       {', '.join(self.running)} still at work; Ctrl-C stops, work is kept"
                )

    def _failure(self, name: str, code: int) -> RunError:
        log = self.folder.log(name)
        lines = _tail(log, TAIL_LINES)
        if code == REFUSED and lines and lines[-1].startswith("error: "):
            return StageRefusedError(f"stage {name}: {lines[-1].removeprefix('error: ')}")
        if code == NO_ROOM:
            return StageRefusedError(f"stage {name}: {_no_room(self.folder, lines)}")
        how = f"was ended by signal {-code}" if code < 0 else f"crashed (exit code {code})"
        hint = "; it may have run out of memory: lower workers or batch_size" if code == -9 else ""
        tail = "\n".join(f"  | {line}" for line in lines)
        return StageCrashedError(
            f"stage {name} {how}{hint}; finished stages are kept, the same command goes on from there; "
            f"the end of {log}:\n{tail}"
        )

    def _progress(self, child: _Child) -> str:
        elapsed = time.monotonic() - child.started
        try:
            done, total = json.loads(self.folder.progress(child.stage.name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            done, total = 0, 0
        return format_progress(child.stage.name, done, total, elapsed)

    def _stop(self) -> None:
        """Ends the children that still run: asked first, then killed."""
        for child in self.running.values():
            child.process.terminate()
        give_up = time.monotonic() + TERMINATE_SECONDS
        for child in self.running.values():
            child.process.join(timeout=max(0.0, give_up - time.monotonic()))
            if child.process.exitcode is None:
                child.process.kill()
                child.process.join()


@contextmanager
def _preloading(threads: int) -> Iterator[None]:
    """Starts the server that stages are forked from, with what all of them import, as `prepare` goes on.

    The environment it starts in bounds the threads of every library that starts its own.
    """
    wanted = {
        **stage_environment(threads),
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


def _no_room(folder: RunFolder, lines: list[str]) -> str:
    """What a stage without room to write said; the log may have had none either."""
    if lines and lines[-1].startswith("error: no room to write"):
        return lines[-1].removeprefix("error: ")
    return (
        f"no room to write in {folder.path}, not even to its log; make room and give the same command again: what "
        "was finished before is kept"
    )


def _tail(path: Path, n_lines: int) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 65536))
            return stream.read().decode("utf-8", "replace").rstrip().splitlines()[-n_lines:]
    except OSError:
        return []
