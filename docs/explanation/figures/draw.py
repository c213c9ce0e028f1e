"""Draws the figures of the explanation: `python docs/explanation/figures/draw.py [FOLDER]`.

The chunks in them are found by `skipthink.chunk`. Dark on white: the docs site inverts them in its dark theme.
"""

import sys
from pathlib import Path
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

import skipthink

HERE = Path(__file__).parent
RATIONALE = "There are 5 stones. Ann brings 4. 5 + 4 = 9. Then 2 are lost. 9 - 2 = 7. So the answer is 7."
LOSSES = [0.2, 0.3, 1.8, 0.3, 1.7, 0.1]
"""Mean loss of each step, in nats per token; made up, with hard steps where something is calculated."""
COLOURS = ("#9ecae9", "#ffcf8f", "#a9d8a0")
"""Fill of chunks 1 to 3."""
INK, QUIET, PALE = "#1f2328", "#57606a", "#eceff1"
MARKER, ANSWER = "#e3d3f2", "#f6c9c9"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "svg.fonttype": "path",
    "svg.hashsalt": "skipthink",
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
Box = tuple[str, str, bool]
"""Text, colour, and whether the tokens carry loss."""
GAP, HEIGHT, LETTER = 0.6, 0.66, 0.92


def chunks_of(method: str) -> list[tuple[int, int]]:
    """First step of each chunk and the step behind its last one."""
    options = {} if method == "average" else {"objective": "variance"}
    found = skipthink.chunk([RATIONALE], [LOSSES], 3, method=method, **options).boundaries[0]
    return [(int(first), int(end)) for first, end in zip(found[:-1], found[1:], strict=True)]


def draw_chunks() -> Figure:
    """Losses of the steps as bars, and below them how average chunking and search cut."""
    figure = Figure(figsize=(8.6, 3.9))
    bars, strips = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1.25))
    steps = skipthink.split_steps(RATIONALE)
    bars.bar(range(len(steps)), LOSSES, width=0.72, color="#7a8793")
    for at, loss in enumerate(LOSSES):
        bars.text(at, loss + 0.04, f"{loss:.1f}", ha="center", va="bottom")
    bars.set_ylabel("loss of the step\n(nats per token)")
    bars.set_ylim(0, 2.2)
    bars.spines[["top", "right"]].set_visible(False)
    bars.tick_params(labelbottom=True, bottom=False)
    bars.set_xticks(range(len(steps)), [fill(step.strip(), 14) for step in steps])
    for place, (method, label) in enumerate((("average", "average chunks"), ("optimal", "search"))):
        for number, (first, end) in enumerate(chunks_of(method)):
            span = (first - 0.46, end - first - 0.08)
            strips.broken_barh([span], (1 - place - 0.36, 0.72), facecolor=COLOURS[number], edgecolor=QUIET)
            strips.text(span[0] + span[1] / 2, 1 - place, f"chunk {number + 1}", ha="center", va="center")
        strips.text(-0.62, 1 - place, label, ha="right", va="center")
    strips.set_ylim(-0.55, 1.55)
    strips.set_xlim(-0.6, len(steps) - 0.4)
    strips.axis("off")
    figure.tight_layout()
    return figure


def draw_row(
    axes: Axes, y: float, name: str, boxes: list[Box], *, note: str = "", start: float = 17
) -> float:
    """Draws a row of boxes side by side.

    Args:
        axes: axes to draw on.
        y: middle of the row.
        name: text before the row.
        boxes: boxes of the row; tokens without loss are pale and have a broken edge.
        note: text after the row.
        start: left edge of the first box.

    Returns:
        The right edge of the last box.
    """
    axes.text(start - 1.2, y, name, ha="right", va="center")
    at = start
    for text, colour, trained in boxes:
        width = max(len(text) * LETTER + 1.6, 3.2)
        axes.add_patch(
            FancyBboxPatch(
                (at, y - HEIGHT / 2),
                width,
                HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.14",
                mutation_aspect=0.12,
                facecolor=colour if trained else PALE,
                edgecolor=INK if trained else QUIET,
                linewidth=1.4 if trained else 0.8,
                linestyle="-" if trained else (0, (3, 2)),
            )
        )
        axes.text(at + width / 2, y, text, ha="center", va="center", color=INK if trained else QUIET)
        at += width + GAP
    if note:
        axes.text(at + 0.6, y, note, ha="left", va="center")
    return at


