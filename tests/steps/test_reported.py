"""Reported texts, and generated ones of every kind that was mended."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import skipthink
from skipthink import reference
from skipthink.core.steps import count_unsplit
from skipthink.reference import steps as rules_as_written

FILE = Path(__file__).resolve().parents[3] / "shared" / "cases" / "reports-2.jsonl"
needs_cases = pytest.mark.skipif(not FILE.exists(), reason="the reported cases are not beside the checkout")


def split(text):
    """The steps, which core and reference agree on."""
    steps = skipthink.split_steps(text)
    assert steps == reference.split_steps(text)
    return steps


@needs_cases
def test_reported_texts():
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["call"] == "split_steps"]
    assert len(rows) >= 5
    for row in rows:
        assert split(row["text"]) == row["expected"], row["fault"]


# no particle, behind which "!" would be that of a factorial
han = st.text("设则求得因所以他苹果", min_size=1, max_size=6)
number = st.integers(0, 9999).map(str)
decimal = st.tuples(number, st.sampled_from(".．"), st.integers(0, 99).map(str)).map("".join)
stop = st.sampled_from([".", "．", "。", "｡", "!", "?", "！", "？"])


@given(st.lists(st.tuples(han, number | decimal, stop), min_size=1, max_size=5))
def test_chinese_sentences_end_at_every_mark(parts):
    sentences = ["".join(part) for part in parts]
    assert split("".join(sentences)) == sentences


words = st.sampled_from(["vier", "Birnen", "kaufen", "manzanas", "trois pommes", "três", "due mele", "3 kg"])
never = st.sampled_from(sorted(rules_as_written.NEVER_END))
name = st.sampled_from(["Gómez", "Müller", "Élan", "3", "noch", "Rossi", "(B)"])


@given(words, never, name, words)
def test_abbreviations_that_never_end_a_sentence_do_not(before, word, behind, last):
    for form in {word, word.capitalize()}:
        assert split(f"Da {before} {form}. {behind} {last}. Also 7.") == [
            f"Da {before} {form}. {behind} {last}. ",
            "Also 7.",
        ]
    if word.count(".") == 1:
        first, second = word.split(".")
        text = f"Da {before} {first}. {second}. {behind} {last}. Also 7."
        assert split(text) == [text.removesuffix("Also 7."), "Also 7."]


@given(
    st.integers(1, 31),
    st.sampled_from(sorted(rules_as_written.DATES | rules_as_written.SHARED_DATES)),
    st.sampled_from(sorted(rules_as_written.BEFORE_DATE)),
    st.integers(32, 99),
)
def test_ordinal_numbers_of_dates_end_no_sentence(day, month, before, number):
    month = month.capitalize() if month.isascii() else month
    text = f"Das ist {before} {day}. {month} so und {number}. "
    assert split(f"{text}Also {number}.") == [text, f"Also {number}."]


@given(st.sampled_from(["Wow", "Great", "Is it so", "Sí", "Да"]), st.sampled_from(["!", "?", "!!", "?!"]),
       st.sampled_from(["So", "Ann", "It's", "Élan,", "Так"]))  # fmt: skip
def test_shouts_end_where_a_word_with_a_capital_is_glued(before, marks, word):
    assert split(f"{before}{marks}{word} it is 3.") == [f"{before}{marks}", f"{word} it is 3."]


thai = st.text("กขคงจฉชซ", min_size=2, max_size=8)


@given(st.lists(st.tuples(thai, st.integers(0, 99), thai), min_size=1, max_size=5))
def test_spaces_between_thai_letters_end_steps_and_those_beside_numbers_do_not(parts):
    clauses = [f"{first} {count} {unit}" for first, count, unit in parts]
    found = split(" ".join(clauses))
    assert [step.rstrip() for step in found] == clauses


def test_long_texts_of_one_step_are_counted():
    texts = ["no mark " * 50, "no mark", "One. Two. " * 50]
    assert count_unsplit(texts) == 1
    assert count_unsplit(texts, rules="lines") == 2
    assert count_unsplit([]) == 0
