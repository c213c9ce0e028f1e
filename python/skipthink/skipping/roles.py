"""Roles of chunks: which chunks of different samples do the same work, by their masked text and their place.

What a sentence repeats from its question is masked, so that "Holly brings 5 stones along" and "Ivo brings 8 books
along" are the same text. What all chunks of a rationale have in common is its topic, not what one of them does: it is
taken away. Numbers that the question does not have are told from those it has: the one thing known about reasoning in
every task is that it comes to something new.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints
from skipthink.data.facts import cut_list_number
from skipthink.exceptions import InvalidInputError

NO_ROLE = -1
"""The role of an empty chunk."""
GIVEN, NEW, REPEATED = "#", "##", "@"
"""What stands for a number of the question, for another number, and for a word of the question or a single letter."""
COMMON = 0.2
"""A word that stands in a larger share of the questions is a word of the language, not of one question."""
PLACE_WEIGHT, NEW_WEIGHT = 0.5, 0.5
"""Weights of a chunk's place, and of whether it has a number that is new, beside its text, which has length 1."""
MIN_SHARE, MAX_TERMS = 0.01, 512
"""Terms that fewer chunks have are left out; so many terms are kept at most."""
MAX_FITTED, MAX_ROUNDS, RESTARTS = 8_000, 100, 16

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_TERM = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Roles:
    """The roles of the chunks of a data set.

    Attributes:
        of: role of each chunk, 0 … R - 1 in the order of their mean place; `NO_ROLE` of empty chunks; int64 (n, M).
        examples: a chunk in the middle of each role, masked.
        new: share of the chunks of each role that have a number that is new.
    """

    of: Ints
    examples: list[str]
    new: list[float] = field(default_factory=list)

    @property
    def n_roles(self) -> int:
        """R; fewer than were asked for where chunks have fewer different texts and places."""
        return len(self.examples)


def find_roles(
    questions: Sequence[str], steps: Sequence[Sequence[str]], boundaries: Ints, *, n_roles: int, seed: int = 0
) -> Roles:
    """Finds roles by k-means on masked texts (TF-IDF), on places, and on whether there is a number that is new.

    Args:
        questions: of the samples.
        steps: their steps.
        boundaries: their chunks, int64 (n, M + 1).
        n_roles: R, at least 1.
        seed: of the starts of k-means, of which the best result counts.

    Raises:
        InvalidInputError: n_roles < 1, or lengths that differ.
    """
    if n_roles < 1:
        raise InvalidInputError(f"n_roles must be at least 1, got {n_roles}")
    if not len(questions) == len(steps) == len(boundaries):
        raise InvalidInputError(
            f"questions, steps and boundaries must be of the same samples, got {len(questions)}, {len(steps)} and "
            f"{len(boundaries)}"
        )
    held = np.diff(boundaries, axis=1) > 0
    roles = np.full(held.shape, NO_ROLE, dtype=np.int64)
    if not held.any():
        return Roles(roles, [])
    masked = _mask_chunks(questions, steps, boundaries, held)
    order = np.cumsum(held, axis=1)[held] - 1
    last = np.repeat(held.sum(axis=1), held.sum(axis=1)) - 1
    is_new = [NEW in text for text in masked]
    places = np.stack([order / np.maximum(last, 1), order == 0, order == last], axis=1)
    text = _weigh([[GIVEN if term == NEW else term for term in chunk] for chunk in masked])
    text = _set_apart(text, np.nonzero(held)[0])
    points = np.hstack([text, PLACE_WEIGHT * places, NEW_WEIGHT * np.array(is_new)[:, None]])
    labels, centres = cluster(points, n_roles, seed)
    by_place = np.argsort([places[labels == label, 0].mean() for label in range(len(centres))], kind="stable")
    rank = np.argsort(by_place)
    roles[held] = rank[labels]
    distances = ((points - centres[labels]) ** 2).sum(axis=1)
    examples = []
    for label in by_place:
        members = np.flatnonzero(labels == label)
        examples.append(" ".join(masked[members[np.argmin(distances[members])]]))
    flags = np.array(is_new)
    return Roles(roles, examples, [float(flags[labels == label].mean()) for label in by_place])


def mask_text(text: str, question: frozenset[str], common: frozenset[str] = frozenset()) -> list[str]:
    """The terms of a text in lower case, with what it repeats from its question masked.

    Args:
        text: a chunk.
        question: terms of the question.
        common: words that stand as they are although the question has them.
    """
    masked = []
    for term in terms_of(text):
        if _NUMBER.fullmatch(term):
            masked.append(GIVEN if term in question else NEW)
        else:
            is_repeated = term in question and term not in common
            masked.append(REPEATED if term.isalpha() and (is_repeated or len(term) == 1) else term)
    return masked


def terms_of(text: str) -> list[str]:
    """Words, numbers and signs, in lower case."""
    return _TERM.findall(text.lower())


