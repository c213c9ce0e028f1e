"""One run in several processes: `torchrun --nproc_per_node N -m skipthink run recipe.yaml`.

Every process goes through the same stages in the same order. A training stage is run by all of them, each on its
part of every step; any other stage by the first process alone, while the others wait for its note that the stage
is finished. The run folder lies where all processes see it. When one process fails, torchrun ends the others;
the same command goes on from there.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.progress import Display, format_progress, format_seconds
from skipthink.run.folder import RunFolder
from skipthink.run.process import set_threads, stage_environment
from skipthink.run.recipe import Recipe
from skipthink.run.stages import Stage
from skipthink.run.work import run_stage

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is.

    Attributes:
        rank: 0 … n_ranks - 1.
        n_ranks: processes of the run.
    """

    rank: int
    n_ranks: int

    @classmethod
    def of_environment(cls) -> Ranks:
        """What torchrun has set; one process where it has not.

        Raises:
            RunError: it is set, but not to numbers.
        """
        found = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
        if None in found.values():
            return cls(0, 1)
        try:
            return cls(int(found["RANK"] or ""), int(found["WORLD_SIZE"] or ""))
        except ValueError:
            raise RunError(f"the environment has {found}; torchrun sets both to numbers") from None


def lead(recipe: Recipe, folder: RunFolder, stages: dict[str, Stage], ranks: Ranks, display: Display) -> None:
    """What the first process does: runs every stage that is not finished, in the order of the graph.

    Args:
        recipe: of the run.
        folder: the run folder, locked, its recipe written.
        stages: all stages by name.
        ranks: which process this is.
        display: where progress is shown.
    """
    _set_up(recipe)
    display.line(f"{ranks.n_ranks} processes: they train together, one stage after the other")
    for name, stage in stages.items():
        if folder.done(name, stage.fingerprint) is not None:
            continue
        display.line(f"start  {name}")
        started = time.monotonic()
        set_threads(recipe.threads, name)
        run_stage(folder, name, partial(_show, display, name, started))
        display.line(f"done   {name}  {format_seconds(time.monotonic() - started)}")
    _leave()


def follow(recipe: Recipe, folder: RunFolder, stages: dict[str, Stage]) -> None:
    """What every other process does: trains with the first one, and else waits for it.

    Raises:
        RunError: torchrun has ended, so that nobody would tell that the first process has failed.
    """
    _set_up(recipe)
    parent = os.getppid()
    for name, stage in stages.items():
        if stage.kind == "train" and folder.done(name, stage.fingerprint) is None:
            set_threads(recipe.threads, name)
            run_stage(folder, name, _say_nothing, is_main=False)
        while folder.done(name, stage.fingerprint) is None:
            if os.getppid() != parent:
                raise RunError("torchrun has ended; start the run again, it goes on from where it stands")
            time.sleep(POLL_SECONDS)
    _leave()


def _set_up(recipe: Recipe) -> None:
    os.environ.update(stage_environment(recipe.threads))


def _leave() -> None:
    """Processes leave their group in good order, if they ever were one."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _show(display: Display, name: str, started: float, done: int, total: int) -> None:
    display.show([format_progress(name, done, total, time.monotonic() - started)])


def _say_nothing(done: int, total: int) -> None:
    """The first process shows the progress."""
