r"""Typed answer checks: the answer a text states, and whether it equals the gold answer (docs/reference/answers.md).

Kinds are "number", "choice", "yes_no", "date", "string" and "maths". If a text contains "the answer is …", "#### …" or
"\\boxed{…}", the last of these is its answer; otherwise its answer is the last number, choice, date, yes or no, or
quoted text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache

from skipthink.answers.choices import WHOLE_CHOICE, find_choice
from skipthink.answers.dates import WHOLE_DATE, count_dates, find_date
from skipthink.answers.gold_numbers import read_gold
from skipthink.answers.maths import check_maths, is_maths
from skipthink.answers.numbers import (
    WHOLE_NUMBER,
    Quantity,
    count_numbers,
    find_quantity,
    same_quantity,
)
from skipthink.answers.stated import NoAnswer, behind_thought, find_answer, stated_part
from skipthink.answers.strings import find_string, is_string, normal_string
from skipthink.answers.yes_no import WHOLE_YES_NO, find_yes_no
from skipthink.exceptions import InvalidInputError

__all__ = ["KINDS", "Verdict", "check_answer", "infer_kind", "parse_answer", "parse_gold"]

KINDS = ("number", "choice", "yes_no", "date", "string", "maths")
"""Kinds of answers."""


class Verdict(StrEnum):
    """Outcome of an answer check.

    Attributes:
        RIGHT: the stated answer equals the gold answer.
        WRONG: it does not.
        UNPARSED: the text states no answer of the kind.
    """

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"


def check_answer(
    kind: str, text: str, gold: str, *, tolerance: float = 1e-6, relative_tolerance: float = 0.0
) -> Verdict:
    """Checks the answer that a text states against the gold answer.

    Numbers are right if they differ by at most the larger of the two tolerances, in the unit of the gold answer if both
    have a unit. If only one of the two is a percentage, "45%" means 45 as well as 0.45. Strings are also right if they
    differ only in spaces, commas, hyphens or quotes. A maths answer is right if math-verify finds it equivalent.

    Args:
        kind: one of `KINDS`.
        text: what the student wrote: an answer alone, or a rationale that ends in one. Only the text after a `<think>`
            block counts.
        gold: the gold answer.
        tolerance: largest absolute difference of two numbers that count as equal.
        relative_tolerance: largest difference of two numbers that count as equal, as a share of the gold number.

    Returns:
        The verdict.

    Raises:
        InvalidInputError: `kind` is unknown or needs a package that is not installed, a tolerance is negative or not
            finite, or `gold` is not of the kind.
    """
    for name, value in (("tolerance", tolerance), ("relative_tolerance", relative_tolerance)):
        if not 0 <= value < float("inf"):
            raise InvalidInputError(f"{name} must be a finite number, 0 or more, got {value}")
    text = behind_thought(text)
    if kind == "maths":
        return Verdict(check_maths(text, gold))
    if kind == "number":
        return _check_number(text, gold, tolerance, relative_tolerance)
    wanted = parse_gold(kind, gold)
    found = find_answer(text, _finder(kind))
    if found is None:
        return Verdict.UNPARSED
    right = is_string(text, str(found), wanted) if kind == "string" else found == wanted
    return Verdict.RIGHT if right else Verdict.WRONG


def parse_answer(kind: str, text: str) -> str | None:
    """Reads the answer that a text states, in a normal form.

    Args:
        kind: one of `KINDS`.
        text: an answer alone, or a rationale that ends in one.

    Returns:
        The answer: a number without its unit ("1234.5", "-7", "1/3", "45%"), an upper-case letter, "yes" or "no", a
        date ("2021-05-03"), or a string in lower case without quotes and double spaces. Maths has no normal form, only
        equivalence, so its answer is the stated part of the text unchanged. None if the text states no answer of the
        kind.

    Raises:
        InvalidInputError: `kind` is unknown.
    """
    answer = find_answer(text, _finder(kind))
    return None if answer is None or isinstance(answer, NoAnswer) else str(answer)


def parse_gold(kind: str, gold: str) -> str:
    """Reads a gold answer, in a normal form. It must state exactly one answer of its kind.

    Args:
        kind: one of `KINDS`.
        gold: the gold answer.

    Returns:
        The normal form, as in `parse_answer`.

    Raises:
        InvalidInputError: `kind` is unknown; `gold` states no answer of the kind, or more than one number or date; or
            the text around its number changes the value, as in "2 dozen".
    """
    if kind == "number":
        return str(_gold_number(gold))
    answer = _normal_gold(kind, gold)
    if answer is None or (kind == "maths" and not is_maths(gold)):
        raise InvalidInputError(
            f"gold answer {gold!r} is no answer of the kind {kind!r}; name the right kind"
        )
    if kind == "date" and stated_part(gold) is None and count_dates(gold) > 1:
        raise InvalidInputError(f"gold answer {gold!r} holds more than one date; keep the answer alone")
    return answer


@lru_cache(maxsize=4096)
def _normal_gold(kind: str, gold: str) -> str | None:
    """The normal form of a gold answer, kept because every vote and every chunk asks for it again."""
    return normal_string(gold) if kind == "string" else parse_answer(kind, gold)


def _is_gold(kind: str, answer: str) -> bool:
    """Whether an answer has a value: 31 June has the form of a date and 1/0 that of a number, but neither has one."""
    return parse_answer(kind, answer) is not None and (kind != "number" or read_gold(answer) is not None)


def _gold_number(gold: str) -> Quantity:
    quantity = read_gold(gold)
    if quantity is not None:
        return quantity
    count = count_numbers(gold)
    if count > 1:
        raise InvalidInputError(
            f"gold answer {gold!r} holds more than one number; keep the answer alone, or name the kind 'maths'"
        )
    found = "is more than a number" if count else "is no answer of the kind 'number'"
    raise InvalidInputError(
        f"gold answer {gold!r} {found}; keep the number alone, or name the right kind: 'maths' for formulas, "
        "'string' for words"
    )


def infer_kind(answers: Iterable[str]) -> str:
    """Infers the kind of gold answers.

    Args:
        answers: the gold answers, at least one.

    Returns:
        "number", "date", "yes_no" or "choice" if all answers are of this kind, otherwise "string". "maths" is never
        inferred.

    Raises:
        InvalidInputError: `answers` is empty.
    """
    stripped = [answer.strip() for answer in answers]
    if not stripped:
        raise InvalidInputError("cannot tell the kind of the answers: there are none")
    for kind, pattern in _WHOLE.items():
        if all(pattern.fullmatch(answer) and _is_gold(kind, answer) for answer in stripped):
            return kind
    return "string"


def _check_number(text: str, gold: str, tolerance: float, relative_tolerance: float) -> Verdict:
    wanted = _gold_number(gold)
    found: Quantity | NoAnswer | None = find_answer(text, find_quantity)
    if found is None:
        return Verdict.UNPARSED
    if isinstance(found, NoAnswer):
        return Verdict.WRONG
    right = same_quantity(found, wanted, tolerance=tolerance, relative_tolerance=relative_tolerance)
    return Verdict.RIGHT if right else Verdict.WRONG


def _find_maths(text: str, stated: bool) -> str | None:
    del stated
    return text.strip() or None


_WHOLE: dict[str, re.Pattern[str]] = {
    "number": WHOLE_NUMBER,
    "date": WHOLE_DATE,
    "yes_no": WHOLE_YES_NO,
    "choice": WHOLE_CHOICE,
}
_FINDERS: dict[str, Callable[[str, bool], object | None]] = {
    "number": find_quantity,
    "choice": find_choice,
    "yes_no": find_yes_no,
    "date": find_date,
    "string": find_string,
    "maths": _find_maths,
}


def _finder(kind: str) -> Callable[[str, bool], object | None]:
    if kind not in _FINDERS:
        raise InvalidInputError(f"no answer kind {kind!r}; kinds are {', '.join(KINDS)}")
    return _FINDERS[kind]