def common_words(questions: Sequence[frozenset[str]]) -> frozenset[str]:
    """Words of the language: those in more than a share `COMMON` of the questions."""
    counts = Counter(term for question in questions for term in question)
    return frozenset(term for term, count in counts.items() if count > COMMON * len(questions))


def cluster(points: Floats, k: int, seed: int) -> tuple[Ints, Floats]:
    """K-means: the best of `RESTARTS` starts by k-means++, at most `MAX_ROUNDS` rounds of Lloyd each.

    Args:
        points: float64 (n, d), n ≥ 1. Of more than `MAX_FITTED`, so many are drawn to find the centres.
        k: clusters; fewer come out where fewer points differ.
        seed: of starts and of what is drawn.

    Returns:
        The cluster of each point, int64 (n,), and the centres, float64 (at most k, d); none is empty.
    """
    random = np.random.default_rng(seed)
    fitted = points
    if len(points) > MAX_FITTED:
        fitted = points[np.sort(random.choice(len(points), MAX_FITTED, replace=False))]
    best, least = fitted[:1], np.inf
    for _ in range(RESTARTS):
        centres = _start(fitted, k, random)
        for _ in range(MAX_ROUNDS):
            labels, distances = _nearest(fitted, centres)
            moved = np.stack(
                [
                    fitted[labels == label].mean(axis=0) if (labels == label).any() else centres[label]
                    for label in range(len(centres))
                ]
            )
            if np.allclose(moved, centres, rtol=0, atol=1e-9):
                break
            centres = moved
        total = float(distances.sum())
        if total < least - 1e-9:
            best, least = centres, total
    labels, _ = _nearest(points, best)
    used = np.unique(labels)
    return np.searchsorted(used, labels), best[used]


def _mask_chunks(
    questions: Sequence[str], steps: Sequence[Sequence[str]], boundaries: Ints, held: npt.NDArray[np.bool_]
) -> list[list[str]]:
    """The masked terms of all chunks that hold a step, row by row."""
    asked = [frozenset(terms_of(question)) for question in questions]
    common = common_words(asked)
    return [
        [
            term
            for step in steps[row][boundaries[row, chunk] : boundaries[row, chunk + 1]]
            for term in _mask_step(step, asked[row], common)
        ]
        for row, chunk in zip(*np.nonzero(held), strict=True)
    ]


def _mask_step(step: str, question: frozenset[str], common: frozenset[str]) -> list[str]:
    """As `mask_text`; the number of a line in its list is no number that the step comes to."""
    label, text = cut_list_number(step)
    named = [GIVEN if term == NEW else term for term in mask_text(label, question, common)]
    return named + mask_text(text, question, common)


def _weigh(texts: list[list[str]]) -> Floats:
    """TF-IDF of terms, each text of length 1 (0 where it has no term that counts), float64 (n, terms)."""
    counts = Counter(term for text in texts for term in set(text))
    least = max(1, MIN_SHARE * len(texts))
    kept = [term for term, count in counts.most_common() if count >= least][:MAX_TERMS]
    column = {term: place for place, term in enumerate(sorted(kept))}
    points = np.zeros((len(texts), len(column)))
    for row, text in enumerate(texts):
        for term in text:
            if term in column:
                points[row, column[term]] += 1
    idf = np.log((1 + len(texts)) / (1 + np.array([counts[term] for term in sorted(kept)]))) + 1
    return _to_unit_length(np.log1p(points) * idf)


def _set_apart(points: Floats, rows: Ints) -> Floats:
    """What sets each chunk apart from the mean of its rationale, of length 1 (0 where it is the only chunk).

    Args:
        points: of all chunks, float64 (n, d).
        rows: the rationale of each, int64 (n,).
    """
    means = np.zeros((int(rows.max()) + 1, points.shape[1]))
    np.add.at(means, rows, points)
    means /= np.maximum(np.bincount(rows), 1)[:, None]
    return _to_unit_length(points - means[rows])


def _to_unit_length(points: Floats) -> Floats:
    """Rows of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    of_one: Floats = points / np.where(lengths > 1e-9, lengths, 1)
    return of_one


def _start(points: Floats, k: int, random: np.random.Generator) -> Floats:
    """Centres by k-means++ (Arthur and Vassilvitskii 2007): far ones are likelier."""
    centres = points[[random.integers(len(points))]]
    while len(centres) < k:
        _, distances = _nearest(points, centres)
        total = distances.sum()
        if total <= 1e-12:
            break
        centres = np.vstack([centres, points[random.choice(len(points), p=distances / total)]])
    return centres


def _nearest(points: Floats, centres: Floats) -> tuple[Ints, Floats]:
    """The nearest centre of each point and the squared distance."""
    squares = (centres**2).sum(axis=1)[None] - 2 * points @ centres.T
    labels = squares.argmin(axis=1)
    distances = squares[np.arange(len(points)), labels] + (points**2).sum(axis=1)
    return labels, np.maximum(distances, 0)
