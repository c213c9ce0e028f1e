"""Step splitting, slow and obvious: the oracle of the core's tests (method §3, rules of `docs/steps.md`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skipthink.reference.checks import check_split

# Unicode's White_Space, which is neither `str.isspace` nor `\s`: those take U+001C…U+001F too
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_WIDE = "。！？"
_TERMINATORS = ".!?…؟۔।"
_CLOSERS = "\"')]}*_”’»」』）"
_OPENERS = "\"'([{*_“‘«「『（"

_ENVIRONMENT_EDGE = re.compile(r"\\\\|\\(begin|end)\{[A-Za-z]+\*?\}")
_INLINE_MATH = re.compile(r"\$((?:\\[\\$]|\\(?![\\$])|[^\\$\n])+)\$(?![0-9])")
_PRICE = re.compile(rf"\$[0-9][0-9.,]*[;:!?)]*[{SPACES}]+[A-Za-z]{{2}}")
_NUMBER = r"[0-9]{1,3}(?:\.[0-9]{1,2}){0,2}"
_ROMAN = r"ii|iii|iv|vi|vii|viii|ix"
_LABEL = re.compile(
    rf"(?P<word>step|part|case)?[{SPACES}]*(?P<name>{_NUMBER}|[a-z]|{_ROMAN})?", re.ASCII | re.IGNORECASE
)


# ── the word lists of docs/steps.md, compared in lower case ──


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Abbreviations that never end a sentence.
NEVER_END = _words("""
    approx capt cf col dr e.g gen gov hon i.e lt messrs mr mrs ms pres prof rep rev sen sgt viz vs
""")

# Abbreviations that do not end a sentence where a digit follows.
BEFORE_NUMBER = _words("art ch eq eqs ex fig figs no nos p para pp pt vol")

# Abbreviations that end a sentence only where an upper-case letter follows.
BEFORE_UPPER = _words("""
    a.m apr aug ave blvd bros co corp cu dec dept est etc feb fri ft hr hrs in inc incl jan jr lb lbs ltd min
    mon nov oct oz p.m prelim rd sat sec sep sept sq sr sun thu thur thurs tue tues univ wed yd yds yr yrs
""")

# Abbreviations that end a sentence only where a starter follows; dotted acronyms (U.S.) behave the same.
BEFORE_STARTER = _words("mt st")

# Words that begin sentences far more often than they follow an initial or an acronym.
STARTERS = _words("""
    a according adding after all also although an and another any as assuming at because before both but by
    calculating check combining consider continuing dividing each finally first for from given half he hence
    her here his how however i if in initially instead it its last let multiplying next no not note now on
    once or our plugging second she since so solving some step substituting subtracting summing that the
    their then there therefore these they third this those thus to using wait we what when where which while
    who why with yes you
