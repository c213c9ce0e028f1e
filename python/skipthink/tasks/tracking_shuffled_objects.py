"""Tracking shuffled objects: people swap what they have; who has what in the end? With or without choices."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.tasks.base import (
    Draft,
    Role,
    Sentences,
    Task,
    check_flag,
    check_int,
    check_share,
    check_words,
    draw_openers,
    listed,
)
from skipthink.tasks.words import COLOURS, NAMES, POSITIONS, SUBJECTS


@dataclass(frozen=True)
class _Kind:
    """A kind of objects, with the sentences about it.

    Attributes:
        pool: option whose words distinguish the objects.
        thing: words for an object, as they follow "has", with `{word}`.
        openings: forms of the first sentence of the question, with `{people}`.
        held: sentence for what a person has at the start.
        swap: sentence for a swap of two people.
        now: sentence for what a person has at some point of the rationale.
        asked: question for what a person has.
    """

    pool: str
    thing: str
    openings: tuple[str, ...]
    held: str
    swap: str
    now: str = "{name} has {thing}"
    asked: str = "what does {name} have"


_KINDS = {
    "balls": _Kind(
        "colours",
        "the {word} ball",
        (
            "{people} are playing on the lawn, each with a ball.",
            "{people} each hold a ball at the start of a game.",
        ),
        "{name} has {thing}",
        "{first} and {second} swap their balls",
    ),
    "gifts": _Kind(
        "colours",
        "the {word} box",
        (
            "{people} meet for a party where gifts change hands.",
            "{people} each bring a gift in a coloured box.",
        ),
        "{name} brings {thing}",
        "{first} and {second} exchange their gifts",
    ),
    "books": _Kind(
        "subjects",
        "the {word} book",
        (
            "{people} like to read and lend each other books.",
            "{people} sit in the library, each with one book.",
        ),
        "{name} reads {thing}",
        "{first} and {second} trade books",
    ),
    "positions": _Kind(
        "positions",
        "the {word}",
        ("{people} find their places in a hall.", "{people} each stand at a place for a photograph."),
        "{name} is at {thing}",
        "{first} and {second} change places",
        "{name} is at {thing}",
        "where is {name}",
    ),
}
KINDS = tuple(_KINDS)
_POOLS = ("colours", "subjects", "positions")


@dataclass(frozen=True)
class TaskOptions:
    """Difficulty of tracking shuffled objects.

    Attributes:
        n_objects: number of people, and of objects; from 2 to 7.
        n_swaps: number of swaps per problem; a pair does not swap twice in a row if there are other pairs.
        kinds: kinds of objects: "balls", "gifts", "books", "positions".
        names: names of the people; at least `n_objects`, like the three lists that follow.
        colours: colours of balls and boxes.
        subjects: subjects of books.
        positions: places where people stand.
        choices: whether the question offers choices and the answer is a letter; otherwise the answer is the object.
        shuffle_options: whether choices are in random order instead of the order in which people hold them at first.
        styles: styles of rationales: "tell" (swap and outcome in two sentences), "track" (in one), "list" (one line per
            swap, with everybody's object), "remind" (the swap, then what the two have before it and after it).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    n_objects: int = 3
    n_swaps: int = 3
    kinds: Sequence[str] = KINDS
    names: Sequence[str] = NAMES
    colours: Sequence[str] = COLOURS
    subjects: Sequence[str] = SUBJECTS
    positions: Sequence[str] = POSITIONS
    choices: bool = True
    shuffle_options: bool = False
    styles: Sequence[str] = ("tell", "track", "list")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_int("n_objects", self.n_objects, 2, 7)
        check_int("n_swaps", self.n_swaps, 1, 20)
        check_words("kinds", self.kinds, 1, KINDS)
        for name in ("names", *_POOLS):
            check_words(name, getattr(self, name), self.n_objects)
        check_flag("choices", self.choices)
        check_flag("shuffle_options", self.shuffle_options)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)


