"""Maths answers beside math-verify alone: on made pairs of known truth skipthink is right wherever math-verify is."""

import logging
import math
import random
from collections import Counter
from fractions import Fraction
from itertools import islice

import pytest

math_verify = pytest.importorskip("math_verify", reason="needs the extra math")

from skipthink.answers.maths import MathsVerdict  # noqa: E402
from skipthink.answers.maths_worker import compare  # noqa: E402

N_PAIRS, N_PARTS = 1000, 4


def fraction(draw):
    value = Fraction(draw.randint(-40, 40) or 1, draw.randint(2, 9))
    above, below, sign = abs(value.numerator), value.denominator, "-" if value < 0 else ""
    forms = [
        rf"{sign}\frac{{{above}}}{{{below}}}", f"{sign}{above}/{below}", rf"{sign}\dfrac{{{above}}}{{{below}}}",
        rf"\frac{{{sign}{above}}}{{{below}}}", rf"{sign}\left(\frac{{{above}}}{{{below}}}\right)",
    ]  # fmt: skip
    if above < 10:
        forms += [rf"{sign}\frac{above}{below}", rf"{sign}\frac {above}{below}"]
    whole, rest = divmod(above, below)
    if whole and rest:
        forms += [rf"{sign}{whole}\frac{{{rest}}}{{{below}}}", f"{sign}{whole} {rest}/{below}"]
    return value, forms


def power_of_ten(draw):
    digits, exponent = Fraction(draw.randint(11, 99), 10), draw.randint(2, 5)
    number = float(digits)
    forms = [
        rf"{number} \times 10^{{{exponent}}}", f"{number} × 10^{exponent}", f"{number}e{exponent}",
        str(int(digits * 10**exponent)), rf"{number} \cdot 10^{{{exponent}}}",
    ]  # fmt: skip
    return digits * 10**exponent, forms


def thousands(draw):
    number = draw.randint(1000, 99_999)
    whole, rest = divmod(number, 1000)
    forms = [
        str(number),
        f"{number:,}",
        rf"{whole},\!{rest:03}",
        f"{whole}{{,}}{rest:03}",
        rf"{whole}\,{rest:03}",
    ]
    return number, forms


def root(draw):
    factor, inner = draw.randint(2, 9), draw.choice([2, 3, 5, 6, 7])
    forms = [
        rf"{factor}\sqrt{{{inner}}}", rf"{factor}\sqrt{inner}", f"{factor}*sqrt({inner})", f"{factor}√{inner}",
        rf"{factor}\sqrt({inner})", rf"\sqrt{{{factor * factor * inner}}}", f"sqrt({factor * factor * inner})",
    ]  # fmt: skip
    return factor * math.sqrt(inner), forms


def multiple_of_pi(draw):
    above, below = draw.choice(
        [(above, below) for above in range(2, 9) for below in (1, 3, 5) if above % below]
    )
    over = "" if below == 1 else f"/{below}"
    forms = [f"{above}pi{over}", f"{above}*pi{over}", f"{above}π{over}", rf"{above}\pi{over}"]
    forms.append(rf"\frac{{{above}\pi}}{{{below}}}" if over else rf"{above} \cdot \pi")
    return ("pi", Fraction(above, below)), forms


def interval(draw):
    end, (opening, closing) = draw.randint(-9, 9), draw.choice(["[)", "()"])
    low = draw.random() < 0.5
    forms = [
        f"{opening}{end}, {infinity}{closing}"
        if low
        else f"(-{infinity}, {end}{']' if opening == '[' else ')'}"
        for infinity in (r"\infty", "inf", "∞", "infinity")
    ]
    return ("interval", end, opening, low), forms


def solutions(draw):
    left, right = draw.sample(range(-9, 10), 2)
    forms = [
        f"{left}, {right}", rf"{left}\text{{ or }}{right}", rf"x={left}\text{{ or }}x={right}", rf"{right}\text{{ and }}{left}",
        rf"\{{{left}, {right}\}}", rf"x={right},x={left}",
    ]  # fmt: skip
    return ("set", frozenset((left, right))), forms


