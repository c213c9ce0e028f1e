"""Sentence splitters on the same strings. Each takes a list of texts and returns the number of pieces."""

from __future__ import annotations

import re
from collections.abc import Callable

Split = Callable[[list[str]], int]
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
PATTERNS = [b". ", b"? ", b"! ", b".\n", b"?\n", b"!\n", b"\n"]


def sentencex() -> Split:
    """`segment`; the call that gives offsets as well is slower."""
    import sentencex

    return lambda texts: sum(len(sentencex.segment("en", text)) for text in texts)


def blingfire() -> Split:
    """`text_to_sentences`: one string with a line a sentence."""
    import blingfire

    return lambda texts: sum(blingfire.text_to_sentences(text).count("\n") + 1 for text in texts)


def chonkie() -> Split:
    """`PatternSplitter`, compiled once: an automaton that ends a piece at every pattern."""
    from chonkie_core import PatternSplitter

    splitter = PatternSplitter(PATTERNS)
    return lambda texts: sum(len(splitter.split(text)) for text in texts)


def re_split() -> Split:
    """`re.split` after `.`, `!` or `?` and at line breaks."""
    return lambda texts: sum(len(SENTENCE_END.split(text)) for text in texts)


def pysbd() -> Split:
    """`Segmenter.segment`."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its patterns are no raw strings
        import pysbd

    segmenter = pysbd.Segmenter(language="en", clean=False)
    return lambda texts: sum(len(segmenter.segment(text)) for text in texts)


SPLITTERS: dict[str, Callable[[], Split]] = {
    "sentencex": sentencex,
    "blingfire": blingfire,
    "chonkie-core": chonkie,
    "re.split": re_split,
    "pysbd": pysbd,
}
SLOW = {"pysbd"}
"""Timed on a hundredth of the texts."""