@dataclass(frozen=True)
class _Game:
    """One problem.

    Attributes:
        kind: kind of the objects.
        people: names, in the order of the question.
        swaps: the two people of each swap.
        openers: words that open each swap.
        states: entry k maps each person to an object after k swaps.
        asked: person whose object is asked for.
        options: objects in the order of the letters; empty if the answer is the object itself.
    """

    kind: _Kind
    people: list[str]
    swaps: list[tuple[str, str]]
    openers: list[str]
    states: list[dict[str, str]]
    asked: str
    options: list[str]

    @property
    def thing(self) -> str:
        """The object that is asked for."""
        return self.states[-1][self.asked]

    @property
    def answer(self) -> str:
        return "ABCDEFG"[self.options.index(self.thing)] if self.options else self.thing

    @property
    def places(self) -> tuple[object, ...]:
        """The swaps and the person asked for, as indices into the people."""
        swaps = (tuple(map(self.people.index, swap)) for swap in self.swaps)
        return (len(self.people), *swaps, self.people.index(self.asked))

    def now(self, name: str, after: int) -> str:
        return self.kind.now.format(name=name, thing=self.states[after][name])

    def held(self) -> str:
        return listed([self.kind.held.format(name=name, thing=self.states[0][name]) for name in self.people])

    def opened(self, swap: int) -> str:
        return self.openers[swap] + self.swapped(swap)

    def swapped(self, swap: int) -> str:
        first, second = self.swaps[swap]
        return self.kind.swap.format(first=first, second=second)


_STATED = (
    "So the answer is ({answer}).",
    "Therefore, the right choice is ({answer}).",
    "The answer is ({answer}) {thing}.",
)
_STATED_OPEN = ("So the answer is {thing}.", "Therefore, the answer is {thing}.")
_FOUND = ("At the end {now}, which is option ({answer}).", "In the end {now}, and that is choice ({answer}).")
_FOUND_OPEN = ("At the end {now}.", "In the end {now}.")
_UNSTATED = (
    "That is what the question asks for.",
    "No swap is left, so we can stop here.",
    "This settles the question about {name}.",
)


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft:
    game = _draw_game(rng, task_options)
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, game)
    found, stated = (_FOUND, _STATED) if game.options else (_FOUND_OPEN, _STATED_OPEN)
    now = game.now(game.asked, len(game.swaps))
    endings = stated if rng.random() < task_options.summary_states_answer else _UNSTATED
    summary = rng.choice(endings).format(answer=game.answer, thing=game.thing, name=game.asked)
    return Draft(
        key=(game.asked, *game.states[0].items(), *game.swaps),
        question=_question(rng, game),
        answer=game.answer,
        sentences=(
            *sentences,
            (Role.REASONING, rng.choice(found).format(now=now, answer=game.answer)),
            (Role.SUMMARY, summary),
        ),
        separator=separator,
        combination=game.places,
    )


def _draw_game(rng: random.Random, task_options: TaskOptions) -> _Game:
    kind = _KINDS[rng.choice(task_options.kinds)]
    people = rng.sample(task_options.names, task_options.n_objects)
    words = rng.sample(getattr(task_options, kind.pool), task_options.n_objects)
    things = [kind.thing.format(word=word) for word in words]
    states = [dict(zip(people, things, strict=True))]
    swaps: list[tuple[str, str]] = []
    while len(swaps) < task_options.n_swaps:
        first, second = rng.sample(people, 2)
        if swaps and len(people) > 2 and set(swaps[-1]) == {first, second}:
            continue  # it would only undo the swap before
        swaps.append((first, second))
        before = states[-1]
        states.append({**before, first: before[second], second: before[first]})
    options = rng.sample(things, len(things)) if task_options.shuffle_options else things
    if not task_options.choices:
        options = []
    return _Game(kind, people, swaps, draw_openers(rng, len(swaps)), states, rng.choice(people), options)


