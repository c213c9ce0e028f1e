"""Decisions that can be foreseen: shrinkage towards the role of a chunk, and how well questions tell what is skipped.

What differs from sample to sample without a reason that a question shows is noise which no student can learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints
from skipthink.skipping.roles import NO_ROLE, Roles, common_words, mask_text, terms_of
from skipthink.student.token_rows import Bools

PRIOR = 10.0
"""Chunks that the share of a role counts beside its own, at the share of all chunks."""
FOLDS, RIDGE, MIN_SHARE, MAX_WORDS = 5, 10.0, 0.02, 200


def role_shares(skipped: Bools, roles: Roles) -> npt.NDArray[np.float64]:
    """The share of skipped chunks of each role, drawn towards that of all chunks, float64 (R,).

    Args:
        skipped: decisions, bool (n, M).
        roles: of the chunks.
    """
    held = roles.of != NO_ROLE
    overall = float(skipped[held].mean()) if held.any() else 0.0
    counts = np.bincount(roles.of[held], minlength=roles.n_roles)
    sums = np.bincount(roles.of[held], weights=skipped[held], minlength=roles.n_roles)
    shares: npt.NDArray[np.float64] = (sums + PRIOR * overall) / (counts + PRIOR)
    return shares


def shrink(skipped: Bools, roles: Roles, own_weight: float) -> tuple[Bools, int]:
    """Draws decisions towards the share of their role: skipped where `w·own + (1 - w)·share ≥ 1/2`.

    With a weight of 1/2 or more an own decision to skip stands whatever the share is; with 0 the role alone decides.
    A sample of which no chunk would be left keeps those of the least share.

    Args:
        skipped: decisions, bool (n, M).
        roles: of the chunks.
        own_weight: w, 0 … 1.

    Returns:
        The decisions, bool (n, M), and how many samples keep a chunk for that reason.
    """
    held = roles.of != NO_ROLE
    share = np.append(role_shares(skipped, roles), 0.0)[roles.of]
    drawn = held & (own_weight * skipped + (1 - own_weight) * share >= 0.5 - 1e-12)
    emptied = (drawn == held).all(axis=1) & (skipped != held).any(axis=1)
    least = np.where(held, share, np.inf).min(axis=1, keepdims=True)
    drawn[emptied] &= (share > least)[emptied]
    return drawn, int(emptied.sum())


def foreseen(questions: Sequence[str], skipped: Bools, roles: Roles) -> dict[str, float | None]:
    """How well decisions can be foreseen, from the role of a chunk (`skipped`) and without it (`skipped_by_place`).

    Whoever answers knows the question and how many sentences it has written, not the roles of those to come. Decisions
    that were made by role have an AUC of 1 from roles by construction; from places it says something of them too.

    Args:
        questions: of the samples.
        skipped: decisions, bool (n, M).
        roles: of the chunks.
    """
    words = _words_of(questions)
    return {
        "skipped": _foresee(words, skipped, roles, by="role"),
        "skipped_by_place": _foresee(words, skipped, roles, by="place"),
    }


def foresee(questions: Sequence[str], skipped: Bools, roles: Roles, *, seed: int = 0) -> float | None:
    """How well decisions can be foreseen from masked words of the question and the role: a cross-validated AUC.

    A ridge regression on roles and on words of the question, fitted to other samples, scores the chunks of each of
    five folds; the result is the probability that a skipped chunk scores above one that is kept (ties count half).

    Args:
        questions: of the samples.
        skipped: decisions, bool (n, M).
        roles: of the chunks.
        seed: deals samples into folds.

    Returns:
        The AUC, 0.5 for chance; None where all decisions are alike or there are fewer samples than folds.
    """
    return _foresee(_words_of(questions), skipped, roles, by="role", seed=seed)


def _foresee(
    words: npt.NDArray[np.float64],
    skipped: Bools,
    roles: Roles,
    *,
    by: Literal["role", "place"],
    seed: int = 0,
) -> float | None:
    """`foresee` with the words of `_words_of`; by "place": which chunk it is, from start and end, for its role."""
    rows, columns = np.nonzero(roles.of != NO_ROLE)
    wanted = skipped[rows, columns].astype(np.float64)
    if len(words) < FOLDS or wanted.min(initial=1) == wanted.max(initial=0):
        return None
    kind = np.eye(roles.n_roles)[roles.of[rows, columns]] if by == "role" else _places_of(rows, columns)
    features = np.hstack([kind, words[rows]])
    folds = np.random.default_rng(seed).permutation(len(words)) % FOLDS
    scores = np.empty(len(wanted))
    for fold in range(FOLDS):
        own = folds[rows] == fold
        known, target = features[~own], wanted[~own]
        mean = target.mean() if len(target) else 0.0
        gram = known.T @ known + RIDGE * np.eye(features.shape[1])
        scores[own] = mean + features[own] @ np.linalg.solve(gram, known.T @ (target - mean))
    return area_under_curve(scores, wanted > 0)


def area_under_curve(scores: npt.NDArray[np.float64], positive: Bools) -> float:
    """The probability that a positive scores above a negative; ties count half.

    Args:
        scores: float64 (n,).
        positive: bool (n,), with both kinds in it.
    """
    _, places, counts = np.unique(scores.round(12), return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    ranks = below[places] + (counts[places] + 1) / 2
    n_positive = int(positive.sum())
    n_negative = len(scores) - n_positive
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def step_flags(boundaries: Ints, skipped: Bools) -> Bools:
    """Whether each step lies in a skipped chunk, bool (total_steps,): decisions on other chunks can be compared by it.

    Args:
        boundaries: int64 (n, M + 1).
        skipped: bool (n, M).
    """
    return np.repeat(skipped.ravel(), np.diff(boundaries, axis=1).ravel())


def kappa(a: Bools, b: Bools) -> float:
    """Cohen's kappa of two series of flags: agreement beyond chance; 0 where chance explains everything.

    Args:
        a: bool (n,).
        b: bool (n,).
    """
    agreed, chance = float((a == b).mean()), float(a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean()))
    return 0.0 if chance == 1 else (agreed - chance) / (1 - chance)


def _places_of(rows: Ints, columns: Ints) -> npt.NDArray[np.float64]:
    """Which chunk of its sample each one is, from the start and from the end, float64 (n_chunks, 2 M)."""
    last = np.zeros(rows.max() + 1, dtype=np.int64)
    np.maximum.at(last, rows, columns)
    places = np.eye(int(columns.max()) + 1)
    return np.hstack([places[columns], places[last[rows] - columns]])


def _words_of(questions: Sequence[str]) -> npt.NDArray[np.float64]:
    """Which masked words each question has, float64 (n, words); words that all or few of them have say nothing."""
    asked = [frozenset(terms_of(question)) for question in questions]
    common = common_words(asked)
    texts = [frozenset(mask_text(question, asked[row], common)) for row, question in enumerate(questions)]
    counts = Counter(word for text in texts for word in text)
    told = [word for word, count in counts.most_common() if MIN_SHARE * len(texts) <= count < len(texts)]
    column = {word: place for place, word in enumerate(told[:MAX_WORDS])}
    flags = np.zeros((len(texts), len(column)))
    for row, text in enumerate(texts):
        for word in text & column.keys():
            flags[row, column[word]] = 1.0
    return flags
