"""Parts of a task, checks of its options, and words that the sentences of several tasks share."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from skipthink.exceptions import InvalidInputError

K = TypeVar("K")
Row = dict[str, Any]
SHARE_ENTITIES = "share_entities"
"""An option of all tasks: every split draws from the whole lists of entities. A student from scratch needs it, which
knows no name it was not trained on; a pre-trained one does not. Number combinations stay apart."""


class Role(StrEnum):
    """Role of a sentence in a rationale."""

    SETUP = "setup"
    REASONING = "reasoning"
    TRANSITION = "transition"
    SUMMARY = "summary"


Sentences = list[tuple[Role, str]]


@dataclass(frozen=True)
class Draft:
    """A problem without an id and a split.

    Attributes:
        key: identifies the problem; two wordings of one problem have the same key. It consists of strings, numbers and
            tuples of them, because problems are compared by its `repr`.
        question: text of the question.
        answer: the gold answer.
        sentences: role and text of each sentence of the rationale, in order, without separators.
        separator: text between two sentences.
        combination: the numbers of the problem (or their equivalent), which decide its split; None if entities alone
            separate the splits. It is made like `key`.
    """

    key: Hashable
    question: str
    answer: str
    sentences: tuple[tuple[Role, str], ...]
    separator: str
    combination: Hashable = None


def _no_pools(task_options: object) -> Mapping[str, int]:
    del task_options
    return {}


@dataclass(frozen=True)
class Task(Generic[K]):
    """A task: the kind of its answers, its options, and a function that draws one problem.

    Attributes:
        name: name of the task, a valid Python name.
        answer_kind: kind of its answers, one of `skipthink.answers.KINDS`, or a function of the options that returns
            it.
        options: frozen dataclass of the options of difficulty, which checks itself.
        draw: function of the options and a random generator that draws one problem; None if the draw failed. The
            options it gets hold the entities of one split only.
        pools: function of the options: names of the options that are lists of entities, and how many entries of each
            one problem needs. Every split gets its own part of these lists.

    Raises:
        InvalidInputError: the name is not a Python name, or the options are not a dataclass.
    """

    name: str
    answer_kind: str | Callable[[K], str]
    options: type[K]
    draw: Callable[[random.Random, K], Draft | None]
    pools: Callable[[K], Mapping[str, int]] = _no_pools

    def __post_init__(self) -> None:
        """Checks the parts that a task of the user's own may get wrong."""
        if not self.name.isidentifier():
            raise InvalidInputError(
                f"a task's name is like a Python name (letters, digits, _), got {self.name!r}"
            )
        if not is_dataclass(self.options):
            raise InvalidInputError(f"options of {self.name} must be a dataclass, got {self.options!r}")

    def parse_options(self, task_options: Mapping[str, Any]) -> K:
        """The given options, and defaults for the others; `share_entities`, which all tasks have, is left out.

        Raises:
            InvalidInputError: an option does not exist, or its value is wrong.
        """
        names = [field.name for field in fields(self.options)]  # type: ignore[arg-type]
        own = {name: value for name, value in task_options.items() if name != SHARE_ENTITIES}
        for name in own:
            if name not in names:
                hint = did_you_mean(name, names)
                raise InvalidInputError(
                    f"{self.name} has no option {name!r}; {hint}it has {', '.join(names)}"
                )
        return self.options(**own)


def did_you_mean(name: str, choices: Sequence[str]) -> str:
    """A question that names the nearest choice; empty if none is near."""
    near = difflib.get_close_matches(name, choices, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def check_int(name: str, value: object, low: int, high: int | None) -> None:
    """Checks an integer option.

    Raises:
        InvalidInputError: the value is not an integer, or not within `low` … `high` (None: no upper bound).
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < low
        or (high is not None and value > high)
    ):
        bounds = f"from {low}" if high is None else f"from {low} to {high}"
        raise InvalidInputError(f"{name} must be an integer {bounds}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """Checks an option that is on or off.

    Raises:
        InvalidInputError: the value is neither true nor false.
    """
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} must be true or false, got {value!r}")


def check_share(name: str, value: object) -> None:
    """Checks a share between 0 and 1.

    Raises:
        InvalidInputError: the value is not a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidInputError(f"{name} must be a number from 0 to 1, got {value!r}")


def check_words(
    name: str, values: object, at_least: int, choices: Sequence[str] | None = None, also: str = ""
) -> None:
    """Checks an option that lists words.

    Words consist of letters, hyphens, apostrophes, single spaces and the characters in `also`; quotes and sentence
    marks would break the templates of the tasks.

    Raises:
        InvalidInputError: the value is not a list of at least `at_least` different words, or a word is not one of
            `choices`.
    """
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidInputError(f"{name} must be a list of words, got {values!r}")
    for value in values:
        if choices is not None and value not in choices:
            raise InvalidInputError(f"{name} knows {', '.join(choices)}, got {value!r}")
        if choices is None and not _is_word(value, "-'" + also):
            raise InvalidInputError(f"{name} must hold words of letters, got {value!r}")
    if len(set(values)) != len(values) or len(values) < at_least:
        raise InvalidInputError(f"{name} must hold at least {at_least} different words, got {list(values)!r}")


def _is_word(value: object, also: str) -> bool:
    return isinstance(value, str) and all(
        any(sign.isalpha() for sign in part) and all(sign.isalpha() or sign in also for sign in part)
        for part in value.split(" ")
    )


def draw_openers(rng: random.Random, n_events: int) -> list[str]:
    """Draws words that open the clauses of successive events and tell their order."""
    first, middle, last = (
        ("", "First, ", "To begin with, "),
        ("Then ", "Next, ", "After that, "),
        ("Finally, ", "At last, "),
    )
    return [
        rng.choice(first if event == 0 else last if event == n_events - 1 else middle)
        for event in range(n_events)
    ]


def listed(parts: Sequence[str]) -> str:
    """Joins parts as in a sentence: "a", "a and b", "a, b, and c"."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def capitalised(text: str) -> str:
    """The text with its first letter in upper case; the other letters stay as they are."""
    return text[:1].upper() + text[1:]
