r"""Typed answer checks: what a text states as its answer, and whether it is the gold one (docs/reference/answers.md).

Kinds are "number", "choice", "yes_no", "date", "string" and "maths". Where a text says "the answer is …",
"#### …" or "\boxed{…}", the last such place counts; otherwise the last number, choice, date, yes or no, or quoted
text of it.
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

KINDS = ("number", "choice", "yes_no", "date", "string", "maths")


class Verdict(StrEnum):
    """Outcome of an answer check; `UNPARSED`: the text states no answer of the kind."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"


def check_answer(
    kind: str, text: str, gold: str, *, tolerance: float = 1e-6, relative_tolerance: float = 0.0
) -> Verdict:
    """Checks the answer a text states against the gold answer.

    Numbers are right within the larger tolerance, in the unit of the gold answer where both have one; where only
    one of the two is a percentage, "45%" stands for 45 and for 0.45. Strings are right also where only spaces,
    commas, hyphens or quotes part the same letters. Maths is right where math-verify finds it equivalent.

    Args:
        kind: one of `KINDS`.
        text: what the student wrote: an answer alone, or a rationale that ends in one. Of a text with a `<think>`
            block counts what stands behind it.
        gold: the gold answer.
        tolerance: largest absolute difference of two numbers that count as equal.
        relative_tolerance: largest difference as a share of the gold number.

    Returns:
        The verdict.

    Raises:
        InvalidInputError: unknown kind, a tolerance that is negative or not finite, a gold answer that is none of
            this kind, or a kind whose package is not installed.
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
    """The answer a text states, in a normal form.

    Args:
        kind: one of `KINDS`; maths has no normal form, only equivalence.
        text: an answer alone, or a rationale that ends in one.

    Returns:
        A number without its unit ("1234.5", "-7", "1/3", "45%"), an upper-case letter, "yes" or "no", a date
        ("2021-05-03"), or a string in lower case without quotes and doubled spaces; the stated part of the text as
        it stands for maths; None where the text states no answer of this kind.

    Raises:
        InvalidInputError: unknown kind.
    """
    answer = find_answer(text, _finder(kind))
    return None if answer is None or isinstance(answer, NoAnswer) else str(answer)


def parse_gold(kind: str, gold: str) -> str:
    """The normal form of a gold answer, which must state one answer of its kind and be clear about it.

    Raises:
        InvalidInputError: unknown kind, no answer of this kind, more than one number or date, or a number with
            something around it that makes it another one.
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
    """The normal form of a gold answer, which is asked for again with every vote and every chunk."""
    return normal_string(gold) if kind == "string" else parse_answer(kind, gold)


def _is_gold(kind: str, answer: str) -> bool:
    """Whether an answer is one: 31 June has the form of a date, and 1/0 that of a number."""
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
    """The kind all gold answers are of: number, date, yes_no or choice, and string where it is none of these.

    Raises:
        InvalidInputError: there is no answer.
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
