r"""Notation: LaTeX, fullwidth forms and digits of other scripts, rewritten as equivalent plain text.

The plain form is for reading numbers, choices and strings: `\frac{1}{2}` becomes "1/2", `12,\!345` "12,345", "１８"
"18" and "3½" "3 1/2". Symbols without a plain form stay: π, √, ∞, ×, ±, ≤, °.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2066\u2067\u2068\u2069\ufeff"
_THIN_SPACES = "\u00a0\u2007\u2009\u202f"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
# in front of all else: these stand between digits, whatever their script
_BETWEEN_DIGITS = (
    (re.compile(r"(?<=\d)，(?=\d{3}(?!\d))"), ","),
    (re.compile(r"(?<=\d)．(?=\d)"), "."),
    (re.compile(rf"(?<=\d)[{_THIN_SPACES}](?=\d{{3}}(?!\d))"), ","),
)
_SLASH_FRACTION = re.compile(r"(\d?)\s?([⁰¹²³⁴⁵⁶⁷⁸⁹]+)[⁄/]([₀₁₂₃₄₅₆₇₈₉]+)")
_VULGAR = re.compile(r"(\d?)\s?([¼-¾⅐-⅞↉])(?=(\d?))")
_RAISED = re.compile(r"(?<=[\d)])[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SPOKEN_FRACTIONS = (  # of hundred parts 45, of 3 parts 1: Chinese, Japanese, Korean
    (re.compile(r"百分之(\d+(?:\.\d+)?)"), r"\1%"),
    (re.compile(r"(?<!\d)(\d{1,20})\s?(?:分之|分の|분의)\s?(\d{1,20})"), r"\2/\1"),
)


def plain_notation(text: str) -> str:
    """The text with ASCII numbers, and with LaTeX replaced by plain forms if there are any."""
    if not text.isascii():
        text = plain_scripts(text)
    text = _without_dollars(text)
    return _plain_latex(text) if "\\" in text or "{" in text else text


def plain_words(text: str) -> str:
    r"""The text without LaTeX around words: `\text{Paris}`, `$\textbf{(B)}$` and `Ｂ` become "Paris", "(B)" and "B"."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = _without_dollars(text)
    if "\\" not in text:
        return text
    text = _SPACE.sub(" ", _DELIMITER.sub(" ", _unwrapped(text)))
    return re.sub(r"\\([#$%&_{}])", r"\1", _NOTHING.sub("", text))


# ── other scripts ──


def _ascii_forms() -> dict[int, str | None]:
    """Code point → its ASCII form: fullwidth forms, minus signs, signs of numbers; None for invisible characters."""
    forms: dict[int, str | None] = {point: chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F)}
    del forms[ord("，")], forms[ord("．")]  # marks of a sentence, not of a number
    forms.update(dict.fromkeys(map(ord, "−‐‑﹣"), "-"))
    forms.update({ord("٪"): "%", ord("٫"): ".", ord("٬"): ",", ord("⁄"): "/", ord("∗"): "*", ord("∶"): ":"})
    forms.update({ord("✕"): "×", ord("⋅"): "·", ord("∙"): "·", ord("￥"): "¥", ord("￡"): "£", ord("º"): "°"})
    forms.update({ord(space): " " for space in _THIN_SPACES + "\u3000"})
    forms.update(dict.fromkeys(map(ord, _INVISIBLE)))
    return forms


_ASCII_FORMS = _ascii_forms()
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")


def plain_scripts(text: str) -> str:
    """The text with digits, signs and fractions of other scripts in ASCII."""
    for pattern, form in _BETWEEN_DIGITS:
        text = pattern.sub(form, text)
    text = text.translate(_ASCII_FORMS)
    if text.isascii():
        return text
    text = _FOREIGN_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    if text.isascii():
        return text
    text = _SLASH_FRACTION.sub(_slash_fraction, text)
    text = _VULGAR.sub(_vulgar, text)
    text = _RAISED.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    for pattern, form in _SPOKEN_FRACTIONS:
        text = pattern.sub(form, text)
    return text


def _slash_fraction(match: re.Match[str]) -> str:
    return _behind(match[1], match[2].translate(_SUPERSCRIPTS) + "/" + match[3].translate(_SUBSCRIPTS))


def _vulgar(match: re.Match[str]) -> str:
    value = Fraction(unicodedata.numeric(match[2])).limit_denominator(10)
    return _behind(match[1], f"{value.numerator}/{value.denominator}") + (" " if match[3] else "")


def _behind(digit: str, fraction: str) -> str:
    return f"{digit} {fraction}" if digit else fraction


# ── LaTeX ──

# a pair of dollar signs around a formula, by pandoc's rule: no space inside, no digit behind ("$5 and $6" is none)
_DOLLARS = re.compile(r"(?<!\\)\${1,2}([^\s$](?:[^$\n]*[^\s$\\])?)\${1,2}(?!\d)")


def _without_dollars(text: str) -> str:
    r"""The text without dollar signs around formulas; `\$` is the currency."""
    if text.count("$") < 2:
        return text
    return _DOLLARS.sub(r" \1 ", text.replace("\\$", _DOLLAR)).replace(_DOLLAR, "\\$")


