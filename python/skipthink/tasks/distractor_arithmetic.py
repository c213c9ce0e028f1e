"""Arithmetic with a distractor: a story with a number that does not matter for the question."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.tasks.arithmetic import (
    Bounds,
    Change,
    Things,
    calculated,
    check_items,
    draw_changes,
    draw_things,
)
from skipthink.tasks.base import (
    Draft,
    Role,
    Sentences,
    Task,
    capitalised,
    check_int,
    check_share,
    check_words,
    listed,
)
from skipthink.tasks.words import ITEMS, NAMES, PLACES

# What the distractor tells, and what a rationale calls its number.
_DISTRACTORS = {
    "thing": (("{name} also has {other}.", "{name} owns {other} too."), "the {others} of {name}"),
    "person": (("{stranger} has {same}.", "There are {same} on {stranger}'s table."), "what {stranger} has"),
    "place": (
        ("There are {other} in the {place}.", "The {place} holds {other}."),
        "the {others} in the {place}",
    ),
    "age": (("{name} is {number} years old.", "{friend} is {number} years old."), "the age"),
    "time": (
        (
            "The walk to the {place} takes {number} minutes.",
            "{name} stays in the {place} for {number} minutes.",
        ),
        "the time",
    ),
}
DISTRACTORS = tuple(_DISTRACTORS)


@dataclass(frozen=True)
class TaskOptions(Bounds):
    """Difficulty of arithmetic with a distractor, in addition to the bounds of its numbers.

    Attributes:
        min_operations: smallest number of changes in a story.
        max_operations: largest number of changes in a story.
        distractors: kinds of needless numbers: "thing", "person", "place", "age", "time".
        n_distractors: number of needless sentences, at most 3.
        names: names of the people in the stories.
        items: things they have, in the singular; "box/boxes" names a plural that is not formed with "s".
        places: places of things, as they follow "in the".
        styles: styles of rationales: "tell" (event and equation in one sentence), "sort" (first the numbers that
            matter), "list" (one numbered line per change).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    max_number: int = 50
    max_value: int = 199
    min_operations: int = 1
    max_operations: int = 2
    distractors: Sequence[str] = DISTRACTORS
    n_distractors: int = 1
    names: Sequence[str] = NAMES
    items: Sequence[str] = ITEMS
    places: Sequence[str] = PLACES
    styles: Sequence[str] = ("tell", "sort", "list")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        super().__post_init__()
        check_int("min_operations", self.min_operations, 1, 20)
        check_int("max_operations", self.max_operations, self.min_operations, 20)
        check_words("distractors", self.distractors, 1, DISTRACTORS)
        check_int("n_distractors", self.n_distractors, 1, min(3, len(self.distractors)))
        check_words("names", self.names, 3)
        check_items(self.items)
        check_words("items", self.items, 2, also="/")
        check_words("places", self.places, 1)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)


@dataclass(frozen=True)
class _Story:
    """One problem.

    Attributes:
        name: person whose things are asked for.
        things: the things.
        start: their number at first.
        changes: changes of their number.
        needless: sentence, number and name of the number of each distractor.
    """

    name: str
    things: Things
    start: int
    changes: tuple[Change, ...]
    needless: list[tuple[str, int, str]]

    @property
    def answer(self) -> int:
        return self.changes[-1].after

    @property
    def numbers(self) -> list[int]:
        return [self.start, *(change.number for change in self.changes)]


