"""Choices: the letter that a text states, in any form, but not one that it rules out."""

from __future__ import annotations

import re

from skipthink.answers.notation import plain_words
from skipthink.answers.stated import NO_ANSWER, NoAnswer

_BRACKETED = re.compile(r"(?<!\w)[(\[]([A-Za-z])[)\]]")
_NAMED = re.compile(
    r"(?:\b(?:choice|option|opción|opção|antwort)\s+\"?|(?:选项|選項|選択肢)\s?)([A-Z])(?![A-Za-z0-9_'])",
    re.IGNORECASE,
)
_CALLED_RIGHT = re.compile(
    r"(?<![\w'’])[(\[]?([A-Z])[)\]]?[\"'”*]*(?:\s+(?:is|must\s+be|has\s+to\s+be|should\s+be|would\s+be|seems)"
    r"\s+(?:therefore\s+|thus\s+|clearly\s+)?(?:the\s+)?(?:only\s+|most\s+)?"
    r"(?:right|correct|best\s+(?:answer|choice|option)|answer|correct\s+one)\b|\s?(?:是)?(?:正确|正確)|\s?が正しい)"
)
_LEFT_AT_THE_END = re.compile(
    r"(?:\b(?:so|thus|hence|therefore|is|be|choose|chose|pick|select|take|with|answer|remains)[\s:,]*|['’]s\s+|[:=→]\s*)"
    r"[\"'“*(]*([A-Z])[\"'”*)]*[.!]?\s*$",
    re.IGNORECASE,
)
_WHY = (
    "because|since|as|for|which|that|with|due|given|when|while|where|so|if|rather|instead|and|but|not|is|was|would|from"
    "|by|in|based|according|weil|denn|da|und|car|parce|puisque|et|porque|pues|ya|pois|y|e"
)
# A bare letter counts where it stands alone: "A", "A.", "A)", "B: the ball", but not "A month" or "I think".
_BARE = re.compile(
    r"[\s\"'“*(`「『【\[{]*([A-Za-z])(?:[\s\"'”*`」』】]*$|[\"'”*`」』】]*[.):\]},;!?。，、；：」』】！]|\s[–—-]\s(?=[A-Za-z]{2}))"
)
# Behind "the answer is" also where a reason or its value follows: "B because", "B (12)", "Bです".
_BARE_STATED = re.compile(
    rf"[\s\"'“*(`]*([A-Z])[\"'”*)`]*(?:\s+(?:(?:{_WHY})\b|[(\[$\\=–—0-9-])|[(=–—]|(?=[\u3000-\u9fff\uac00-\ud7af]))"
)
_ONE = r"(?:the\s+)?(?:options?\s+|choices?\s+|answers?\s+)?[(\[]?[A-Z][)\]]?(?![A-Za-z'’])"
_AND = r"\s*(?:,\s*(?:and|or|nor)?|&|/|and|or|nor|oder|und|ou|或|和)\s*"
_RULED_OUT_BEHIND = re.compile(
    rf"(?:{_AND}{_ONE})*[\"'”*]*\s+(?:(?:is|are|was|were|must\s+be|can\s+be|seems?|both|all|also|clearly|therefore|thus|obviously"
    r"|definitely|likely)\s*)*(?:n['’]t\b|not\b|wrong|incorrect|false|out\b|ruled\s+out|eliminated|excluded|impossible|invalid"
    r"|cannot|can['’]t|do(?:es)?(?:n['’]t|\s+not)|fails?\b)"
)
_RULED_OUT_BEFORE = re.compile(
    r"\b(?:not|n['’]t|neither|nor|unlike|except|instead\s+of|rather\s+than|eliminat(?:es?|ed|ing)|exclud(?:es?|ed|ing)"
    rf"|rul(?:es?|ed|ing)\s+out|reject(?:s|ed|ing)?)\s+(?:{_ONE}{_AND})*(?:the\s+)?(?:options?\s+|choices?\s+|answers?\s+)?$"
)
_TWO = re.compile(
    r"[)\]\"'”*.]*\s*(?:,\s*)?(?:or|and|oder|und|ou|&|/|或|和)\s*[\"'“*(\[]*[A-Z](?:[)\]]|(?![\w'’])(?!\s+(?:is|are)\b))|,\s*[(\[]?[A-Z][)\]]?\W*$"
)
_NOT_FIRST = re.compile(r"\W*(?:not|neither|nicht|不是)(?![A-Za-z])")
_BUT = re.compile(r"(?:\bbut(?:\s+rather)?|\bsondern|而是|[;,])\s*(?:it\s+is\s+)?")
# "la respuesta es la letra B"
_LEAD_IN = re.compile(
    r"[\s*_:]*(?:(?:the|la|el|le|die|der|das|a|o)\s+)?(?:letter|letra|lettre|buchstabe|opción|opção|option|choice|antwort|alternativa"
    r"|选项|選項|(?:la|el|le|die)(?=\s+[A-Z](?![\w'’])))\s*(?=[\"'“*(\[]*[A-Z])",
    re.IGNORECASE,
)
_NEAR, _FAR = 40, 200
WHOLE_CHOICE = re.compile(r"[A-Z][.:)]?|[A-Z][.:)]\s.*|[(\[][A-Za-z][)\]](?:\s.*)?")


def find_choice(text: str, stated: bool) -> str | NoAnswer | None:
    """Finds an upper-case letter: the first after "the answer is", otherwise the last that is written as a choice."""
    text = plain_words(text)
    if not stated:
        return _last_choice(text)
    if _NOT_FIRST.match(text) is not None:
        but = _BUT.search(text)
        return find_choice(text[but.end() :], True) if but else None
    lead_in = _LEAD_IN.match(text)
    text = text[lead_in.end() :] if lead_in else text
    match = _BARE.match(text) or _BARE_STATED.match(text) or _BRACKETED.search(text) or _NAMED.search(text)
    if match is None:
        return None
    return NO_ANSWER if _TWO.match(text, match.end(1)) else match[1].upper()


def _last_choice(text: str) -> str | None:
    """Finds the last letter in brackets, after "option", called right, or at the end; ignores ruled-out letters."""
    named = [match for pattern in (_BRACKETED, _NAMED, _CALLED_RIGHT) for match in pattern.finditer(text)]
    left = _LEFT_AT_THE_END.search(text, max(0, len(text) - _NEAR))
    if left is not None and left[1].isupper() and (left[1] != "I"):
        named.append(left)
    for match in sorted(named, key=lambda match: match.start(1), reverse=True):
        if not _is_ruled_out(match):
            return match[1].upper()
    if named:
        return None
    bare = _BARE.match(text)
    return bare[1].upper() if bare else None


def _is_ruled_out(match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end(1)
    end += text[end : end + 1] in (")", "]")
    if match.re is not _CALLED_RIGHT and _RULED_OUT_BEHIND.match(text, end, end + _FAR):
        return True
    return _RULED_OUT_BEFORE.search(text, max(0, start - _NEAR), start) is not None
