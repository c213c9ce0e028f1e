"""Accuracy against what answers cost: the plot of `skipthink compare --plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skipthink.exceptions import InvalidInputError

PANELS = (("tokens", "tokens per answer", 1.0), ("seconds", "milliseconds per answer", 1000.0))


def plot_comparison(found: dict[str, Any], path: Path) -> None:
    """Draws accuracy against generated tokens and against seconds, with intervals and the Pareto front.

    Args:
        found: what `skipthink.evaluation.comparison.compare_answers` returns.
        path: an .svg, .png or .pdf file.

    Raises:
        InvalidInputError: matplotlib is not installed, or cannot write such a file.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidInputError(
            "a plot needs the package matplotlib: pip install 'skipthink[compare]'"
        ) from error
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (cost, title, scale) in zip(panels, PANELS, strict=True):
        _draw(panel, found["methods"], cost, scale)
        panel.set_xlabel(title)
        panel.set_xlim(0, 1.15 * panel.get_xlim()[1])  # names stand to the right of their points
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(f"accuracy %, {round(100 * found['level'])} % interval")
    figure.suptitle(f"{found['n_questions']} questions; the line joins what no method beats", fontsize=10)
    if path.suffix not in (".svg", ".png", ".pdf"):
        raise InvalidInputError(f"a plot is written as .svg, .png or .pdf, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    # text stays text, and the same comparison gives the same file
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skipthink"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw(panel: Any, methods: list[dict[str, Any]], cost: str, scale: float) -> None:
    front = sorted(
        (row for row in methods if row[f"front_{cost}"]), key=lambda row: float(row[f"{cost}_per_answer"])
    )
    panel.step(
        [scale * row[f"{cost}_per_answer"] for row in front],
        [100 * row["accuracy"] for row in front],
        where="post", color="0.6", linewidth=1.2, zorder=1,
    )  # fmt: skip
    for place, row in enumerate(methods):
        at, height = scale * row[f"{cost}_per_answer"], 100 * row["accuracy"]
        panel.errorbar(
            at, height, yerr=[[height - 100 * row["low"]], [100 * row["high"] - height]],
            fmt="o" if row[f"front_{cost}"] else "x", color=f"C{place % 10}", capsize=3, linewidth=1,
        )  # fmt: skip
        # a name is the user's text: no formula
        panel.annotate(
            row["method"].replace("$", r"\$"),
            (at, height),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=9,
        )
