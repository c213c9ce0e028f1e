"""Answers as people write them: number forms, scripts, LaTeX, languages, wrappings; and what may not be read as an answer."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipthink.answers import check_answer, infer_kind, parse_answer, parse_gold
from skipthink.exceptions import InvalidInputError

NOT_RIGHT = "not right"


def verdict_is(kind, text, gold, expected):
    verdict = str(check_answer(kind, text, gold))
    return verdict != "right" if expected == NOT_RIGHT else verdict == expected


# ── gold numbers are read whole or refused ──

READ = [
    "+7=7", "7.=7", "$7=7", r"\$7=7", "7€=7", "7%=7%", r"7\%=7%", "1{,}357=1357", r"24,\!680=24680",
    r"24\,680=24680", "1,23,456=123456", ".25=0.25", "-3/8=-0.375", "2½=2.5", "⅔=2/3", r"\frac34=0.75",
    r"\frac7{4}=1.75", r"\tfrac{1}{8}=0.125", r"\cfrac{5}{2}=2.5", r"-\frac{3}{4}=-0.75", r"\frac{-3}{4}=-0.75",
    r"\frac{2.5}{4}=0.625", r"6\frac{1}{4}=6.25", r"{3\over4}=0.75", "3.2×10^4=32000", "7·10^{-2}=0.07",
    "10^4=10000", "2e6=2000000", "１９=19", "٢٥=25", "２，４６８=2468", "－８=-8", "$7$=7", r"\(7\)=7", "7°=7", "7cm=7",
    "7個=7", "7人=7", "x=7=7", r"\theta=7=7", r"\text{7}=7", r"\textbf{7}=7", "**7**=7", "(7)=7", "百分之30=30%",
    "4分之3=0.75", r"0.\overline{6}=2/3", "7th=7", "6千米=6", "8万=80000",
]  # fmt: skip
READ_APART = [
    ("7 percent", "7%"), ("3 1/4", "3.25"), (r"6 \frac14", "6.25"), (r"2.4 \times 10^{3}", "2400"), ("2.5 million", "2500000"),
    ("7 hundred", "700"), ("$1.2 billion", "1200000000"), ("7 cm^2", "7"), (r"7\text{ m}^2", "7"), (r"7 \mathrm{~kg}", "7"),
    ("7 m/s^2", "7"), ("7 square metres", "7"), ("7 °C", "7"), ("7 red pens", "7"), ("about 7 km", "7"), ("USD 7", "7"),
    ("Total: 7", "7"), ("The answer is 7.", "7"), ("2 + 5 = 7\n#### 7", "7"), (r"so \boxed{7}", "7"), ("- 7", "-7"), ("7 a day", "7"), ("7 and a half", "7.5"),
    (r"30^{\circ}", "30"), ("7 miles per hour", "7"), ("约7公里", "7"), ("7 years old", "7"), (r"\approx 7", "7"),
]  # fmt: skip
REFUSED = [
    r"\sqrt{3}", r"2\sqrt7", "7√2", r"9\pi", "9π", r"\frac{\pi}{3}", r"\frac{\sqrt5}{2}", r"\frac{x}{4}", "4!", "12!", "(2,\\infty)",
    "[3, 8]", "(3, 8)", r"\{7\}", "[7]", "k-4", "4+x", "7x", "2ab", "x^2", "7^2", "2^{9}", "7²", "6e500", "10^500", "9" * 200, "3:4", "9:45",
    "7 or 8", r"7\text{ or }8", "7 and 8", "7, 8", "7;8", "7 8", "31 400", "3-4", "3–4", "3+4", "7 - x", "8/0", "1/2/3", "1.2.3", "3,7", "7i",
    "2+7i", "110_2", r"110_{2}", r"\pm 7", "±7", "> 7", r"x \ge 7", "7 < x", "7+", "-", "seven", "half", r"\infty", r"\log_3 9", r"\ln 7",
    r"\sin 30^\circ", r"\binom{7}{2}", "7C2", "2x = 7", "x = 7, y = 8", "x = 7 or x = 8", "x^2 = 7", "at least 7", "more than 7", "half of 7",
    "the square root of 7", "7 squared", "7 factorial", "twice 7", "7 dozen", "3 quarters of it or so", "7 times pi",
    "7 hundredths", "0.777...", r"2.7\ldots", "7…", "0xFF7", "7_000", "7e", "7k", "7M", "between 7 and 8", "7 to 8", "under 7", "7 or more",
    "7 less than y", "7 p.m.", "7/8/2021", "2021-07-08", "3万7千", "7个半", "7以上", "至少7", "B7", "\\", "7!", r"\frac{0}{0}", "7^", "7_",
    r"\begin{pmatrix}7\\8\end{pmatrix}", r"|x|+7", r"\lfloor 7 \rfloor", r"\frac12x", "5 ft 7 in", "7'2\"", "7 mod 4", r"7 \pmod 4", "",
]  # fmt: skip


@pytest.mark.parametrize(("gold", "value"), [*(pair.rsplit("=", 1) for pair in READ), *READ_APART])
def test_gold_numbers_are_read_whole(gold, value):
    assert parse_gold("number", gold) == value
    assert check_answer("number", value, gold) == "right"


@pytest.mark.parametrize("gold", REFUSED)
def test_gold_that_is_no_number_alone_is_refused(gold):
    with pytest.raises(InvalidInputError, match="maths"):
        parse_gold("number", gold)
    assert not gold or infer_kind([gold]) != "number"


# ── numbers that texts state ──

STATED = [
    (r"9\pi", "9", "wrong"), (r"The answer is $\sqrt{3}$.", "3", NOT_RIGHT), ("k + 4", "4", NOT_RIGHT), ("so f(x) = x^2 + 4", "4", NOT_RIGHT),
    (r"\boxed{[2,\infty)}", "2", NOT_RIGHT), ("The answer is (3, 8).", "3", NOT_RIGHT), ("3, 8", "8", NOT_RIGHT), ("7 or 8", "8", NOT_RIGHT),
    ("The answer is 7 or 8.", "7", NOT_RIGHT), ("The answer is 0.75 or 3/4.", "0.75", "right"), ("x = 7, x = 8", "8", NOT_RIGHT),
    ("The answer is 2^9.", "9", NOT_RIGHT), ("The answer is 2^9.", "512", "right"), (r"\boxed{4!}", "24", "right"), (r"\boxed{4!}", "4", NOT_RIGHT),
    ("The answer is 4!", "4", "right"), ("The answer is 7e500", "7", NOT_RIGHT), ("The ratio is 3:4.", "4", NOT_RIGHT), ("3½", "3", NOT_RIGHT),
    ("The answer is 90 - 14.", "90", NOT_RIGHT), ("The answer is 90 - 14.", "76", "right"), ("The answer is 7 / 4.", "7/4", "right"),
    ("The answer is not 7 but 8.", "8", "right"), ("The answer is not 7.", "7", NOT_RIGHT), ("The answer is minus 7.", "-7", "right"),
    ("It is 10 minus 7", "7", "right"), ("110_2", "110", NOT_RIGHT), (r"\boxed{7i}", "7", NOT_RIGHT), ("The answer is 7x.", "7", NOT_RIGHT),
    ("The answer is 7 (that is, 3 + 4).", "7", "right"), ("The answer is 7 a day.", "7", "right"), ("The answer is 7: 3 red, 4 blue.", "7", "right"),
    ("The answer is 7, 3 more than 4.", "7", "right"), ("It takes 7 hours", "7", "right"), ("The area is 36 cm^2.", "36", "right"),
    ("We pay $7 and not $8 for it, so 7", "7", "right"), (r"The area is $36\text{ m}^2$.", "36", "right"), ("It drops at 9.8 m/s^2.", "9.8", "right"),
    ("2.5 million people", "2.5", NOT_RIGHT), ("2.5 million people", "2500000", "right"), ("7 percent", "0.07", "right"), ("$7k", "7000", "right"),
    ("Die Antwort ist 3,5.", "3.5", "right"), ("Die Antwort ist 3,5.", "3", NOT_RIGHT), ("Antwort: 1.234,5", "1234.5", "right"),
    ("x is 7\nwhere y - 7 = z\nand nothing is known", "7", "right"), (r"So the chance is \frac{1}{6}.", "1/6", "right"),
    ("我们先有 3 个，所以答案是－８。", "-8", "right"), ("一共有12个", "12", "right"), ("答えは２．５です。", "2.5", "right"), ("答案：6万", "60000", "right"),
    ("الجواب هو ٢٥", "25", "right"), ("คำตอบคือ๒๕", "25", "right"), ("उत्तर: २५", "25", "right"), ("답은 25개입니다", "25", "right"), ("答案是9π。", "9", NOT_RIGHT),
    ("So \\boxed{7", "7", "unparsed"), ("\\boxed{7} or else \\boxed{", "7", "unparsed"), ("\\boxed{7 … The answer is 8", "8", "right"), (r"\fbox{7}", "7", "right"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "gold", "expected"), STATED)
def test_stated_numbers(text, gold, expected):
    assert verdict_is("number", text, gold, expected)


ZEROS = "٠۰०০๐０༠០"
SENTENCES = ("The answer is {}.", "So we get {}", "\\boxed{{{}}}", "${}$", "答案是{}。", "所以共有{}個。", "答えは{}です。", "정답은 {}입니다.",
             "Die Antwort lautet {}.", "La réponse est {} !", "La respuesta es {}.", "A resposta final é: {}", "<answer>{}</answer>",
             "### Answer\n{}", "{}")  # fmt: skip


def in_script(text, zero):
    return text.translate({ord("0") + digit: chr(ord(zero) + digit) for digit in range(10)})


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(["0", *ZEROS]),
    st.sampled_from("-−－"),
    st.sampled_from(SENTENCES),
)
def test_numbers_in_any_script_and_sentence(value, zero, minus, sentence):
    text = sentence.format((minus if value < 0 else "") + in_script(str(abs(value)), zero))
    assert check_answer("number", text, str(value)) == "right", text
    assert check_answer("number", text, str(value + 1)) == "wrong", text


def latex_forms(value):
    sign, above, below = "-" if value < 0 else "", abs(value.numerator), value.denominator
    whole, rest = divmod(above, below)
    for name in ("frac", "dfrac", "tfrac", "cfrac"):
        yield rf"{sign}\{name}{{{above}}}{{{below}}}"
        yield rf"\{name}{{{sign}{above}}}{{{below}}}"
        yield rf"\{name}{{{above}}}{{{sign}{below}}}"
        yield rf"{sign}\{name} {{ {above} }} {{ {below} }}"
        yield rf"{sign}\left(\{name}{{{above}}}{{{below}}}\right)"
        if above < 10 and below < 10:
            yield rf"{sign}\{name}{above}{below}"
            yield rf"{sign}\{name} {above}{below}"
            yield rf"{sign}\{name}{above}{{{below}}}"
            yield rf"{sign}\{name}{{{above}}}{below}"
        if whole and rest:
            yield rf"{sign}{whole}\{name}{{{rest}}}{{{below}}}"
            yield rf"{sign}{whole}\,\{name}{{{rest}}}{{{below}}}"
    yield rf"{{{sign}{above} \over {below}}}"
    yield f"{sign}{above}/{below}"
    if Fraction(above, 10) > 0:
        yield rf"{sign}\frac{{{above / 10}}}{{{below / 10}}}"


@given(
    st.data(),
    st.fractions(-50, 50, max_denominator=40),
    st.sampled_from(["{}", "${}$", r"\boxed{{{}}}", r"The answer is \({}\)."]),
)
def test_fractions_in_latex(data, value, wrapping):
    form = data.draw(st.sampled_from(list(latex_forms(value))))
    assert check_answer("number", wrapping.format(form), str(value)) == "right"
    assert check_answer("number", wrapping.format(form), str(value + 1)) == "wrong"
    assert Fraction(parse_gold("number", form)) == value


@given(
    st.integers(1000, 10**12),
    st.sampled_from([",", "{,}", ",\\!", "\\,", "\\;", "\u00a0", "\u202f", "，"]),
    st.sampled_from(SENTENCES),
)
def test_thousands(value, separator, sentence):
    text = sentence.format(f"{value:,}".replace(",", separator))
    assert check_answer("number", text, str(value)) == "right", text
    assert check_answer("number", text, str(value % 1000)) == "wrong" or value < 1000, text


@given(
    st.integers(10, 99), st.integers(-9, 9),
    st.sampled_from([r"{} \times 10^{{{}}}", r"{}\cdot10^{{{}}}", "{} × 10^{}", "{}*10^{}", "{}e{}", "{}E{}", "{} x 10^{}"]),
)  # fmt: skip
def test_powers_of_ten(digits, power, form):
    value = Fraction(digits, 10) * Fraction(10) ** power
    text = form.format(digits / 10, power)
    assert check_answer("number", f"The answer is ${text}$.", str(value), tolerance=0) == "right"
    assert Fraction(parse_gold("number", text)) == value


FORMULAS = (r"{}\pi", "{}π", r"\sqrt{{{}}}", "√{}", "{}x", "[{}, \\infty)", "({}, 0)", "x + {}", "x^{}", "{}^x", "{}!", r"\log_2 {}", "x > {}",
            r"\frac{{{}}}{{x}}", r"\pm {}", "{}_7", r"\{{{}, 1\}}", r"{}\text{{ or }}1", "{}:7")  # fmt: skip
NON_SQUARES = st.integers(3, 10**6).filter(lambda number: int(number**0.5) ** 2 != number)


@given(
    NON_SQUARES,
    st.sampled_from(FORMULAS),
    st.sampled_from(["{}", "${}$", "\\boxed{{{}}}", "The answer is ${}$.", "答案是${}$。"]),
)
def test_a_formula_is_not_the_number_in_it(number, formula, wrapping):
    formula = formula.format(number)
    assert check_answer("number", wrapping.format(formula), str(number)) != "right"
    with pytest.raises(InvalidInputError, match="maths"):
        parse_gold("number", formula)


HARMLESS = (
    "{}",
    "{}.",
    "${}",
    "{} €",
    "{}%",
    "{} km",
    "{} cm^2",
    r"{}\text{{ m}}^3",
    "{} red pens",
    "x = {}",
    "about {}",
    "{} per hour",
    "{}個",
    "约{}",
    "{}°",
)
TELLING = (
    "{}!",
    "{} or 3",
    "at least {}",
    "{} squared",
    "{}y",
    "half of {}",
    "> {}",
    "{}+",
    "{}以上",
    "{} dozen",
    "2 by {}",
    "{}...",
)


@given(
    st.integers(0, 10**6), st.sampled_from(HARMLESS), st.sampled_from(TELLING), st.sampled_from(["0", *ZEROS])
)
def test_surroundings_of_gold_numbers(value, harmless, telling, zero):
    written = in_script(str(value), zero)
    assert parse_gold("number", harmless.format(written)).rstrip("%") == str(value)
    with pytest.raises(InvalidInputError, match="maths"):
        parse_gold("number", telling.format(written))


# ── choices, strings, yes and no ──

CHOICES = [
    "{}", "({})", "{}.", "**{}**", "`{}`", "「{}」", r"\boxed{{{}}}", r"\boxed{{\text{{{}}}}}", r"\boxed{{\textbf{{({})}}\ 12}}", r"$\mathrm{{{}}}$",
    "The answer is {}.", "The answer is {} because it sinks.", "The answer is {} (12).", "The answer is {}: it sinks.", "Answer: {}, as it sinks",
    "### Answer\n{}", "**Final Answer**\n\n({}) 12", "<answer>{}</answer>", "<answer>\n{}\n</answer>", "So ({}) is right, (Z) is wrong.",
    "(Y) and (Z) are wrong, {} is right.", "(Y) cannot be, so it is {}.", "We rule out (Z), leaving ({}).", "It is ({}), not (Z).",
    "The answer is not Z but {}.", "Option Z is incorrect. Option {} is correct.", "答案是{}。", "故选{}", "正确答案：（{}）", "答えは{}です。", "정답은 {}입니다.",
    "Die Antwort ist {}, weil es sinkt.", "La réponse est la {}.", "La respuesta correcta es {} porque sí", "A resposta é a letra {}.",
]  # fmt: skip


@given(st.sampled_from("ABCDEFGH"), st.sampled_from("ABCDEFGH"), st.sampled_from(CHOICES), st.booleans())
def test_choices_in_wrappings(letter, other, wrapping, fullwidth):
    text = wrapping.format(chr(ord(letter) + 0xFEE0) if fullwidth and wrapping.isascii() is False else letter)
    assert check_answer("choice", text, letter) == "right", text
    assert (check_answer("choice", text, other) == "right") is (letter == other), text


@pytest.mark.parametrize("text", [
    "The answer is (B) or (C).", "The answer is B or C.", "It is not (B).", "The answer is a B flat", "(B) is impossible", "\\boxed{B} … \\boxed{",
    "Neither (A) nor (B)",
])  # fmt: skip
def test_no_choice_is_made(text):
    assert check_answer("choice", text, "B") != "right"


STRINGS = ["{}", r"\boxed{{\text{{{}}}}}", r"\boxed{{{}}}", r"$\textbf{{{}}}$", "The answer is {}.", "The answer is {}. It is large.", "<answer>{}</answer>",
           "### Answer\n{}", "The answer is **{}**, the capital.", "The answer is {} because it is large.", "Antwort: {}", "La réponse est « {} ».",
           "La respuesta es {}.", "答案是{}。", "答えは「{}」です。", "정답은 {}입니다."]  # fmt: skip
PLACES = (
    "Lyon",
    "St. Paul",
    "Mt. Hood",
    "Dr. Jones",
    "T. S. Eliot",
    "Washington D.C.",
    "New Delhi",
    "北京",
    "São Paulo",
)


@given(st.sampled_from(PLACES), st.sampled_from(PLACES), st.sampled_from(STRINGS))
def test_strings_in_wrappings(place, other, wrapping):
    text = wrapping.format(place)
    assert check_answer("string", text, place) == "right", text
    assert (check_answer("string", text, other) == "right") is (place == other), text
    assert check_answer("string", place, rf"\text{{{place}}}") == "right"


NEGATIONS = ("It is not {}.", "It isn't {}.", "That isn’t really {}", "This cannot be {}.", "It is not at all {}", "not {}", "It was never {}.",
             "The answer is not {}.", "The answer isn't \"{}\".", "I don't think it is {}.", "It does not seem to be {}.")  # fmt: skip
ASSERTIONS = (
    "It is {}.",
    "{}, it cannot rain",
    "So it's {}",
    "<answer>{}</answer>",
    r"\boxed{{\text{{{}}}}}",
    "Is it true or false? {}.",
)


@given(
    st.sampled_from([("true", "yes"), ("false", "no"), ("yes", "yes")]),
    st.sampled_from(NEGATIONS),
    st.sampled_from(ASSERTIONS),
)
def test_negation(word, negation, assertion):
    opposite = {"yes": "no", "no": "yes"}[word[1]]
    assert parse_answer("yes_no", negation.format(word[0])) == opposite
    assert parse_answer("yes_no", assertion.format(word[0].capitalize())) == word[1]


@pytest.mark.parametrize(("text", "answer"), [
    ("Antwort: Ja", "yes"), ("Nein, das stimmt nicht.", "no"), ("La réponse est oui.", "yes"), ("A resposta é não.", "no"), ("答案是不是。", "no"),
    ("はい", "yes"), ("答えはいいえです。", "no"), ("정답은 예입니다", "yes"), ("Answer yes or no", None), ("It is untrue", "no"), ("не знаю", None),
])  # fmt: skip
def test_yes_and_no_of_other_languages(text, answer):
    assert parse_answer("yes_no", text) == answer
