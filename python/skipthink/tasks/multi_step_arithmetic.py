"""Multi-step arithmetic: somebody's things grow and shrink, how many are there in the end?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import (
    Draft,
    Role,
    Sentences,
    Task,
    capitalised,
    check_int,
    check_share,
    check_words,
    draw_openers,
)
from skipthink.tasks.words import ITEMS, NAMES

OPERATIONS = ("+", "-", "*", "/")


@dataclass(frozen=True)
class Knobs:
    """Difficulty of multi-step arithmetic.

    Attributes:
        n_operations: changes a problem.
        operations: which of "+", "-", "*", "/" may come; divisions leave no remainder.
        min_number: smallest start, and smallest number added or taken away.
        max_number: the largest one.
        max_factor: the largest number multiplied or divided by; the smallest is 2.
        max_value: bound of every intermediate result; the lower bound is 0.
        names: who the stories are about; two at least.
        items: what they have, in the singular; "box/boxes" gives a plural that does not just end in "s".
        styles: how rationales are written: "tell" (event and equation in one sentence), "calculate" (in two),
            "list" (a numbered line each).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    n_operations: int = 3
    operations: Sequence[str] = ("+", "-", "*")
    min_number: int = 2
    max_number: int = 20
    max_factor: int = 4
    max_value: int = 99
    names: Sequence[str] = NAMES
    items: Sequence[str] = ITEMS
    styles: Sequence[str] = ("tell", "calculate", "list")
    summary_states_answer: float = 0.5

    def __post_init__(self) -> None:
        """Checks every knob.

        Raises:
            InvalidInputError: a knob of a wrong type or outside its bounds.
        """
        check_int("n_operations", self.n_operations, 1, 20)
        check_words("operations", self.operations, 1, OPERATIONS)
        check_int("min_number", self.min_number, 1, None)
        check_int("max_number", self.max_number, self.min_number, None)
        check_int("max_factor", self.max_factor, 2, None)
        check_int("max_value", self.max_value, self.min_number, None)
        check_words("names", self.names, 2)
        check_words("items", self.items, 1, also="/")
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)
        wrong = next((item for item in self.items if item.count("/") > 1 or not all(item.split("/"))), None)
        if wrong is not None:
            raise InvalidInputError(f"items must be a singular or singular/plural, got {wrong!r}")


@dataclass(frozen=True)
class _Change:
    """One operation: `before` sign `number` = `after`, the clause that tells it, and what opens it."""

    sign: str
    number: int
    before: int
    after: int
    told: str
    opener: str

    @property
    def opened(self) -> str:
        return capitalised(self.opener + self.told)

    @property
    def equation(self) -> str:
        return f"{self.before} {self.sign} {self.number} = {self.after}"


@dataclass(frozen=True)
class _Story:
    name: str
    item: str
    items: str
    start: int
    changes: tuple[_Change, ...]

    @property
    def answer(self) -> int:
        return self.changes[-1].after

    def things(self, number: int) -> str:
        return self.item if number == 1 else self.items

    def count(self, number: int) -> str:
        return f"{number} {self.things(number)}"


_TOLD = {
    "+": (
        "{name} buys {n} more {things}",
        "{friend} gives {name} {n} {things}",
        "{name} finds {n} {things} in a drawer",
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
        "{name} trades each one for {n} new {things}",
        "{friend} swaps every one of them for {n} {things}",
        "{name}'s collection grows to {n} times its size",
    ),
    "/": (
        "{name} splits the {items} into {n} equal piles and keeps one pile",
        "{name} packs the {items} into {n} equal bags and keeps only one bag",
        "{name} shares the {items} out equally to {n} tables and keeps those of one table",
    ),
}
_QUESTIONS = (
    "{name} has {start}. {changes} How many {items} does {name} have now?",
    "{name} starts the day with {start}. {changes} How many {items} does {name} have in the end?",
    "How many {items} does {name} have in the end? At first there {are} {start}. {changes}",
    "There {are} {start} on {name}'s desk. {changes} In the evening, how many {items} belong to {name}?",
)
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
_STATED = (
    "So the answer is {answer}.",
    "Therefore, {name} has {count} in the end.",
    "The answer is {answer}.",
    "So {name} ends up with {count}.",
)
_UNSTATED = (
    "That is the number of {items} {name} has in the end.",
    "That was the last change, so this is what the question asks for.",
    "Nothing else happens, so we are done with the {items}.",
    "This last result answers the question about {name}.",
)


def _draw(rng: random.Random, knobs: Knobs) -> Draft | None:
    story = _draw_story(rng, knobs)
    if story is None:
        return None
    separator, sentences = _STYLES[rng.choice(knobs.styles)](rng, story)
    endings = _STATED if rng.random() < knobs.summary_states_answer else _UNSTATED
    summary = rng.choice(endings).format(
        name=story.name, items=story.items, answer=story.answer, count=story.count(story.answer)
    )
    question = rng.choice(_QUESTIONS).format(
        name=story.name,
        items=story.items,
        start=story.count(story.start),
        are="is" if story.start == 1 else "are",
        changes=" ".join(f"{change.opened}." for change in story.changes),
    )
    return Draft(
        key=(story.start, *((change.sign, change.number) for change in story.changes)),
        question=question,
        answer=str(story.answer),
        sentences=(*sentences, (Role.SUMMARY, summary)),
        separator=separator,
    )


