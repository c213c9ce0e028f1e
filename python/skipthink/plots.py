"""The figures of a report on matplotlib axes, for papers and notebooks: `plots.accuracy_against(run)`.

Each function takes a run folder, or what `skipthink.inspection.open_run` gave, or a list of two to compare, and axes
to draw on; without axes it makes a figure. It returns the axes. Needs `pip install skipthink[report]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skipthink.exceptions import InvalidInputError
from skipthink.inspection import RunRecord, open_run
from skipthink.inspection.page import figures
from skipthink.inspection.page.figures import Figure
from skipthink.inspection.page.measures import Shown, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Run = str | Path | RunRecord
Runs = Run | Sequence[Run]

__all__ = [
    "accuracy_against",
    "accuracy_by_steps",
    "accuracy_given_chunks",
    "cuts",
    "losses",
    "seconds",
    "skips",
    "tokens_per_right_answer",
]


def accuracy_against(runs: Runs, cost: str = "tokens", *, ax: Axes | None = None) -> Axes:
    """Accuracy against generated tokens per answer ("tokens") or time ("seconds"), with Base cut at k tokens as a line.

    Raises:
        InvalidInputError: another cost, or nothing is evaluated yet.
    """
    if cost not in figures.COSTS:
        raise InvalidInputError(f"cost must be one of {', '.join(figures.COSTS)}, got {cost!r}")
    return _draw(runs, lambda shown: figures.accuracy_against(measured(shown), cost), ax)


def tokens_per_right_answer(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Generated tokens over all questions per right answer.

    Raises:
        InvalidInputError: nothing is evaluated yet.
    """
    return _draw(runs, lambda shown: figures.tokens_per_right(measured(shown)), ax)


def accuracy_by_steps(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Accuracy by the number of steps of the teacher's rationale.

    Raises:
        InvalidInputError: nothing is evaluated yet, or questions have no rationales.
    """
    return _draw(runs, lambda shown: figures.accuracy_by_steps(measured(shown)), ax)


def accuracy_given_chunks(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Accuracy where the teacher's first m chunks are given.

    Raises:
        InvalidInputError: no method that answers stage by stage is evaluated yet.
    """
    return _draw(runs, lambda shown: figures.accuracy_given_chunks(measured(shown)), ax)


def losses(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Training loss by optimiser step, every training a line.

    Raises:
        InvalidInputError: nothing is logged yet.
    """
    return _draw(runs, figures.losses, ax)


def cuts(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Where cuts lie in rationales, a row per training and epoch.

    Raises:
        InvalidInputError: no training of the run searches chunks.
    """
    return _draw(runs, figures.cuts, ax)


def skips(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Percent of training samples in which the judge can do without chunk m.

    Raises:
        InvalidInputError: there are no skip data yet.
    """
    return _draw(runs, figures.skips, ax)


def seconds(runs: Runs, *, ax: Axes | None = None) -> Axes:
    """Seconds of each finished job.

    Raises:
        InvalidInputError: no job is finished yet.
    """
    return _draw(runs, figures.seconds, ax)


def _draw(runs: Runs, make: Callable[[list[Shown]], Figure | None], ax: Axes | None) -> Axes:
    given = [runs] if isinstance(runs, str | Path | RunRecord) else list(runs)
    records = [run if isinstance(run, RunRecord) else open_run(run) for run in given]
    labels = [""] if len(records) == 1 else [record.path.name for record in records]
    figure = make([Shown(record, label) for record, label in zip(records, labels, strict=True)])
    if figure is None:
        names = " and ".join(str(record.path) for record in records)
        raise InvalidInputError(
            f"{names} has nothing to draw this figure from yet; skipthink status says what is done"
        )
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1]
    figure.draw(ax)
    ax.set_title(figure.title)
    return ax
