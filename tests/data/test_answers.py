"""Answer checks: what texts state, three-valued verdicts, and agreement with the flags of real teachers."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipthink.answers import KINDS, Verdict, check_answer, infer_kind, parse_answer, parse_gold
from skipthink.exceptions import InvalidInputError

PARSED = [
    ("number", "43", "43"),
    ("number", " 43. ", "43"),
    ("number", "43.0", "43"),
    ("number", "-5", "-5"),
    ("number", "−5", "-5"),
    ("number", "$-5", "-5"),
    ("number", "-$1,234.50.", "-1234.5"),
    ("number", "€ 5", "5"),
    ("number", r"\$18", "18"),
    ("number", "1,234,567 apples", "1234567"),
    ("number", ".5", "0.5"),
    ("number", "0.0625", "0.0625"),
    ("number", "3/4", "0.75"),
    ("number", "1/3", "1/3"),
    ("number", "1 1/2 cups", "1.5"),
    ("number", r"\frac{1}{3}", "1/3"),
    ("number", r"-\dfrac{3}{4}", "-0.75"),
    ("number", "1e3", "1000"),
    ("number", "45%", "45%"),
    ("number", r"45 \%", "45%"),
    ("number", "12th", "12"),
    ("number", "70 - 27 = 43", "43"),
    ("number", "70-27", "27"),
    ("number", "She has 3 apples and 5 pears. 8 in all", "8"),
    ("number", "The answer is 43 of 70.", "43"),
    ("number", "The answer is 70 - 27 = 43.", "43"),
    ("number", "The answer is $72. I am 100% sure.", "72"),
    ("number", "The answer is 7. So the answer is 8.", "8"),
    ("number", "**Final Answer:**\nAfter losing 16 and winning 32 she has 54 lives.", "54"),
    ("number", "**Answer:** 5 apples", "5"),
    ("number", "5 + 5 = 10\n#### 1,000", "1000"),
    ("number", r"Thus \( \boxed{9} \) in 2 days.", "9"),
    ("number", r"\boxed{12 \text{ apples}}", "12"),
    ("number", r"The answer is 3, no, \boxed{\frac{1}{2}}", "0.5"),
    ("number", r"\boxed{7", "7"),
    ("number", "The answer is below; we count 4.", "4"),
    ("number", "twelve", None),
    ("number", "", None),
    ("number", "1/0", None),
    ("number", "9" * 5000, None),
    ("number", "x2", None),
    ("choice", "C", "C"),
    ("choice", "c", "C"),
    ("choice", "(C)", "C"),
    ("choice", "C.", "C"),
    ("choice", "C) the blue ball", "C"),
    ("choice", "(C) the blue ball", "C"),
    ("choice", "(b)", "B"),
    ("choice", "So the correct choice is **D**.", "D"),
    ("choice", "The answer is C", "C"),
    ("choice", "The answer is (B) x, not (C).", "B"),
    ("choice", "(A) is wrong, so it is (B).", "B"),
    ("choice", "I take option b", "B"),
    ("choice", "A month ago it rained.", None),
    ("choice", "I think so", None),
    ("choice", "apple(s)", None),
    ("choice", "", None),
    ("yes_no", "Yes", "yes"),
    ("yes_no", "NO.", "no"),
    ("yes_no", "True", "yes"),
    ("yes_no", "false", "no"),
    ("yes_no", "No, that cannot be.", "no"),
    ("yes_no", "No dog can fly", "no"),
    ("yes_no", "Yes and no. So the answer is yes.", "yes"),
    ("yes_no", "The statement is not true", "no"),
    ("yes_no", "It is not false", "yes"),
    ("yes_no", "There is no evidence for it", None),
    ("yes_no", "Nobody knows", None),
    ("string", "yajc", "yajc"),
    ("string", ' "YAJC". ', "yajc"),
    ("string", "New   York", "new york"),
    ("string", "’tis", "tis"),
    ("string", 'Joining "y" and "a" gives "ya".', "ya"),
    ("string", "Joining them, we get: yajc", "yajc"),
    ("string", "e + n + k + o = enko", "enko"),
    ("string", 'So the final answer is "yoob". I hope it helps!', "yoob"),
    ("string", 'The answer is "a", "n", and "k"', "ank"),
    ("string", "Café", "café"),
    ("string", "", None),
    ("string", " ' ", None),
    ("string", "Step 2: Concatenate the letters\n\nyead", "yead"),
    ("string", 'The final result is "enko" from the names "Jo" and "Al".', "enko"),
    ("number", "The final answer is:\n\\[\n3 + 4 = 7\n\\]\nin 2 days", "7"),
    ("date", "05/03/2021", "2021-05-03"),
    ("date", "2021-5-3", "2021-05-03"),
    ("date", "3.5.2021", "2021-05-03"),
    ("date", "May 3, 2021.", "2021-05-03"),
    ("date", "Monday, May 3rd 2021", "2021-05-03"),
    ("date", "the 3rd of Sept. 2021", "2021-09-03"),
    ("date", "3 December, 1999", "1999-12-03"),
    ("date", "02/29/2020", "2020-02-29"),
    ("date", "02/29/2021", None),
    ("date", "13/01/2021", None),
    ("date", "May 2021", None),
    ("date", "5/3/21", None),
    ("date", "0000-01-01", None),
    ("date", "From 01/01/2020 we go to 01/02/2020", "2020-01-02"),
    ("date", "The answer is 01/02/2020, a day after 01/01/2020", "2020-01-02"),
]


@pytest.mark.parametrize(("kind", "text", "answer"), PARSED, ids=range(len(PARSED)))
def test_parse_answer(kind, text, answer):
    assert parse_answer(kind, text) == answer


CHECKED = [
    ("number", "$1,000.00", "1000", "right"),
    ("number", "43 apples", "43", "right"),
    ("number", "44", "43", "wrong"),
    ("number", "none", "43", "unparsed"),
    ("number", "45%", "45", "right"),
    ("number", "45%", "0.45", "right"),
    ("number", "0.45", "45%", "right"),
    ("number", "45%", "4500", "wrong"),
    ("number", "0.45%", "45%", "wrong"),
    ("number", "0.333333333", "1/3", "right"),
    ("number", "0.33", "1/3", "wrong"),
    ("number", "1000001", "1000000", "wrong"),
    ("number", "5,000 m", "5 km", "right"),
    ("number", "5 km", "5", "right"),
    ("number", "5", "5 km", "right"),
    ("number", "5 apples", "5 km", "right"),
    ("number", "5 m", "5 km", "wrong"),
    ("number", "5 kg", "5 km", "wrong"),
    ("number", "The answer is 90 minutes.", "1.5 hours", "right"),
    ("number", "1 1/2 hours", "90 min", "right"),
    ("number", "150 cents", "$1.50", "right"),
    ("number", "1.5 dollars", "$1.50", "right"),
    ("number", "€1.50", "$1.50", "wrong"),
    ("number", "12 inches", "1 foot", "right"),
    ("number", "a 12-foot pole", "12 ft", "right"),
    ("number", "25 m²", "25 m", "right"),
    ("number", "60 km/h", "60 km", "right"),
    ("date", "It was May 3, 2021.", "05/03/2021", "right"),
    ("date", "05/04/2021", "05/03/2021", "wrong"),
    ("date", "on Monday", "05/03/2021", "unparsed"),
    ("choice", "(b) the red ball", "B", "right"),
    ("choice", "C", "(B)", "wrong"),
    ("choice", "the red ball", "B", "unparsed"),
    ("yes_no", "true", "Yes", "right"),
    ("yes_no", "No", "Yes", "wrong"),
    ("yes_no", "maybe", "Yes", "unparsed"),
    ("string", "y a j c", "yajc", "right"),
    ("string", "Y-A-J-C", "yajc", "right"),
    ("string", "'y', 'a', 'j', 'c'", "yajc", "right"),
    ("string", "yacj", "yajc", "wrong"),
    ("string", "10:30", "10:30", "right"),
    ("string", "3.5", "35", "wrong"),
    ("string", " ", "yajc", "unparsed"),
]


@pytest.mark.parametrize(("kind", "text", "gold", "verdict"), CHECKED, ids=range(len(CHECKED)))
def test_check_answer(kind, text, gold, verdict):
    assert check_answer(kind, text, gold) == verdict
    assert check_answer(kind, text, gold) is Verdict(verdict)


def test_tolerance_is_absolute():
    assert check_answer("number", "3.14", "3.14159", tolerance=0.01) is Verdict.RIGHT
    assert check_answer("number", "3.14", "3.14159", tolerance=0.001) is Verdict.WRONG
    assert check_answer("number", "3.14", "3.14", tolerance=0) is Verdict.RIGHT


def test_relative_tolerance():
    assert check_answer("number", "101", "100", relative_tolerance=0.02) is Verdict.RIGHT
    assert check_answer("number", "103", "100", relative_tolerance=0.02) is Verdict.WRONG
    assert check_answer("number", "-99", "-100", relative_tolerance=0.01) is Verdict.RIGHT
    # the larger one counts; and a tolerance is in the unit of the gold answer
    assert check_answer("number", "1", "0", tolerance=1, relative_tolerance=0.1) is Verdict.RIGHT
    assert check_answer("number", "1004 m", "1 km", tolerance=0.005) is Verdict.RIGHT
    with pytest.raises(InvalidInputError, match="relative_tolerance must be a finite number"):
        check_answer("number", "1", "1", relative_tolerance=-0.1)


BAD = [
    (
        "numbers",
        "1",
        "1",
        0,
        "no answer kind 'numbers'; kinds are number, choice, yes_no, date, string, maths",
    ),
    ("number", "1", "many", 0, "gold answer 'many' is no answer of the kind 'number'"),
    ("number", "1", "3 or 4", 0, "gold answer '3 or 4' holds more than one number"),
    ("number", "1", "", 0, "gold answer ''"),
    ("choice", "A", "blue ball", 0, "gold answer 'blue ball' is no answer of the kind 'choice'"),
    ("yes_no", "yes", "maybe", 0, "gold answer 'maybe'"),
    ("string", "yes", " ", 0, "gold answer ' '"),
    ("date", "1/2/2020", "31/12/1999", 0, "gold answer '31/12/1999' is no answer of the kind 'date'"),
    ("date", "1/2/2020", "1/2/2020 or 1/3/2020", 0, "holds more than one date"),
    ("number", "1", "1", -1, "tolerance must be a finite number, 0 or more, got -1"),
    ("number", "1", "1", float("nan"), "tolerance must be a finite number"),
    ("number", "1", "1", float("inf"), "tolerance must be a finite number"),
]


@pytest.mark.parametrize(("kind", "text", "gold", "tolerance", "message"), BAD, ids=range(len(BAD)))
def test_bad_input(kind, text, gold, tolerance, message):
    with pytest.raises(InvalidInputError, match=message):
        check_answer(kind, text, gold, tolerance=tolerance)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (["1", "2.5", "-3", "$4", "1,000", "3/4"], "number"),
        (["A", "B"], "choice"),
        (["(A) blue", "(c)"], "choice"),
        (["Yes", "no"], "yes_no"),
        (["True", "False"], "yes_no"),
        (["yajc", "enko"], "string"),
        (["1", "A"], "string"),
        (["12/31/1999", "May 3, 2021", "2021-05-03"], "date"),
        (["5 km", "$3", "2 hours"], "number"),
        (["31 June 2020"], "string"),
        (["A dog"], "string"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_infer_kind(answers, kind):
    assert infer_kind(answers) == kind
    assert all(parse_gold(kind, answer) for answer in answers)


def test_infer_kind_of_nothing():
    with pytest.raises(InvalidInputError, match="there are none"):
        infer_kind([])


TEXT_KINDS = tuple(kind for kind in KINDS if kind != "maths")  # which asks another process


@given(
    st.sampled_from(TEXT_KINDS),
    st.text(st.characters() | st.sampled_from('0123456789,./%$-=()#"\\{}\ud800'), max_size=80),
)
def test_any_text_is_answered_or_not(kind, text):
    answer = parse_answer(kind, text)
    assert answer is None or answer
    if answer is not None and kind != "string":
        assert parse_answer(kind, answer) == answer
        assert check_answer(kind, text, answer) is Verdict.RIGHT


@given(st.fractions(max_denominator=1000), st.booleans())
def test_numbers_survive_writing(value, separators):
    whole = value.denominator == 1
    text = f"{value.numerator:,}" if whole and separators else str(value)
    assert Fraction(parse_answer("number", f"So the answer is {text}.")) == value
    assert check_answer("number", text, str(value), tolerance=0) is Verdict.RIGHT
    assert check_answer("number", text, str(value + 1), tolerance=0) is Verdict.WRONG


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_hostile_texts_take_linear_time(kind):
    patterns = [
        "answer is ",
        "= ",
        '"',
        "'a ",
        "1,",
        "1/",
        "(",
        " ",
        "no ",
        ".A ",
        "\\boxed{",
        "####",
        "answer ",
        "1 ",
        "1/1/",
        "1 of ",
        "may ",
        "\\[",
        "$$ ",
        "\\frac{",
        "\\text{",
        "\\boxed{}",
        "(A) and ",
        "(A) are wrong ",
        "is not ",
        "x = 1 or ",
        "1 and ",
        "1, ",
        "1^",
        ")",
        "^)",
        "选",
        "答案是",
        "Antwort ",
        "1分之",
        "½",
        "1.",
        "St. ",
        "<answer>",
        "answer\n",
        "1\\,",
        "√(",
        "$1",
        "111,",
        "{",
    ]
    for pattern in patterns:
        text = "answer" + pattern * (40_000 // len(pattern))
        started = time.process_time()  # other work on the machine does not count
        parse_answer(kind, text)
        assert time.process_time() - started < 3, pattern


@pytest.mark.parametrize(("kind", "text", "gold", "verdict"), [
    ("number", "<think>\n3 + 4 = 7, no, 8.\n</think>\n\n7", "7", "right"),
    ("number", "3 + 4 = 7.\n</think>\n\nThe answer is 8.", "7", "wrong"),  # the tag opened in the prompt
    ("number", "<think>\nThe answer is 7. Wait", "7", "unparsed"),  # stopped before it came to an answer
    ("number", "<think>7</think>", "7", "unparsed"),
    ("number", "<think>a</think> 5 <THINK>b</Think>\n7", "7", "right"),
    ("number", "<think>a</think> 7 <think>but 8", "7", "unparsed"),
    ("yes_no", "<think>yes yes</think>\n\nNo.", "no", "right"),
    ("string", "<think>ab</think>\n\nxy", "xy", "right"),
    ("maths", "<think>x^3</think>\n\n$x^2$", "x^2", "right"),
    ("maths", "<think>$x^2$", "x^2", "unparsed"),
])  # fmt: skip
def test_of_a_thought_only_what_stands_behind_it_counts(kind, text, gold, verdict):
    assert check_answer(kind, text, gold) == verdict