def _draw_story(rng: random.Random, knobs: Knobs) -> _Story | None:
    name, friend = rng.sample(knobs.names, 2)
    item, _, plural = rng.choice(knobs.items).partition("/")
    items = plural or f"{item}s"
    start = value = rng.randint(knobs.min_number, min(knobs.max_number, knobs.max_value))
    changes = []
    for opener in draw_openers(rng, knobs.n_operations):
        numbers = {sign: _numbers(sign, value, knobs) for sign in knobs.operations}
        signs = [sign for sign, allowed in numbers.items() if allowed]
        if not signs:
            return None
        sign = rng.choice(signs)
        number = rng.choice(numbers[sign])
        told = rng.choice(_TOLD[sign]).format(
            name=name, friend=friend, n=number, items=items, things=item if number == 1 else items
        )
        after = _apply(sign, value, number)
        changes.append(_Change(sign, number, value, after, told, opener))
        value = after
    return _Story(name, item, items, start, tuple(changes))


def _numbers(sign: str, value: int, knobs: Knobs) -> Sequence[int]:
    """The numbers an operation may take, so that the result is an integer within 0 … `max_value`."""
    if sign == "+":
        return range(knobs.min_number, min(knobs.max_number, knobs.max_value - value) + 1)
    if sign == "-":
        return range(knobs.min_number, min(knobs.max_number, value) + 1)
    if value == 0:
        return ()
    if sign == "*":
        return range(2, min(knobs.max_factor, knobs.max_value // value) + 1)
    return [divisor for divisor in range(2, min(knobs.max_factor, value) + 1) if value % divisor == 0]


def _apply(sign: str, value: int, number: int) -> int:
    if sign == "+":
        return value + number
    if sign == "-":
        return value - number
    return value * number if sign == "*" else value // number


def _tell(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Event and equation in one sentence, transitions between some of them."""
    aim = (
        "Let us work out how many {items} {name} has in the end.",
        "We need the number of {items} at the end.",
    )
    begin = ("At the start {name} has {start}.", "The story begins with {start}.")
    sentences = _setup(rng, story, aim, begin)
    for index, change in enumerate(story.changes):
        left = len(story.changes) - index
        if index > 0 and (left == 1 or rng.random() < 0.6):
            go_on = "Now we look at the last change." if left == 1 else "Now we go on with the next change."
            sentences.append((Role.TRANSITION, rng.choice((go_on, "With this number we go on."))))
        result = f"{change.equation} {story.things(change.after)}"
        sentences.append((Role.REASONING, f"{change.opened}, which makes {result}."))
    return " ", sentences


def _calculate(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """The event is told in one sentence, a second one calculates."""
    aim = (
        "We follow the {items} one change at a time.",
        "To find the answer, we count the {items} after each change.",
    )
    begin = ("We begin with {start}.", "At first there {are} {start}.")
    sentences = _setup(rng, story, aim, begin)
    for change in story.changes:
        sentences.append((Role.TRANSITION, f"{change.opened}."))
        calculated = rng.choice(_CALCULATED[change.sign])
        sentences.append((Role.REASONING, calculated.format(n=change.number, equation=change.equation)))
    return " ", sentences


def _list_lines(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """A line a change, numbered."""
    aim = (
        "The question asks how many {items} {name} has in the end.",
        "Here is the count of the {items}, by line.",
    )
    begin = ("Start: {name} has {start}.", "Before the first change: {start}.")
    sentences = _setup(rng, story, aim, begin)
    marker = rng.choice(("{}. ", "Step {}: ", "({}) "))
    go_on = rng.choice(
        ("Each line goes on with the result before it.", "Now the changes follow in their order.")
    )
    sentences.append((Role.TRANSITION, go_on))
    for index, change in enumerate(story.changes):
        told = capitalised(change.told)
        sentences.append((Role.REASONING, f"{marker.format(index + 1)}{told}: {change.equation}."))
    after = ("All changes are counted now.", "Those were all the changes of the story.")
    sentences.append((Role.TRANSITION, rng.choice(after)))
    return "\n", sentences


def _setup(rng: random.Random, story: _Story, aim: Sequence[str], begin: Sequence[str]) -> Sentences:
    words = {"name": story.name, "items": story.items, "start": story.count(story.start)}
    are = "is" if story.start == 1 else "are"
    return [(Role.SETUP, rng.choice(texts).format(**words, are=are)) for texts in (aim, begin)]


_STYLES = {"tell": _tell, "calculate": _calculate, "list": _list_lines}

TASK = Task(name="multi_step_arithmetic", answer_kind="number", knobs=Knobs, draw=_draw)
