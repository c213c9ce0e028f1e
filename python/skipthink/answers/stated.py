"""Stated answers: the text after the last "the answer is …" or "#### …", or in the last box."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from skipthink.answers.announcements import last_announcement

Found = TypeVar("Found")


class NoAnswer:
    """A stated answer that is not of the kind, such as a formula where a number is expected: always wrong."""


NO_ANSWER = NoAnswer()

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*(?:(?P<brace>\{)|(?P<bare>[^\s{$\\.,]*))")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BEFORE_BOX = " \t\n$*"
_DISPLAYED = re.compile(r"\\\[(.*?)\\\]|\$\$(.*?)\$\$", re.DOTALL)
_END_TAG = re.compile(r"\s*</[A-Za-z_ -]{1,16}>")
_THINK, _END_THINK = (re.compile(tag, re.IGNORECASE) for tag in ("<think>", "</think>"))
# Words a sentence begins with: in front of these also the stop of an abbreviation ends one.
_STARTS = (
    r"\s+(?:The|This|That|These|Those|It|Its|He|His|She|Her|They|Their|We|Our|I|My|You|So|Because|Since|Therefore|Thus"
    r"|Hence|In|On|At|If|As|For|And|But|There|Then|When|While|An?|Note|Also|However|By|To|Let|Now|First|No|Not|Yes|All"
    r"|Both|Each|What|Which|Who|Here|Is|Option|Choice|Answer|Explanation|Reason)\b"
)
_SENTENCE_END = re.compile(  # each branch begins with the mark: so the search skips all else fast
    rf"[.!?](?:(?<=\w\w.)(?=\s+[A-Z])|(?=\s+[A-Z][a-z]+\s+[a-z])|(?={_STARTS}))"
    r"|\.(?<=\w\.)(?=[\u3040-\u30ff\u3400-\u9fff])|[\n。！？｡]|．(?!\d)"
)
_SENTENCE_START = re.compile(_STARTS)
_ABBREVIATION = re.compile(
    r"(?<![A-Za-z])(?:St|Mt|Ft|Pt|Dr|Mr|Mrs|Ms|Jr|Sr|Prof|Gen|Col|Lt|Sgt|Capt|Maj|Adm|Rev|Hon|Gov|Sen|Rep|Pres|Nos?|Fig|Eq"
    r"|vs|etc|al|cf|ca|approx|Inc|Ltd|Co|Corp|Bros|Ave|Blvd|Rd|Ste|Vol|Ch|Sec|Art|Bl|Nr|[A-Z])$"
)


def find_answer(text: str, find: Callable[[str, bool], Found | NoAnswer | None]) -> Found | NoAnswer | None:
    """Finds the last stated answer of a text, or the answer in the whole text if none is announced.

    Args:
        text: an answer alone, or a rationale that ends in one.
        find: called with (text, True) on what follows the last announcement, and, where that holds no answer, with
            (text, False) on the whole text. A text whose last box never closes states nothing.
    """
    if states_nothing(text):
        return None
    stated = stated_part(text)
    if stated is not None:
        answer = find(stated, True)
        if answer is not None:
            return answer
    return find(text, False)


def behind_thought(text: str) -> str:
    """The text after a `<think>` block: nothing if the block never ends, the whole text if there is none.

    The opening tag may be in the prompt; servers leave it out of the text then.
    """
    if "<" not in text:
        return text
    *_, behind = _END_THINK.split(text)
    return "" if _THINK.search(behind) else behind


def states_nothing(text: str) -> bool:
    r"""Whether a text ends inside its last box and announces no answer after it.

    A box that opens the text counts as an answer alone, closed or not: `\boxed{7`.
    """
    box = _last_box(text)
    if box is None or not text[: box.start()].strip(_BEFORE_BOX) or _box_end(text, box) is not None:
        return False
    announced = last_announcement(text)
    return announced is None or announced.start() < box.start()


def stated_part(text: str) -> str | None:
    """The text after the last announcement of an answer, to the end of its sentence, formula, tag or box."""
    announced = last_announcement(text)
    box = _last_box(text)
    if box is not None and (announced is None or box.start() > announced.start()):
        end = _box_end(text, box)
        return box["bare"] if box["brace"] is None else text[box.end() : end]
    if announced is None:
        return None
    rest = text[announced.end() :].lstrip()
    displayed = _DISPLAYED.match(rest)
    if displayed is not None:  # a formula on lines of its own ends where it says so
        return displayed[0]
    tag = _END_TAG.search(rest) if "</" in rest else None
    rest = rest[: min(sentence_end(rest), tag.start() if tag else len(rest))].rstrip()
    return rest.rstrip("!")  # no factorial: "The answer is 5!"


def sentence_end(text: str) -> int:
    """End of the first sentence of a text, without its mark; full stops of abbreviations do not count ("St. Louis")."""
    for match in _SENTENCE_END.finditer(text):
        start = match.start()
        is_abbreviation = match[0] == "." and _ABBREVIATION.search(text, max(0, start - 8), start)
        if not is_abbreviation or _SENTENCE_START.match(text, start + 1):
            return start
    return len(text)


def _last_box(text: str) -> re.Match[str] | None:
    position = max(text.rfind("\\boxed"), text.rfind("\\fbox")) if "box" in text else -1
    return _BOX.match(text, position) if position >= 0 else None


def _box_end(text: str, box: re.Match[str]) -> int | None:
    """End of the content of a box; None if the box is never closed."""
    if box["brace"] is None:
        return box.end() if box["bare"] else None
    depth = 1
    for brace in _BRACES.finditer(text, box.end()):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.start()
    return None
