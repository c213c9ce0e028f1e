"""Codes of stages and pieces, shared by plans, items and results (method §5, §7)."""

from __future__ import annotations

from typing import Final

ANSWER: Final = 0
"""Stage code of the answer item; chunk stages are 1 … M."""
SKIP: Final = -1
"""Stage code of the skip item."""
BASE: Final = -2
"""Stage code of the one-pass item."""
ANSWER_ONLY: Final = -3
"""Stage code of the answer-only item."""
STEP: Final = -4
"""Stage code of the items of single steps, where M is not fixed."""

QUESTION: Final = 0
"""Piece: span of the question's token ids."""
RATIONALE: Final = 1
"""Piece: span of the rationale's token ids."""
ANSWER_TEXT: Final = 2
"""Piece: span of the answer's token ids."""
STAGE: Final = 3
"""Piece: marker `[m]`; its span is (m, m + 1)."""
ANSWER_MARK: Final = 4
"""Piece: marker `[answer]`."""
SKIP_MARK: Final = 5
"""Piece: marker `[skip]`."""
THOUGHT: Final = 6
"""Piece: marker `[thought]`."""
END: Final = 7
"""Piece: the end token."""
