"""Untrusted text that is safe to print: what a terminal would obey, or a reader not see, is written out."""

from __future__ import annotations

import unicodedata

VISIBLE = "LMNPS"
"""General categories (their first letter) of characters that are shown as they are."""


def visible(text: str, longest: int | None = None, *, keep: str = "") -> str:
    r"""Text with its control characters, direction marks, lone surrogates and the like as `\xNN` or `\uNNNN`.

    They could otherwise move the cursor, change colours, reverse or hide text, or fail to be encoded.

    Args:
        text: the text.
        longest: most characters that are shown; what is left out is counted behind a "…".
        keep: characters that stay as they are, such as a line end.
    """
    cut = text if longest is None else text[:longest]
    shown = "".join(
        character
        if character == " " or character in keep or unicodedata.category(character)[0] in VISIBLE
        else character.encode("unicode_escape").decode("ascii")
        for character in cut
    )
    left_out = len(text) - len(cut)
    return f"{shown}… ({left_out:,} more characters)" if left_out else shown


def in_a_line(text: str, longest: int) -> str:
    r"""Text on one line of at most about `longest` characters: line ends are shown as `\n`."""
    shown = visible(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
