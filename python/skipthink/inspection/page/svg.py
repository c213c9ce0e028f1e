"""Figures as SVG within a page: in the page's ink, with ids of their own, and no style attribute, which it forbids."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"
"""Stands for the ink of the page, `currentColor`, light or dark."""
WIDTH_INCHES = 6.0
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.usetex": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
}
_FONT = re.compile(r"(?:(?P<weight>\d+|bold) )?(?P<size>[\d.]+px) (?P<family>.+)")


def to_svg(draw: Callable[[Axes], None], *, name: str, description: str, height: float) -> str:
    """Draws a figure as an `svg` element.

    Args:
        draw: draws on axes.
        name: in front of all ids, which a page has once only.
        description: read out in place of the picture.
        height: of a width of 1.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        # a sign that the measuring font lacks is drawn by the browser's own
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(WIDTH_INCHES, WIDTH_INCHES * height), layout="constrained")
        canvas: Any = FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        canvas.print_svg(stream, metadata={"Date": None})
    return within_page(stream.getvalue(), name=name, description=description)


def within_page(text: str, *, name: str, description: str) -> str:
    """An SVG file of matplotlib as an element of a page."""
    root = ElementTree.fromstring(text)  # noqa: S314 - matplotlib has just written it
    for parent in list(root.iter()):
        for child in list(parent):
            if _plain(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _plain(element.tag)
        _take_style_apart(element)
        _rename(element, name)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": description,
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _take_style_apart(element: ElementTree.Element) -> None:
    """Turns `style` into attributes of presentation."""
    for rule in element.attrib.pop("style", "").split(";"):
        key, colon, value = (part.strip() for part in rule.partition(":"))
        if not colon:
            continue
        font = _FONT.fullmatch(value) if key == "font" else None
        if font is not None:
            element.set("font-size", font["size"])
            if font["weight"]:
                element.set("font-weight", font["weight"])
        elif key != "font":
            element.set(key, value)
    for key, value in element.attrib.items():
        if value == INK or (key, value) == ("fill", "#000000"):
            element.set(key, "currentColor")
    if element.tag == "text":
        element.attrib.setdefault("fill", "currentColor")


def _rename(element: ElementTree.Element, name: str) -> None:
    """Puts a name in front of ids and of what refers to them."""
    link = element.attrib.pop(f"{{{XLINK}}}href", None)
    if link is not None:
        element.set("href", f"#{name}-{link.removeprefix('#')}")
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.attrib['id']}")
    for key, value in element.attrib.items():
        if value.startswith("url(#"):
            element.set(key, f"url(#{name}-{value.removeprefix('url(#')}")
