r"""Typed answer checks: what a text states as its answer, and whether that is the gold answer.

Kinds are "number", "choice", "yes_no" and "string". Where a text says "the answer is …", "#### …" or
"\boxed{…}", the last such place counts; otherwise the last number, choice, yes or no, or quoted text of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum
from fractions import Fraction

from skipthink.exceptions import InvalidInputError

KINDS = ("number", "choice", "yes_no", "string")


class Verdict(StrEnum):
    """Outcome of an answer check; `UNPARSED`: the text states no answer of the kind."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"


def check_answer(kind: str, text: str, gold: str, *, tolerance: float = 1e-6) -> Verdict:
    """Checks the answer a text states against the gold answer.

    Numbers are right within `tolerance`; where only one of the two is a percentage, "45%" stands for 45 and
    for 0.45. Strings are right also where only spaces, commas, hyphens or quotes part the same letters.

    Args:
        kind: "number", "choice", "yes_no" or "string".
        text: what the student wrote: an answer alone, or a rationale that ends in one.
        gold: the gold answer.
        tolerance: largest absolute difference of two numbers that count as equal.

    Returns:
        The verdict.

    Raises:
        InvalidInputError: unknown kind, negative tolerance, or a gold answer that is none of this kind.
    """
    if not 0 <= tolerance < float("inf"):
        raise InvalidInputError(f"tolerance must be a finite number, 0 or more, got {tolerance}")
    wanted = parse_gold(kind, gold)
    found = parse_answer(kind, text)
    if found is None:
        return Verdict.UNPARSED
    if kind == "number":
        right = _same_number(found, wanted, tolerance)
    elif kind == "string":
        # "10:30" is an answer as a whole and also leads up to "30"
        right = any(_same_string(answer, wanted) for answer in (found, _normal_string(text) or ""))
    else:
        right = found == wanted
    return Verdict.RIGHT if right else Verdict.WRONG


def parse_answer(kind: str, text: str) -> str | None:
    """The answer a text states, in a normal form.

    Args:
        kind: "number", "choice", "yes_no" or "string".
        text: an answer alone, or a rationale that ends in one.

    Returns:
        A number ("1234.5", "-7", "1/3", "45%"), an upper-case letter, "yes" or "no", or a string in lower
        case without quotes and doubled spaces; None where the text states no answer of this kind.

    Raises:
        InvalidInputError: unknown kind.
    """
    find = _finder(kind)
    stated = _stated(text)
    if stated is not None:
        answer = find(stated, True)
        if answer is not None:
            return answer
    return find(text, False)


def parse_gold(kind: str, gold: str) -> str:
    """The normal form of a gold answer, which must state one answer of its kind and be clear about it.

    Raises:
        InvalidInputError: unknown kind, no answer of this kind, or more than one number.
    """
    answer = _normal_string(gold) if kind == "string" else parse_answer(kind, gold)
    if answer is None:
        raise InvalidInputError(
            f"gold answer {gold!r} is no answer of the kind {kind!r}; name the right kind"
        )
    if kind == "number" and _stated(gold) is None and len(list(_NUMBER.finditer(gold))) > 1:
        raise InvalidInputError(f"gold answer {gold!r} holds more than one number; keep the answer alone")
    return answer


def infer_kind(answers: Iterable[str]) -> str:
    """The kind all gold answers are of: number, yes_no or choice, and string where it is none of these.

    Raises:
        InvalidInputError: there is no answer.
    """
    stripped = [answer.strip() for answer in answers]
    if not stripped:
        raise InvalidInputError("cannot tell the kind of the answers: there are none")
    for kind, pattern in _WHOLE.items():
        if all(pattern.fullmatch(answer) for answer in stripped):
            return kind
    return "string"


# ── where an answer is stated ──