def pair(draw):
    left, right = draw.randint(-9, 9), draw.randint(-9, 9)
    return ("pair", left, right), [
        f"({left}, {right})",
        rf"\left({left}, {right}\right)",
        f"({left},{right})",
    ]


def measure(draw):
    number, unit, power = draw.randint(2, 60), draw.choice(["cm", "m", "units"]), draw.choice([2, 3])
    forms = [
        str(number), rf"{number}\text{{ {unit}}}^{power}", rf"{number} \text{{ {unit}}}^{{{power}}}",
        rf"{number}\,\mathrm{{{unit}}}^{power}", f"{number} {unit}^{power}", rf"{number}\text{{ square {unit}}}",
    ]  # fmt: skip
    return number, forms


def price(draw):
    number = draw.randint(2, 900)
    return number, [
        str(number),
        rf"\${number}",
        f"${number}",
        rf"\text{{\$}}{number}",
        rf"{number}\text{{ dollars}}",
    ]


def based(draw):
    base = draw.choice([2, 3, 5])
    digits = "1" + "".join(str(draw.randrange(base)) for _ in range(3))
    return ("base", digits, base), [f"{digits}_{base}", f"{digits}_{{{base}}}"]


def polynomial(draw):
    left, right, power = draw.randint(1, 6), draw.randint(1, 6), draw.choice([2, 3, 10])
    forms = [
        rf"x^{{{power}}}+{left}x+{right}", f"{right} + {left}x + x^{power}", f"x**{power} + {left}*x + {right}",
        rf"{left}x + x^{{{power}}} + {right}",
    ]  # fmt: skip
    if power == 2:
        forms.append(f"x²+{left}x+{right}")
    return ("polynomial", left, right, power), forms


FAMILIES = (
    fraction,
    power_of_ten,
    thousands,
    root,
    multiple_of_pi,
    interval,
    solutions,
    pair,
    measure,
    price,
    based,
    polynomial,
)
WRAPPINGS = (
    "{}",
    "${}$",
    r"\boxed{{{}}}",
    "The answer is ${}$.",
    r"So the answer is \({}\).",
    "The answer is {}",
)


def made_pairs(n):
    """Answer, gold answer and whether they are equal; half of the answers are another draw of the same family."""
    draw = random.Random(20261127)
    for _ in range(n):
        family = draw.choice(FAMILIES)
        value, forms = family(draw)
        gold = draw.choice(forms)
        if draw.random() < 0.5:
            other_value, forms = family(draw)
        else:
            other_value = value
        form, wrapping = draw.choice(forms), draw.choice(WRAPPINGS)
        if form.startswith("$"):
            wrapping = wrapping.replace("$", "")
        yield wrapping.format(form), gold, other_value == value, family.__name__


def by_math_verify(text, gold):
    """What its own documentation does: formulas between dollar signs, all else at its defaults."""
    marked = (
        part if "$" in part or "answer" in part or part.startswith(r"\boxed") else f"${part}$"
        for part in (text, gold)
    )
    found, wanted = (math_verify.parse(part, parsing_timeout=None) for part in marked)
    return math_verify.verify(wanted, found, timeout_seconds=None)


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, N_PARTS))]
)
def test_never_worse_than_math_verify_alone(part):
    size = N_PAIRS // N_PARTS
    logging.disable(logging.CRITICAL)
    worse, ours, alone = [], Counter(), Counter()
    try:
        for text, gold, equal, family in islice(made_pairs(N_PAIRS), part * size, (part + 1) * size):
            right = compare(math_verify.parse, math_verify.verify, text, gold) is MathsVerdict.RIGHT
            alone_right = by_math_verify(text, gold)
            ours[family, right == equal] += 1
            alone[family, alone_right == equal] += 1
            if alone_right == equal and right != equal:
                worse.append((family, text, gold, equal))
    finally:
        logging.disable(logging.NOTSET)
    assert not worse
    wrong = {family: count for (family, good), count in ours.items() if not good}
    print(ours, alone)
    assert not wrong, wrong
    # what there was to mend
    assert sum(count for (_, good), count in alone.items() if not good) > size / 10
