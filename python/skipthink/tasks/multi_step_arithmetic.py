"""Multi-step arithmetic: the number of a person's things changes several times; how many are there in the end?"""

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
)
from skipthink.tasks.words import ITEMS, NAMES


@dataclass(frozen=True)
class TaskOptions(Bounds):
    """Difficulty of multi-step arithmetic, in addition to the bounds of its numbers.

    Attributes:
        n_operations: number of changes per problem.
        names: names of the people in the stories, at least two.
        items: things they have, in the singular; "box/boxes" names a plural that is not formed with "s".
        styles: styles of rationales: "tell" (event and equation in one sentence), "calculate" (in two), "list" (one
            numbered line per change), "brief" (equations only, without transitions).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    n_operations: int = 3
    names: Sequence[str] = NAMES
    items: Sequence[str] = ITEMS
    styles: Sequence[str] = ("tell", "calculate", "list", "brief")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_int("n_operations", self.n_operations, 1, 20)
        super().__post_init__()
        check_words("names", self.names, 2)
        check_items(self.items)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)


@dataclass(frozen=True)
class _Story:
    name: str
    things: Things
    start: int
    changes: tuple[Change, ...]

    @property
    def items(self) -> str:
        return self.things.items

    @property
    def answer(self) -> int:
        return self.changes[-1].after

    def count(self, number: int) -> str:
        return self.things.count(number)


_QUESTIONS = (
    "{name} has {start}. {changes} How many {items} does {name} have now?",
    "{name} starts the day with {start}. {changes} How many {items} does {name} have in the end?",
    "How many {items} does {name} have in the end? At first there {are} {start}. {changes}",
    "There {are} {start} on {name}'s desk. {changes} In the evening, how many {items} belong to {name}?",
)
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


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft | None:
    story = _draw_story(rng, task_options)
    if story is None:
        return None
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, story)
    endings = _STATED if rng.random() < task_options.summary_states_answer else _UNSTATED
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
        combination=(story.start, *(change.number for change in story.changes)),
    )


def _draw_story(rng: random.Random, task_options: TaskOptions) -> _Story | None:
    name, friend = rng.sample(task_options.names, 2)
    (things,) = draw_things(rng, task_options.items, 1)
    start = task_options.draw_start(rng)
    changes = draw_changes(
        rng, task_options, start, task_options.n_operations, name=name, friend=friend, things=things
    )
    return None if changes is None else _Story(name, things, start, changes)


def _tell(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes event and equation in one sentence, with transitions between some of them."""
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
        result = f"{change.equation} {story.things.called(change.after)}"
        sentences.append((Role.REASONING, f"{change.opened}, which makes {result}."))
    return " ", sentences


def _calculate(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes the event in one sentence and its calculation in the next."""
    aim = (
        "We follow the {items} one change at a time.",
        "To find the answer, we count the {items} after each change.",
    )
    begin = ("We begin with {start}.", "At first there {are} {start}.")
    sentences = _setup(rng, story, aim, begin)
    for change in story.changes:
        sentences.append((Role.TRANSITION, f"{change.opened}."))
        sentences.append((Role.REASONING, calculated(rng, change)))
    return " ", sentences


def _list_lines(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes one numbered line per change."""
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


def _brief(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes the number at first, then only calculations."""
    begin = ("{name} starts with {start}.", "At first {name} has {start}.")
    words = {"name": story.name, "start": story.count(story.start)}
    sentences: Sentences = [(Role.SETUP, rng.choice(begin).format(**words))]
    for change in story.changes:
        result = f"{change.equation} {story.things.called(change.after)}"
        then = rng.choice(("Then there are", "After that {name} has", "That makes")).format(name=story.name)
        sentences.append((Role.REASONING, f"{then} {result}."))
    return " ", sentences


def _setup(rng: random.Random, story: _Story, aim: Sequence[str], begin: Sequence[str]) -> Sentences:
    words = {"name": story.name, "items": story.items, "start": story.count(story.start)}
    are = "is" if story.start == 1 else "are"
    return [(Role.SETUP, rng.choice(texts).format(**words, are=are)) for texts in (aim, begin)]


_STYLES = {"tell": _tell, "calculate": _calculate, "list": _list_lines, "brief": _brief}

TASK = Task(
    name="multi_step_arithmetic",
    answer_kind="number",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: {"names": 2, "items": 1},
)
