"""Choices, yes and no, and strings."""

from __future__ import annotations

import re
import unicodedata

from skipthink.answers.stated import sentence_end

# ── choices ──

_BRACKETED = re.compile(r"(?<!\w)[(\[]([A-Za-z])[)\]]")
_NAMED = re.compile(r"\b(?:choice|option)\s+\"?([A-Z])\b(?!')", re.IGNORECASE)
# a bare letter counts where it stands alone: "A", "A.", "A)", "B: the ball", but not "A month" or "I think"
_BARE = re.compile(r"[\s\"'“*({\[]*([A-Za-z])(?:[\s\"'”*]*$|[\"'”*]*[.):\]},;])")
WHOLE_CHOICE = re.compile(r"[A-Z][.:)]?|[A-Z][.:)]\s.*|[(\[][A-Za-z][)\]](?:\s.*)?")


def find_choice(text: str, stated: bool) -> str | None:
    """An upper-case letter: the first after "the answer is", else the last that stands as a choice."""
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
WHOLE_YES_NO = re.compile(r"(?:yes|no|true|false)\.?", re.IGNORECASE)


def find_yes_no(text: str, stated: bool) -> str | None:
    """Finds "yes" or "no": the first after "the answer is", else the last."""
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


def find_string(text: str, stated: bool) -> str | None:
    """A short text as a whole, else what is in quotes or follows "get", "is", ":", "=": the last of them."""
    quoted = list(_QUOTED.finditer(text))
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
    """A string in lower case, without outer quotes and doubled spaces; None where nothing is left."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return text.strip(_QUOTES).rstrip(".!,;:").strip(_QUOTES) or None


def same_string(found: str, wanted: str) -> bool:
    """Equal, or the same letters spaced otherwise: "y a j c", "y-a-j-c" and "yajc"."""
    left, right = _SEPARATORS.sub("", found), _SEPARATORS.sub("", wanted)
    return found == wanted or (left == right and right.isalpha())
