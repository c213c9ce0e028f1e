"""Counting, comparing and the four operations, with whole numbers from 0 to 199."""

from __future__ import annotations

import random

from skipthink.tasks.words import ITEMS, both_forms

MAX_NUMBER = 199

_SUMS = (
    "{a} + {b} = {c}",
    "{a} + {b} = {c}.",
    "{a} plus {b} is {c}.",
    "{b} more than {a} is {c}.",
    "{a} and {b} make {c}.",
    "{b} added to {a} gives {c}.",
    "What is {a} + {b}?\n{c}",
)
_DIFFERENCES = (
    "{c} - {b} = {a}",
    "{c} - {b} = {a}.",
    "{c} minus {b} is {a}.",
    "{b} less than {c} is {a}.",
    "Take {b} from {c}, and {a} is left.",
    "From {b} to {c} it is {a}.",
    "What is {c} - {b}?\n{a}",
)
_PRODUCTS = (
    "{a} * {b} = {c}",
    "{a} * {b} = {c}.",
    "{a} times {b} is {c}.",
    "{b} times as much as {a} is {c}.",
    "{b} groups of {a} make {c}.",
    "What is {a} * {b}?\n{c}",
)
_QUOTIENTS = (
    "{c} / {b} = {a}",
    "{c} / {b} = {a}.",
    "{c} divided by {b} is {a}.",
    "{c} in {b} equal parts: {a} each.",
    "What is {c} / {b}?\n{a}",
)


def counting(rng: random.Random) -> str:
    """Text that counts up or down, in steps of one, two, five or ten."""
    step = rng.choice((1, 1, 1, 2, 5, 10))
    n = rng.randint(5, 12)
    start = rng.randint(0, MAX_NUMBER - step * (n - 1))
    row = [start + step * index for index in range(n)]
    separator = rng.choice((" ", ", "))
    return separator.join(str(number) for number in (row if rng.random() < 0.6 else row[::-1]))


def comparing(rng: random.Random) -> str:
    """Text about which of two numbers is larger, and about neighbours of a number."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        low, high = sorted(rng.sample(range(MAX_NUMBER + 1), 2))
        lines.append(
            rng.choice(
                (
                    f"{high} is more than {low}.",
                    f"{low} is less than {high}.",
                    f"{low} comes before {high}.",
                    f"After {low} comes {low + 1}.",
                    f"Before {high} comes {high - 1}.",
                )
            )
        )
    return " ".join(lines)


def places(rng: random.Random) -> str:
    """Text about tens and ones."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        number = rng.randint(11, MAX_NUMBER)
        tens, ones = number // 10 * 10, number % 10
        lines.append(
            rng.choice(
                (
                    f"{number} is {tens} and {ones}.",
                    f"{tens} + {ones} = {number}",
                    f"{number} = {tens} + {ones}",
                )
            )
        )
    return "\n".join(lines)


def sums(rng: random.Random) -> str:
    """Text of additions and subtractions in many wordings."""
    lines = []
    for _ in range(rng.randint(4, 8)):
        a, b = _terms(rng)
        lines.append(rng.choice(_SUMS if rng.random() < 0.5 else _DIFFERENCES).format(a=a, b=b, c=a + b))
    return "\n".join(lines)


def products(rng: random.Random) -> str:
    """Text of multiplications and divisions without remainder."""
    lines = []
    for _ in range(rng.randint(4, 8)):
        b = rng.choice((2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10))
        a = rng.randint(1, min(60, MAX_NUMBER // b))
        lines.append(rng.choice(_PRODUCTS if rng.random() < 0.6 else _QUOTIENTS).format(a=a, b=b, c=a * b))
    return "\n".join(lines)


def rows_of_facts(rng: random.Random) -> str:
    """Text of operations in which one number stays and the other one counts up, so that neighbours are adjacent."""
    b = rng.randint(1, 20)
    start = rng.randint(0, MAX_NUMBER - b - 8)
    if rng.random() < 0.5:
        return "\n".join(f"{a} + {b} = {a + b}" for a in range(start, start + rng.randint(4, 7)))
    return "\n".join(f"{a + b} - {b} = {a}" for a in range(start, start + rng.randint(4, 7)))


def things(rng: random.Random) -> str:
    """Text about sums of things."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        a, b = _terms(rng)
        item, items = both_forms(rng.choice(ITEMS))
        words = [f"{n} {item if n == 1 else items}" for n in (a, b, a + b)]
        lines.append(
            rng.choice(
                (
                    "{0} and {1} are {2}.",
                    "{0} and {1} together: {2}.",
                    "{2} without {1} are {0}.",
                    "Of {2}, {1} are gone, so {0} are left.",
                )
            ).format(*words)
        )
    return " ".join(lines)


def _terms(rng: random.Random) -> tuple[int, int]:
    """Draws two terms of a sum up to 199; small ones are most frequent, as in stories."""
    kind = rng.random()
    if kind < 0.35:
        return rng.randint(0, 20), rng.randint(1, 20)
    if kind < 0.75:
        return rng.randint(0, 60), rng.randint(1, 20)
    if kind < 0.9:
        return rng.randint(0, 99), rng.randint(1, 50)
    if kind < 0.95:
        return 10 * rng.randint(0, 9), 10 * rng.randint(1, 10)
    a = rng.randint(0, MAX_NUMBER)
    return a, rng.randint(0, MAX_NUMBER - a)


PRIMITIVES = (counting, comparing, places, sums, sums, sums, sums, products, products, rows_of_facts, things)
