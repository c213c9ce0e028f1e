"""One run from recipe to table."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from skipthink.exceptions import RunError
from skipthink.inspection.layout import REPORT_FILE
from skipthink.io.progress import Display
from skipthink.run.addresses import open_files, refuse_address
from skipthink.run.events import Events, command_line
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph, Job, build_graph
from skipthink.run.pools import Engine, LocalEngine
from skipthink.run.ranks import Ranks, follow, lead, shared_graph
from skipthink.run.recipe import Recipe
from skipthink.run.run_files import RunFiles
from skipthink.run.scheduler import Scheduler
from skipthink.run.student_files import refuse_unreadable
from skipthink.run.tries import Tries


def run_recipe(
    recipe: Recipe,
    out: str | Path | RunFiles,
    *,
    copy: str | Path | None = None,
    reuse: Sequence[str | Path] = (),
    display: Display | None = None,
    cheapest_first: bool = False,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Runs a recipe in a folder: finished jobs are kept, killed ones resumed.

    Started by torchrun, it is called in every process of the run (`skipthink.run.ranks`).

    Args:
        recipe: what to compute.
        out: the run folder, or an address in an object store.
        copy: of an object store the folder in which this process works; None: one in the user's cache.
        reuse: other run folders: jobs they have finished with the same inputs are copied from there. `evaluate` is
            not, because seconds compare within one process only.
        display: where progress is shown; standard output by default.
        cheapest_first: starts jobs that few others need first, in the order of the recipe; else the longest chain.
        engine: what works on the jobs; None: processes of this machine.

    Returns:
        The content of `results.json`; nothing in the processes that follow the first one.

    Raises:
        InvalidInputError: an address that holds keys, `copy` with a folder, or a student whose package, or the package
            that reads it, is not installed.
        RunError: the folder is in use, was made with another recipe or data, or a job failed.
    """
    from skipthink.run.report import write_report

    files = out if isinstance(out, RunFiles) else open_files(out, copy)
    folder, display, engine = files.folder, display or Display(), engine or LocalEngine()
    ranks = Ranks.of_environment()
    if reuse and ranks.n_ranks > 1:
        raise RunError("--reuse takes a single process: give the command once without torchrun, then with it")
    if ranks.n_ranks > 1 and not isinstance(engine, LocalEngine):
        raise RunError(
            "torchrun and --engine ray exclude each other: a job on a cluster trains in one process"
        )
    if ranks.n_ranks > 1 and type(files) is not RunFiles:
        raise RunError(
            f"torchrun works in a folder, and {files} is in an object store: copy it there at the end"
        )
    others = [_other_run(path) for path in reuse]
    if ranks.rank > 0:
        with _ended_in_order():
            follow(folder, shared_graph(ranks, recipe))
        return {}
    graph = build_graph(recipe) if ranks.n_ranks == 1 else shared_graph(ranks, recipe)
    with folder.locked() as lock, _ended_in_order(), files.held(display.line):
        files.fetch_words()
        folder.adopt(recipe)
        files.fetch(graph)
        for job in graph:
            Tries(folder, job).commit(graph.fingerprints[job])  # finished, and then the run was killed
        finished = [job for job in graph if folder.done(job, graph.fingerprints[job]) is not None]
        folder.begin(graph)
        taken = {
            job: source
            for job in graph
            if job not in finished and (source := _take_over(folder, graph, job, others)) is not None
        }
        if isinstance(engine, LocalEngine):
            # not on a cluster: its nodes read the student, and this machine may lack what they have
            if any(job.kind is Kind.STUDENT and job not in finished and job not in taken for job in graph):
                refuse_unreadable(recipe.student)
            for job in graph:
                files.take_back(job)
                Tries(folder, job).take_back()
        pool = engine.pool(files, graph, lock)
        how = pool.description if ranks.n_ranks == 1 else "1 at a time"
        events = Events(folder.path, display)
        what = f"run {recipe.name} in {files}: {len(graph)} jobs, {how}"
        events.say("run", what, name=recipe.name, jobs=[job.name for job in graph], command=command_line())
        for job in finished:
            events.say("kept", f"kept   {job.name}  (finished before)", job=job.name)
        for job, source in taken.items():
            events.say("taken", f"taken  {job.name}  (from {source})", job=job.name, source=str(source))
        if ranks.n_ranks > 1:
            lead(folder, graph, ranks, events)
        else:
            scheduler = Scheduler(
                folder,
                graph,
                [*finished, *taken],
                pool=pool,
                events=events,
                cheapest_first=cheapest_first,
                keep=lambda: files.put(graph),
            )
            files.put(graph)
            with _stop_said(events):
                scheduler.run()
        results, table = write_report(folder, graph)
        page = _write_page(folder)
        files.put(graph, is_over=True)
        events.say("finished", f"\n{table}\n\n{page}", results=str(folder.path / "results.json"))
    return results


def _write_page(folder: RunFolder) -> str:
    """Writes the page of a finished run; says where it is, or why there is none: the results are there without it."""
    from skipthink.inspection import open_run
    from skipthink.inspection.page import write_page

    path = folder.path / REPORT_FILE
    started = time.monotonic()
    try:
        write_page([open_run(folder.path)], path)
    except Exception as error:
        return f"no {REPORT_FILE}: {error}; skipthink report {folder.path} tries again"
    return f"report: {path} ({time.monotonic() - started:.1f} s)"


@contextmanager
def _stop_said(events: Events) -> Iterator[None]:
    """Notes that a run was stopped by its user."""
    try:
        yield
    except KeyboardInterrupt:
        events.say("stopped")
        raise
    finally:
        events.display.clear()


def _other_run(path: str | Path) -> RunFolder:
    refuse_address(path)
    if not (Path(path) / "recipe.yaml").exists():
        raise RunError(f"{path} is no run folder: it holds no recipe.yaml; name one, or leave out --reuse")
    return RunFolder(path)


def _take_over(folder: RunFolder, graph: Graph, job: Job, others: list[RunFolder]) -> Path | None:
    """The first of other runs that a job could be copied from; None where there is none."""
    if job.kind is Kind.EVALUATE:
        return None
    return next((o.path for o in others if folder.take_over(job, graph.fingerprints[job], o)), None)


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
