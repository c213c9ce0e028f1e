r"""Formulas for math-verify: plain notation and units rewritten as equivalent LaTeX.

`2*pi`, `√2`, `(-inf, 3)` and `\$40` become `2\cdot \pi`, `\sqrt{2}`, `(-\infty, 3)` and `40`. Words set in a
formula are never cut out of it: a unit goes with its power (`5\text{ cm}^2` is 5), "and" and "or" part members.
"""

from __future__ import annotations

import re
from decimal import Decimal

from skipthink.answers.formulas import OR, last_formula
from skipthink.answers.notation import plain_scripts

_SYMBOLS = {
    "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "×": r"\times ", "·": r"\cdot ",
    "÷": r"\div ", "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ",
    "°": r"^{\circ}", "–": "-", "…": r"\ldots ",
    "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "φ": r"\phi ", "λ": r"\lambda ", "μ": r"\mu ",
    "σ": r"\sigma ", "ω": r"\omega ", "⩽": r"\le ", "⩾": r"\ge ", "ℝ": r"\mathbb{R}", "，": ",", "；": ";",
}  # fmt: skip
_SYMBOL = re.compile("|".join(map(re.escape, _SYMBOLS)))
_RAISED = re.compile(r"[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+|[ⁿ]")
_LOWERED = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
_FIGURES = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ₀₁₂₃₄₅₆₇₈₉", "0123456789+-n0123456789")

_CURRENCY = re.compile(
    r"\\\$|[€£¥₹]|\\(?:pounds|euro|yen)(?![A-Za-z])|(?<![A-Za-z])(?:US|C|A)?\$\s?(?=[0-9.])"
)
_THOUSANDS = re.compile(r"(?<=[0-9])(?:,?\\[!,;: ]|\{,\}|~)\s?(?=[0-9]{3}(?![0-9]))")
_THOUSANDS_COMMA = re.compile(r"(?<![0-9.])([0-9]{1,3}(?:,\\![0-9]{3})+)(?![0-9])")

# words in a formula
_POWER = r"(?:\s*\^\s*(?:\{\s*-?[0-9]\s*\}|-?[0-9])|[²³])?"
_WORDS = (
    r"\\(?:text(?:bf|rm|it|sf|normal|up)?|mbox|hbox|mathrm|mathsf|operatorname\*?)\s*\{(?P<words>[^{}]*)\}"
)
_BOLD = re.compile(
    r"\\(?:mathbf|textbf|boldsymbol|bm|mathit|underline|emph|displaystyle|mathstrut)(?:\s*\{([^{}]*)\}|(?![A-Za-z]))"
)
_JOINING = re.compile(
    rf"\s*,?\s*(?:\\(?:text(?:bf|rm|it)?|mbox|mathrm)\s*\{{\s*,?\s*(?:{OR}|&)\s*,?\s*\}}|\\(?:lor|land|vee|wedge)(?![A-Za-z]))\s*"
)
_PER_CENT = re.compile(
    r"\\(?:text|mathrm|mbox)\s*\{\s*(?:percent|per cent|pct|%|\\%)\s*\}|(?<=[0-9])\s*per\s?cent\b"
)
_UNIT = re.compile(
    rf"(?<![_^{{])(?:\s|~|\\[,;:! ]|-)*{_WORDS}(?P<power>{_POWER})"
    rf"(?:\s*(?:/|\\cdot|·)\s*{_WORDS.replace('words', 'more')}{_POWER})*"
)
_PLAIN_UNIT = re.compile(
    r"(?<=[0-9)}\s])\s*(?:(?:square|cubic|sq\.?|cu\.?)\s+)?(?:[kcm]?m|[km]?g|ft|feet|foot|in|inch(?:es)?|yd|yards?|mi|miles?|mph"
    r"|units?|meters?|metres?|liters?|litres?|hours?|minutes?|seconds?|days?|weeks?|months?|years?|dollars?|cents?|euros?|degrees?"
    rf"|points?|people|apples?|hrs?|mins?|secs?|lbs?|pounds?|oz|ounces?){_POWER}(?:/(?:h|hr|s|min|hour|second|minute){_POWER})?\s*$",
    re.IGNORECASE,
)