def read(*texts: str) -> list[Box]:
    """Boxes of a prompt: read, without loss."""
    return [(text, PALE, False) for text in texts]


def chunk(number: int) -> Box:
    """The box of a chunk that is trained."""
    return (f"chunk {number}", COLOURS[number - 1], True)


END: Box = ("end", PALE, True)
GOLD: Box = ("7", ANSWER, True)
THOUGHT: Box = ("[thought]", MARKER, True)
ANSWER_MARKER: Box = ("[answer]", MARKER, True)


def canvas(rows: float, width: float) -> tuple[Figure, Axes]:
    """Axes without frame for rows of boxes."""
    figure = Figure(figsize=(0.088 * width, 0.43 * rows + 0.2))
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))
    axes.set_xlim(0, width)
    axes.set_ylim(-rows + 0.4, 0.6)
    axes.axis("off")
    return figure, axes


def draw_items() -> Figure:
    """The items that Base, chunk-wise training and skip-thinking training make of one sample."""
    rows: list[tuple[str, list[Box]]] = [
        ("Base", [*read("question"), chunk(1), chunk(2), chunk(3), ANSWER_MARKER, GOLD, END]),
        ("CWT", [*read("[1]", "question"), chunk(1), END]),
        ("", [*read("[2]", "question", "chunk 1"), chunk(2), END]),
        ("", [*read("[3]", "question", "chunk 1", "chunk 2"), chunk(3), END]),
        ("", [*read("[answer]", "question", "chunk 1", "chunk 2", "chunk 3"), GOLD, END]),
        ("STT adds", [*read("[skip]", "question"), THOUGHT, chunk(2), THOUGHT, ANSWER_MARKER, GOLD, END]),
    ]
    figure, axes = canvas(len(rows) + 1, 80)
    for place, (name, boxes) in enumerate(rows):
        draw_row(axes, -place, name, boxes, start=12)
    draw_row(
        axes,
        -len(rows),
        "",
        [("read, no loss", PALE, False), ("written, carries loss", "#ffffff", True)],
        start=12,
    )
    return figure


def draw_questions() -> Figure:
    """The questions that the judge is asked about a sample, and the skip item that comes out."""
    own: list[Box] = [(f"own {number}", COLOURS[number - 1], True) for number in (1, 2, 3)]
    thought = read("[thought]")
    rows: list[tuple[str, list[Box], str]] = [
        ("nothing dropped", [*own, GOLD], "right: ask on"),
        ("without chunk 1?", [*thought, own[1], own[2], GOLD], "right: skip chunk 1"),
        ("without chunk 2?", [*thought, *thought, own[2], ("5", ANSWER, True)], "wrong: keep chunk 2"),
        ("without chunk 3?", [*thought, *read("chunk 2"), *thought, GOLD], "right: skip chunk 3"),
        (
            "skip item",
            [*read("[skip]", "question"), THOUGHT, chunk(2), THOUGHT, ANSWER_MARKER, GOLD, END],
            "",
        ),
    ]
    figure, axes = canvas(len(rows) + 0.6, 88)
    for place, (name, boxes, note) in enumerate(rows):
        draw_row(axes, -place if place < 4 else -4.5, name, boxes, note=note, start=20)
    return figure


FIGURES = {"chunks": draw_chunks, "items": draw_items, "questions": draw_questions}


def draw_all(folder: Path = HERE) -> None:
    """Writes the figures into a folder."""
    for name, draw in FIGURES.items():
        with matplotlib.rc_context(STYLE):
            draw().savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
