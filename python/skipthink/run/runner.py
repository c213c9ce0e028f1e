"""One run from recipe to table."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.progress import Display
from skipthink.run.folder import RunFolder
from skipthink.run.ranks import Ranks, follow, lead
from skipthink.run.recipe import Recipe
from skipthink.run.scheduler import Scheduler
from skipthink.run.stages import Stage, build_stages


def run_recipe(
    recipe: Recipe,
    out: str | Path,
    *,
    reuse: Sequence[str | Path] = (),
    display: Display | None = None,
) -> dict[str, Any]:
    """Runs a recipe in a folder: finished stages are skipped, killed ones resumed.

    Started by torchrun, it is called in every process of the run (`pipeline.ranks`).

    Args:
        recipe: what to compute.
        out: the run folder.
        reuse: other run folders: stages they have finished with the same inputs are copied from there. `evaluate` is
            not, because seconds compare within one process only.
        display: where progress is shown; standard output by default.

    Returns:
        The content of `results.json`; nothing in the processes that follow the first one.

    Raises:
        RunError: the folder is in use, was made with another recipe or data, or a stage failed.
    """
    from skipthink.run.report import write_report

    folder, display = RunFolder(out), display or Display()
    stages = build_stages(recipe)
    ranks = Ranks.of_environment()
    if reuse and ranks.n_ranks > 1:
        raise RunError("--reuse takes a single process: give the command once without torchrun, then with it")
    others = [_other_run(path) for path in reuse]
    if ranks.rank > 0:
        with _ended_in_order():
            follow(recipe, folder, stages)
        return {}
    with folder.locked() as lock, _ended_in_order():
        folder.adopt(recipe)
        finished = [
            name for name, stage in stages.items() if folder.done(name, stage.fingerprint) is not None
        ]
        taken = {
            name: source
            for name, stage in stages.items()
            if name not in finished and (source := _take_over(folder, stage, others)) is not None
        }
        workers = recipe.workers if ranks.n_ranks == 1 else 1
        display.line(f"run {recipe.name} in {folder.path}: {len(stages)} stages, {workers} at a time")
        for name in finished:
            display.line(f"kept   {name}  (finished before)")
        for name, source in taken.items():
            display.line(f"taken  {name}  (from {source})")
        if ranks.n_ranks > 1:
            lead(recipe, folder, stages, ranks, display)
        else:
            scheduler = Scheduler(
                folder,
                stages,
                [*finished, *taken],
                workers=workers,
                threads=recipe.threads,
                lock=lock,
                display=display,
            )
            scheduler.run()
        results, table = write_report(recipe, folder, stages)
    display.line("\n" + table)
    return results


def _other_run(path: str | Path) -> RunFolder:
    if not (Path(path) / "recipe.yaml").exists():
        raise RunError(f"{path} is no run folder: it holds no recipe.yaml; name one, or leave out --reuse")
    return RunFolder(path)


def _take_over(folder: RunFolder, stage: Stage, others: list[RunFolder]) -> Path | None:
    """The first of other runs that a stage could be copied from; None where there is none."""
    if stage.kind == "evaluate":
        return None
    return next((o.path for o in others if folder.take_over(stage.name, stage.fingerprint, o)), None)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: with its children."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