_ANSWER_IS = re.compile(
    r"\b(?:answer(?:\s+(?:choice|option))?|(?:correct|right|best|final)\s+(?:choice|option))"
    r"(?:\s+to\s+(?:the|this|your)\s+question)?[\s*_]*"
    r"(?:\s(?:is|are|would\s+be|should\s+be|must\s+be|will\s+be)\b|[:=])[\s*_:]*|####",
    re.IGNORECASE,
)
_BOXED = "\\boxed{"
_SENTENCE_END = re.compile(r"(?<=\w{2})[.!?](?=\s+[A-Z])|[.!?](?=\s+(?:[A-Z][a-z]+\s+[a-z]))|\n")


def _stated(text: str) -> str | None:
    """What follows the last announcement of an answer, up to the end of that sentence or box."""
    announced = max(_ANSWER_IS.finditer(text), key=re.Match[str].start, default=None)
    boxed = text.rfind(_BOXED)
    if boxed >= 0 and (announced is None or boxed > announced.start()):
        return _inside_braces(text, boxed + len(_BOXED))
    if announced is None:
        return None
    rest = text[announced.end() :].lstrip()
    end = _SENTENCE_END.search(rest)
    return rest[: end.start()] if end else rest


def _inside_braces(text: str, start: int) -> str:
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return text[start:]


# ── numbers ──

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_CURRENCY = r"[$€£¥₹]"
_NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>[-−–+]?)\\?{_CURRENCY}?(?P<inner_sign>-?)"
    rf"(?:\\[dt]?frac\{{(?P<above>[0-9]+)\}}\{{(?P<below>[0-9]+)\}}"
    rf"|(?P<value>{_DIGITS})(?:e(?P<exponent>[-+]?[0-9]{{1,2}})(?![\w.]))?"
    r"(?:(?P<mixed>\ [0-9]+)?/(?P<over>[0-9]+)(?![/0-9]))?)"
    r"(?P<percent>\s?\\?%)?"
)
_BEFORE_NUMBER = re.compile(r"(?:[\s*_\"'“(\[{]|\\[(\[])*")
# Longer runs of digits are a student in a loop, not an answer, and Python limits turning them into integers.
_MAX_LENGTH = 100


def _find_number(text: str, stated: bool) -> str | None:
    """After "the answer is" the number right there, or right behind the last "="; else the last number."""
    if stated:
        text = _BEFORE_NUMBER.sub("", text[text.rfind("=") + 1 :], count=1)
        first = _NUMBER.match(text)
        if first and (number := _read_number(first)) is not None:
            return number
    numbers = map(_read_number, reversed(list(_NUMBER.finditer(text))))
    return next((number for number in numbers if number is not None), None)


def _read_number(match: re.Match[str]) -> str | None:
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
    return _write_number(value) + ("%" if parts["percent"] else "")


def _write_number(value: Fraction) -> str:
    """Decimal where the value has a finite one, else a fraction."""
    odd, places = value.denominator, 0
    while odd % 2 == 0 or odd % 5 == 0:
        odd //= 10 if odd % 10 == 0 else 2 if odd % 2 == 0 else 5
        places += 1
    if odd > 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole, decimals = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
    return ("-" if value < 0 else "") + whole + (f".{decimals}" if decimals else "")


def _same_number(found: str, wanted: str, tolerance: float) -> bool:
    left, right = Fraction(found.rstrip("%")), Fraction(wanted.rstrip("%"))
    pairs = [(left, right)]
    if found.endswith("%") and not wanted.endswith("%"):
        pairs.append((left / 100, right))
    if wanted.endswith("%") and not found.endswith("%"):
        pairs.append((left, right / 100))
    return any(abs(one - other) <= Fraction(tolerance) for one, other in pairs)


# ── choices ──

_BRACKETED = re.compile(r"(?<!\w)[(\[]([A-Za-z])[)\]]")
_NAMED = re.compile(r"\b(?:choice|option)\s+\"?([A-Z])\b(?!')", re.IGNORECASE)
# a bare letter counts where it stands alone: "A", "A.", "A)", "B: the ball", but not "A month" or "I think"
_BARE = re.compile(r"[\s\"'“*({\[]*([A-Za-z])(?:[\s\"'”*]*$|[\"'”*]*[.):\]},;])")


