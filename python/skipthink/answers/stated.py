"""Where a text states its answer: after the last "the answer is …", "#### …" or in the last box."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

_ANSWER_IS = re.compile(
    r"\b(?:answer(?:\s+(?:choice|option))?|(?:correct|right|best|final)\s+(?:choice|option)|final\s+result)"
    r"(?:\s+to\s+(?:the|this|your)\s+question)?[\s*_]*"
    r"(?:\s(?:is|are|would\s+be|should\s+be|must\s+be|will\s+be)\b|[:=])[\s*_:]*|####",
    re.IGNORECASE,
)
_BOXED = "\\boxed{"
_DISPLAYED = re.compile(r"\\\[(.*?)\\\]|\$\$(.*?)\$\$", re.DOTALL)
_THINK, _END_THINK = (re.compile(tag, re.IGNORECASE) for tag in ("<think>", "</think>"))
SENTENCE_END = re.compile(r"(?<=\w{2})[.!?](?=\s+[A-Z])|[.!?](?=\s+(?:[A-Z][a-z]+\s+[a-z]))|\n")


def find_answer(text: str, find: Callable[[str, bool], Found | None]) -> Found | None:
    """The last stated answer of a text, or what stands for it where nothing is announced.

    Args:
        text: an answer alone, or a rationale that ends in one.
        find: called with (text, True) on what follows the last announcement, and, where that holds no answer, with
            (text, False) on the whole text.
    """
    stated = stated_part(text)
    if stated is not None:
        answer = find(stated, True)
        if answer is not None:
            return answer
    return find(text, False)


def behind_thought(text: str) -> str:
    """What a text says behind its `<think>` block; nothing where the block never ends, all of it without one.

    The opening tag may stand in the prompt, where servers leave it out of the text.
    """
    *_, behind = _END_THINK.split(text)
    return "" if _THINK.search(behind) else behind


def stated_part(text: str) -> str | None:
    """What follows the last announcement of an answer, up to the end of that sentence, formula or box."""
    announced = max(_ANSWER_IS.finditer(text), key=re.Match[str].start, default=None)
    boxed = text.rfind(_BOXED)
    if boxed >= 0 and (announced is None or boxed > announced.start()):
        return _inside_braces(text, boxed + len(_BOXED))
    if announced is None:
        return None
    rest = text[announced.end() :].lstrip()
    displayed = _DISPLAYED.match(rest)
    if displayed is not None:  # a formula on lines of its own ends where it says so
        return displayed[0]
    end = SENTENCE_END.search(rest)
    return rest[: end.start()] if end else rest


def _inside_braces(text: str, start: int) -> str:
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return text[start:]
