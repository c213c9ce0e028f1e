"""Words that announce an answer: "the answer is", "####", `<answer>`, a heading, and their like in other languages."""

from __future__ import annotations

import re

# What every English announcement holds; looked for from the end, which is faster than a pattern over the whole text.
_KEYWORDS = ("answer", "choice", "option", "result", "####", "<ans")
_ENGLISH = re.compile(
    r"(?:(?:answer(?:\s+(?:choice|option))?|choice|option|result)(?:\s+to\s+(?:the|this|your)\s+question)?[\s*_]*"
    r"(?:\s(?:is|are|would\s+be|should\s+be|must\s+be|will\s+be)\b|[:=：])[\s*_:]*"
    r"|answer[ \t*_#]*(?P<heading>\n)\s*|answer(?P<tag>>)\s*)|####|<ans>\s*",
    re.IGNORECASE,
)
_NEAR = 16
_BEFORE_KEYWORD = {
    "choice": re.compile(r"\b(?:correct|right|best|final)\s+$", re.IGNORECASE),
    "result": re.compile(r"\bfinal\s+$", re.IGNORECASE),
    "tag": re.compile(r"<(?:final[\s_-]?)?$", re.IGNORECASE),
}
# A heading announces what is below it where that is short, or all there is; not a solution that begins there.
_HEADING_START = re.compile(r"[ \t#*_>]*(?:(?:the|my|final|correct)[ \t]+){0,2}", re.IGNORECASE)
_SHORT_BELOW = re.compile(r"[^\s]+(?:[ \t]+[^\s]+){0,2}[ \t]*(?:\n|$)|[^\n]*\s*$")

_BEHIND = r"[\s*_]*(?:\s(?:{0})(?!\w)|\s?[:=：])[\s*_:：]*"
_OTHERS = (
    r"\b(?:antwort(?:möglichkeit)?|endergebnis|lösung)" + _BEHIND.format("ist|lautet|sind|wäre|beträgt"),
    r"\b(?:bonne\s+|la\s+)?(?:réponse(?:\s+(?:finale|correcte|exacte|est\s+donc))?|résultat\s+final)"
    + _BEHIND.format("est(?:\\s+donc)?|sont|serait"),
    r"\b(?:respuesta(?:\s+(?:correcta|final))?|resultado\s+final)" + _BEHIND.format("es|son|sería|seria"),
    r"\b(?:resposta(?:\s+(?:correta|certa|final))?|resultado\s+final)" + _BEHIND.format("é|e|são|seria"),
    r"\b(?:risposta(?:\s+(?:corretta|esatta|finale))?|risultato\s+finale)" + _BEHIND.format("è|e|sono"),
    r"\b(?:(?:richtige|korrekte|beste)\s+(?:option|wahl)|bon\s+choix|(?:bonne|meilleure)\s+option)"
    + _BEHIND.format("ist|lautet|est"),
    r"\b(?:opción|opção|alternativa)\s+(?:correcta|correta|certa)" + _BEHIND.format("es|é|e"),
    r"\b(?:antwoord)" + _BEHIND.format("is|zijn"),
    r"\b(?:ответ)" + r"[\s*_]*(?:[:：=]|[—–-]\s)[\s*_]*",
    # Chinese and Japanese: answer is; so choose
    r"(?:答案|答え|正解|答)\s*(?:应该|應該|应|就)?\s*(?:是|为|為|は|[:：=])[\s*_:：、]*",
    r"(?:解答|回答)は[\s*_:：、]*",
    r"(?:故选|應選|应选|选择|選擇|选|選)\s*[:：]?\s*(?=[(（]?[A-ZＡ-Ｚ](?![A-Za-z]))",
    r"(?:정답|답)\s*(?:은|[:：=])[\s*_:：]*",
    r"(?:الجواب|الإجابة|الاجابة|الحل)(?:\s+(?:النهائية|الصحيحة|النهائي|الصحيح))?\s*(?:هو|هي|[:：=])?\s*",
    r"(?:उत्तर)\s*(?:है|[:：=])?\s*",
)
_OTHER = re.compile("|".join(_OTHERS), re.IGNORECASE)
# Parts of these announcements: a text without one of them needs no look at the patterns, which take their time.
_HINTS = (
    "ntwor", "ndergebnis", "spues", "spost", "sultado f", "sultato f", "eponse", "correta", "correcta", "certa",
    "option ist", "wahl ist", "choix est", "option est",
)  # fmt: skip
_HINTS_BEYOND_ASCII = (
    "ponse", "sultat", "ösung", "opç", "答", "正解", "选", "選", "답", "جواب", "جابة", "الحل", "उत्तर", "ответ",
)  # fmt: skip


def last_announcement(text: str) -> re.Match[str] | None:
    """The last place of a text that announces an answer; the match ends where the answer begins."""
    lower = text.lower()
    last = _last_english(text, lower if len(lower) == len(text) else text)  # İ alone grows
    if _mentions(_HINTS, lower) or (not lower.isascii() and _mentions(_HINTS_BEYOND_ASCII, lower)):
        for match in _OTHER.finditer(text):
            if last is None or match.start() > last.start():
                last = match
    return last


def _mentions(hints: tuple[str, ...], lower: str) -> bool:
    for hint in hints:  # noqa: SIM110 - `any` with a generator takes three times as long
        if hint in lower:
            return True
    return False


def _last_english(text: str, lower: str) -> re.Match[str] | None:
    last = None
    for keyword in _KEYWORDS:
        position = lower.rfind(keyword)
        while position > (last.start() if last else -1):
            match = _ENGLISH.match(text, position)
            if match is not None and _announces(match, keyword):
                last = match
                break
            position = lower.rfind(keyword, 0, position)
    return last


def _announces(match: re.Match[str], keyword: str) -> bool:
    """Whether a keyword announces an answer: "the final choice is" does, "no choice is" does not."""
    text, start = match.string, match.start()
    if keyword in ("####", "<ans"):
        return True
    if match["heading"] is not None:
        return _is_heading(match)
    if keyword == "answer" and match["tag"] is None:
        return not (start and (text[start - 1].isalnum() or text[start - 1] == "_"))
    before = _BEFORE_KEYWORD["tag" if match["tag"] else "result" if keyword == "result" else "choice"]
    return before.search(text, max(0, start - _NEAR), start) is not None


def _is_heading(match: re.Match[str]) -> bool:
    text = match.string
    line = text.rfind("\n", 0, match.start()) + 1
    return (
        _HEADING_START.fullmatch(text, line, match.start()) is not None
        and _SHORT_BELOW.match(text, match.end()) is not None
    )
