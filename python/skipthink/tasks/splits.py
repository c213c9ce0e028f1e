"""Splits that share no entity and no number combination, whatever the seeds and sizes.

A split is not drawn at random: it follows from the word or the number combination itself. So samples made today
with one seed for training and tomorrow with another for testing share nothing either.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from skipthink.answers import parse_gold
from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import SHARE_ENTITIES, Draft, Role, Row, Task, check_flag, check_int, did_you_mean

K = TypeVar("K")
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.15
"""Share of the entities and of the number combinations that test gets, and the same share for validation."""
_MIN_HELD_OUT = 8
# Drawing stops after this many misses in a row, more where many problems are drawn, so that even a space of exactly
# the size wanted is exhausted before drawing gives up.
_MIN_MISSES = 1000
_MISSES_PER_PROBLEM = 20


def split_words(words: Sequence[str], split: str, least: int, *, name: str = "words") -> tuple[str, ...]:
    """The part of a word list that belongs to a split.

    The words are sorted by their SHA-256 digests. The first 15 %, but at least 8 (or a third of a shorter list),
    belong to test, the same number after them to validation, and the others to train. If a problem needs more words
    than that, test and validation get as many as it needs.

    Args:
        words: different words, in any order.
        split: "train", "validation" or "test".
        least: number of words that a problem needs.
        name: name of the list in messages.

    Returns:
        The split's words, in the order of the list.

    Raises:
        InvalidInputError: the split does not exist, or there are fewer than three times `least` words.
    """
    _check_split(split)
    if len(words) < 3 * least:
        raise InvalidInputError(
            f"{name} holds {len(words)} words, but each of the three splits needs {least} of its own; "
            f"give {3 * least} at least"
        )
    held = max(int(HELD_OUT * len(words)), min(_MIN_HELD_OUT, len(words) // 3), least)
    ordered = sorted(words, key=lambda word: (_digest(word), word))
    chosen = set(
        {"test": ordered[:held], "validation": ordered[held : 2 * held], "train": ordered[2 * held :]}[split]
    )
    return tuple(word for word in words if word in chosen)


def split_of(combination: Hashable) -> str:
    """The split that a number combination belongs to: 15 % belong to test, 15 % to validation."""
    place = int.from_bytes(_digest(repr(combination))[:8], "big") / 2**64
    return "test" if place < HELD_OUT else "validation" if place < 2 * HELD_OUT else "train"


def draw_rows(
    task: Task[K], split: str, n: int | None, seed: int, task_options: Mapping[str, Any]
) -> Iterator[Row]:
    """Draws the problems of one split; none occurs twice, in any wording.

    Args:
        task: the task.
        split: "train", "validation" or "test".
        n: number of problems; None: no limit.
        seed: seed of all draws. A larger `n` begins with the same problems.
        task_options: options of the task, and `share_entities`; the others keep their defaults.

    Returns:
        An iterator of rows, which draws them on demand.

    Raises:
        InvalidInputError: the split, size, seed or an option is wrong (raised at once); there are fewer different
            problems than asked for (raised when they run out); the task draws an empty sentence or an answer of
            another kind.
    """
    _check_split(split)
    if n is not None:
        check_int(split, n, 0, None)
    check_int("seed", seed, 0, None)
    chosen = task.parse_options(task_options)
    share = task_options.get(SHARE_ENTITIES, False)
    check_flag(SHARE_ENTITIES, share)
    parts = {
        name: split_words(getattr(chosen, name), split, least, name=name)
        for name, least in task.pools(chosen).items()
        if not share
    }
    own = replace(chosen, **parts)  # type: ignore[type-var]
    kind = task.answer_kind(chosen) if callable(task.answer_kind) else task.answer_kind
    drafts = _draw_drafts(task, split, n, seed, own, share)
    return (_row(task.name, kind, split, index, draft) for index, draft in enumerate(drafts))


def _draw_drafts(
    task: Task[K], split: str, n: int | None, seed: int, task_options: K, share: bool
) -> Iterator[Draft]:
    seen: set[bytes] = set()  # digests: a long stream remembers every problem
    misses = 0
    for attempt in itertools.count():
        if n is not None and len(seen) == n:
            return
        # a generator per draw: one problem more or less never changes the ones that follow
        draft = task.draw(random.Random(f"{task.name}/{split}/{seed}/{attempt}"), task_options)
        key = b"" if draft is None else _digest(repr(draft.key))
        if draft is None or key in seen or not _belongs(draft, split, share):
            misses += 1
            # most draws of test belong to train
            if misses * HELD_OUT > _MIN_MISSES + _MISSES_PER_PROBLEM * (len(seen) if n is None else n):
                wanted = "an endless stream is" if n is None else f"{n} are"
                raise InvalidInputError(
                    f"{task.name} found {len(seen)} different problems for {split}, but {wanted} asked for; "
                    f"ask for fewer samples or widen the options ({_said(task_options)})"
                )
            continue
        misses = 0
        seen.add(key)
        yield draft


def _said(task_options: object) -> str:
    """The options by name; of a long list only its length."""
    values = ((field.name, getattr(task_options, field.name)) for field in fields(task_options))  # type: ignore[arg-type]
    return ", ".join(
        f"{name}: {len(value)} words"
        if isinstance(value, tuple | list) and len(value) > 8
        else f"{name}: {value}"
        for name, value in values
    )


def _belongs(draft: Draft, split: str, share: bool) -> bool:
    """Whether a problem belongs to a split; if nothing else separates splits, the problem itself decides."""
    decisive = draft.key if share and draft.combination is None else draft.combination
    return decisive is None or split_of(decisive) == split


def _row(name: str, kind: str, split: str, index: int, draft: Draft) -> Row:
    row_id = f"{name}-{split}-{index}"
    try:
        parse_gold(kind, draft.answer)
    except InvalidInputError as error:
        raise InvalidInputError(f"{row_id}: {error}") from None
    last = len(draft.sentences) - 1
    steps = [
        text + (draft.separator if step < last else "") for step, (_, text) in enumerate(draft.sentences)
    ]
    if not all(step.strip() for step in steps) or not steps:
        raise InvalidInputError(f"{row_id}: every rationale has sentences, none of them empty, got {steps}")
    return {
        "id": row_id,
        "task": name,
        "question": draft.question,
        "rationale": "".join(steps),
        "answer": draft.answer,
        "split": split,
        "steps": steps,
        "roles": [str(Role(role)) for role, _ in draft.sentences],
        "correct": True,
    }


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise InvalidInputError(
            f"no split {split!r}; {did_you_mean(str(split), SPLITS)}splits are {', '.join(SPLITS)}"
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
