"""Exact values of arithmetic expressions: sums, products, powers, rational roots, factorials."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<root>√|\\?sqrt(?![A-Za-z]))|(?P<mark>\*\*|[-−–+*×·xX÷/^!(){}\[\]]))"
)
_SIGNS = {"-": "-", "−": "-", "–": "-", "+": "+", "×": "*", "·": "*", "x": "*", "X": "*", "÷": "/", "**": "^"}
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_MAX_LENGTH = 200
_MAX_BITS = 4000
_MAX_DEPTH = 20
_MAX_FACTORIAL = 200


class _NoValueError(Exception):
    """The expression has no exact value, or none of the kind computed here."""


def evaluate(text: str) -> Fraction | None:
    r"""The exact value of an arithmetic expression in plain notation; None if it has no rational value.

    Reads numbers, `+ - * × · x ÷ / ^ ! ( ) { }` and square roots (`\sqrt{4}`, `√9`); "3 1/2" is three and a half.
    """
    if len(text) > _MAX_LENGTH:
        return None
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        mark = match["mark"] or ("√" if match["root"] else match["number"])
        tokens.append(_SIGNS.get(mark, mark))
        position = match.end()
    try:
        return _Reader(tokens).whole()
    except (_NoValueError, ZeroDivisionError):
        return None


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def whole(self) -> Fraction:
        value = self._sum()
        if self._at < len(self._tokens):
            raise _NoValueError
        return value

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        mark = self._next()
        if not mark:
            raise _NoValueError
        self._at += 1
        return mark

    def _sum(self) -> Fraction:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NoValueError
        value = self._product()
        while self._next() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        self._depth -= 1
        return _bounded(value)

    def _product(self) -> Fraction:
        value = self._signed()
        while (mark := self._next()) in ("*", "/", "(", "√"):
            if mark in "*/":
                self._take()
            factor = self._signed()
            value = value / factor if mark == "/" else value * factor
            _bounded(value)
        return value

    def _signed(self) -> Fraction:
        negative = False
        while self._next() in ("+", "-"):
            negative ^= self._take() == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Fraction:
        value = self._atom()
        while self._next() == "!":
            self._take()
            if value.denominator != 1 or not 0 <= value <= _MAX_FACTORIAL:
                raise _NoValueError
            value = Fraction(math.factorial(int(value)))
        if self._next() != "^":
            return value
        self._take()
        exponent = self._signed()
        if exponent.denominator != 1 or abs(exponent) * max(_bits(value), 1) > _MAX_BITS:
            raise _NoValueError
        return value ** int(exponent)

    def _atom(self) -> Fraction:
        mark = self._take()
        if mark in _CLOSING:
            value = self._sum()
            if self._take() != _CLOSING[mark]:
                raise _NoValueError
            return value
        if mark == "√":
            return _root(self._atom())
        if not (mark[0].isdigit() or mark[0] == "."):
            raise _NoValueError
        value = _number(mark)
        return value + self._fraction_behind() if mark.isdigit() else value

    def _fraction_behind(self) -> Fraction:
        """The fraction after a whole number, the 1/2 of "3 1/2"; 0 if no proper fraction follows."""
        parts = self._tokens[self._at : self._at + 3]
        if len(parts) < 2 or not parts[0].isdigit():
            return Fraction(0)
        if (
            len(parts) < 3
            or parts[1] != "/"
            or not parts[2].isdigit()
            or not 0 < int(parts[0]) < int(parts[2])
        ):
            raise _NoValueError  # two numbers side by side
        self._at += 3
        return Fraction(int(parts[0]), int(parts[2]))


def _number(mark: str) -> Fraction:
    return Fraction(mark.replace(",", ""))


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise _NoValueError
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    if root * root != value:
        raise _NoValueError
    return root


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > _MAX_BITS:
        raise _NoValueError
    return value
