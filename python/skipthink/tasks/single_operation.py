"""Single operations: a short story with two numbers that have to be added or subtracted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.tasks.arithmetic import Things, check_items, draw_things
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
from skipthink.tasks.words import ITEMS, NAMES, PLACES


@dataclass(frozen=True)
class _Shape:
    """A kind of story about two numbers `a` and `b`, whose sum or difference is asked for.

    Attributes:
        sign: the operation, "+" or "-".
        story: sentences of the question; `{a}` and `{b}` are counted things, `{na}` and `{nb}` bare numbers.
        asked: forms of its last sentence.
        aim: words of the rationale for what is asked.
        known: two sentences of the rationale that repeat what is known, without full stops.
        why: sentence of the rationale that says which operation is needed.
        found: sentence that says what the result means, without a full stop; `{c}` is the counted result.
    """

    sign: str
    story: str
    asked: tuple[str, ...]
    aim: str
    known: tuple[str, str]
    why: tuple[str, ...]
    found: str


_SHAPES = {
    "join": _Shape(
        "+",
        "{name} has {a}. {friend} gives {name} {nb} more.",
        ("How many {items} does {name} have now?", "How many {items} has {name} got then?"),
        "We need the number of {items} after the gift.",
        ("{name} has {a} at first", "{friend} gives {name} {nb} more"),
        ("More {items} come, so we add.", "The number grows, so we need a sum."),
        "{name} has {c} now",
    ),
    "separate": _Shape(
        "-",
        "{name} has {a}. {name} gives {nb} of them to {friend}.",
        ("How many {items} does {name} have left?", "How many {items} does {name} keep?"),
        "We need the number of {items} that are left.",
        ("{name} has {a} at first", "{friend} gets {nb} of them"),
        ("Some {items} go away, so we subtract.", "The number shrinks, so we need a difference."),
        "{name} keeps {c}",
    ),
    "combine": _Shape(
        "+",
        "{name} has {a} and {friend} has {b}.",
        (
            "How many {items} do they have together?",
            "How many {items} do {name} and {friend} have in all?",
        ),
        "We need the number of all {items} together.",
        ("{name} has {a}", "{friend} has {b}"),
        ("The total is asked for, so we add.", "Both numbers count, so we need a sum."),
        "together they have {c}",
    ),
    "difference": _Shape(
        "-",
        "{name} has {a} and {friend} has {b}.",
        (
            "How many more {items} than {friend} does {name} have?",
            "How many {items} does {friend} have less than {name}?",
        ),
        "We need the difference between the two numbers.",
        ("{name} has {a}", "{friend} has {b}"),
        ("We compare, so we subtract.", "To compare them, we take the small number from the large one."),
        "the difference is {c}",
    ),
    "more": _Shape(
        "+",
        "{name} has {a}. {friend} has {nb} more {items} than {name}.",
        ("How many {items} does {friend} have?", "How many {items} belong to {friend}?"),
        "We need the number of {items} that {friend} has.",
        ("{name} has {a}", "{friend} has {nb} more than that"),
        ("{friend} has more, so we add.", "The other number is larger, so we need a sum."),
        "{friend} has {c}",
    ),
    "fewer": _Shape(
        "-",
        "{name} has {a}. {friend} has {nb} fewer {items} than {name}.",
        ("How many {items} does {friend} have?", "How many {items} belong to {friend}?"),
        "We need the number of {items} that {friend} has.",
        ("{name} has {a}", "{friend} has {nb} fewer than that"),
        ("{friend} has fewer, so we subtract.", "The other number is smaller, so we need a difference."),
        "{friend} has {c}",
    ),
    "change": _Shape(
        "-",
        "{name} had {b}. In the {place} {name} found some more and has {a} now.",
        ("How many {items} did {name} find?", "How many {items} were in the {place}?"),
        "We need the number of {items} that were found.",
        ("{name} has {a} in the end", "{nb} of them were there before"),
        (
            "What was there before does not count, so we subtract.",
            "We look for what came, so we need a difference.",
        ),
        "{name} found {c}",
    ),
    "start": _Shape(
        "+",
        "{name} lost {nb} {items} in the {place}. Now {name} has {a} left.",
        ("How many {items} did {name} have at first?", "How many {items} were there in the beginning?"),
        "We need the number of {items} at the beginning.",
        ("{name} has {a} in the end", "{nb} were lost before"),
        ("What was lost was there at first, so we add.", "We go back in time, so we need a sum."),
        "{name} had {c} at first",
    ),
    "part": _Shape(
        "-",
        "There are {a} in the {place}. {nb} of them belong to {name} and the others to {friend}.",
        ("How many {items} belong to {friend}?", "How many of the {items} does {friend} own?"),
        "We need the number of {items} that are not those of {name}.",
        ("the {place} holds {a}", "{name} owns {nb} of them"),
        ("One part is known, so we subtract.", "The other part is asked for, so we need a difference."),
        "{friend} owns {c}",
    ),
    "place": _Shape(
        "+",
        "There are {a} in the {place}. {name} puts {nb} more {items} into it.",
        ("How many {items} are in the {place} now?", "How many {items} does the {place} hold then?"),
        "We need the number of {items} in the {place}.",
        ("the {place} holds {a} at first", "{name} puts in {nb} more"),
        ("More {items} come, so we add.", "The number grows, so we need a sum."),
        "the {place} holds {c} now",
    ),
}
SHAPES = tuple(_SHAPES)


@dataclass(frozen=True)
class TaskOptions:
    """Difficulty of single operations.

    Attributes:
        shapes: kinds of stories: "join", "separate", "combine", "difference", "more", "fewer", "change", "start",
            "part", "place".
        min_number: smallest number in a question, at least 2.
        max_number: largest number in a question.
        max_value: largest result; the smallest is 1.
        names: names of the people in the stories.
        items: things they have, in the singular; "box/boxes" names a plural that is not formed with "s".
        places: places of things, as they follow "in the".
        styles: styles of rationales: "tell" (one equation), "split" (tens and ones separately), "list" (one line per
            thought).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    shapes: Sequence[str] = SHAPES
    min_number: int = 2
    max_number: int = 99
    max_value: int = 199
    names: Sequence[str] = NAMES
    items: Sequence[str] = ITEMS
    places: Sequence[str] = PLACES
    styles: Sequence[str] = ("tell", "split", "list")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_words("shapes", self.shapes, 1, SHAPES)
        check_int("min_number", self.min_number, 2, None)
        check_int("max_number", self.max_number, self.min_number, None)
        check_int("max_value", self.max_value, 1, None)
        check_words("names", self.names, 2)
        check_items(self.items)
        check_words("places", self.places, 1)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)


