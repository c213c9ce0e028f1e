"""The process that compares mathematical answers: one JSON line [text or null, gold] in, one word out."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from skipthink.answers.maths import MathsVerdict
from skipthink.answers.maths_notation import as_maths, based_numbers, bracket_kind, is_broken
from skipthink.answers.stated import stated_part, states_nothing

MEMORY_BYTES = 4 << 30


def main() -> None:
    """Answers questions until the input ends."""
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
    """Compares an answer with the gold answer; an unreadable gold answer is reported as such.

    Args:
        parse: `math_verify.parse`.
        verify: `math_verify.verify`.
        text: the answer, or None to read only the gold answer.
        gold: the gold answer.
    """
    stated_gold = stated_part(gold)
    gold_formula = as_maths(gold if stated_gold is None else stated_gold)
    wanted = None if is_broken(gold_formula) else parse(gold_formula, parsing_timeout=None)
    if not wanted:
        return MathsVerdict.BAD_GOLD
    if text is None:
        return MathsVerdict.RIGHT
    formula = _stated_formula(text)
    found = None if formula is None or is_broken(formula) else parse(formula, parsing_timeout=None)
    if not found:
        return MathsVerdict.UNPARSED
    if not _comparable(formula or "", gold_formula):
        return MathsVerdict.WRONG
    right = verify(wanted, found, allow_set_relation_comp=True, timeout_seconds=None)
    return MathsVerdict.RIGHT if right else MathsVerdict.WRONG


def _stated_formula(text: str) -> str | None:
    """The formula that a text states; the whole text if it announces none."""
    if states_nothing(text):
        return None
    stated = stated_part(text)
    if stated is None:
        return as_maths(text)
    formula = as_maths(stated, is_answer=True)
    return formula if formula.count("$") > 1 or "\\" in formula else as_maths(text)


def _comparable(found: str, wanted: str) -> bool:
    """Whether two formulas agree in what math-verify ignores: number bases and kinds of brackets."""
    if based_numbers(found) != based_numbers(wanted):
        return False
    return {bracket_kind(found), bracket_kind(wanted)} != {"set", "tuple"}


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
