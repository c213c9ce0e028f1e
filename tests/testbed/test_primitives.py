"""What students are pre-trained on is true, is the same again, and holds no task."""

import itertools
import random
import re
from datetime import datetime, timedelta

import pytest

from skipthink import tasks
from skipthink.exceptions import InvalidInputError
from skipthink.tasks.words import MONTHS, WEEKDAYS
from skipthink.testbed.corpus import Corpus, texts
from skipthink.testbed.primitives import FAMILIES, calendar, letters, lists, numbers, objects, rules

EVEN = dict.fromkeys(FAMILIES, 1.0)
ALL = [
    (family, primitive) for family, primitives in FAMILIES.items() for primitive in dict.fromkeys(primitives)
]


def drawn(primitive, n=150):
    return [primitive(random.Random(f"{primitive.__name__}/{index}")) for index in range(n)]


@pytest.mark.parametrize(("family", "primitive"), ALL, ids=lambda value: getattr(value, "__name__", value))
def test_a_text_is_short_and_plain(family, primitive):
    for text in drawn(primitive):
        assert 5 < len(text) < 500
        assert text == text.strip()
        assert "  " not in text
        assert "{" not in text
        assert "[" not in text  # nothing that looks like a marker


def test_equations_are_true():
    n_equations = 0
    for primitive in numbers.PRIMITIVES:
        for text in drawn(primitive):
            for left, sign, right, result in re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)", text):
                a, b, c = int(left), int(right), int(result)
                assert {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[sign] == c
                n_equations += 1
    assert n_equations > 1000


FACTS = {
    r"(\d+) plus (\d+) is (\d+)": lambda a, b, c: a + b == c,
    r"(\d+) and (\d+) make (\d+)": lambda a, b, c: a + b == c,
    r"(\d+) more than (\d+) is (\d+)": lambda a, b, c: a + b == c,
    r"(\d+) added to (\d+) gives (\d+)": lambda a, b, c: a + b == c,
    r"(\d+) minus (\d+) is (\d+)": lambda a, b, c: a - b == c,
    r"(\d+) less than (\d+) is (\d+)": lambda a, b, c: b - a == c,
    r"Take (\d+) from (\d+), and (\d+) is left": lambda a, b, c: b - a == c,
    r"From (\d+) to (\d+) it is (\d+)": lambda a, b, c: b - a == c,
    r"What is (\d+) \+ (\d+)\?\n(\d+)": lambda a, b, c: a + b == c,
    r"What is (\d+) - (\d+)\?\n(\d+)": lambda a, b, c: a - b == c,
    r"(\d+) times (\d+) is (\d+)": lambda a, b, c: a * b == c,
    r"(\d+) groups of (\d+) make (\d+)": lambda a, b, c: a * b == c,
    r"(\d+) divided by (\d+) is (\d+)": lambda a, b, c: a == b * c,
    r"(\d+) \S+ and (\d+) \S+ are (\d+) ": lambda a, b, c: a + b == c,
    r"(\d+) \S+ without (\d+) \S+ are (\d+) ": lambda a, b, c: a - b == c,
    r"Of (\d+) \S+, (\d+) \S+ are gone, so (\d+) ": lambda a, b, c: a - b == c,
    r"(\d+) is more than (\d+)\.()": lambda a, b, _: a > b,
    r"(\d+) is less than (\d+)\.()": lambda a, b, _: a < b,
    r"After (\d+) comes (\d+)()": lambda a, b, _: a + 1 == b,
    r"Before (\d+) comes (\d+)()": lambda a, b, _: a - 1 == b,
}


@pytest.mark.parametrize("pattern", FACTS)
def test_facts_in_words_are_true(pattern):
    text = "\n\n".join(itertools.chain.from_iterable(drawn(primitive) for primitive in numbers.PRIMITIVES))
    found = re.findall(pattern, text)
    assert len(found) > 20
    for groups in found:
        assert FACTS[pattern](*(int(group or 0) for group in groups)), groups


def test_letters_are_those_of_the_words():
    text = "\n".join(itertools.chain.from_iterable(drawn(primitive) for primitive in letters.PRIMITIVES))
    for word, last in re.findall(r"^(\w+) ends in (\w)\.", text, re.M):
        assert word.lower().endswith(last)
    spelt = re.findall(r"^(\w+): ((?:\w )+\w)$", text, re.M)
    assert len(spelt) > 100
    for word, spaced in spelt:
        assert spaced.replace(" ", "") == word.lower()
    joined = re.findall(r'^((?:"\w", )+"\w") (?:make|->) "(\w+)"$', text, re.M)
    assert len(joined) > 100
    for quoted, string in joined:
        assert "".join(re.findall(r"\w", quoted)) == string
    for before, letter, after in re.findall(r"^(\w+) \+ (\w) = (\w+)$", text, re.M):
        assert before + letter == after


def row_of(told):
    return re.findall(r"\w+", re.sub(r"^The words are|stand in a row\.$| and ", " ", told))


def test_words_are_found_where_they_stand():
    for text in drawn(lists.by_place):
        told, said = text.split("\n")
        row = row_of(told)
        for place, word in re.findall(r'(\w+)(?: word is "| one is |\? )(\w+)', said):
            index = (
                -1
                if place == "last"
                else ["first", "second", "third", "fourth", "fifth", "sixth"].index(place)
            )
            assert row[index] == word
    for text in drawn(lists.again):
        told, *lines = text.split("\n")
        assert all(word in line for word, line in zip(row_of(told), lines, strict=True))
    for text in drawn(lists.by_neighbour):
        row = row_of(text.split("\n")[0])
        for before, after in re.findall(r"(?:After|follows) (\w+)(?: comes |\? )(\w+)", text):
            assert row.index(before) + 1 == row.index(after)


def test_dates_are_right():
    day = r"(\d\d/\d\d/\d{4})"
    kinds = {"day": 1, "second day": 2, "date a week": 7, "date ten days": 10}
    n = 0
    for text in drawn(calendar.stepping_dates):
        for kind, word, here, there in re.findall(rf"The (.*?) (after|before) {day} is {day}\.", text):
            step = timedelta(kinds[kind]) * (1 if word == "after" else -1)
            first, second = (datetime.strptime(value, "%m/%d/%Y") for value in (here, there))
            assert first + step == second
            n += 1
    assert n > 300
    for text in drawn(calendar.writing_dates):
        month, number, year = re.search(r"([A-Z][a-z]+) (\d+), (\d{4})", text).groups()
        assert f"{MONTHS.index(month) + 1:02d}/{int(number):02d}/{year}" in text


def test_steps_of_weekdays_and_months_are_right():
    n = 0
    text = "\n".join(drawn(calendar.weekdays) + drawn(calendar.months))
    for names, unit in ((WEEKDAYS, "day"), (MONTHS, "month")):
        steps = [(1, *found) for found in re.findall(rf"The {unit} (after|before) (\w+) is (\w+)", text)]
        steps += [
            (int(by), *rest) for by, *rest in re.findall(rf"(\d) {unit}s (after|before) (\w+): (\w+)", text)
        ]
        for by, word, here, there in steps:
            step = by if word == "after" else -by
            assert names[(names.index(here) + step) % len(names)] == there
            n += 1
    assert n > 500
    days = dict(re.findall(r"(\w+) has (\d+) days", text))
    assert days["February"] == "28"
    assert {name for name, count in days.items() if count == "30"} == {
        "April",
        "June",
        "September",
        "November",
    }


def test_swaps_swap_two_and_leave_the_others():
    n = 0
    for text in drawn(objects.swapping):
        lines = text.split("\n")
        if len(lines) < 3:
            continue
        before, after = (dict(pair.split(": ") for pair in line.split(", ")) for line in (lines[0], lines[2]))
        swapped = [name for name in before if before[name] != after[name]]
        assert len(swapped) == 2
        assert all(name in lines[1] for name in swapped)
        assert [after[name] for name in swapped] == [before[name] for name in reversed(swapped)]
        n += 1
    assert n > 50


def test_rules_answer_with_yes_where_they_say_so():
    for text in drawn(rules.traits):
        asked = re.search(r"Is (\w+) (\w+)\? (Yes|No)\.", text)
        if asked:
            assert (f"not {asked[2]}" in text) == (asked[3] == "No")
    for text in drawn(rules.looking_up):
        for name, trait, answer in re.findall(r"Is (\w+) (\w+)\? (Yes|No)\.", text):
            assert (f"{name} is {trait}." in text) == (answer == "Yes")


def test_the_same_seed_gives_the_same_texts():
    first, again, other = (list(itertools.islice(texts(EVEN, seed), 50)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_shares_are_kept():
    shares = {"numbers": 3.0, "letters": 1.0}
    sample = list(itertools.islice(texts(shares, 0), 2000))
    spelt = sum(not re.search(r"\d", text) for text in sample)
    assert 0.2 < spelt / len(sample) < 0.3


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"number": 1.0}, r"no primitives 'number'; there are numbers, letters"),
        ({"numbers": -1.0, "letters": 2.0}, "0 or more"),
        ({"numbers": 0.0}, "one above 0"),
    ],
)
def test_wrong_shares_are_refused(shares, message):
    with pytest.raises(InvalidInputError, match=message):
        Corpus(None, n_blocks=1, block_tokens=64, shares=shares, seed=0)


def word_grams(text, n):
    words = re.findall(r"[A-Za-z']+|\d+", text)
    return {tuple(words[start : start + n]) for start in range(len(words) - n + 1)}


@pytest.mark.parametrize("hide_numbers", [False, True])
def test_no_part_of_a_task_is_in_the_corpus(hide_numbers):
    """No 12 words in a row of a question with its rationale occur, whatever the numbers are."""

    def grams(text):
        return word_grams(re.sub(r"\d+", "0", text) if hide_numbers else text, 12)

    corpus = set()
    for text in itertools.islice(texts(EVEN, "leak"), 8_000):
        corpus |= grams(text)
    assert len(corpus) > 20_000
    for name in tasks.NAMES:
        for row in tasks.rows(name, split="train", n=100):
            assert not grams(f"{row['question']}\n{row['rationale']}") & corpus, (name, row)
