"""Stages and pieces as numbers, shared by plans, items and results (method §5, §7)."""

from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
    """What a prompt asks for beside the chunks, whose stages are their numbers 1 … M."""

    ANSWER = 0
    """The answer, behind all chunks: `[answer]`."""
    SKIP = -1
    """The chunks that are needed, then the answer: `[skip]`."""
    BASE = -2
    """The whole rationale, then the answer: no marker."""
    ANSWER_ONLY = -3
    """The answer without a rationale: `[answer]`."""
    STEP = -4
    """The next step, where the number of chunks is not fixed: `[1]`."""


class Piece(IntEnum):
    """What a piece of a planned item is: a span of text, or a marker."""

    QUESTION = 0
    """Span of the question's token ids."""
    RATIONALE = 1
    """Span of the rationale's token ids."""
    ANSWER = 2
    """Span of the answer's token ids."""
    STAGE_MARK = 3
    """Marker `[m]`; its span is (m, m + 1)."""
    ANSWER_MARK = 4
    """Marker `[answer]`."""
    SKIP_MARK = 5
    """Marker `[skip]`."""
    THOUGHT_MARK = 6
    """Marker `[thought]`."""
    END = 7
    """The end token."""
