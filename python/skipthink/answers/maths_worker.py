"""The process that compares mathematical answers: one JSON line [text or null, gold] in, one word out."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

from skipthink.answers.maths import MathsVerdict
from skipthink.answers.stated import stated_part

MEMORY_BYTES = 4 << 30
_DELIMITED = re.compile(r"\$|\\\(|\\\[|\\boxed")
_TEXT = re.compile(r"\\text\s*\{[^{}]*\}")
_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:sqrt|sin|cos|tan|log|exp|mod|pi)\b)[A-Za-z]{3,}")


def main() -> None:
    """Answers until the input ends."""
    _bound_memory()
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    answers = sys.stdout
    sys.stdout = sys.stderr  # a library that prints must not answer
    _answer(answers, "ready")
    for line in sys.stdin:
        text, gold = json.loads(line)
        try:
            verdict = compare(parse, verify, text, gold)
        except Exception:  # a parser that fails on hostile text has not parsed it
            verdict = MathsVerdict.UNPARSED
        _answer(answers, verdict)


def compare(parse: Any, verify: Any, text: str | None, gold: str) -> MathsVerdict:
    """Compares; a gold answer that cannot be read is told apart from a text that cannot.

    Args:
        parse: `math_verify.parse`.
        verify: `math_verify.verify`.
        text: what was answered, or None to read the gold answer only.
        gold: the gold answer.
    """
    wanted = parse(as_maths(gold), parsing_timeout=None)
    if not wanted:
        return MathsVerdict.BAD_GOLD
    if text is None:
        return MathsVerdict.RIGHT
    stated = stated_part(text)
    found = parse(as_maths(stated), parsing_timeout=None) if stated else []
    found = found or parse(as_maths(text), parsing_timeout=None)
    if not found:
        return MathsVerdict.UNPARSED
    right = verify(wanted, found, timeout_seconds=None)
    return MathsVerdict.RIGHT if right else MathsVerdict.WRONG


def as_maths(text: str) -> str:
    r"""Marks a bare expression as maths; running text and what is marked already stays as it is.

    Words set in a formula ("32 \text{ points}") go, where numbers stand beside them.
    """
    without_words = _TEXT.sub(" ", text)
    if re.search("[0-9]", without_words):
        text = without_words
    bare = text.strip().rstrip(".")
    return text if _DELIMITED.search(bare) or _WORD.search(bare) else f"${bare}$"


def _answer(stream: Any, word: str) -> None:
    stream.write(word + "\n")
    stream.flush()


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


if __name__ == "__main__":
    main()
