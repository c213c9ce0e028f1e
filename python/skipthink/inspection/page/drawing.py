"""Draws on matplotlib axes: points, lines, bars, heat; signs and strokes tell apart what colours do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skipthink.io.markup import name_signs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2a7bd6", "#d1680f", "#2a9a57", "#b14fc6", "#a98a00", "#159aa8", "#d9485a", "#7b828b")
"""Middle tones that are read on white and on black."""
SIGNS = "osD^vPX*"
STROKES = ("-", "--", "-.", ":")
LABEL_LENGTH = 40
"""Characters of a label in a figure; longer ones are cut with an ellipsis, their whole is in the table."""
LEGEND_ENTRIES = 12
MOST_BARS = 24
WHOLE_MARKS = 12

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A method at its cost and accuracy, with the ends of its interval."""

    label: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Values over x, with intervals where there are; `is_line`: a line to be beaten, without signs."""

    label: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    is_line: bool = False


@dataclass(frozen=True)
class Bar:
    """A length with its name and the text at its end."""

    label: str
    value: float
    shown: str


def label_text(text: str) -> str:
    """A name as it stands in a figure: hidden signs named, long ones cut, dollar signs no mathematics."""
    whole = " ".join(name_signs(text).split())
    cut = whole if len(whole) <= LABEL_LENGTH else whole[: LABEL_LENGTH - 1] + "…"
    return cut.replace("$", r"\$")


def points(axes: Axes, *, points: Sequence[Point], curves: Sequence[Curve], x: str, y: str) -> None:
    """Points with intervals, and curves to be beaten."""
    for place, curve in enumerate(curves):
        axes.plot(
            curve.x,
            curve.y,
            STROKES[place % 4],
            color=COLOURS[7],
            label=label_text(curve.label),
            linewidth=1.6,
        )
    for place, point in enumerate(points):
        colour, sign = _style(place)
        ends = [[max(0.0, point.y - point.low)], [max(0.0, point.high - point.y)]]
        axes.errorbar(
            [point.x],
            [point.y],
            yerr=ends,
            fmt=sign,
            color=colour,
            label=label_text(point.label),
            markersize=8,
            capsize=3,
        )
    axes.set_xlim(left=0)
    _finish(axes, x, y)


def lines(
    axes: Axes, *, curves: Sequence[Curve], x: str, y: str, from_zero: bool = False, whole: bool = False
) -> None:
    """Lines, each with a sign and a stroke of its own.

    Args:
        axes: where to.
        curves: the lines.
        x: title of the axis.
        y: title of the axis.
        from_zero: whether y begins at 0.
        whole: whether x are whole numbers; lines then stand a little beside each other, so that none hides another.
    """
    for place, curve in enumerate(curves):
        beside = 0.5 * (place - (len(curves) - 1) / 2) / len(curves) if whole else 0.0
        colour, sign = _style(place)
        ends = None
        if curve.low is not None and curve.high is not None:
            ends = [np.maximum(0.0, curve.y - curve.low), np.maximum(0.0, curve.high - curve.y)]
        axes.errorbar(
            curve.x + beside,
            curve.y,
            yerr=ends,
            fmt=sign + STROKES[place // len(SIGNS) % 4],
            color=colour,
            label=label_text(curve.label),
            markersize=5,
            markevery=max(1, len(curve.x) // 12),
            linewidth=1.6,
            capsize=2,
            elinewidth=0.8,
        )
    if from_zero:
        axes.set_ylim(bottom=0)
    if whole and curves:
        places = np.concatenate([curve.x for curve in curves])
        axes.set_xlim(places.min() - 0.6, places.max() + 0.6)
        if len(marks := np.unique(places)) <= WHOLE_MARKS:
            axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    _finish(axes, x, y)


def bars(axes: Axes, *, bars: Sequence[Bar], x: str) -> None:
    """Lying bars with their values, the first on top."""
    if len(bars) > MOST_BARS:
        left_out = len(bars) - MOST_BARS
        bars = [*bars[:MOST_BARS], Bar(f"and {left_out} more, see the numbers", 0.0, "")]
    places = np.arange(len(bars))
    drawn = axes.barh(places, [bar.value for bar in bars], color=COLOURS[0], height=0.7)
    axes.bar_label(drawn, [bar.shown for bar in bars], padding=4)
    axes.set_yticks(places, [label_text(bar.label) for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max((bar.value for bar in bars), default=1.0) or 1.0)
    axes.set_xlabel(x)


def grouped(axes: Axes, *, curves: Sequence[Curve], x: str, y: str) -> None:
    """Standing bars in groups, one per position."""
    width = 0.8 / max(len(curves), 1)
    hatches = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
    for place, curve in enumerate(curves):
        at = curve.x + (place - (len(curves) - 1) / 2) * width
        drawn = axes.bar(
            at,
            curve.y,
            width,
            color=_style(place)[0],
            hatch=hatches[place % len(hatches)],
            edgecolor="white",
            linewidth=0,
            label=label_text(curve.label),
        )
        if len(curves) <= 3:
            axes.bar_label(drawn, [f"{value:.0f}" for value in curve.y], padding=2)
    axes.set_xticks(np.unique(np.concatenate([curve.x for curve in curves])))
    axes.set_ylim(0, 100 if len(curves) == 1 else 120)
    _finish(axes, x, y)


def heat(axes: Axes, *, labels: Sequence[str], columns: Sequence[str], values: Floats, x: str) -> None:
    """A grid of shares in percent: the darker the more, with the number in the cell."""
    top = max(float(values.max(initial=0.0)), 1e-9)
    for row, shares in enumerate(values):
        for column, share in enumerate(shares):
            axes.barh(
                row,
                1.0,
                left=column,
                height=1.0,
                color=COLOURS[0],
                alpha=0.75 * float(share) / top,
                linewidth=0,
            )
            if share >= 0.5:
                axes.text(column + 0.5, row, f"{share:.0f}", ha="center", va="center")
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), [label_text(label) for label in labels])
    marks = range(0, len(columns) + 1, 2)
    axes.set_xticks(marks, [f"{100 * place // len(columns)} %" for place in marks])
    axes.set_xlabel(x)


def _style(place: int) -> tuple[str, str]:
    return COLOURS[place % len(COLOURS)], SIGNS[place % len(SIGNS)]


def _finish(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > LEGEND_ENTRIES:
        handles = handles[:LEGEND_ENTRIES]
        labels = [
            *labels[: LEGEND_ENTRIES - 1],
            f"and {len(labels) - LEGEND_ENTRIES + 1} more, see the numbers",
        ]
    if len(labels) > 1:
        axes.legend(handles, labels, frameon=False, fontsize="small", loc="best")
