r"""Gold numbers: a gold answer must be one number, without text around it that would change its value.

Around the number may stand a currency, a unit, per cent, punctuation, "x =" and words that say nothing ("5 red apples",
"about 5"). What says more (`\sqrt{2}`, `5!`, `n+1`, "5 or 6", "at least 5") is refused: it is no number alone.
"""

from __future__ import annotations

import re
from functools import lru_cache

from skipthink.answers.notation import plain_notation
from skipthink.answers.numbers import Quantity, read_quantity
from skipthink.answers.stated import stated_part


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_OPENING = re.compile(r"(?:[\s*`\"'“”‘’„«»「」『』~≈#]|[$€£¥₹](?=\s)|(?<![^\s*#])=)+")
_NAMED = re.compile(
    r"(?:(?:[A-Za-z]|\\[a-z]+|[A-Z]{2})(?:_(?:[A-Za-z0-9]|\{\w+\})|[0-9])?\s*[=≈]"
    r"|(?:[^\W\d_]+\s){0,3}[^\W\d_]{2,}\s*[:=：])\s*"
)
_IN_BRACKETS = re.compile(r"^([-−–+]?)\s*[({]\s*([^(){}]*?)\s*[)}](?=[\s.]*$)")
_SIGN_APART = re.compile(r"^([-−–+])\s+(?=[$€£¥]?[0-9.])")
_WORD = r"[^\W\d_]+"
_LEAD = re.compile(rf"(?P<word>{_WORD})(?:[.\s]\s*|(?=[^\w\s])|(?<=[^\x00-\x7f]))")
_LEAD_WORDS = _words(
    "a an the is are was were be it its they there he she we you i has have had this that these answer result total",
    "sum value number amount cost price final correct of in all so thus hence therefore makes make get gets got gives",
    "equals equal to about approximately approx around roughly circa ca exactly precisely only just",
    "usd eur gbp jpy inr rs us hk sgd aud cad nzd es ist sind etwa ungefähr genau est sont environ son",
    "aproximadamente aprox cerca de 共 约 约为 大约 一共 总共 共有 有 是 为 等于 約 全部で 合計 合計で 약 총",
)
# behind a number: words, and units with their powers and rates
_TAIL = re.compile(
    r"(?:\s*°\s?[CFcf]?(?![A-Za-z])|\s?[$€£¥₹₩₽₺₴₫฿¢](?![0-9])|['’](?=[^\W\d_])"
    rf"|[\s·/(-]*{_WORD}(?:\.(?=\s?[^\W\d_]))?(?:\s?\^\s?(?:\{{\s?-?[1-3]\s?\}}|-?[1-3](?![0-9]))|[²³])?\)?)*"
    r"[\s,;:]*(?:\.(?!\.))?[\s,;:。．，、*`\"'“”‘’„«»」』]*"
)
_WORDS = re.compile(_WORD)
_DEGREES = re.compile(r"°\s?[CFcf](?![A-Za-z])")
_UNIT_LETTERS = _words("m g s h l L V W N J Å Ω")
_SHORT_UNITS = _words(
    "km cm mm dm nm kg mg lb oz ft yd mi in hr ml cl dl kW kV kJ Hz MB GB KB TB mA mV ms ns hp cc"
)
# what makes another number of the number, or none
_TELLING = _words(
    "and or nor not no but to by from over under below above plus minus negative divided squared cubed factorial",
    "choose mod modulo root sqrt pi log ln sin cos tan exp base infinity infinite inf infty remainder less fewer",
    "greater half halves third thirds fourth fourths quarter fifth fifths sixth sixths seventh sevenths eighth",
    "eighths ninth ninths tenth tenths eleventh twelfth twelfths hundredth hundredths thousandth thousandths",
    "millionth millionths one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand",
    "dozen dozens score gross million billion trillion power exponent except without if when where unless until",
    "maximum minimum most least am pm noon midnight oclock bc ad bce ce mil percentile permille radians rad",
    "oder und ou et y o e ni nicht halb halbe hälfte mal hoch weniger medio media metade demi",
    "或 和 与 或者 又 または と 及 又は",
)
_TELLING_SIGN = re.compile(
    r"[半万萬亿億零〇一二三四五六七八九十百两]|千(?![克米瓦卡帕赫升])|次方|平方(?![米公厘英分])|立方(?![米公厘英分])"
    r"|阶乘|階乗|分之|以上|以下|以内|至少|至多|超过|不到|未満|より"
)
_ORDINAL = re.compile(r"st|nd|rd|th|er|ère|e|º|ª")
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MAX_WORDS = 10


@lru_cache(maxsize=4096)
def read_gold(gold: str) -> Quantity | None:
    """The quantity that a whole gold answer states; None if it is not a number, or says more than a number."""
    stated = stated_part(gold)
    text = plain_notation(gold if stated is None else stated).strip()
    if text.count("*") % 2 and "*" in (text[-1], text[0]):  # bold type comes in pairs
        return None
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    named = _NAMED.match(text, start)
    start = _behind_lead(text, named.end() if named else start)
    text = _SIGN_APART.sub(r"\1", _IN_BRACKETS.sub(r"\1\2", text[start:]))
    read = read_quantity(text, 0)
    return read[0] if read is not None and _says_nothing(text, read[1]) else None


def _behind_lead(text: str, start: int) -> int:
    """End of the words before a number that do not change its value."""
    for _ in range(_MAX_WORDS):
        word = _LEAD.match(text, start)
        if word is None or word["word"].lower() not in _LEAD_WORDS:
            break
        start = word.end()
    return start


def _says_nothing(text: str, start: int) -> bool:
    """Whether the text after a number leaves its value unchanged."""
    if _TAIL.fullmatch(text, start) is None:
        return False
    words = _WORDS.findall(_DEGREES.sub("°", text[start:]))
    if len(words) > _MAX_WORDS or not _may_be_glued(text, start):
        return False
    return all(_is_harmless(word) for word in words)


def _may_be_glued(text: str, end: int) -> bool:
    """Whether letters directly after a number, if any, are an ordinal, a unit or a word, not a variable."""
    glued = _WORDS.match(text, end)
    if glued is None or _SPACELESS.match(glued[0]):
        return True
    return len(glued[0]) > 2 or _ORDINAL.fullmatch(glued[0]) is not None or glued[0] in _SHORT_UNITS


def _is_harmless(word: str) -> bool:
    if len(word) == 1 and word < "\u0530":  # a variable in the alphabets of formulas
        return word in _UNIT_LETTERS or word in "aà"
    return word.lower() not in _TELLING and _TELLING_SIGN.search(word) is None