def _find_choice(text: str, stated: bool) -> str | None:
    bare = _BARE.match(text)
    if stated:
        match = bare or _BRACKETED.search(text) or _NAMED.search(text)
        return match[1].upper() if match else None
    named = [*_BRACKETED.finditer(text), *_NAMED.finditer(text)]
    last = max(named, key=lambda match: match.start(), default=bare)
    return last[1].upper() if last else None


# ── yes and no ──

# "no" in front of a word is mostly no answer ("there is no evidence"), except where it opens the text
_YES_NO = re.compile(
    r"\b(?P<no>not\s+true|false|\Ano|no(?!\s+\w))\b"
    r"|\b(?P<yes>yes|true|not\s+false)\b",
    re.IGNORECASE,
)


def _find_yes_no(text: str, stated: bool) -> str | None:
    matches = list(_YES_NO.finditer(text.strip().lstrip("\"'“*(")))
    if not matches:
        return None
    match = matches[0 if stated else -1]
    return "yes" if match["yes"] else "no"


# ── strings ──

_QUOTED = re.compile(r"\"([^\"\n]+)\"|“([^”\n]+)”|`([^`\n]+)`|(?<!\w)'([^'\n]+)'(?!\w)")
_LEAD = re.compile(
    r"(?:[:=→]|->|\b(?:get|gives?|is|are|forms?|makes?|becomes?)\b)(?:\s+us\b)?[\s:]*", re.IGNORECASE
)
_QUOTES = " \t\n\"'“”‘’`*_"
_SEPARATORS = re.compile(r"[\s,+.\-–\"'“”‘’`]+")
_MAX_ANSWER_WORDS = 6


def _find_string(text: str, stated: bool) -> str | None:
    """A short text as a whole, else what is in quotes or follows "get", "is", ":", "=": the last of them."""
    quoted = list(_QUOTED.finditer(text))
    if stated:
        # letters quoted one by one, "a", "n" and "k", are one answer
        single = len(quoted) > 1 and all(len(match[match.lastindex or 0].strip()) == 1 for match in quoted)
        first = quoted[0][quoted[0].lastindex or 0] if quoted else text
        return _normal_string("".join(match[match.lastindex or 0] for match in quoted) if single else first)
    content_end = len(text.rstrip(_QUOTES))
    leads = [lead for lead in _LEAD.finditer(text) if lead.end() < content_end]
    if not quoted and not leads:
        words = text.split()
        return _normal_string(text if len(words) <= _MAX_ANSWER_WORDS else words[-1]) if words else None
    if quoted and (not leads or quoted[-1].end() > leads[-1].end()):
        return _normal_string(quoted[-1][quoted[-1].lastindex or 0])
    rest = text[leads[-1].end() :]
    end = _SENTENCE_END.search(rest)
    return _normal_string(rest[: end.start()] if end else rest)


def _normal_string(text: str) -> str | None:
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return text.strip(_QUOTES).rstrip(".!,;:").strip(_QUOTES) or None


def _same_string(found: str, wanted: str) -> bool:
    """Equal, or the same letters spaced otherwise: "y a j c", "y-a-j-c" and "yajc"."""
    left, right = _SEPARATORS.sub("", found), _SEPARATORS.sub("", wanted)
    return found == wanted or (left == right and right.isalpha())


_WHOLE = {
    "number": re.compile(rf"(?:{_NUMBER.pattern})\.?"),
    "yes_no": re.compile(r"(?:yes|no|true|false)\.?", re.IGNORECASE),
    "choice": re.compile(r"[A-Z][.:)]?|[A-Z][.:)]\s.*|[(\[][A-Za-z][)\]](?:\s.*)?"),
}
_FINDERS: dict[str, Callable[[str, bool], str | None]] = {
    "number": _find_number,
    "choice": _find_choice,
    "yes_no": _find_yes_no,
    "string": _find_string,
}


def _finder(kind: str) -> Callable[[str, bool], str | None]:
    if kind not in _FINDERS:
        raise InvalidInputError(f"no answer kind {kind!r}; kinds are {', '.join(KINDS)}")
    return _FINDERS[kind]