_DOLLAR = "\ue000"
_WRAPPED = re.compile(
    r"\\(?:text(?:bf|rm|it|sf|tt|sc|md|up|normal)?|math(?:bf|rm|it|sf|tt|normal|bb)|mbox|hbox|operatorname\*?|bm"
    r"|boldsymbol|emph|underline|boxed|f?box|mathord)\s*\{([^{}]*)\}"
)
_DELIMITER = re.compile(r"\\[()\[\]]")
_SPACE = re.compile(
    r"~|\\[,;:> ]|\\(?:quad|qquad|thinspace|enspace|space|medspace|hfill|newline|\\)(?![A-Za-z])"
)
_NOTHING = re.compile(
    r"\\!|\\(?:left|right|[Bb]igg?[lr]?|displaystyle|textstyle|limits|bf|rm|it|mathstrut|phantom\{[^{}]*\})(?![A-Za-z])"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,\\!|(?:\\[!,;: ]|~)+)\s?(?=\d{3}(?!\d))")
_SYMBOLS = {
    "times": "×", "cdot": "·", "ast": "·", "div": "÷", "pm": "±", "mp": "±", "infty": "∞", "pi": "π", "degree": "°",
    "approx": "≈", "simeq": "≈", "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥",
    "ne": "≠", "neq": "≠", "lt": "<", "gt": ">", "ldots": "…", "dots": "…", "cdots": "…", "to": "→", "cup": "∪",
    "rightarrow": "→", "Rightarrow": "→", "implies": "→", "pounds": "£", "euro": "€", "yen": "¥", "percent": "%",
    "cent": "¢", "cents": "¢", "%": "%", "$": "$", "#": "#", "&": "&", "colon": ":", "lbrack": "[", "rbrack": "]",
}  # fmt: skip
_SYMBOL = re.compile(
    r"\\(" + "|".join(sorted((name for name in _SYMBOLS if name.isalpha()), key=len, reverse=True))
    + r")(?![A-Za-z])\s?|\\([%$#&])"
)  # fmt: skip
_DEGREES = re.compile(r"\^\s?(?:\{\s?\\circ\s?\}|\\circ(?![A-Za-z]))")
_ARGUMENT = r"\s*(?:\{{(?P<{0}>[^{{}}]*)\}}|(?P<{0}_short>[0-9A-Za-zπ]))"
_FRACTION = re.compile(
    rf"(?:(?P<before>[0-9])\s*)?\\(?:[dtcsx]|nice)?frac{_ARGUMENT.format('above')}{_ARGUMENT.format('below')}"
    r"(?=(?P<after>[0-9]?))"
)
_OVER = re.compile(r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}")
_REPEATING = re.compile(
    r"(?<![0-9])([0-9]{0,20})\.([0-9]{0,20})(?:\\(?:overline|bar|dot)\s*(?:\{([0-9]{1,20})\}|([0-9]))|\(([0-9]{1,20})\))"
)
_WIDE_SPACE = re.compile(r"[ \t]{2,}")
_PLAIN = re.compile(r"([-+]?)\s*([0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)")
_MAX_NESTING = 5


def _plain_latex(text: str) -> str:
    text = _DELIMITER.sub(" ", _unwrapped(text))
    text = _THOUSANDS.sub(",", text)
    text = _SPACE.sub(" ", _NOTHING.sub("", text))
    text = _SYMBOL.sub(lambda match: _SYMBOLS[match[1] or match[2]], _DEGREES.sub("°", text))
    text = _REPEATING.sub(_repeating, text)
    for _ in range(_MAX_NESTING):
        before, text = text, _FRACTION.sub(_fraction, _OVER.sub(r"\\frac{\1}{\2}", text))
        if before == text:
            break
    return _WIDE_SPACE.sub(" ", text)


def _unwrapped(text: str) -> str:
    for _ in range(_MAX_NESTING):
        before, text = text, _WRAPPED.sub(_apart, text)
        if before == text:
            break
    return text


def _apart(match: re.Match[str]) -> str:
    r"""The words, separated from adjacent letters and digits, so that `5\text{m}` does not become a variable."""
    words = match[1]
    before, after = (
        match.string[match.start() - 1 : match.start()],
        match.string[match.end() : match.end() + 1],
    )
    left = " " if before.isalnum() and words[:1].isalpha() else ""
    return left + words + (" " if words[-1:].isalnum() and after.isalnum() else "")


def _fraction(match: re.Match[str]) -> str:
    above, below = (
        match[name] if match[name] is not None else match[f"{name}_short"] for name in ("above", "below")
    )
    top, bottom = _PLAIN.fullmatch(above.strip()), _PLAIN.fullmatch(below.strip())
    digit = match["before"] or ""
    if top is None or bottom is None or (digit and (top[1] or bottom[1])):
        return f"{digit}({above})/({below})"
    sign = "-" if (top[1] == "-") != (bottom[1] == "-") else ""
    fraction = f"{sign}{top[2]}/{bottom[2]}"
    return _behind(digit, fraction) + (" " if match["after"] else "")


def _repeating(match: re.Match[str]) -> str:
    whole, once, again = match[1], match[2], match[3] or match[4] or match[5]
    value = Fraction(
        int(whole + once + again or 0) - int(whole + once or 0), 10 ** len(once) * (10 ** len(again) - 1)
    )
    return f"{value.numerator}/{value.denominator}"