_QUESTIONS = (
    "How many {items} does {name} have now?",
    "How many {items} does {name} have in the end?",
    "In the end, how many {items} belong to {name}?",
)
_STATED = (
    "So the answer is {answer}.",
    "The answer is {answer}.",
    "So {name} ends up with {count}.",
)
_UNSTATED = (
    "That is the number of {items} the question asks for.",
    "This last result answers the question about {name}.",
    "No other number counts, so we are done.",
)


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft | None:
    story = _draw_story(rng, task_options)
    if story is None:
        return None
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, story)
    endings = _STATED if rng.random() < task_options.summary_states_answer else _UNSTATED
    count = story.things.count(story.answer)
    words = {"name": story.name, "items": story.things.items, "answer": story.answer, "count": count}
    told = [f"{change.opened}." for change in story.changes]
    for sentence, _, _ in story.needless:
        told.insert(rng.randint(0, len(told)), sentence)
    start = f"{story.name} has {story.things.count(story.start)}."
    return Draft(
        key=(story.start, *((change.sign, change.number) for change in story.changes)),
        question=" ".join((start, *told, rng.choice(_QUESTIONS).format(**words))),
        answer=str(story.answer),
        sentences=(*sentences, (Role.SUMMARY, rng.choice(endings).format(**words))),
        separator=separator,
        combination=tuple(sorted(story.numbers)),
    )


def _draw_story(rng: random.Random, task_options: TaskOptions) -> _Story | None:
    name, friend, stranger = rng.sample(task_options.names, 3)
    things, others = draw_things(rng, task_options.items, 2)
    start = task_options.draw_start(rng)
    n = rng.randint(task_options.min_operations, task_options.max_operations)
    changes = draw_changes(rng, task_options, start, n, name=name, friend=friend, things=things)
    if changes is None:
        return None
    place = rng.choice(task_options.places)
    needless = []
    for kind in rng.sample(task_options.distractors, task_options.n_distractors):
        sentences, called = _DISTRACTORS[kind]
        number = rng.randint(
            max(2, task_options.min_number), max(2, task_options.max_number)
        )  # "2 years", never "1 years"
        words = {"name": name, "friend": friend, "stranger": stranger, "number": number, "place": place}
        words |= {"same": things.count(number), "other": others.count(number), "others": others.items}
        needless.append((rng.choice(sentences).format(**words), number, called.format(**words)))
    return _Story(name, things, start, changes, needless)


def _left_out(rng: random.Random, story: _Story) -> str:
    """A sentence that says what does not matter."""
    called = listed([name for _, _, name in story.needless])
    forms = ("We can leave out {called}.", "The question is not about {called}.", "We do not need {called}.")
    return rng.choice(forms).format(called=called)


def _tell(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes first what does not matter, then event and equation in one sentence."""
    sentences: Sentences = [
        (Role.SETUP, f"{story.name} has {story.things.count(story.start)} at first."),
        (Role.TRANSITION, _left_out(rng, story)),
    ]
    for change in story.changes:
        result = f"{change.equation} {story.things.called(change.after)}"
        sentences.append((Role.REASONING, f"{change.opened}, which makes {result}."))
    return " ", sentences


def _sort(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Picks out the numbers that matter before anything is calculated."""
    aim = (
        "The question is about the {items} of {name}.",
        "We count the {items} that {name} has.",
    )
    words = {"items": story.things.items, "name": story.name}
    needed = listed([str(number) for number in story.numbers])
    needless = listed([str(number) for _, number, _ in story.needless])
    sentences: Sentences = [
        (Role.SETUP, rng.choice(aim).format(**words)),
        (Role.REASONING, f"For this we need the numbers {needed}, but not the {needless}."),
    ]
    for change in story.changes:
        sentences.append((Role.TRANSITION, f"{change.opened}."))
        sentences.append((Role.REASONING, calculated(rng, change)))
    return " ", sentences


def _list_lines(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes one numbered line per change."""
    start = story.things.count(story.start)
    begin = (f"Start: {story.name} has {start}.", f"Before the first change: {start}.")
    lines: Sentences = [(Role.SETUP, rng.choice(begin)), (Role.TRANSITION, _left_out(rng, story))]
    marker = rng.choice(("{}. ", "Step {}: ", "({}) "))
    for index, change in enumerate(story.changes, 1):
        lines.append(
            (Role.REASONING, f"{marker.format(index)}{capitalised(change.told)}: {change.equation}.")
        )
    return "\n", lines


_STYLES = {"tell": _tell, "sort": _sort, "list": _list_lines}

TASK = Task(
    name="distractor_arithmetic",
    answer_kind="number",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: {"names": 3, "items": 2, "places": 1},
)
