"""Chunks of a rationale for notebooks and terminals: HTML and plain text from the same lists, standard library only."""

from __future__ import annotations

import html
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from skipthink.io.visible import visible

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
"""Controls but tab and line feed, invisible and direction signs, lone surrogates; as in `browser.js` of a report."""
LONGEST = 20_000
"""Characters of a chunk that are shown; how many are left out is said."""
STYLE = """<style>
.skipthink { line-height: 1.6; overflow-wrap: anywhere; }
.skipthink p { margin: 0.3em 0; white-space: pre-wrap; text-align: left; unicode-bidi: isolate; }
.skipthink .chunk { border-radius: 3px; }
.skipthink .chunk:nth-of-type(6n+1) { background: rgba(42, 123, 214, 0.18); }
.skipthink .chunk:nth-of-type(6n+2) { background: rgba(209, 104, 15, 0.18); }
.skipthink .chunk:nth-of-type(6n+3) { background: rgba(42, 154, 87, 0.18); }
.skipthink .chunk:nth-of-type(6n+4) { background: rgba(177, 79, 198, 0.18); }
.skipthink .chunk:nth-of-type(6n+5) { background: rgba(169, 138, 0, 0.2); }
.skipthink .chunk:nth-of-type(6n) { background: rgba(21, 154, 168, 0.18); }
.skipthink .skipped { text-decoration: line-through; }
.skipthink sup { border: 1px solid currentColor; border-radius: 3px; padding: 0 0.3em; margin: 0 0.3em; }
.skipthink code { font-size: 0.8em; opacity: 0.8; }
.skipthink td, .skipthink th { text-align: left; vertical-align: top; }
</style>"""


def code_point(sign: str) -> str:
    """The name of a sign by its number: "U+202E"."""
    return f"U+{ord(sign):04X}"


def name_signs(text: str) -> str:
    """A text with its hidden signs named: "⟨U+202E⟩"; all else, line breaks included, stays.

    The result can be encoded in UTF-8 and steers neither a terminal nor the direction of a line; it is no HTML yet.
    """
    return HIDDEN.sub(lambda found: f"⟨{code_point(found[0])}⟩", text)


def text_html(text: str) -> str:
    """A text of others as HTML: nothing in it is markup, hidden signs are named, what is over `LONGEST` is counted."""
    shown = text[:LONGEST]
    parts, start = [], 0
    for found in HIDDEN.finditer(shown):
        parts += [html.escape(shown[start : found.start()]), f"<code>{code_point(found[0])}</code>"]
        start = found.end()
    parts.append(html.escape(shown[start:]))
    if len(text) > LONGEST:
        parts.append(f" <em>… {len(text) - LONGEST:,} more characters</em>")
    return "".join(parts)


def chunks_html(chunks: Sequence[str], skipped: Sequence[bool] | None = None) -> str:
    """Chunks as a paragraph: each in a colour, with its number and what there is to say of it.

    Args:
        chunks: their texts, "" for an empty chunk.
        skipped: those that can be done without.
    """
    made = []
    for place, chunk in enumerate(chunks):
        is_skipped = skipped is not None and skipped[place]
        kind = "chunk skipped" if is_skipped else "chunk"
        note = f"<sup>{_note(place, chunk, is_skipped)}</sup>"
        made.append(f'<span class="{kind}">{note}{text_html(chunk)}</span>')
    return f'<p dir="auto">{"".join(made)}</p>'


def chunks_text(chunks: Sequence[str], skipped: Sequence[bool] | None = None) -> str:
    """Chunks as lines, each with its number and what there is to say of it."""
    lines = []
    for place, chunk in enumerate(chunks):
        head = f"[{_note(place, chunk, skipped is not None and skipped[place])}] "
        text = visible(chunk, LONGEST, keep="\n").rstrip("\n")
        lines.append(head + text.replace("\n", "\n" + " " * len(head)))
    return "\n".join(lines)


def framed(*parts: str) -> str:
    """Parts of HTML with the style they need."""
    return f'{STYLE}<div class="skipthink">{"".join(parts)}</div>'


def show(page: str, write: Callable[[], None]) -> None:
    """Shows something: as HTML in a notebook, as text elsewhere.

    Args:
        page: HTML.
        write: writes the text.
    """
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None and getattr(shell, "kernel", None) is not None:
        notebook: Any = importlib.import_module("IPython.display")
        notebook.display(notebook.HTML(page))
    else:
        write()


def _note(place: int, chunk: str, is_skipped: bool) -> str:
    return f"{place + 1}{' skipped' if is_skipped else ''}{'' if chunk else ' empty'}"