""")

# Words before a one-letter answer: "the answer is B. Alice …".
BEFORE_LETTER = _words("answer are be choice equals is letter option")


def split_steps(text: str, *, rules: str | Sequence[str] = "auto") -> list[str]:
    """Splits one text into steps, as `skipthink.split_steps` does.

    Args:
        text: a rationale.
        rules: "auto", "lines", "sentences", or separator strings.

    Returns:
        The steps; `"".join(steps) == text`. Text of white space alone has none.

    Raises:
        InvalidTypeError: no str.
        InvalidInputError: unknown rules, or an empty separator.
    """
    check_split(text, rules)
    if not isinstance(rules, str):
        return _pieces(text, _separator_cuts(text, list(rules)))
    if rules == "lines":
        return _pieces(text, _separator_cuts(text, ["\n"]))
    return _pieces(text, _rule_cuts(text, by_lines=rules == "auto"))


def _pieces(text: str, cuts: list[int]) -> list[str]:
    if not text.strip(SPACES):
        return []
    edges = [0, *cuts, len(text)]
    return [text[start:end] for start, end in zip(edges[:-1], edges[1:], strict=True)]


def _separator_cuts(text: str, separators: list[str]) -> list[int]:
    longest_first = sorted(separators, key=len, reverse=True)
    cuts = [0]
    at = 0
    while at < len(text):
        found = next((one for one in longest_first if text.startswith(one, at)), None)
        if found is None:
            at += 1
            continue
        at = _after_space(text, at + len(found))
        if at < len(text) and text[cuts[-1] : at].strip(SPACES):
            cuts.append(at)
    return cuts[1:]


def _rule_cuts(text: str, *, by_lines: bool) -> list[int]:
    environments = _environments(text)
    cuts = [0]
    at = 0
    while at < len(text):
        end = None
        if (skipped := _skipped(text, at, environments)) is not None:
            at = skipped
        elif text[at] == "\n":
            if by_lines or "\n" in text[at + 1 : _after_space(text, at + 1)]:
                end = at + 1
            at += 1
        elif text[at] in _WIDE:
            end = at = _after(text, at, _WIDE + _CLOSERS)
        elif text[at] in _TERMINATORS:
            end = _sentence_end(text, cuts[-1], at)
            at = _after(text, at, _TERMINATORS)
        else:
            at += 1
        if end is not None:
            at = _after_space(text, end)
            if at < len(text) and not _is_marker(text[cuts[-1] : at]):
                cuts.append(at)
    return cuts[1:]


def _after(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _after_space(text: str, at: int) -> int:
    return _after(text, at, SPACES)


# ── what is never cut ──


def _skipped(text: str, at: int, environments: dict[int, int]) -> int | None:
    """The end of what opens at `at` and is read as one, be it a protected span or an opener without closer."""
    if text[at] not in "\\`$<":
        return None
    rest = text[at:]
    if rest[:2] in {r"\\", r"\$", r"\`"}:
        return at + 2
    if rest.startswith("```"):
        closer = text.find("```", at + 3)
        return at + 3 if closer < 0 else closer + 3
    if rest.startswith("$$"):
        return _math_end(text, at, None, "$$") or at + 2
    if rest.startswith(r"\("):
        return _math_end(text, at, r"\(", r"\)")
    if rest.startswith(r"\["):
        return _math_end(text, at, r"\[", r"\]")
    if rest.startswith("\\"):
        return environments.get(at)
    if rest.startswith("`"):
        return _end_of(re.match(r"`[^`\n]*`", rest), at)
    if rest.startswith("<<"):
        return _calculation_end(rest, at)
    if rest.startswith("$"):
        return _inline_math_end(rest, at)
    return None


def _end_of(match: re.Match[str] | None, at: int) -> int | None:
    return match and at + match.end()


def _calculation_end(rest: str, at: int) -> int | None:
    match = re.match(r"<<((?:(?!<<|>>)[^\n])+)>>", rest)
    return at + match.end() if match and _is_tight(match[1]) else None


def _inline_math_end(rest: str, at: int) -> int | None:
    match = _INLINE_MATH.match(rest)
    return at + match.end() if match and _is_tight(match[1]) and not _PRICE.match(rest) else None


def _is_tight(inside: str) -> bool:
    return inside[0] not in SPACES and inside[-1] not in SPACES


def _math_end(text: str, at: int, opener: str | None, closer: str) -> int | None:
    at += 2
    while at < len(text):
        two = text[at : at + 2]
        if two in {r"\\", r"\$"}:
            at += 2
        elif two == closer:
            return at + 2
        elif two == opener or (text[at] == "\n" and "\n" in text[at + 1 : _after_space(text, at + 1)]):
            return None
        else:
            at += 1
    return None


def _environments(text: str) -> dict[int, int]:
    r"""Start to end of every `\\begin{…} … \\end{…}`."""
    ends, open_ones = {}, []
    for edge in _ENVIRONMENT_EDGE.finditer(text):
        if edge[1] == "begin":
            open_ones.append(edge.start())
        elif edge[1] == "end" and open_ones:
            ends[open_ones.pop()] = edge.end()
    return ends


# ── sentences ──


def _sentence_end(text: str, start: int, at: int) -> int | None:
    """The end of the sentence, closing marks included, that the terminators at `at` end; None if they do not."""
    run = _after(text, at, _TERMINATORS)
    end = _after(text, run, _CLOSERS)
    marks = text[at:run]
    before = text[start:at]
    after = text[_after_space(text, end) :]
    if not after:
        return end
    if text[end] not in SPACES:
        return run if marks == "." and end == run and _is_glued(before, after) else None
    body = after.lstrip(_OPENERS)
    first = body[:1] or " "
    if end > run and first.islower():
        return None
    if marks == ".":
        ends = _period_ends(before, body, first)
    elif set(marks) <= {".", "…"}:
        waits = before.rstrip(SPACES).endswith(tuple(",+-*/=<>×÷·"))
        ends = not waits and (first.isupper() or (first > "\x7f" and not first.islower()))
    elif marks == "!" and re.search(r"[A-Za-z0-9)]\Z", before):
        ends = not first.islower() and not re.match(r"[-=+/^<>×÷·]|\*(?!\*)", after)
    else:
        ends = not first.islower()
    return end if ends else None


def _is_glued(before: str, after: str) -> bool:
    """Whether a sentence begins right after a period without any space: "10 cups.The", "10 cups.2. Next"."""
    if starter := re.match(rf"([A-Z][a-z]+)[,{SPACES}]", after):
        return starter[1].lower() in STARTERS and bool(re.search(r"([a-z]{2}|[0-9)])\Z", before))
    return bool(re.match(rf"[0-9]{{1,2}}\.[{SPACES}]", after) and re.search(r"([a-z]{2}|\))\Z", before))


def _period_ends(before: str, body: str, first: str) -> bool:
    word = _last_word(before)
    lower = word.lower()
    if re.fullmatch("[A-Z]", word):
        return _letter_ends(before[:-1].rstrip(SPACES), body, first)
    if lower in NEVER_END or (lower in BEFORE_NUMBER and first in "0123456789"):
        return False
    if word == "1" and before[:-1].rstrip(SPACES).endswith(":"):
        return False
    if lower in BEFORE_UPPER:
        return first.isupper()
    if lower in BEFORE_STARTER or re.fullmatch(r"[a-z](\.[a-z])+", lower):
        return _starts_sentence(body)
    return True


def _letter_ends(before: str, body: str, first: str) -> bool:
    """Whether one upper-case letter and a period end a sentence, or are an initial."""
    if re.match(r"[A-Z]\.", body):
        return False
    named = before.endswith("=") or _last_word(before).lower() in BEFORE_LETTER
    return named or not first.isupper() or _starts_sentence(body)


def _last_word(before: str) -> str:
    letters = re.search(r"[A-Za-z0-9.]*\Z", before)
    return letters[0] if letters and len(letters[0]) <= 12 else ""


def _starts_sentence(body: str) -> bool:
    word = re.match(r"[A-Za-z]*", body)
    return body[:1] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" and word is not None and word[0].lower() in STARTERS


def _is_marker(step: str) -> bool:
    """Whether a step would hold no more than white space, bullets, or the number of a list item."""
    step = step.strip(SPACES)
    if len(step.encode()) > 24:
        return False
    inner = step.lstrip("*_#>-+•–—=~([" + SPACES)
    label = inner.rstrip("*_:.)]" + SPACES)
    if not label:
        return True
    closed = any(mark in inner[len(label) :] for mark in ":.)]")
    match = _LABEL.fullmatch(label)
    return match is not None and (closed or bool(match["word"] and match["name"]))
