"""Rows of words: repeating them one by one, finding a word by its place or its neighbour."""

from __future__ import annotations

import random

from skipthink.tasks.words import ITEMS, KINDS, NAMES, WORDS, both_forms

_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")
_MARKERS = ("{}. ", "Step {}: ", "({}) ", "- ", "")
_FACTS = (
    '"{word}" has {n} letters.',
    "{word} begins with {first}.",
    'The first letter of "{word}" is "{first}".',
    "{word}: {spelt}",
    'The word "{word}" begins with "{first}".',
    "Now {word}, which has {n} letters.",
)
_LINES = ("{}", "{}.", '"{}"', "The word {}.", 'Here is "{}".', "{} is there.")


def again(rng: random.Random) -> str:
    """Text of a row of words, then each of them on a line."""
    row = _row(rng)
    marker, line = rng.choice(_MARKERS), rng.choice(_LINES)
    lines = [f"{marker.format(index)}{line.format(word)}" for index, word in enumerate(row, 1)]
    return "\n".join([_told(rng, row), *lines])


def with_facts(rng: random.Random) -> str:
    """Text of a row of words, then a fact about each of them in turn."""
    row = rng.sample((*NAMES, *WORDS), rng.randint(2, 6))
    marker, fact = rng.choice((*_MARKERS, "", "")), rng.choice(_FACTS)
    lines = [
        marker.format(index)
        + fact.format(word=word, n=len(word), first=word[0].lower(), spelt=" ".join(word.lower()))
        for index, word in enumerate(row, 1)
    ]
    return "\n".join([_told(rng, row), rng.choice((" ", "\n")).join(lines)])


def in_a_sentence(rng: random.Random) -> str:
    """Text of a row of words, then the same row in other words."""
    row = _row(rng)
    kind = rng.random()
    if kind < 0.4:
        then = [f"first {row[0]}", *(f"then {word}" for word in row[1:])]
        told = f"It is {', '.join(then)}."
    elif kind < 0.7:
        told = f"One after the other: {', '.join(row)}."
    else:
        told = f"There are {len(row)} words: {' '.join(row)}."
    return f"{_told(rng, row)}\n{told}"


def by_place(rng: random.Random) -> str:
    """Text about which word is first, second, …, last."""
    row = _row(rng)
    lines = []
    for index in rng.sample(range(len(row)), min(len(row), rng.randint(2, 4))):
        place = "last" if index == len(row) - 1 and rng.random() < 0.5 else _PLACES[index]
        lines.append(
            rng.choice(
                (
                    f'The {place} word is "{row[index]}".',
                    f"The {place} one is {row[index]}.",
                    f"Which is {place}? {row[index]}.",
                )
            )
        )
    return f"{_told(rng, row)}\n{' '.join(lines)}"


def by_neighbour(rng: random.Random) -> str:
    """Text about which word is before or after another one."""
    row = _row(rng)
    lines = []
    for index in rng.sample(range(1, len(row)), rng.randint(1, len(row) - 1)):
        before, after = row[index - 1], row[index]
        lines.append(
            rng.choice(
                (
                    f"After {before} comes {after}.",
                    f"{after} comes after {before}.",
                    f"Before {after} comes {before}.",
                    f"What follows {before}? {after}.",
                )
            )
        )
    return f"{_told(rng, row)}\n{' '.join(lines)}"


def _row(rng: random.Random) -> list[str]:
    kind = rng.random()
    pool = (*NAMES, *WORDS) if kind < 0.6 else WORDS if kind < 0.8 else (*ITEMS, *KINDS)
    return [both_forms(word)[0] for word in rng.sample(pool, rng.randint(3, 6))]


def _told(rng: random.Random, row: list[str]) -> str:
    plain = f"{', '.join(row[:-1])} and {row[-1]}"
    quoted = f'"{" ".join(row)}"'
    return rng.choice((quoted, quoted, plain, f"The words are {quoted}.", f"{plain} stand in a row."))


PRIMITIVES = (
    again,
    again,
    again,
    with_facts,
    with_facts,
    with_facts,
    with_facts,
    in_a_sentence,
    by_place,
    by_place,
    by_neighbour,
)
