"""Numbers: signs, thousands, decimals, fractions, exponents, per cent, currencies and units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from skipthink.answers.units import UNIT_AFTER_NUMBER, UNITS

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_CURRENCY = r"[$€£¥₹]"
NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>[-−–+]?)\\?(?P<currency>{_CURRENCY}?)(?P<inner_sign>-?)"
    rf"(?:\\[dt]?frac\{{(?P<above>[0-9]+)\}}\{{(?P<below>[0-9]+)\}}"
    rf"|(?P<value>{_DIGITS})(?:e(?P<exponent>[-+]?[0-9]{{1,2}})(?![\w.]))?"
    r"(?:(?P<mixed>\ [0-9]+)?/(?P<over>[0-9]+)(?![/0-9]))?)"
    r"(?P<percent>\s?\\?%)?"
)
WHOLE_NUMBER = re.compile(rf"(?:{NUMBER.pattern})(?:{UNIT_AFTER_NUMBER.pattern})?\.?")
_BEFORE_NUMBER = re.compile(r"(?:[\s*_\"'“(\[{]|\\[(\[])*")
# Longer runs of digits are a student in a loop, not an answer, and Python limits turning them into integers.
_MAX_LENGTH = 100


@dataclass(frozen=True)
class Quantity:
    """A number as it was written.

    Attributes:
        value: the number, per cent as written ("45%" is 45).
        percent: whether a per cent sign follows.
        unit: a key of `UNITS`, or None: no unit, or a word that is none.
    """

    value: Fraction
    percent: bool = False
    unit: str | None = None

    def __str__(self) -> str:
        """The number without its unit: a decimal where it has a finite one, else a fraction."""
        return _write(self.value) + ("%" if self.percent else "")


def find_quantity(text: str, stated: bool) -> Quantity | None:
    """After "the answer is" the number right there, or right behind the last "="; else the last number."""
    if stated:
        text = _BEFORE_NUMBER.sub("", text[text.rfind("=") + 1 :], count=1)
        first = NUMBER.match(text)
        if first and (quantity := _read(first)) is not None:
            return quantity
    quantities = map(_read, reversed(list(NUMBER.finditer(text))))
    return next((quantity for quantity in quantities if quantity is not None), None)


def count_numbers(text: str) -> int:
    """How many numbers a text holds."""
    return sum(1 for _ in NUMBER.finditer(text))


def same_quantity(
    found: Quantity, wanted: Quantity, *, tolerance: float, relative_tolerance: float = 0.0
) -> bool:
    """Whether two quantities are equal within the larger of the two tolerances.

    Where only one of the two is a percentage, "45%" stands for 45 and for 0.45. Units count where both have one:
    the found quantity is turned into the wanted unit, and units of different dimensions are never equal.

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
        abs(left - right) <= max(Fraction(tolerance), Fraction(relative_tolerance) * abs(right))
        for left, right in pairs
    )


def _read(match: re.Match[str]) -> Quantity | None:
    parts = match.groupdict()
    below = parts["below"] or parts["over"]
    if len(match[0]) > _MAX_LENGTH or (below is not None and int(below) == 0):
        return None
    if parts["above"]:
        value = Fraction(int(parts["above"]), int(parts["below"]))
    else:
        value = Fraction(parts["value"].replace(",", "")) * Fraction(10) ** int(parts["exponent"] or 0)
        if parts["mixed"]:
            value += Fraction(int(parts["mixed"]), int(parts["over"]))
        elif parts["over"]:
            value /= int(parts["over"])
    if parts["sign"] in ("-", "−", "–") or parts["inner_sign"]:
        value = -value
    behind = UNIT_AFTER_NUMBER.match(match.string, match.end())
    return Quantity(value, bool(parts["percent"]), behind[1] if behind else parts["currency"] or None)


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
