"""Step splitting, written from the rules of `docs/steps.md`; regular expressions and no hurry."""

from __future__ import annotations

import re
from collections.abc import Sequence

WHITE = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
CLOSERS = "\"')]}*_”’»」』）"
OPENERS = "([{\"'“‘*_"
OPERATORS = "=+-*/×÷<>^"

NEVER_END = {
    "approx",
    "capt",
    "cf",
    "col",
    "dr",
    "e.g",
    "gen",
    "gov",
    "hon",
    "i.e",
    "lt",
    "messrs",
    "mr",
    "mrs",
    "ms",
    "mt",
    "pres",
    "prof",
    "rep",
    "rev",
    "sen",
    "sgt",
    "st",
    "viz",
    "vs",
}
BEFORE_NUMBER = {
    "art",
    "ch",
    "eq",
    "eqs",
    "ex",
    "fig",
    "figs",
    "no",
    "nos",
    "p",
    "para",
    "pp",
    "pt",
    "sec",
    "vol",
}
MAY_END = {
    "apr",
    "aug",
    "ave",
    "blvd",
    "co",
    "corp",
    "cu",
    "dec",
    "dept",
    "est",
    "etc",
    "feb",
    "fri",
    "ft",
    "hr",
    "hrs",
    "inc",
    "jan",
    "jr",
    "lb",
    "lbs",
    "ltd",
    "min",
    "mon",
    "nov",
    "oct",
    "oz",
    "rd",
    "sat",
    "sec",
    "sep",
    "sept",
    "sq",
    "sr",
    "sun",
    "thu",
    "thur",
    "thurs",
    "tue",
    "tues",
    "univ",
    "wed",
    "yd",
    "yr",
    "yrs",
}
STARTERS = {
    "a",
    "after",
    "all",
    "also",
    "although",
    "an",
    "and",
    "another",
    "any",
    "as",
    "assuming",
    "at",
    "because",
    "before",
    "both",
    "but",
    "by",
    "check",
    "combining",
    "consider",
    "continuing",
    "each",
    "finally",
    "first",
    "for",
    "from",
    "given",
    "he",
    "hence",
    "her",
    "here",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "instead",
    "it",
    "its",
    "last",
    "let",
    "next",
    "no",
    "not",
    "note",
    "now",
    "on",
    "once",
    "or",
    "our",
    "second",
    "she",
    "since",
    "so",
    "some",
    "that",
    "the",
    "their",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "third",
    "this",
    "those",
    "thus",
    "to",
    "using",
    "wait",
    "we",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "with",
    "yes",
    "you",
}
BEFORE_LETTER = {
    "and",
    "answer",
    "are",
    "be",
    "choice",
    "equals",
    "has",
    "is",
    "letter",
    "or",
    "option",
    "to",
    "was",
    "with",
}

NESTED = re.compile(r"\\(begin|end)\{")


def split_steps(text: str, *, rules: str | Sequence[str] = "auto") -> list[str]:
    """Splits a text into steps; `"".join(steps) == text`, none for white space alone."""
    if not text.strip(WHITE):
        return []
    steps: list[str] = []
    start = at = 0
    protected = _protected(text) if isinstance(rules, str) else {}
    while at < len(text):
        if at in protected:
            at = protected[at]
            continue
        end = _end(text, start, at, rules)
        if end is None:
            at += 1
        elif end < 0:  # no step ends in this run of terminators
            at = -end
        else:
            following = _after_white(text, end)
            if following < len(text) and not _is_marker(text[start:end]):
                steps.append(text[start:following])
                start = following
            at = following
    return [*steps, text[start:]]


def _after_white(text: str, at: int) -> int:
    while at < len(text) and text[at] in WHITE:
        at += 1
    return at


def _protected(text: str) -> dict[int, int]:
    """Start → end of the spans that are never cut, left to right; an opener without closer is plain text."""
    spans: dict[int, int] = {}
    balanced = True
    at = 0
    while at < len(text):
        end = None
        if text.startswith("```", at) or text.startswith("$$", at):
            mark = "```" if text[at] == "`" else "$$"
            close = text.find(mark, at + len(mark))
            end = at + len(mark) if close < 0 else close + len(mark)
        elif text[at] == "`":
            end = _closed(text, at, "`", "`", over_lines=False)
        elif text[at] == "$":
            end = _inline_maths(text, at)
        elif text.startswith("\\(", at):
            end = _closed(text, at, "\\(", "\\)", over_lines=False)
        elif text.startswith("\\[", at):
            end = _closed(text, at, "\\[", "\\]", over_lines=True)
        elif text.startswith("<<", at):
            end = _closed(text, at, "<<", ">>", over_lines=False)
        elif text.startswith("\\begin{", at) and balanced:
            end = _environment(text, at)
            balanced = end is not None
        if end is None:
            at += 1
        else:
            spans[at] = end
            at = end
    return spans


