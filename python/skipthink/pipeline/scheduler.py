"""Runs stages as processes, side by side where they do not need each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skipthink.exceptions import RunError
from skipthink.pipeline.stages import Stage
from skipthink.pipeline.state import RunFolder
from skipthink.progress import Display, format_progress, format_seconds

POLL_SECONDS = 0.1
TERMINATE_SECONDS = 5.0
TAIL_LINES = 15
REFUSED = 2
"""Exit code of a worker that was given something wrong; its last line says what."""


class StageRefusedError(RunError):
    """A stage was given something wrong: the user's to mend."""


class StageCrashedError(RunError):
    """A stage's process crashed."""


@dataclass
class _Child:
    stage: Stage
    process: subprocess.Popen[bytes]
    started: float


class Scheduler:
    """Runs the stages of a run.

    Args:
        folder: the run folder, locked.
        stages: all stages by name.
        finished: names of those that are finished already.
        workers: processes side by side.
        threads: threads of each; a stage that runs alone (`evaluate`) gets those of all workers.
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
        try:
            while True:
                if not self.failed:
                    self._start_ready()
                if not self.running:
                    break
                time.sleep(POLL_SECONDS)
                self._collect()
                self.display.show([self._progress(child) for child in self.running.values()])
        finally:
            self._stop()
        if self.failed:
            raise next(iter(self.failed.values()))

    def _start_ready(self) -> None:
        ready = [
            stage
            for stage in self.stages.values()
            if stage.name not in self.finished
            and stage.name not in self.running
            and all(need in self.finished for need in stage.needs)
        ]
        for stage in sorted(ready, key=lambda stage: -stage.rank)[: self.workers - len(self.running)]:
            self.running[stage.name] = self._start(stage)
            self.display.line(f"start  {stage.name}")

    def _start(self, stage: Stage) -> _Child:
        threads = self.threads * (self.workers if stage.kind == "evaluate" else 1)
        self.folder.progress(stage.name).unlink(missing_ok=True)
        command = [sys.executable, "-m", "skipthink.worker", str(self.folder.path), stage.name,
                   "--parent", str(os.getpid()), "--threads", str(threads)]  # fmt: skip
        with self.folder.log(stage.name).open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the parent alone, which then ends its children in good order
                start_new_session=True,
                pass_fds=(self.lock,),
                env=_environment(threads),
            )
        return _Child(stage, process, time.monotonic())

    def _collect(self) -> None:
        """Takes note of the processes that have ended."""
        for name, child in list(self.running.items()):
            code = child.process.poll()
            if code is None:
                continue
            del self.running[name]
            elapsed = format_seconds(time.monotonic() - child.started)
            if code == 0 and self.folder.done(name, child.stage.fingerprint) is not None:
                self.finished.add(name)
                self.display.line(f"done   {name}  {elapsed}")
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
            try:
                child.process.wait(timeout=max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _environment(threads: int) -> dict[str, str]:
    """Threads bounded in every library that starts its own, no chatter, and output as it comes."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _tail(path: Path, n_lines: int) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 65536))
            return stream.read().decode("utf-8", "replace").rstrip().splitlines()[-n_lines:]
    except OSError:
        return []
