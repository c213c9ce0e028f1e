r"""Formulas around numbers: whether a number is part of one (`\sqrt{2}`, `4π`, `n+1`, `[6, ∞)`), and where it ends.

All texts here are in plain notation (`skipthink.answers.notation`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from skipthink.answers.expressions import evaluate

_LETTER = r"(?<![A-Za-z'’])[A-Za-z](?![A-Za-z'’])"
_FUNCTION = r"(?:sqrt|pi|log|ln|sin|cos|tan|exp|inf|infinity|mod)(?![A-Za-z])"
_PIECE = (
    r"[ \t]{0,2}(?>[0-9]++(?:[.,][0-9]++)*+|\.[0-9]++|\\[A-Za-z]++|\\[{}|]"
    rf"|[-−–+*/^_=<>≤≥≠≈±×·÷√π∞%!|(){{}}\[\],;:°∪∩…→$€£]|{_FUNCTION}|{_LETTER})"
)
_RUN = re.compile(rf"(?>{_PIECE})++")
OR = r"(?:or|and|oder|und|ou|et|或|或者|和|または|と)"
_ALONE = re.compile(rf"(?>{_PIECE}|[ \t]*{OR}(?![A-Za-z]))++[\s.。]*+")
_MAX_ALONE, _MAX_LENGTH = 200, 400
_ARITHMETIC = re.compile(r"(?>[-−–0-9\s.+*/×·÷%$€£=()]|,(?=[0-9]{3})|(?<=[0-9)\s])[xX](?=\s?[0-9(]))*+")
SPACED_THOUSANDS = re.compile(r"[-−–+]?[0-9]{1,3}(?: [0-9]{3})+(?:\.[0-9]+)?")
_ONE_OPERAND = re.compile(rf"\s*(?:[-−–+]?\s?\([^()]*\)|{SPACED_THOUSANDS.pattern})[\s.]*")
_TUPLE = re.compile(r"[(\[][^()\[\]]*,")

# behind a number: what multiplies, raises, lists or compares it
_OPERAND = r"[0-9(√π∞\\]"
_SHORT_OPERAND = rf"(?:{_OPERAND}|[A-Za-z](?![A-Za-z'’]))"
_UNIT_LETTER = r"[mgshlL](?:\^?\{?[23]\}?|[²³])?(?:/[a-z]+)?(?![A-Za-z0-9^])"
FORMULA_BEHIND = re.compile(
    rf"(?P<hard>\s?[√π∞±∪∩]|\s?\\[A-Za-z{{|]|\^|_(?=[0-9{{])|(?!{_UNIT_LETTER})[A-Za-z](?![A-Za-z])|{_FUNCTION}"
    rf"|!\s?(?=[-+*/×·÷^=)\]}}0-9])|\((?=[-−0-9√π+\\]|[A-Za-z]\s?[-+*/^)])|\s?[×·÷]\s?(?={_SHORT_OPERAND})|\)\s?[*/^×·]\s?(?=[(0-9])"
    rf"|\s?[<>≤≥≠]\s?(?={_SHORT_OPERAND})|:(?=[0-9])|\s(?:mod|choose)\s|\s?\(mod\s)"
    rf"|(?:\*(?={_SHORT_OPERAND})|\s\*\s(?={_SHORT_OPERAND})|\s?/\s?(?={_OPERAND})|\s?\+\s?(?={_SHORT_OPERAND})"
    rf"|[-−–](?={_SHORT_OPERAND})|\s[-−]\s(?={_SHORT_OPERAND})|\s?[xX]\s?(?=[0-9])|[,;]\s?(?=[-−]?{_OPERAND})|\s(?=[0-9]))"
)
FACTORIAL_END = re.compile(r"!\W*$")
FORMULA_START = re.compile(
    rf"[|√π∞±<>≤≥≠\\]|[-−–]\s?[(√π\\]|[A-Za-z]\s?[-+*/^_<>≤≥≠]\s?(?={_SHORT_OPERAND})|[A-Za-z]\)\s?[-+*/^]|[A-Za-z]\([A-Za-z0-9]\)|{_FUNCTION}"
)
# in front of a number; looked for in the few characters before it
_MARKS_BEFORE = frozenset("^_√({[+-−–*/×·÷:,<>≤≥≠±|\\")
_BEFORE = re.compile(
    rf"(?:[√^_]|\\[A-Za-z]+(?:\[[0-9]\])?|{_FUNCTION})\s?[({{]?\s?[-−]?$|[0-9∞π√)}}]\s?[-−+*/×·÷]\s?\(?$"
    rf"|{_LETTER}\s?[-−+*/×·÷]\s?$|[<>≤≥≠±|]\s?[-−]?$|[0-9]:$|[(\[][-−]?[^()\[\]\s]{{1,8}},\s?[-−]?$"
)
_NEAR = 16
# "25 cm^2", "9.8 m/s^2": the power belongs to the unit
UNIT_POWER = re.compile(r"(?:[0-9]\s[A-Za-z]{1,12}|[A-Za-z]{2}|/[a-z])\s?\^\s?\{?-?$")
SEVERAL_VALUES = re.compile(
    rf"=[^=\n]{{1,40}}?(?:[,;]|(?<![A-Za-z]){OR}(?![A-Za-z]))\s*(?:{_LETTER}|[A-Za-z]_[0-9])\s?=(?=[^=\n]*$)"
)


@dataclass(frozen=True)
class Formula:
    """A piece of a text that is a formula.

    Attributes:
        text: the formula, without what ends the sentence around it.
        rest: what follows it.
    """

    text: str
    rest: str

    @property
    def ends_the_text(self) -> bool:
        """Whether only a word, such as a unit, and punctuation follow."""
        return _NOTHING_MORE.fullmatch(self.rest) is not None

    def value(self) -> Fraction | None:
        """The exact value; None if it has no rational value."""
        return evaluate(_NO_OPERATOR.sub("", self.text))


_HOLDS_VALUE = re.compile(r"[0-9π√∞]|\\(?!f?box)[A-Za-z]|(?<![A-Za-z])(?:pi|inf|infinity)(?![A-Za-z])")
_NOTHING_MORE = re.compile(r"\s?[^\W\d_]*[\W_]*")
_NO_OPERATOR = re.compile(r"[$€£%°]")


def is_part_of_a_formula(text: str, start: int) -> bool:
    """Whether the text before the number at `start` makes it part of a formula."""
    before = start - 1 if start and not text[start - 1].isspace() else start - 2
    if before < 0 or not (text[before] in _MARKS_BEFORE or "\\" in text[max(0, start - _NEAR) : start]):
        return False
    return _BEFORE.search(text, max(0, start - _NEAR), start) is not None


def formula_at(text: str, start: int) -> Formula:
    """The formula that begins at `start`."""
    match = _RUN.match(text, start, start + _MAX_LENGTH)
    return _trimmed(text, match.start(), match.end()) if match else Formula("", text[start:])


def formula_around(text: str, position: int) -> Formula | None:
    """The formula around a position, after its last "="; None if it is only arithmetic with numbers."""
    line_start = text.rfind("\n", 0, position) + 1
    for match in _RUN.finditer(text, max(line_start, position - _MAX_ALONE), position + _MAX_LENGTH):
        if match.end() > position:
            formula = _trimmed(text, match.start(), match.end())
            if is_arithmetic(formula.text):
                return None
            return Formula(formula.text.rpartition("=")[2], formula.rest)
    return None


def holds_value(text: str) -> bool:
    """Whether a text contains a number or a constant."""
    return _HOLDS_VALUE.search(text) is not None


def last_formula(text: str, *, first: bool = False) -> str | None:
    """The last formula of a text that contains a number or a constant, or the first such formula."""
    formulas = [
        match for match in _RUN.finditer(text) if holds_value(match[0]) and not _is_quoted_or_raised(match)
    ]
    if not formulas:
        return None
    match = formulas[0 if first else -1]
    formula = _trimmed(text, match.start(), match.end()).text
    return re.sub(r"^[A-Za-z]\s+(?=[0-9√π\\])|^[-,;:.]\s+", "", formula) or None


def _is_quoted_or_raised(match: re.Match[str]) -> bool:
    return match[0].lstrip()[0] in "^_" or match.string[match.start() - 1 : match.start()] in ('"', "'")


def stands_alone(text: str) -> bool:
    """Whether a text is a single formula that is more than arithmetic with numbers outside brackets."""
    if len(text) > _MAX_ALONE or _ALONE.fullmatch(text.strip()) is None:
        return False
    return not is_arithmetic(text) or _ONE_OPERAND.fullmatch(text) is not None


def is_arithmetic(text: str) -> bool:
    """Whether a text consists of numbers and the four operations, without tuples."""
    return _ARITHMETIC.fullmatch(text) is not None and _TUPLE.search(text) is None


def _trimmed(text: str, start: int, end: int) -> Formula:
    formula = text[start:end]
    if re.match(r"\s*[A-Za-z]", text[end:]):  # "5 a day": the article is no variable
        formula = re.sub(r"\s+[A-Za-z]$", "", formula)
    formula = formula.rstrip(" \t.,;:=")
    while formula and formula[-1] in ")]}" and not _is_balanced(formula):
        formula = formula[:-1].rstrip()
    while (opened := _unclosed(formula)) is not None and formula[opened - 1 : opened].isspace():
        formula = formula[:opened].rstrip()
    return Formula(formula.strip(), text[start + len(formula) :])


def _is_balanced(text: str) -> bool:
    return sum(map(text.count, "([{")) >= sum(map(text.count, ")]}"))


def _unclosed(text: str) -> int | None:
    """Position of the first bracket that is never closed."""
    opened: list[int] = []
    for position, character in enumerate(text):
        if character in "([{":
            opened.append(position)
        elif character in ")]}" and opened:
            opened.pop()
    return opened[0] if opened else None
