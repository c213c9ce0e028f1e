"""Who works on parts: this process, processes of this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from skipthink.exceptions import RunError
from skipthink.stream.options import FileOptions
from skipthink.stream.part_work import Counts, PartTask, PartWork

MOST_DEATHS = 10
"""How often workers may die before work on the parts they had is given up."""

Done = tuple[PartTask, Counts]


def work_on(
    work: PartWork,
    tasks: Sequence[PartTask],
    options: FileOptions,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Done]:
    """Works on parts; each is yielded when it is done, in any order.

    Args:
        work: what is done with each.
        tasks: the parts.
        options: who works.
        progress: called with rows that are done.

    Raises:
        RunError: workers died too often, or there is no cluster.
        SkipthinkError: what the work raises; parts that were done stay.
    """
    if options.engine == "ray":
        from skipthink.stream.ray_workers import work_on_ray

        yield from work_on_ray(work, tasks, options, progress)
    elif options.workers in (None, 1):
        yield from ((task, work.do(task, progress)) for task in tasks)
    else:
        yield from _in_processes(work, tasks, options.workers or 1, progress)


def _in_processes(
    work: PartWork, tasks: Sequence[PartTask], workers: int, progress: Callable[[int], None] | None
) -> Iterator[Done]:
    left = list(tasks)
    deaths = 0
    while left:
        # spawned, not forked: threads of Arrow and torch do not survive a fork
        pool = ProcessPoolExecutor(min(workers, len(left)), get_context("spawn"), _keep, (work,))
        try:
            waiting = {pool.submit(_do_kept, task): task for task in left}
            for future in as_completed(waiting):
                counts = future.result()
                task = waiting[future]
                left.remove(task)
                if progress is not None:
                    progress(task.part.n_rows)
                yield task, counts
        except BrokenProcessPool as error:
            deaths += 1
            if deaths > MOST_DEATHS:
                raise RunError(_given_up(len(left))) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _given_up(n_left: int) -> str:
    return (
        f"workers died {MOST_DEATHS + 1} times, with {n_left} parts left: they may have run out of memory. Take fewer "
        "workers or smaller parts; the same command goes on from what is done"
    )


_kept: list[PartWork] = []
"""The work of this process, which is sent to it once and not with each part."""


def _keep(work: PartWork) -> None:
    _kept[:] = [work]


def _do_kept(task: PartTask) -> Counts:
    return _kept[0].do(task)