def _closed(text: str, at: int, opener: str, closer: str, *, over_lines: bool) -> int | None:
    for here in range(at + len(opener), len(text)):
        if text.startswith(closer, here):
            return here + len(closer)
        if text.startswith(opener, here) or (text[here] == "\n" and not over_lines):
            return None
    return None


def _inline_maths(text: str, at: int) -> int | None:
    match = re.compile(r"\$([^$\n]+)\$(?![0-9])").match(text, at)
    if match is None or match[1][0] in WHITE or match[1][-1] in WHITE:
        return None
    return match.end()


def _environment(text: str, at: int) -> int | None:
    depth = 0
    for match in NESTED.finditer(text, at):
        depth += 1 if match[1] == "begin" else -1
        if depth == 0:
            close = text.find("}", match.start())
            return close + 1
    return None


def _end(text: str, start: int, at: int, rules: str | Sequence[str]) -> int | None:
    """Where a step ends by what stands at `at`; None: not here; negative: not before that position."""
    if not isinstance(rules, str):
        lengths = [len(one) for one in rules if text.startswith(one, at)]
        return at + max(lengths) if lengths else None
    if text[at] == "\n":
        blank = "\n" in text[at + 1 : _after_white(text, at + 1)]
        return at + 1 if rules != "sentences" or blank else None
    if rules == "lines":
        return None
    if text[at] in "。！？":
        return _after(text, at, "。！？" + CLOSERS)
    if text[at] in ".!?…":
        return _sentence_end(text, start, at)
    return None


def _after(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _sentence_end(text: str, start: int, at: int) -> int:
    run = _after(text, at, ".!?…")
    end = _after(text, run, CLOSERS)
    if end == len(text):
        return end
    following = _after_white(text, end)
    if following == end:
        return -run
    rest = text[following:].lstrip(OPENERS)
    first = rest[:1] or " "
    word = re.match(r"[A-Za-z]{0,13}", rest)[0].lower()  # type: ignore[index]
    terminators = text[at:run]
    if terminators == ".":
        ends = _period_ends(text, start, at, first, word)
    elif terminators == "!" and first in OPERATORS and re.search(r"[A-Za-z0-9)]\Z", text[:at]):
        ends = False
    else:
        ends = not _is_lower(first)
    return end if ends else -run


def _period_ends(text: str, start: int, at: int, first: str, word: str) -> bool:
    starts_sentence = first.isupper() and word in STARTERS
    before = _word_before(text, start, at)
    if re.fullmatch(r"[A-Z]", before):
        stem = text[start : at - 1].rstrip(WHITE)
        previous = _word_before(text, start, start + len(stem))
        return not first.isupper() or starts_sentence or previous.lower() in BEFORE_LETTER
    if before.lower() in NEVER_END:
        return False
    if first in "0123456789" and before.lower() in BEFORE_NUMBER:
        return False
    if re.fullmatch(r"[A-Za-z](\.[A-Za-z])+", before):
        return starts_sentence
    if before.lower() in MAY_END:
        return first.isupper()
    return True


def _word_before(text: str, start: int, at: int) -> str:
    """ASCII letters, digits and dots directly before a position; "" where they are more than 12."""
    found = re.search(r"[A-Za-z0-9.]*\Z", text[start:at])
    word = found[0] if found else ""
    return word if len(word) <= 12 else ""


def _is_lower(character: str) -> bool:
    return character.islower()


def _is_marker(step: str) -> bool:
    step = step.strip(WHITE)
    if len(step.encode()) > 24:
        return False
    inner = step.lstrip("*_#>-+•( \t").rstrip("*_:.) \t")
    bare = len(inner) == len(step)
    if not inner:
        return True
    if re.fullmatch(r"(?i:step|part|case)[ \t]*[0-9]{1,3}", inner):
        return True
    return not bare and re.fullmatch(r"[0-9]{1,3}|(?i:step|part|case)|[A-Za-z]", inner) is not None
