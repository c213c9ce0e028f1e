"""Strings: short texts, quoted texts and letters, compared without case, quotes and double spaces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from skipthink.answers.notation import plain_words
from skipthink.answers.stated import sentence_end, stated_part

_ASCII_QUOTED = re.compile(r"\"([^\"\n]+)\"|`([^`\n]+)`|(?<!\w)'([^'\n]+)'(?!\w)")
_QUOTED = re.compile(
    rf"{_ASCII_QUOTED.pattern}|“([^”\n]+)”|«([^»\n]+)»|„([^“”\n]+)[“”]|「([^」\n]+)」|『([^』\n]+)』"
)
_LEAD = re.compile(
    r"(?:[:=→]|->|\b(?:get|gives?|is|are|forms?|makes?|becomes?)\b)(?:\s+us\b)?[\s:]*", re.IGNORECASE
)
_QUOTES = " \t\n\"'“”‘’`*_«»„「」『』"
_SEPARATORS = re.compile(r"[\s,+.\-–\"'“”‘’`]+")
_MAX_ANSWER_WORDS = 6
# what may follow a string behind "the answer is"
_MORE = re.compile(
    r"\s*[,;(–—-]?\s+(?:because|since|as|due|weil|denn|parce|puisque|porque|pois)\b.*"
    r"|\s*[,;(–—-]\s*(?:the|a|an|which|who|where|not|so|and\s+not|rather|instead)\b.*"
    r"|\s?(?:です|でした|である|になります|となります|입니다|이다|이에요|예요)[.。]?$",
    re.DOTALL | re.IGNORECASE,
)
_BOLD = re.compile(r"\s*\*\*([^*\n]+)\*\*")


def find_string(text: str, stated: bool) -> str | None:
    """Finds a short text as a whole, otherwise the last text that is in quotes or follows "get", "is", ":" or "="."""
    text = plain_words(text)
    quoted = list((_ASCII_QUOTED if text.isascii() else _QUOTED).finditer(text))
    if stated:
        # letters quoted one by one, "a", "n" and "k", are one answer
        single = len(quoted) > 1 and all(len(match[match.lastindex or 0].strip()) == 1 for match in quoted)
        first = quoted[0][quoted[0].lastindex or 0] if quoted else text
        return normal_string("".join(match[match.lastindex or 0] for match in quoted) if single else first)
    last_line = text.rstrip().rpartition("\n")[2]
    if len(last_line.split()) == 1 and not _QUOTED.search(last_line):
        return normal_string(last_line[last_line.rfind(":") + 1 :])
    content_end = len(text.rstrip(_QUOTES))
    leads = [lead for lead in _LEAD.finditer(text) if lead.end() < content_end]
    if not quoted and not leads:
        words = text.split()
        return normal_string(text if len(words) <= _MAX_ANSWER_WORDS else words[-1]) if words else None
    if quoted and (not leads or quoted[-1].end() > leads[-1].end()):
        return normal_string(quoted[-1][quoted[-1].lastindex or 0])
    rest = text[leads[-1].end() :]
    return normal_string(rest[: sentence_end(rest)])


def normal_string(text: str) -> str | None:
    """A string in lower case, without outer quotes and double spaces; None if nothing is left."""
    text = " ".join(unicodedata.normalize("NFKC", plain_words(text)).casefold().split())
    return text.strip(_QUOTES).rstrip(".!,;:。、").strip(_QUOTES) or None


def same_string(found: str, wanted: str) -> bool:
    """Whether two strings have the same letters, however spaced: "y a j c", "y-a-j-c" and "yajc"."""
    left, right = _SEPARATORS.sub("", found), _SEPARATORS.sub("", wanted)
    return found == wanted or (left == right and right.isalpha())


def is_string(text: str, found: str, wanted: str) -> bool:
    """Whether a text states a string: as its whole answer, or followed by a reason.

    Args:
        text: what was answered.
        found: what `find_string` reads from it.
        wanted: the gold answer, in its normal form.
    """
    return same_string(found, wanted) or any(same_string(answer, wanted) for answer in _other_readings(text))


def _other_readings(text: str) -> Iterator[str]:
    yield normal_string(text) or ""  # "10:30" is an answer as a whole and also leads up to "30"
    stated = stated_part(text)
    if stated is None:
        return
    yield normal_string(stated) or ""
    bold = _BOLD.match(stated)
    if bold is not None:
        yield normal_string(bold[1]) or ""
    more = _MORE.search(stated)
    if more is not None:
        yield normal_string(stated[: more.start()]) or ""
