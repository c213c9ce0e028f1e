"""Questions that stand in two splits or files, and rows that stand twice in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

from skipthink.data.facts import question_keys
from skipthink.data.sources import SPLITS
from skipthink.data.splits import question_key

Part = tuple[str, str]
"""A file and one of its splits."""


@dataclass(frozen=True)
class Leak:
    """How many rows of one part ask a question of another part.

    Each count holds those before it: what is the same is the same but for numbers, too.

    Attributes:
        part: file and split whose rows are counted: test before validation before train.
        other: file and split they are looked for in.
        rows: rows of `part`.
        same: rows whose question stands in `other`, by `question_key`: what `split_samples` takes away.
        spelling: but for white space and punctuation as well, which `split_samples` leaves in.
        numbers: but for numbers.
        names: but for numbers and names.
        examples: ids of the first rows of `spelling`.
    """

    part: Part
    other: Part
    rows: int
    same: int
    spelling: int
    numbers: int
    names: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Repeats:
    """Rows that stand more than once.

    Attributes:
        questions: different questions, by `question_key`.
        rows: rows whose question and rationale stand in an earlier row.
        splits: the same a split: rows that say what an earlier row of this split says.
        contradictions: questions with two different gold answers, case and white space aside.
    """

    questions: int
    rows: int
    splits: Mapping[str, int]
    contradictions: int


@dataclass(frozen=True)
class _Keyed:
    """Ids of the rows of a part, and the keys of each: same, spelling, numbers, names."""

    ids: Sequence[str]
    keys: Sequence[tuple[bytes, ...]]


MAX_EXAMPLES = 3


def find_leaks(parts: Mapping[Part, tuple[Sequence[str], Sequence[str]]], names: Set[str]) -> list[Leak]:
    """Compares the questions of every two parts.

    Args:
        parts: ids and questions of each part, row by row.
        names: words that are names, found in all of the parts together (`find_names`).

    Returns:
        One entry for every two parts, in their order; those without a leak too.
    """
    keyed = {
        part: _Keyed(ids, [_digests(text, names) for text in texts]) for part, (ids, texts) in parts.items()
    }
    known = {
        part: [{keys[level] for keys in rows.keys} for level in range(4)] for part, rows in keyed.items()
    }
    leaks = []
    for first, second in combinations(parts, 2):
        part, other = sorted((first, second), key=lambda part: -SPLITS.index(part[1]))
        leaks.append(_compare(part, other, keyed[part], known[other]))
    return leaks


def _compare(part: Part, other: Part, rows: _Keyed, known: Sequence[Set[bytes]]) -> Leak:
    counts = [0] * 4
    examples: list[str] = []
    for name, keys in zip(rows.ids, rows.keys, strict=True):
        found = [key in seen for key, seen in zip(keys, known, strict=True)]
        for level in range(4):
            counts[level] += any(found[: level + 1])
        if any(found[:2]) and len(examples) < MAX_EXAMPLES:
            examples.append(name)
    same, spelling, numbers, unnamed = counts
    return Leak(part, other, len(rows.keys), same, spelling, numbers, unnamed, tuple(examples))


def count_repeats(
    questions: Sequence[str],
    rationales: Sequence[str | None],
    answers: Sequence[str],
    splits: Sequence[str],
) -> Repeats:
    """Counts rows that stand more than once; all four hold one entry a row."""
    answers_of: dict[bytes, set[str]] = {}
    seen: set[tuple[bytes, bytes]] = set()
    seen_in_split: set[tuple[bytes, bytes, str]] = set()
    n_rows, in_split = 0, Counter(dict.fromkeys(splits, 0))
    for question, rationale, answer, split in zip(questions, rationales, answers, splits, strict=True):
        key = _digest(question_key(question))
        answers_of.setdefault(key, set()).add(question_key(answer))
        if rationale is None:
            continue
        row = (key, _digest(" ".join(rationale.split())))
        n_rows += row in seen
        in_split[split] += (*row, split) in seen_in_split
        seen.add(row)
        seen_in_split.add((*row, split))
    contradictions = sum(len(found) > 1 for found in answers_of.values())
    return Repeats(len(answers_of), n_rows, dict(in_split), contradictions)


def _digests(question: str, names: Set[str]) -> tuple[bytes, ...]:
    return tuple(map(_digest, (question_key(question), *question_keys(question, names))))


def _digest(text: str) -> bytes:
    """16 bytes that stand for a text, so that memory does not grow with the length of texts."""
    return blake2b(text.encode(), digest_size=16).digest()