@dataclass(frozen=True)
class _Story:
    """One problem: a shape, its two numbers, and the words of its sentences."""

    shape: _Shape
    a: int
    b: int
    things: Things
    words: dict[str, str]

    @property
    def answer(self) -> int:
        return self.a + self.b if self.shape.sign == "+" else self.a - self.b

    @property
    def equation(self) -> str:
        return f"{self.a} {self.shape.sign} {self.b} = {self.answer}"

    def say(self, text: str) -> str:
        return capitalised(text.format(**self.words))


_STATED = ("The answer is {answer}.", "So the answer is {answer}.", "Therefore, the answer is {answer}.")
_UNSTATED = (
    "That is what the question asks for.",
    "This number answers the question.",
    "Nothing else has to be done.",
)


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft | None:
    story = _draw_story(rng, task_options)
    if not 1 <= story.answer <= task_options.max_value:
        return None
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, story)
    endings = _STATED if rng.random() < task_options.summary_states_answer else _UNSTATED
    low, high = sorted((story.a, story.b))
    return Draft(
        key=(story.shape.story, story.a, story.b),
        question=f"{story.say(story.shape.story)} {story.say(rng.choice(story.shape.asked))}",
        answer=str(story.answer),
        sentences=(*sentences, (Role.SUMMARY, rng.choice(endings).format(answer=story.answer))),
        separator=separator,
        combination=(low, high),  # 7 + 5 says what 5 + 7 is
    )


def _draw_story(rng: random.Random, task_options: TaskOptions) -> _Story:
    shape = _SHAPES[rng.choice(task_options.shapes)]
    name, friend = rng.sample(task_options.names, 2)
    (things,) = draw_things(rng, task_options.items, 1)
    a, b = (rng.randint(task_options.min_number, task_options.max_number) for _ in range(2))
    if shape.sign == "-":
        a, b = max(a, b), min(a, b)
    c = a + b if shape.sign == "+" else a - b
    words = {"name": name, "friend": friend, "items": things.items, "place": rng.choice(task_options.places)}
    words |= {"na": str(a), "nb": str(b), "a": things.count(a), "b": things.count(b), "c": things.count(c)}
    return _Story(shape, a, b, things, words)


def _tell(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes what is known, what to do, and one equation with its meaning."""
    shape = story.shape
    known = f"{story.say(shape.known[0])}, and {shape.known[1].format(**story.words)}."
    sentences: Sentences = [(Role.SETUP, known)]
    if rng.random() < 0.6:
        sentences.append((Role.TRANSITION, story.say(rng.choice(shape.why))))
    found = shape.found.format(**story.words)
    form = rng.choice(("We get {equation}, so {found}.", "That makes {equation}, so {found}."))
    return " ", [*sentences, (Role.REASONING, form.format(equation=story.equation, found=found))]


def _split(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Adds or subtracts the second number in tens and ones."""
    shape = story.shape
    sentences: Sentences = [
        (Role.SETUP, story.say(shape.aim)),
        (Role.TRANSITION, story.say(rng.choice(shape.why))),
    ]
    tens, ones = story.b // 10 * 10, story.b % 10
    if not tens or not ones:
        sentences.append((Role.REASONING, f"In one go, {story.equation}."))
        return " ", sentences
    between = story.a + tens if shape.sign == "+" else story.a - tens
    first, then = rng.choice((("First the tens", "Then the ones"), ("With the tens", "With the ones")))
    return " ", [
        *sentences,
        (Role.REASONING, f"{first}: {story.a} {shape.sign} {tens} = {between}."),
        (Role.REASONING, f"{then}: {between} {shape.sign} {ones} = {story.answer}."),
    ]


def _list_lines(rng: random.Random, story: _Story) -> tuple[str, Sentences]:
    """Writes one line each for what is known, what is asked and what is calculated."""
    shape = story.shape
    marker = rng.choice(("Known: {}.", "- {}."))
    lines: Sentences = [(Role.SETUP, marker.format(story.say(known))) for known in shape.known]
    lines.append((Role.TRANSITION, story.say(rng.choice(shape.why))))
    done = rng.choice(("Result: {}.", "Calculation: {}."))
    lines.append((Role.REASONING, done.format(story.equation)))
    return "\n", lines


_STYLES = {"tell": _tell, "split": _split, "list": _list_lines}

TASK = Task(
    name="single_operation",
    answer_kind="number",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: {"names": 2, "items": 1, "places": 1},
)
