"""The figures of a report: the numbers of each, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.core.steps import split_steps_batch
from skipthink.evaluation.intervals import wilson_interval
from skipthink.inspection.page import drawing
from skipthink.inspection.page.drawing import Bar, Curve, Point
from skipthink.inspection.page.measures import Measured, Shown, Table, is_reference, measured, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skipthink.inspection.record import RunRecord

CURVE_POINTS = 40
"""Points of a curve over lengths, at most."""
POSITION_BINS = 10
STEP_GROUPS = 8
"""Groups of samples by number of steps, at most."""
COSTS = {
    "tokens": ("tokens_per_answer", "generated tokens per answer", 1.0, 1),
    "seconds": ("seconds_per_answer", "milliseconds per answer", 1000.0, 1),
}
"""Cost → measure, title of the axis, factor of the axis, digits."""


@dataclass(frozen=True)
class Figure:
    """A figure with its numbers.

    Attributes:
        name: of the function of `skipthink.plots`, and what tells it from others in a page.
        title: what it shows.
        caption: how to read it.
        table: its numbers.
        draw: draws it on axes.
        height: of a width of 1.
    """

    name: str
    title: str
    caption: str
    table: Table
    draw: Callable[[Axes], None]
    height: float = 0.62


def all_figures(runs: Sequence[Shown]) -> list[Figure]:
    """The figures that there are numbers for."""
    found = measured(runs)
    made = [
        accuracy_against(found, "tokens"),
        accuracy_against(found, "seconds"),
        tokens_per_right(found),
        accuracy_by_steps(found),
        accuracy_given_chunks(found),
        losses(runs),
        cuts(runs),
        skips(runs),
        seconds(runs),
    ]
    return [figure for figure in made if figure is not None]


def accuracy_against(found: Sequence[Measured], cost: str) -> Figure | None:
    """Accuracy against generated tokens or seconds, with Base cut at k tokens as the curve to beat."""
    measure, axis, factor, digits = COSTS[cost]
    points, rows = [], []
    for one in found:
        accuracy, price = one.mean("accuracy"), one.mean(measure)
        if accuracy is None or price is None:
            continue
        low, high = one.interval or (accuracy, accuracy)
        points.append(Point(one.label, factor * price, 100 * accuracy, 100 * low, 100 * high))
        rows.append(
            [
                one.label,
                number(factor * price, digits),
                percent(accuracy),
                f"{percent(low)} to {percent(high)}",
            ]
        )
    if not points:
        return None
    curves = []
    for one in found:
        if is_reference(one.method) and (curve := base_cut(one)) is not None:
            price, tokens = one.mean(measure), one.mean("tokens_per_answer")
            rate = factor * (price or 0.0) / (tokens or 1.0)
            curves.append(
                Curve(f"{one.label} cut at k tokens", curve[1] * rate, 100 * curve[2], is_line=True)
            )
            rows += [
                [f"{one.label} cut at {k:.0f} tokens", number(x * rate, digits), percent(y), "–"]
                for k, x, y in zip(*curve, strict=True)
            ]
    how = " at Base's mean rate per token" if cost == "seconds" else ""
    caption = (
        "Up and to the left is better; bars are 95 % intervals over questions. The line is Base with its answers cut "
        f"at k tokens{how}: one that is not finished by then counts as wrong. A method has to lie above it."
    )
    title = f"Accuracy against {'tokens' if cost == 'tokens' else 'seconds'}"
    table = Table(title, ("method", axis, "accuracy %", "95 % interval"), rows)
    draw = partial(drawing.points, points=points, curves=curves, x=axis, y="accuracy %")
    return Figure(f"accuracy_against_{cost}", title, caption, table, draw)


def base_cut(one: Measured) -> tuple[Any, Any, Any] | None:
    """A method cut at k tokens: an answer that is not finished by then counts as wrong.

    Returns:
        k, mean tokens per answer and accuracy (0 to 1), float64 (n_points,) each; None where answers cannot be read.
    """
    if one.right is None or one.tokens is None:
        return None
    lengths = np.unique(one.tokens)
    if len(lengths) > CURVE_POINTS:
        lengths = np.unique(np.quantile(lengths, np.linspace(0, 1, CURVE_POINTS), method="nearest"))
    means = np.asarray([np.minimum(one.tokens, k).mean() for k in lengths])
    shares = np.asarray([(one.right & (one.tokens <= k)).mean() for k in lengths])
    return lengths, means, shares


def tokens_per_right(found: Sequence[Measured]) -> Figure | None:
    """Generated tokens over all questions per right answer."""
    values = [(one.label, value) for one in found if (value := one.tokens_per_right) is not None]
    if not values:
        return None
    bars = [Bar(label, value, number(value, 0)) for label, value in values]
    title = "Tokens per right answer"
    table = Table(title, ("method", "tokens per right answer"), [[bar.label, bar.shown] for bar in bars])
    caption = "All tokens that were generated, by the number of right answers; shorter is better."
    draw = partial(drawing.bars, bars=bars, x="generated tokens per right answer")
    return Figure("tokens_per_right_answer", title, caption, table, draw, _bars_height(bars))


def accuracy_by_steps(found: Sequence[Measured]) -> Figure | None:
    """Accuracy by K, the number of steps of the teacher's rationale."""
    curves, rows = [], []
    for one in found:
        steps = steps_of(one.run.record, one.run.record.evaluated_split)
        if steps is None or one.right is None or one.right.shape[1] != len(steps):
            continue
        groups = step_groups(steps[steps > 0])
        x, y, low, high = [], [], [], []
        for first, last in groups:
            right = one.right[:, (steps >= first) & (steps <= last)]
            ends = wilson_interval(int(right.sum()), right.size)
            x.append((first + last) / 2)
            y.append(100 * float(right.mean()))
            low.append(100 * ends[0])
            high.append(100 * ends[1])
            name = str(first) if first == last else f"{first} to {last}"
            shown = f"{percent(ends[0])} to {percent(ends[1])}"
            rows.append([one.label, name, number(right.size, 0), percent(float(right.mean())), shown])
        if x:
            curves.append(Curve(one.label, np.asarray(x), np.asarray(y), np.asarray(low), np.asarray(high)))
    if not curves:
        return None
    title = "Accuracy by number of steps"
    table = Table(title, ("method", "steps", "answers", "accuracy %", "95 % interval"), rows)
    caption = "Steps of the teacher's rationale: what a question takes. Bars are 95 % Wilson intervals."
    draw = partial(
        drawing.lines, curves=curves, x="steps of the teacher's rationale", y="accuracy %", whole=True
    )
    return Figure("accuracy_by_steps", title, caption, table, draw)


