"""Common parts of stories with numbers: a person's things, and changes of their number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import capitalised, check_int, check_words, draw_openers
from skipthink.tasks.words import both_forms

OPERATIONS = ("+", "-", "*", "/")


@dataclass(frozen=True)
class Bounds:
    """Options that bound the numbers of a story.

    Attributes:
        operations: allowed operations, of "+", "-", "*", "/"; divisions leave no remainder.
        min_number: smallest start, and smallest number that is added or subtracted.
        max_number: largest start, and largest number that is added or subtracted.
        max_factor: largest factor or divisor; the smallest is 2.
        max_value: largest intermediate result; the smallest is 0.
    """

    operations: Sequence[str] = ("+", "-", "*")
    min_number: int = 2
    max_number: int = 20
    max_factor: int = 4
    max_value: int = 99

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_words("operations", self.operations, 1, OPERATIONS)
        check_int("min_number", self.min_number, 1, None)
        check_int("max_number", self.max_number, self.min_number, None)
        check_int("max_factor", self.max_factor, 2, None)
        check_int("max_value", self.max_value, self.min_number, None)

    def draw_start(self, rng: random.Random) -> int:
        """Draws a number to start with."""
        return rng.randint(self.min_number, min(self.max_number, self.max_value))


def check_items(items: Sequence[str]) -> None:
    """Checks an option that lists things, such as "pear" or "box/boxes".

    Raises:
        InvalidInputError: it is not a list of words, or a word is neither a singular nor "singular/plural".
    """
    check_words("items", items, 1, also="/")
    wrong = next((item for item in items if item.count("/") > 1 or not all(item.split("/"))), None)
    if wrong is not None:
        raise InvalidInputError(f"items must be a singular or singular/plural, got {wrong!r}")


@dataclass(frozen=True)
class Things:
    """A countable thing, with its singular and plural."""

    item: str
    items: str

    def called(self, number: int) -> str:
        """The form of the word for a number of things."""
        return self.item if number == 1 else self.items

    def count(self, number: int) -> str:
        """A number with the form of the word that fits it."""
        return f"{number} {self.called(number)}"


def draw_things(rng: random.Random, items: Sequence[str], n: int) -> list[Things]:
    """Draws `n` different things from a list."""
    return [Things(*both_forms(item)) for item in rng.sample(items, n)]


@dataclass(frozen=True)
class Change:
    """One operation, `before` sign `number` = `after`, with the clause that tells it and the words that open it."""

    sign: str
    number: int
    before: int
    after: int
    told: str
    opener: str

    @property
    def opened(self) -> str:
        """The clause as a sentence, without its full stop."""
        return capitalised(self.opener + self.told)

    @property
    def equation(self) -> str:
        """The equation of the change."""
        return f"{self.before} {self.sign} {self.number} = {self.after}"


_TOLD = {
    "+": (
        "{name} buys {n} more {things}",
        "{friend} gives {name} {n} {things}",
        "{name} finds {n} {things} in a box",
        "{name} wins {n} {things} at the fair",
        "{friend} brings {n} {things} along",
    ),
    "-": (
        "{name} gives {n} {things} to {friend}",
        "{name} loses {n} {things} on the way home",
        "{friend} borrows {n} {things}",
        "{name} sells {n} {things}",
        "{name} throws {n} {things} away",
    ),
    "*": (
        "{name} trades each {item} for {n} new ones",
        "{friend} swaps every {item} of {name} for {n} new ones",
        "{name}'s collection of {items} grows to {n} times its size",
    ),
    "/": (
        "{name} splits the {items} into {n} equal piles and keeps one pile",
        "{name} packs the {items} into {n} equal bags and keeps only one bag",
        "{name} shares the {items} out equally to {n} tables and keeps those of one table",
    ),
}
_CALCULATED = {
    "+": (
        "Adding {n} gives {equation}.",
        "With these {n} there are {equation}.",
        "The count goes up to {equation}.",
    ),
    "-": (
        "Taking away {n} leaves {equation}.",
        "Without these {n} there are {equation}.",
        "That leaves {equation}.",
    ),
    "*": ("Now {n} times as many are there, {equation}.", "The count grows to {equation}."),
    "/": ("One of {n} equal parts is {equation}.", "That leaves one part, {equation}."),
}


def draw_changes(
    rng: random.Random, bounds: Bounds, start: int, n: int, *, name: str, friend: str, things: Things
) -> tuple[Change, ...] | None:
    """Draws `n` successive changes, told as events that happen to a person's things.

    Returns:
        The changes; None if no operation stays within the bounds.
    """
    changes: list[Change] = []
    value = start
    for opener in draw_openers(rng, n):
        numbers = {sign: _numbers(sign, value, bounds) for sign in bounds.operations}
        signs = [sign for sign, allowed in numbers.items() if allowed]
        if not signs:
            return None
        sign = rng.choice(signs)
        number = rng.choice(numbers[sign])
        told = rng.choice(_TOLD[sign]).format(
            name=name,
            friend=friend,
            n=number,
            item=things.item,
            items=things.items,
            things=things.called(number),
        )
        after = _apply(sign, value, number)
        changes.append(Change(sign, number, value, after, told, opener))
        value = after
    return tuple(changes)


def calculated(rng: random.Random, change: Change) -> str:
    """A sentence that calculates a change told by another sentence."""
    return rng.choice(_CALCULATED[change.sign]).format(n=change.number, equation=change.equation)


def _numbers(sign: str, value: int, bounds: Bounds) -> Sequence[int]:
    """Numbers with which an operation gives an integer from 0 to `max_value`."""
    if sign == "+":
        return range(bounds.min_number, min(bounds.max_number, bounds.max_value - value) + 1)
    if sign == "-":
        return range(bounds.min_number, min(bounds.max_number, value) + 1)
    if value == 0:
        return ()
    if sign == "*":
        return range(2, min(bounds.max_factor, bounds.max_value // value) + 1)
    return [divisor for divisor in range(2, min(bounds.max_factor, value) + 1) if value % divisor == 0]


def _apply(sign: str, value: int, number: int) -> int:
    if sign == "+":
        return value + number
    if sign == "-":
        return value - number
    return value * number if sign == "*" else value // number