def _question(rng: random.Random, game: _Game) -> str:
    opening = rng.choice(game.kind.openings).format(people=listed(game.people))
    start = rng.choice(("At the start, {held}.", "Before the first swap, {held}.")).format(held=game.held())
    swaps = " ".join(f"{game.opened(swap)}." for swap in range(len(game.swaps)))
    when = rng.choice(("At the end", "After all the swaps"))
    story = f"{opening} {start} {swaps} {when},"
    if not game.options:
        return f"{story} {game.kind.asked.format(name=game.asked)}?"
    where = game.kind.now.partition("{thing}")[0].format(name=game.asked).strip()
    choices = ", ".join(
        f"({letter}) {option}" for letter, option in zip("ABCDEFG", game.options, strict=False)
    )
    lead = rng.choice(("Choices:", "Which is right?", "Options:"))
    return f"{story} {where} …\n{lead} {choices}."


def _tell(rng: random.Random, game: _Game) -> tuple[str, Sentences]:
    """Writes a swap in one sentence and its outcome for the two people in the next."""
    aim = ("Let us go through the swaps in order.", "We keep in mind who has what after every swap.")
    sentences: Sentences = [(Role.SETUP, rng.choice(aim)), (Role.SETUP, f"At the start, {game.held()}.")]
    for swap, pair in enumerate(game.swaps):
        sentences.append((Role.TRANSITION, f"{game.opened(swap)}."))
        outcome = listed([game.now(name, swap + 1) for name in pair])
        sentences.append((Role.REASONING, f"Now {outcome}."))
    return " ", sentences


def _track(rng: random.Random, game: _Game) -> tuple[str, Sentences]:
    """Writes swap and outcome in one sentence."""
    aim = (
        f"The question is about {game.asked}, so we follow the swaps.",
        "We follow the swaps one after the other.",
    )
    sentences: Sentences = [(Role.SETUP, rng.choice(aim)), (Role.SETUP, f"In the beginning, {game.held()}.")]
    for swap, pair in enumerate(game.swaps):
        outcome = listed([game.now(name, swap + 1) for name in pair])
        sentences.append((Role.REASONING, f"{game.opened(swap)}, so {outcome}."))
    over = ("That was the last swap.", f"Now all swaps are made, and we look at {game.asked}.")
    sentences.append((Role.TRANSITION, rng.choice(over)))
    return " ", sentences


def _remind(rng: random.Random, game: _Game) -> tuple[str, Sentences]:
    """Writes a swap, what the two have before it and what they have after it, so that a sentence needs one look-up."""
    aim = ("Let us go through the swaps in order.", "We note what changes hands at every swap.")
    sentences: Sentences = [(Role.SETUP, rng.choice(aim)), (Role.SETUP, f"At the start, {game.held()}.")]
    before = rng.choice(("Until then", "Before that"))
    for swap, pair in enumerate(game.swaps):
        sentences.append((Role.TRANSITION, f"{game.opened(swap)}."))
        for when, state in ((before, swap), ("Now", swap + 1)):
            told = listed([game.now(name, state) for name in pair])
            sentences.append((Role.REASONING, f"{when} {told}."))
    return " ", sentences


def _list_lines(rng: random.Random, game: _Game) -> tuple[str, Sentences]:
    """Writes one numbered line per swap, with everybody's object after it."""
    aim = ("Here is what everybody has, line by line.", "We write down the state after every swap.")
    sentences: Sentences = [(Role.SETUP, rng.choice(aim)), (Role.SETUP, f"Start: {game.held()}.")]
    marker = rng.choice(("{}. ", "Swap {}: ", "({}) "))
    for swap in range(len(game.swaps)):
        state = listed([game.now(name, swap + 1) for name in game.people])
        sentences.append((Role.REASONING, f"{marker.format(swap + 1)}{game.swapped(swap)}: {state}."))
    over = (f"The last line tells us about {game.asked}.", "These were all the swaps.")
    sentences.append((Role.TRANSITION, rng.choice(over)))
    return "\n", sentences


_STYLES = {"tell": _tell, "track": _track, "remind": _remind, "list": _list_lines}

TASK = Task(
    name="tracking_shuffled_objects",
    answer_kind=lambda task_options: "choice" if task_options.choices else "string",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: dict.fromkeys(("names", *_POOLS), task_options.n_objects),
)
