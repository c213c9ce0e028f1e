r"""Numbers: signs, thousands, decimals, fractions, powers of ten, per cent, scales, currencies and units.

Reads plain notation (`skipthink.answers.notation`). A number that is part of a formula (`\sqrt{2}`, `4π`, `n+1`) is not
read by itself: the whole formula counts, by its exact value, or as `NO_ANSWER`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from skipthink.answers.formulas import (
    FACTORIAL_END,
    FORMULA_BEHIND,
    FORMULA_START,
    OR,
    SEVERAL_VALUES,
    SPACED_THOUSANDS,
    UNIT_POWER,
    Formula,
    formula_around,
    formula_at,
    holds_value,
    is_part_of_a_formula,
    stands_alone,
)
from skipthink.answers.notation import plain_notation
from skipthink.answers.stated import NO_ANSWER, NoAnswer
from skipthink.answers.units import SCALE_AFTER_NUMBER, SCALES, UNIT_AFTER_NUMBER, UNITS

_PLACES = r"(?:\.[0-9]+)?"
# thousands also in the Indian way, 12,34,567
_GROUPS = r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"
_DIGITS = rf"(?:{_GROUPS}|[0-9]+){_PLACES}|\.[0-9]+"
_CURRENCY = r"[$€£¥₹₩₽₺₴₫฿]"
# Letters of alphabets that part words by spaces: behind those a digit belongs to a name ("x2").
_NAME = "0-9A-Za-z_ªµºÀ-ÖØ-öø-\u058f\u1e00-\u1fff"
_POWER = r"(?:\^|\*\*)\s?(?P<{0}brace>\{{)?\s?(?P<{0}>[-−–+]?[0-9]{{1,2}})(?({0}brace)\s?\}})(?![0-9])"
NUMBER = re.compile(
    rf"(?<![{_NAME}.])(?P<sign>[-−–+]?)(?:\\?(?P<currency>{_CURRENCY})(?P<inner_sign>-?))?"
    rf"(?:10{_POWER.format('ten')}"
    rf"|(?P<value>{_DIGITS})(?:[eE](?P<exponent>[-+]?[0-9]{{1,2}})(?!\w|\.[0-9])"
    rf"|\s?[×x*·]\s?10{_POWER.format('power')})?"
    rf"(?:(?P<mixed>\ [0-9]+)?/(?P<over>{_DIGITS})(?![/0-9]))?)"
    r"(?P<percent>\s?\\?%)?"
)
_PERCENT_WORD = re.compile(
    r"[\s-]?(?:per\s?cent|pct|Prozent|pour\s?cent|por\s?ciento|por\s?cento)\b", re.IGNORECASE
)
WHOLE_NUMBER = re.compile(
    rf"(?:{NUMBER.pattern})(?:{SCALE_AFTER_NUMBER.pattern})?(?:{UNIT_AFTER_NUMBER.pattern})?\.?"
)
_SHORT_SCALE = re.compile(r"(?:k|K|[mM]n?|[bB]n?)(?![A-Za-z])")
_AND_A_PART = re.compile(r"\sand\s(?:a|one)\s(half|third|quarter)\b")
_PARTS = {"half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4)}
_BEFORE_NUMBER = re.compile(r"(?:[\s*_\"'“”„«»「『(\[{]|\\[(\[])*")
_OTHER_VALUE = re.compile(
    rf"\s*(?:(?P<and>and|und|et|和|と)|to|bis|{OR})(?![A-Za-z])[\s(=]*(?=[-−–+$€£]?\.?[0-9])"
)
_LONE_SIGN = re.compile(r"^([\s*(]*[-−–])\s+(?=[$€£]?\.?[0-9][0-9.,/\s]*[\W_]*$)")
_NOT_THIS = re.compile(rf"\W*(?:not|nicht|pas|不是)\s?(?:{NUMBER.pattern})", re.IGNORECASE)
# "3,5" stands for 3.5 where it is all there is: two numbers would be no answer
_DECIMAL_COMMA = re.compile(r"([-−–+]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)),([0-9]+)")
_RANGE = re.compile(
    r"\W*(?:from|between|zwischen|entre)\s[^0-9]{0,3}[0-9.,]+\s[^0-9]{0,8}[0-9]", re.IGNORECASE
)
_LIST_GOES_ON = re.compile(rf"\s*,?\s*(?:and|und|et|{OR})\s*[-−–(]?[0-9]")
_MINUS_WORDS = ("minus", "negative", "moins", "menos", "负", "負", "マイナス")
# The last number is mostly near the end: there it is looked for first.
_TAIL, _LAST_LINES = 160, 320
_WORD_END = re.compile(r"[A-Za-z] ")
# Longer runs of digits are a student in a loop, not an answer, and Python limits turning them into integers.
_MAX_LENGTH = 100


@dataclass(frozen=True)
class Quantity:
    """A number as it was written.

    Attributes:
        value: the number, per cent as written ("45%" is 45).
        percent: whether a per cent sign follows.
        unit: a key of `UNITS`; None if there is no unit, or a word that is not a known one.
    """

    value: Fraction
    percent: bool = False
    unit: str | None = None

    def __str__(self) -> str:
        """The number without its unit: a decimal if it has a finite one, otherwise a fraction."""
        return _write(self.value) + ("%" if self.percent else "")


def find_quantity(text: str, stated: bool) -> Quantity | NoAnswer | None:
    """Finds the number directly after "the answer is" or after the last "=" there; without them the last number."""
    last_lines = text[text.rfind("\n", 0, max(0, len(text) - _LAST_LINES)) + 1 :]
    if not stated and len(last_lines) < len(
        text
    ):  # what is in front need not be read where these hold a number
        quantity = _last_quantity(plain_notation(last_lines))
        if quantity is not None:
            return quantity
    text = _LONE_SIGN.sub(r"\1", plain_notation(text))
    if stated or stands_alone(text):
        quantity = _stated_quantity(text)
        if quantity is not None:
            return quantity
    return _last_quantity(text)


def read_quantity(text: str, start: int) -> tuple[Quantity, int] | None:
    """The number at a place of a text in plain notation, with its scale and unit, and where it ends."""
    match = NUMBER.match(text, start)
    return None if match is None else _read(match)


def count_numbers(text: str) -> int:
    """Number of numbers in a text."""
    return sum(1 for _ in NUMBER.finditer(plain_notation(text)))


def _stated_quantity(text: str) -> Quantity | NoAnswer | None:
    if "=" in text or "≈" in text:
        if SEVERAL_VALUES.search(text):
            return NO_ANSWER
        text = text[max(text.rfind("="), text.rfind("≈")) + 1 :]
    if _RANGE.match(text) is not None:
        return NO_ANSWER
    negated = _NOT_THIS.match(text)
    if negated is not None:
        return _last_quantity(text[negated.end() :]) or NO_ANSWER
    opening = _BEFORE_NUMBER.match(text)
    start = opening.end() if opening else 0
    read = read_quantity(text, start)
    if read is None:
        begins = FORMULA_START.match(text, start) if holds_value(text) else None
        if begins is None and not (NUMBER.match(text, start) and stands_alone(text)):
            return None
        return _value(formula_at(text, start))
    quantity, end = read
    other = _OTHER_VALUE.match(text, end)
    if other is not None:
        second = read_quantity(text, other.end())
        same = second is not None and same_quantity(second[0], quantity, tolerance=0)
        return quantity if same or (other["and"] and not _ends(text, second)) else NO_ANSWER
    behind = FORMULA_BEHIND.match(text, end) or FACTORIAL_END.match(text, end)
    if behind is None:
        return quantity
    bracket = text.find("(", 0, start)
    formula = formula_at(text, bracket if bracket >= 0 and text.count(")") else start)
    if behind[0][0] == "," and (decimal := _DECIMAL_COMMA.fullmatch(formula.text)) and formula.ends_the_text:
        return _value(replace(formula, text=f"{decimal[1].replace('.', '')}.{decimal[2]}"))
    if SPACED_THOUSANDS.fullmatch(formula.text):
        return _value(replace(formula, text=formula.text.replace(" ", "")))
    if _LIST_GOES_ON.match(formula.rest) and behind[0][0] in ",;":
        return NO_ANSWER
    if behind.lastgroup != "hard" and behind[0][0] != "!" and not formula.ends_the_text:
        return quantity
    return _value(formula)


def _last_quantity(text: str) -> Quantity | NoAnswer | None:
    for tail in (_TAIL, len(text)):
        start = max(0, len(text) - tail)
        if start:  # not inside a number
            word = _WORD_END.search(text, start)
            if word is None:
                continue
            start = word.end()
        for match in reversed(list(NUMBER.finditer(text, start))):
            read = _read(match)
            if read is None or (text[match.start() - 1] in "^{-" and _is_unit_power(text, match.start())):
                continue
            quantity, end = read
            if "\n" in text[end:].rstrip():  # the formula is not what the text comes to
                return quantity
            behind = FORMULA_BEHIND.match(text, end)
            if is_part_of_a_formula(text, match.start()) or (behind and behind.lastgroup == "hard"):
                formula = formula_around(text, match.start())
                return quantity if formula is None else _value(formula)
            return quantity
    return None


def _is_unit_power(text: str, start: int) -> bool:
    return UNIT_POWER.search(text, max(0, start - 20), start) is not None


def _value(formula: Formula) -> Quantity | NoAnswer:
    value = formula.value()
    if value is None or len(str(value)) > _MAX_LENGTH:
        return NO_ANSWER
    unit = UNIT_AFTER_NUMBER.match(formula.rest)
    return Quantity(value, formula.text.endswith("%"), unit[1] if unit else None)


def _ends(text: str, read: tuple[Quantity, int] | None) -> bool:
    return read is not None and Formula("", text[read[1] :]).ends_the_text


def same_quantity(
    found: Quantity, wanted: Quantity, *, tolerance: float, relative_tolerance: float = 0.0
) -> bool:
    """Whether two quantities are equal within the larger of the two tolerances.

    If only one of the two is a percentage, "45%" means 45 as well as 0.45. Units count if both quantities have one: the
    found quantity is converted to the wanted unit, and units of different dimensions are never equal.

    Args:
        found: what was answered.
        wanted: the gold answer.
        tolerance: largest absolute difference, in the wanted unit.
        relative_tolerance: largest difference as a share of the wanted value.
    """
    value = found.value
    if found.unit is not None and wanted.unit is not None:
        (dimension, factor), (wanted_dimension, wanted_factor) = UNITS[found.unit], UNITS[wanted.unit]
        if dimension != wanted_dimension:
            return False
        value = value * factor / wanted_factor
    pairs = [(value, wanted.value)]
    if found.percent and not wanted.percent:
        pairs.append((value / 100, wanted.value))
    if wanted.percent and not found.percent:
        pairs.append((value, wanted.value / 100))
    return any(
        left == right
        or abs(left - right) <= max(Fraction(tolerance), Fraction(relative_tolerance) * abs(right))
        for left, right in pairs
    )


def _read(match: re.Match[str]) -> tuple[Quantity, int] | None:
    """The quantity of a match of `NUMBER`, and where it ends; None if it has no value, as 1/0."""
    parts = match.groupdict()
    if len(match[0]) > _MAX_LENGTH:
        return None
    if parts["ten"]:
        value = Fraction(10) ** _power(parts["ten"])
    else:
        value = _plain(parts["value"])
        if (power := parts["exponent"] or parts["power"]) is not None:
            value *= Fraction(10) ** _power(power)
        if parts["over"]:
            below = _plain(parts["over"])
            if below == 0 or (parts["mixed"] and "." in parts["value"]):
                return None
            value = value + int(parts["mixed"]) / below if parts["mixed"] else value / below
    text, end, percent = match.string, match.end(), bool(parts["percent"])
    if parts["sign"] in ("-", "−", "–") or parts["inner_sign"] or _is_behind_minus(text, match.start()):
        value = -value
    if not percent and text[end : end + 2].strip()[:1].isalpha():
        scale = SCALE_AFTER_NUMBER.match(text, end) or (
            _SHORT_SCALE.match(text, end) if parts["currency"] else None
        )
        if scale is not None:
            value, end = value * SCALES[scale[0].strip().lower()], scale.end()
        elif (part := _AND_A_PART.match(text, end)) is not None:
            value, end = value + (1 if value >= 0 else -1) * _PARTS[part[1]], part.end()
        elif (word := _PERCENT_WORD.match(text, end)) is not None:
            percent, end = True, word.end()
    behind = UNIT_AFTER_NUMBER.match(text, end)
    unit = behind[1] if behind else parts["currency"]
    return Quantity(value, percent, unit if unit in UNITS else None), behind.end() if behind else end


def _is_behind_minus(text: str, start: int) -> bool:
    """Whether a word for minus precedes, without a number before it (as in "10 minus 5")."""
    before = text[max(0, start - 14) : start].rstrip().lower()
    if not before.endswith(_MINUS_WORDS):
        return False
    return not before.rstrip("".join(_MINUS_WORDS)).rstrip()[-1:].isdigit()


def _plain(digits: str) -> Fraction:
    digits = digits.replace(",", "")
    return Fraction(int(digits)) if digits.isdigit() else Fraction(digits)


def _power(digits: str) -> int:
    return int(digits.replace("−", "-").replace("–", "-"))


def _write(value: Fraction) -> str:
    odd, places = value.denominator, 0
    while odd % 2 == 0 or odd % 5 == 0:
        odd //= 10 if odd % 10 == 0 else 2 if odd % 2 == 0 else 5
        places += 1
    if odd > 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole, decimals = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
    return ("-" if value < 0 else "") + whole + (f".{decimals}" if decimals else "")
