"""What all tasks share: drawing problems that never repeat, giving them splits, writing their rows."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Generic, TypeVar

from skipthink.exceptions import InvalidInputError

K = TypeVar("K")
# Drawing stops after this many repeats in a row, more where many problems are asked for, so that even a space
# of exactly the size wanted is exhausted before drawing gives up.
_MIN_MISSES = 1000
_MISSES_PER_PROBLEM = 20


Row = dict[str, Any]


class Role(StrEnum):
    """What a sentence of a rationale does."""

    SETUP = "setup"
    REASONING = "reasoning"
    TRANSITION = "transition"
    SUMMARY = "summary"


Sentences = list[tuple[Role, str]]


@dataclass(frozen=True)
class Draft:
    """One problem before it has an id and a split.

    Attributes:
        key: what makes the problem; two wordings of one problem have the same key.
        question: its text.
        answer: the gold answer.
        sentences: role and text of each sentence of the rationale, in order, without what separates them.
        separator: stands between the sentences.
    """

    key: Hashable
    question: str
    answer: str
    sentences: tuple[tuple[Role, str], ...]
    separator: str


@dataclass(frozen=True)
class Task(Generic[K]):
    """A task: how its answers are checked, its knobs, and how to draw one problem.

    Attributes:
        name: names the task.
        answer_kind: kind of its answers, as in `skipthink.answers`.
        knobs: frozen dataclass of the difficulty knobs; it checks itself.
        draw: one problem from a random generator, or None where the draw led nowhere.
    """

    name: str
    answer_kind: str
    knobs: type[K]
    draw: Callable[[random.Random, K], Draft | None]


def make_samples(
    task: Task[K], sizes: Mapping[str, int], seed: int, knobs: Mapping[str, Any]
) -> dict[str, list[Row]]:
    """Draws the problems of all splits; no problem stands twice, in any wording.

    The test split is drawn first, then validation, then train: the test split of a seed and knobs is the same
    however many training samples are asked for.

    Args:
        task: the task.
        sizes: samples of "train", "validation" and "test".
        seed: seeds every draw.
        knobs: options of the task; the others keep their defaults.

    Returns:
        The rows of each split.

    Raises:
        InvalidInputError: a wrong size, seed or knob, or fewer different problems than asked for.
    """
    for split, size in sizes.items():
        check_int(split, size, 0, None)
    check_int("seed", seed, 0, None)
    chosen = _parse_knobs(task, knobs)
    rows: dict[str, list[Row]] = {split: [] for split in sizes}
    wanted = [split for split in ("test", "validation", "train") for _ in range(sizes[split])]
    if not wanted:
        raise InvalidInputError("train, validation and test are all 0; ask for one sample at least")
    seen: set[Hashable] = set()
    attempt = misses = 0
    while len(seen) < len(wanted):
        # a generator per draw: one problem more or less never changes the ones that follow
        draft = task.draw(random.Random(f"{task.name}/{seed}/{attempt}"), chosen)
        attempt += 1
        if draft is None or draft.key in seen:
            misses += 1
            if misses > _MIN_MISSES + _MISSES_PER_PROBLEM * len(wanted):
                raise InvalidInputError(
                    f"{task.name} found {len(seen)} different problems, but {len(wanted)} are asked for "
                    f"({_said(sizes)}); ask for fewer samples or widen the knobs {chosen}"
                )
            continue
        misses = 0
        split = wanted[len(seen)]
        seen.add(draft.key)
        rows[split].append(_row(task.name, split, len(rows[split]), draft))
    return rows


def _row(name: str, split: str, index: int, draft: Draft) -> Row:
    last = len(draft.sentences) - 1
    steps = [
        text + (draft.separator if step < last else "") for step, (_, text) in enumerate(draft.sentences)
    ]
    return {
        "id": f"{name}-{split}-{index}",
        "task": name,
        "question": draft.question,
        "rationale": "".join(steps),
        "answer": draft.answer,
        "split": split,
        "steps": steps,
        "roles": [str(role) for role, _ in draft.sentences],
        "correct": True,
    }


def _parse_knobs(task: Task[K], knobs: Mapping[str, Any]) -> K:
    names = [field.name for field in fields(task.knobs)]  # type: ignore[arg-type]
    for name in knobs:
        if name not in names:
            hint = did_you_mean(name, names)
            raise InvalidInputError(f"{task.name} has no knob {name!r}; {hint}it has {', '.join(names)}")
    return task.knobs(**knobs)


def did_you_mean(name: str, choices: Sequence[str]) -> str:
    """A question that names the nearest choice, empty where none is near."""
    near = difflib.get_close_matches(name, choices, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def _said(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {size}" for split, size in sizes.items())


def check_int(name: str, value: object, low: int, high: int | None) -> None:
    """Checks an integer knob.

    Raises:
        InvalidInputError: no integer, or outside `low` … `high` (None: no upper bound).
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < low
        or (high is not None and value > high)
    ):
        bounds = f"from {low}" if high is None else f"from {low} to {high}"
        raise InvalidInputError(f"{name} must be an integer {bounds}, got {value!r}")


def check_share(name: str, value: object) -> None:
    """Checks a share between 0 and 1.

    Raises:
        InvalidInputError: no number, or outside 0 … 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidInputError(f"{name} must be a number from 0 to 1, got {value!r}")


def check_words(
    name: str, values: object, at_least: int, choices: Sequence[str] | None = None, also: str = ""
) -> None:
    """Checks a knob that lists words.

    Words may hold letters, hyphens, apostrophes, single spaces and the characters in `also`: quotes and what
    ends a sentence would break the tasks' templates.

    Raises:
        InvalidInputError: no list of `at_least` different words or more, or a word that is none of `choices`.
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
    """Words that open the clauses of successive events, so that they tell their order."""
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
    """Joins parts as a sentence does: "a", "a and b", "a, b, and c"."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def capitalised(text: str) -> str:
    """The text with its first letter in upper case; the other letters stay as they are."""
    return text[:1].upper() + text[1:]