# plain notation
_CONSTANTS = ("pi", "infty", "theta", "alpha", "beta", "gamma", "phi", "lambda", "sigma", "omega", "emptyset")
_TRIGONOMETRY = (
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "sinh",
    "cosh",
    "tanh",
    "arcsin",
    "arccos",
    "arctan",
)
_NAMES = {
    "sqrt": r"\sqrt", "cbrt": r"\sqrt[3]", "infinity": r"\infty ", "inf": r"\infty ", "oo": r"\infty ",
    "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan",
    **{name: rf"\{name} " for name in _CONSTANTS},
    **{name: rf"\{name}" for name in ("exp", "log", "ln", *_TRIGONOMETRY)},
}  # fmt: skip
_NAME = re.compile(
    rf"(?<![\\A-Za-z])(?:{'|'.join(sorted(_NAMES, key=len, reverse=True))})(?![A-Za-z])|(?<![\\A-Za-z])e(?=xp\()"
)
_CALL = re.compile(r"(\\sqrt(?:\[[^\[\]]*\])?|\\exp|\^)\s*\(")
_BARE_ROOT = re.compile(
    r"\\sqrt(\[[^\[\]]*\])?\s*(?=([0-9]+(?:\.[0-9]+)?|[A-Za-z]|\\pi(?![A-Za-z])))(?:[0-9.]+|[A-Za-z]|\\pi)"
)
_BARE_POWER = re.compile(r"\^\s*([-+]?[0-9]+(?:\.[0-9]+)?|-[A-Za-z])")
_SCIENTIFIC = re.compile(r"(?<![A-Za-z0-9.\\])([0-9]+(?:\.[0-9]+)?)[eE]([-+]?[0-9]{1,3})(?![\w.])")
_TIMES_TEN = re.compile(
    r"(?<![A-Za-z0-9.^_{\\])([0-9]+(?:\.[0-9]+)?)\s*\\(?:times|cdot)\s*10\s*\^\s*(?:\{\s*(-?[0-9]{1,2})\s*\}|(-?[0-9]{1,2}))(?![0-9.])"
)
_MIXED = re.compile(r"(?<![0-9.,/^_{\\A-Za-z])([0-9]+)(?:\s|~|\\[,;: ])+([0-9]+)/([0-9]+)(?![0-9/])")
_TIMES = re.compile(r"(?<=[0-9])\s*[xX]\s*(?=[0-9])")
_SPACED_THOUSANDS = re.compile(r"[-−]?[0-9]{1,3}(?:[ ~][0-9]{3})+")
_GREEK = r"\\(?:pi|theta|alpha|beta|gamma|phi|lambda|mu|sigma|omega)(?![A-Za-z])"
_ARGUMENT = rf"\s*(?:\{{([^{{}}]*)\}}|({_GREEK}|[0-9A-Za-z]))"
_BARE_FRACTION = re.compile(rf"\\[dtc]?(frac|binom){_ARGUMENT}{_ARGUMENT}")
_UNION = re.compile(r"(?<=[)\]}])\s*U\s*(?=[(\[{\\])")
_RELATIONS = (
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"=="), "="),
)
_SYNONYMS = re.compile(
    r"\\(?:varnothing|leqslant|geqslant|lbrace|rbrace|lbrack|rbrack|ast|bullet)(?![A-Za-z])"
)
_SYNONYM = {
    r"\varnothing": r"\emptyset", r"\leqslant": r"\le", r"\geqslant": r"\ge", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\lbrack": "[", r"\rbrack": "]", r"\ast": r"\cdot", r"\bullet": r"\cdot",
}  # fmt: skip

