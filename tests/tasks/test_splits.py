"""Splits share no entity and no number combination, whatever their seeds, sizes and options."""

import itertools
import re

import pytest

from skipthink import tasks
from skipthink.exceptions import InvalidInputError
from skipthink.tasks.splits import SPLITS, split_of, split_words
from skipthink.tasks.words import all_words, both_forms

WORDS = all_words()


def found(pools, text):
    """Entries of word lists that stand in a text, in the singular or plural."""
    present = set(re.findall(r"[\w'-]+", text.replace("'s", "")))
    return {
        (pool, word)
        for pool in pools
        for word in WORDS[pool]
        if present & {*both_forms(word), word.split("/")[0]}
    }


def numbers(text):
    return tuple(map(int, re.findall(r"\d+", text)))


def used_numbers(row):
    equations = re.findall(r"(\d+) [-+*/] (\d+) = ", row["rationale"])
    return tuple(sorted(map(int, [equations[0][0], *(right for _, right in equations)])))


def swapped_places(row):
    story = row["question"].split("\n")[0]
    start = re.search(r"(?:At the start|Before the first swap), (.*?\.)", story)[1]
    people = re.findall(r"(\w+) (?:has|brings|reads|is at) the ", start)
    swaps = re.findall(r"(\w+) and (\w+) (?:swap|exchange|trade|change)", story.split(start, 1)[1])
    asked = re.search(r"(\w+) (?:has|is at) …", story)[1]
    return (len(people), *((people.index(a), people.index(b)) for a, b in swaps), people.index(asked))


def tracked(row):
    things = set(re.findall(r"\(\w\) the (\w+)", row["question"]))
    story = row["question"].split("\n")[0].removeprefix("At the start, ")
    return found(["names"], story) | {("things", thing) for thing in things}


# name: entities of a row, its number combination, and options that another call may have
CASES = {
    "date_understanding": (
        lambda row: found(["names", "events"], row["question"]),
        lambda row: re.search(r"\d\d/\d\d/\d{4}", row["question"])[0],
        [{}, {"choices": False}],
    ),
    "distractor_arithmetic": (
        lambda row: found(["names", "items", "places"], row["question"]),
        used_numbers,
        [{}, {"max_operations": 3, "n_distractors": 2}],
    ),
    "last_letter_concatenation": (
        lambda row: set(re.search(r'"([^"]+)"', row["question"])[1].split()),
        None,
        [{}, {"n_words": 3}],
    ),
    "multi_hop_yes_no": (
        lambda row: found(["names", "kinds", "traits"], re.sub("^Can|Is it true", "", row["question"])),
        None,
        [{}, {"n_hops": 2, "n_irrelevant": 2}],
    ),
    "multi_step_arithmetic": (
        # clauses of all splits know a drawer, a fair and a desk
        lambda row: found(["names", "items"], row["question"]),
        lambda row: numbers(row["question"]),
        [{}, {"n_operations": 4, "max_number": 9}],
    ),
    "single_operation": (
        lambda row: found(["names", "items", "places"], row["question"]),
        lambda row: tuple(sorted(numbers(row["question"]))),
        [{}, {"max_number": 30}],
    ),
    "tracking_shuffled_objects": (tracked, swapped_places, [{}, {"shuffle_options": True, "n_objects": 5}]),
}


def test_every_task_has_a_case():
    assert sorted(CASES) == sorted(tasks.NAMES)


@pytest.mark.parametrize("name", CASES)
def test_splits_share_nothing_also_with_other_seeds_sizes_and_options(name):
    entities_of, combination_of, option_sets = CASES[name]
    calls = [
        (seed, n, task_options)
        for (seed, n), task_options in itertools.product([(0, 300), (7, 150)], option_sets)
    ]
    entities, combinations = ({split: set() for split in SPLITS} for _ in range(2))
    for split, (seed, n, task_options) in itertools.product(SPLITS, calls):
        for row in tasks.rows(name, split=split, n=n, seed=seed, **task_options):
            entities[split] |= entities_of(row)
            if combination_of is not None:
                combinations[split].add(combination_of(row))
        assert len(entities[split]) > 10
    for one, other in itertools.combinations(SPLITS, 2):
        assert not entities[one] & entities[other], entities[one] & entities[other]
        assert not combinations[one] & combinations[other]


@pytest.mark.parametrize("pool", [pool for pool in WORDS if pool not in ("weekdays", "months")])
def test_a_word_list_is_parted_by_its_words_alone(pool):
    words = WORDS[pool]
    parts = {split: split_words(words, split, 5) for split in SPLITS}
    assert sorted(word for part in parts.values() for word in part) == sorted(words)
    assert len(parts["test"]) == len(parts["validation"]) == max(8, int(0.15 * len(words)))
    for split, part in parts.items():
        assert set(split_words(words[::-1], split, 5)) == set(part)


@pytest.mark.parametrize("least", [1, 2, 7])
def test_the_smallest_list_gives_each_split_what_it_needs(least):
    words = [f"word{index}" for index in range(3 * least)]
    assert {len(split_words(words, split, least)) for split in SPLITS} == {least}
    with pytest.raises(InvalidInputError, match=rf"give {3 * least} at least"):
        split_words(words[1:], "test", least)


def test_number_combinations_are_parted_in_shares():
    splits = [split_of((left, right)) for left in range(200) for right in range(200)]
    shares = {split: splits.count(split) / len(splits) for split in SPLITS}
    assert abs(shares["test"] - 0.15) < 0.01 and abs(shares["validation"] - 0.15) < 0.01


def test_where_words_and_numbers_fall_never_changes():
    """A release that moves a word from test to train would make old test sets worthless."""
    assert split_words(["Ada", "Bo", "Cy", "Di", "Ed", "Flo"], "test", 1) == ("Cy", "Flo")
    splits = [split_of((3, number)) for number in range(12)]
    assert [splits.index("test"), splits.index("validation"), splits.count("train")] == [1, 7, 8]
    assert split_words(WORDS["names"], "test", 1)[:4] == ("Alan", "Arjun", "Ava", "Ben")


@pytest.mark.parametrize("name", CASES)
def test_entities_may_be_shared_but_number_combinations_never(name):
    entities_of, combination_of, _ = CASES[name]
    rows = {
        split: list(tasks.rows(name, split=split, n=200, share_entities=True)) for split in ("train", "test")
    }
    entities, combinations = ({split: set() for split in rows} for _ in range(2))
    for split, row in ((split, row) for split, part in rows.items() for row in part):
        entities[split] |= entities_of(row)
        combinations[split].add(row["question"] if combination_of is None else combination_of(row))
    assert len(entities["train"] & entities["test"]) > 5
    assert not combinations["train"] & combinations["test"]
    with pytest.raises(InvalidInputError, match="share_entities must be true or false, got 1"):
        tasks.rows(name, split="train", share_entities=1)


def test_splits_have_names():
    with pytest.raises(InvalidInputError, match="no split 'tset'; did you mean 'test'"):
        tasks.rows("single_operation", split="tset", n=1)
    with pytest.raises(InvalidInputError, match="no split 'dev'"):
        split_words(["a"], "dev", 1)