def steps_of(record: RunRecord, split: str) -> npt.NDArray[np.int64] | None:
    """K of each sample of a split, int64 (n,), 0 where there is no rationale; None where the file cannot be read."""
    table = record.samples(split)
    if table is None or "rationale" not in table.column_names:
        return None
    texts = [text or "" for text in table["rationale"].to_pylist()]
    return split_steps_batch(texts, rules=record.recipe["chunks"]["rules"]).n_steps


def step_groups(steps: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Numbers of steps as (first, last) of groups: each its own, or of about the same size where there are many."""
    if not len(steps):
        return []
    values = np.unique(steps)
    if len(values) <= STEP_GROUPS:
        return [(int(value), int(value)) for value in values]
    edges = np.unique(np.quantile(steps, np.linspace(0, 1, STEP_GROUPS + 1), method="nearest"))
    firsts = [int(edges[0]), *(int(edge) + 1 for edge in edges[1:-1])]
    return [(first, int(last)) for first, last in zip(firsts, edges[1:], strict=True) if first <= last]


def accuracy_given_chunks(found: Sequence[Measured]) -> Figure | None:
    """Accuracy where the teacher's first m chunks are given."""
    curves, rows = [], []
    for one in found:
        given = [part.result["stage_accuracy"] for part in one.parts if part.result.get("stage_accuracy")]
        if not given or len({len(shares) for shares in given}) > 1:
            continue
        shares = np.mean(given, axis=0)
        curves.append(Curve(one.label, np.arange(len(shares), dtype=np.float64), 100 * shares))
        rows += [[one.label, str(m), percent(share)] for m, share in enumerate(shares)]
    if not curves:
        return None
    title = "Accuracy with the first chunks given"
    caption = "The student goes on behind the teacher's first m chunks. Where the line rises, its own chunk goes wrong."
    draw = partial(drawing.lines, curves=curves, x="chunks given", y="accuracy %", whole=True)
    return Figure(
        "accuracy_given_chunks", title, caption, Table(title, ("method", "chunks", "accuracy %"), rows), draw
    )


def losses(runs: Sequence[Shown]) -> Figure | None:
    """Training loss by step, every seed a line."""
    curves, rows = [], []
    for run in runs:
        for trained in run.record.trainings():
            points = trained.loss_points
            if not points:
                continue
            steps, values = np.asarray(points, dtype=np.float64).T
            label = run.named(trained.label)
            curves.append(Curve(label, steps, values))
            rows.append(
                [
                    label,
                    number(steps[0], 0),
                    number(values[0], 3),
                    number(steps[-1], 0),
                    number(values[-1], 3),
                ]
            )
    if not curves:
        return None
    title = "Training loss"
    columns = ("training", "step of the first point", "its loss", "step of the last point", "its loss")
    caption = (
        "Mean loss of target tokens in nats per token; in long trainings each point is the mean of several steps. "
        "Methods train on different targets."
    )
    draw = partial(drawing.lines, curves=curves, x="optimiser step", y="loss", from_zero=True)
    return Figure("losses", title, caption, Table(title, columns, rows), draw)


def cuts(runs: Sequence[Shown]) -> Figure | None:
    """Where cuts lie in rationales, by epoch: a row per training and epoch, a column per tenth of the steps."""
    labels, shares = [], []
    for run in runs:
        for trained in run.record.trainings():
            if trained.epochs is None or not trained.epochs.num_rows:
                continue
            epochs = np.asarray(trained.epochs["boundaries"].to_pylist(), dtype=np.int64)
            for epoch in range(epochs.shape[1]):
                labels.append(f"{run.named(trained.label)}, epoch {epoch + 1}")
                shares.append(cut_shares(epochs[:, epoch]))
    if not labels:
        return None
    bins = [
        f"{100 * bin_ // POSITION_BINS}–{100 * (bin_ + 1) // POSITION_BINS} %"
        for bin_ in range(POSITION_BINS)
    ]
    rows = [[label, *(percent(share, 0) for share in row)] for label, row in zip(labels, shares, strict=True)]
    title = "Where cuts lie, by epoch"
    caption = (
        "Share of the inner cuts, in percent, by their place in the rationale (in steps, of all its steps)."
    )
    draw = partial(
        drawing.heat, labels=labels, columns=bins, values=100 * np.asarray(shares), x="place in the rationale"
    )
    return Figure(
        "cuts",
        title,
        caption,
        Table(title, ("training", *bins), rows),
        draw,
        0.22 + 0.06 * min(len(labels), 20),
    )


def cut_shares(boundaries: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of inner cuts by position, float64 (POSITION_BINS,); cuts at the ends, of empty chunks, are left out.

    Args:
        boundaries: int64 (n, M + 1).
    """
    n_steps, inner = boundaries[:, -1:], boundaries[:, 1:-1]
    is_inside = (inner > 0) & (inner < n_steps)
    places = (inner / np.maximum(n_steps, 1))[is_inside]
    counts = np.histogram(places, bins=POSITION_BINS, range=(0.0, 1.0))[0].astype(np.float64)
    shares: npt.NDArray[np.float64] = counts / max(counts.sum(), 1.0)
    return shares


def skips(runs: Sequence[Shown]) -> Figure | None:
    """The share of training samples in which the judge could do without chunk m."""
    curves, rows = [], []
    for run in runs:
        for judged in run.record.judged():
            if judged.skips is None or not judged.skips.num_rows:
                continue
            skipped = np.asarray(judged.skips["skipped"].to_pylist(), dtype=np.bool_)
            shares = skipped.mean(axis=0)
            label = run.named(judged.job.name)
            curves.append(Curve(label, np.arange(1.0, len(shares) + 1), 100 * shares))
            rows.append([label, number(len(skipped), 0), *(percent(share) for share in shares)])
    if not curves:
        return None
    n_chunks = max(len(curve.x) for curve in curves)
    title = "Skipped chunks by position"
    columns = ("skip data", "samples", *(f"chunk {m}" for m in range(1, n_chunks + 1)))
    rows = [[*row, *["–"] * (len(columns) - len(row))] for row in rows]
    caption = "Percent of all training samples in which the judge is right without the chunk."
    draw = partial(drawing.grouped, curves=curves, x="chunk", y="skipped %")
    return Figure("skips", title, caption, Table(title, columns, rows), draw)


def seconds(runs: Sequence[Shown]) -> Figure | None:
    """Where the time went: seconds of each finished job."""
    bars, rows = [], []
    for run in runs:
        jobs = run.record.jobs.values()
        done = [
            job
            for job in jobs
            if job.seconds is not None and (job.kind != "evaluate" or job.method is not None)
        ]
        if not done:
            continue
        total = sum(job.seconds or 0.0 for job in done)
        for job in sorted(done, key=lambda job: -(job.seconds or 0.0)):
            spent = job.seconds or 0.0
            bars.append(Bar(run.named(job.name), spent, number(spent)))
            rows.append([run.named(job.name), number(spent), percent(spent / total if total else None)])
        rows.append([run.named("all jobs"), number(total), "100.0"])
    if not bars:
        return None
    title = "Where the time went"
    table = Table(title, ("job", "seconds", "share %"), rows)
    caption = "Seconds of each job; jobs that ran side by side count in full."
    draw = partial(drawing.bars, bars=bars, x="seconds")
    return Figure("seconds", title, caption, table, draw, _bars_height(bars))


def _bars_height(bars: Sequence[Bar]) -> float:
    return 0.18 + 0.055 * min(max(len(bars), 3), drawing.MOST_BARS + 1)