_SEGMENT = re.compile(r"\$\$?((?:\\.|[^$\\])+)\$\$?(?![0-9])|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_BOLD_WORDS = re.compile(r"(?<![\w)])\*\*(?=[^\s*])([^*\n]+?)(?<=\S)\*\*(?![\w(])")
_SENTENCE = re.compile(rf"\s*{_WORDS}\s*")
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}|" + _WORDS + r"|\\[A-Za-z]+")
_PROSE = re.compile(
    rf"(?<![A-Za-z])(?!(?:{'|'.join(_NAMES)}|mod|and|or|gcd|lcm|max|min|det)(?![A-Za-z]))[A-Za-z]{{3,}}|[\u0590-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)


def as_maths(text: str, *, is_answer: bool = False) -> str:
    r"""A text whose formulas are LaTeX between marks that math-verify recognises.

    Args:
        text: a formula, or running text with formulas between `$` signs, `\(` and `\)`, or `\[` and `\]`, or with none
            marked; of such a text the last formula counts.
        is_answer: whether the text is an answer and what explains it: then the first formula counts.
    """
    text = _BOLD_WORDS.sub(r"\1", text.strip())
    if "\\boxed" in text or _marked(text):
        return _SEGMENT.sub(_rewritten, text)
    latex = as_latex(text.rstrip("."))
    if not is_prose(latex):
        return f"${latex}$"
    formula = last_formula(text, first=is_answer)
    return text if formula is None else f"${as_latex(formula)}$"


def _rewritten(match: re.Match[str]) -> str:
    formula = match[1] or match[2] or match[3]
    if match[1] and "\\" not in formula and is_prose(formula):  # "$5 for him and $" stands between two prices
        return formula
    sentence = _SENTENCE.fullmatch(formula)
    if sentence is not None and is_prose(sentence["words"]):
        formula = last_formula(sentence["words"]) or formula
    return f"${as_latex(formula)}$"


def is_prose(text: str) -> bool:
    """Whether a text contains words other than names of functions and words set in a formula."""
    return _PROSE.search(_COMMAND.sub(" ", text)) is not None


def as_latex(formula: str) -> str:
    """One formula as LaTeX that math-verify reads correctly."""
    formula = _plain_symbols(formula)
    formula = _THOUSANDS.sub("", _THOUSANDS_COMMA.sub(lambda match: match[1].replace(",\\!", ""), formula))
    if _SPACED_THOUSANDS.fullmatch(formula):
        formula = formula.replace(" ", "").replace("~", "")
    formula = _CURRENCY.sub("", formula)
    formula = _SYNONYMS.sub(
        lambda match: _SYNONYM[match[0]], _BOLD.sub(lambda match: match[1] or "", formula)
    )
    formula = _without_units(formula)
    for pattern, form in _RELATIONS:
        formula = pattern.sub(form, formula)
    formula = _SCIENTIFIC.sub(r"\1 \\times 10^{\2}", formula.replace("**", "^"))
    formula = _TIMES.sub(r" \\times ", formula)
    formula = _BARE_FRACTION.sub(_braced_fraction, formula)
    formula = _MIXED.sub(r"\1\\frac{\2}{\3}", _UNION.sub(r" \\cup ", formula))
    formula = _NAME.sub(lambda match: _NAMES[match[0]], formula).replace("*", r"\cdot ")
    formula = _braced_calls(formula)
    formula = _BARE_ROOT.sub(lambda match: rf"\sqrt{match[1] or ''}{{{match[2]}}}", formula)
    return _TIMES_TEN.sub(_written_out, _BARE_POWER.sub(r"^{\1}", formula)).strip()


def _plain_symbols(formula: str) -> str:
    if formula.isascii():
        return formula
    formula = _RAISED.sub(lambda match: f"^{{{match[0].translate(_FIGURES)}}}", formula)
    formula = _LOWERED.sub(lambda match: f"_{{{match[0].translate(_FIGURES)}}}", formula)
    formula = plain_scripts(formula)
    formula = formula.replace("√", r"\sqrt").replace("∛", r"\sqrt[3]").replace("∜", r"\sqrt[4]")
    return _SYMBOL.sub(lambda match: _SYMBOLS[match[0]], formula)


def _without_units(formula: str) -> str:
    r"""Removes units and other words after a number, with their power; "and" and "or" become commas."""
    formula = _PER_CENT.sub(r"\\%", _JOINING.sub(", ", formula))
    without = _UNIT.sub(_unit, formula)
    if re.search(r"[0-9]|\\pi|\\sqrt|[a-z]", _COMMAND.sub("", without)):  # `\text{even}` is an answer itself
        formula = without
    return _PLAIN_UNIT.sub("", formula)


def _unit(match: re.Match[str]) -> str:
    words = match["words"].strip()
    if re.fullmatch(r"[-+]?[0-9.,]+", words):
        return words
    if len(words) == 1 and not match.string[: match.start()].rstrip("~ ,;\\")[-1:].isdigit():
        return words + match["power"]  # `\mathrm{e}` is a letter, behind a number it is a unit
    return " "


def _written_out(match: re.Match[str]) -> str:
    r"""Writes out powers of ten, `4.6 \times 10^{2}` as 460, because floats would not be equal."""
    return f"{Decimal(match[1]).scaleb(int(match[2] or match[3])):f}"


def _braced_fraction(match: re.Match[str]) -> str:
    above, below = (match[braced] if match[braced] is not None else match[braced + 1] for braced in (2, 4))
    return rf"\{match[1]}{{{above}}}{{{below}}}"


def _braced_calls(formula: str) -> str:
    """Puts arguments of roots and powers into braces (`sqrt(2)`, `x^(1/2)`) and writes exp(x) as a power."""
    position = 0
    for _ in range(100):
        call = _CALL.search(formula, position)
        if call is None:
            break
        end = _closing(formula, call.end())
        if end is None:
            break
        name = "e^" if call[1] == r"\exp" else call[1]
        head = f"{formula[: call.start()]}{name}{{{formula[call.end() : end]}}}"
        position = call.start() + len(name)
        formula = head + formula[end + 1 :]
    return formula


def _closing(formula: str, start: int) -> int | None:
    depth = 1
    for position in range(start, len(formula)):
        depth += {"(": 1, ")": -1}.get(formula[position], 0)
        if depth == 0:
            return position
    return None


def _marked(text: str) -> bool:
    return _SEGMENT.search(text) is not None


# ── what math-verify would take for something else ──

_BASED = re.compile(
    r"(?<![A-Za-z0-9_.\\])([0-9A-F]*[0-9][0-9A-F.]*)\s*_\s*(?:\{?\s*(?:\\(?:text|mathrm)\s*\{)?\s*\(?([0-9]{1,2}|[a-z]{3,})\)?\s*\}{0,2})"
)
_DANGLING = re.compile(
    r"(?:\\(?:sqrt|[dtc]?frac|times|cdot|div|pm|log|ln|sin|cos|tan|cup|cap|le|ge|in)|[-+*/^_=<>\\])\s*$"
)
_BASE_NAMES = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_BASES = {name: str(base) for base, name in enumerate(_BASE_NAMES, 2)} | {"sixteen": "16", "hex": "16"}


def based_numbers(formula: str) -> list[tuple[str, str]]:
    r"""Numbers in a stated base, `101_2` or `1F_{16}`, as digits and base."""
    return [(digits, _BASES.get(base, base)) for digits, base in _BASED.findall(formula)]


def is_broken(formula: str) -> bool:
    r"""Whether a formula is cut off or its braces do not match: `4\sqrt`, `\frac{1}{2`."""
    bare = re.sub(r"\\[{}]", "", formula.strip().strip("$").strip())
    return _DANGLING.search(bare) is not None or bare.count("{") != bare.count("}")


def bracket_kind(formula: str) -> str:
    r"""Kind of brackets around a whole formula: "set" for `\{1, 2\}`, "tuple" for brackets around parts, or nothing."""
    bare = re.sub(r"\\(?:left|right)(?![A-Za-z])", "", formula.strip().strip("$").strip())
    if bare.startswith("\\{") and bare.endswith("\\}"):
        return "set"
    return "tuple" if bare[:1] in ("(", "[") and bare[-1:] in (")", "]") and "," in bare else ""
