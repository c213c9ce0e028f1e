"""Repeating earlier text: pairs of words in other orders and wordings, and rows of words."""

from __future__ import annotations

import random

from skipthink.tasks.words import COLOURS, ITEMS, NAMES, POSITIONS, SUBJECTS, WORDS, both_forms

_PAIRS = (
    "{} has {}.",
    "{} holds {}.",
    "{} brings {}.",
    "{} reads {}.",
    "{} is at {}.",
    "{} owns {}.",
    "{}: {},",
    "{} with {},",
)
_TURNED = ("{1} is with {0}.", "{1}: {0}.", "{1} belongs to {0}.", "{1} goes to {0},")
_ROWS = ("{}: {}", '"{}"\n{}', "The words {} are\n{}", "{}\n{}")


def pairs(rng: random.Random) -> str:
    """Text of pairs, then the same in another order, once or twice, perhaps with the members of a pair exchanged."""
    n = rng.randint(2, 5)
    people, things = rng.sample(NAMES, n), _things(rng, n)
    lines = [_told(rng.choice(_PAIRS), people, things)]
    for _ in range(rng.randint(1, 2)):
        order = rng.sample(range(n), n)
        form = rng.choice(_TURNED if rng.random() < 0.35 else _PAIRS)
        lines.append(_told(form, [people[index] for index in order], [things[index] for index in order]))
    return rng.choice(("\n", " ")).join(lines)


def rows(rng: random.Random) -> str:
    """Text of a row of words, then the same row in another form."""
    row = rng.sample((*NAMES, *WORDS), rng.randint(3, 8))
    numbered = "\n".join(f"{index}. {word}" for index, word in enumerate(row, 1))
    told = (
        " ".join(row),
        ", ".join(row),
        numbered,
        " then ".join(row),
        "\n".join(f"- {word}" for word in row),
    )
    return rng.choice(_ROWS).format(" ".join(row), rng.choice(told))


def _told(form: str, people: list[str], things: list[str]) -> str:
    return " ".join(form.format(person, thing) for person, thing in zip(people, things, strict=True))


def _things(rng: random.Random, n: int) -> list[str]:
    kind = rng.random()
    if kind < 0.5:
        noun = rng.choice(("ball", "box", "hat", "flag"))
        return [f"the {colour} {noun}" for colour in rng.sample(COLOURS, n)]
    if kind < 0.6:
        return [f"the {subject} book" for subject in rng.sample(SUBJECTS, n)]
    if kind < 0.75:
        return [f"the {both_forms(item)[0]}" for item in rng.sample(ITEMS, n)]
    if kind < 0.85:
        return [f"the {position}" for position in rng.sample(POSITIONS, n)]
    if kind < 0.95:
        return [str(number) for number in rng.sample(range(2, 100), n)]
    return rng.sample(COLOURS, n)


PRIMITIVES = (pairs, pairs, rows)
