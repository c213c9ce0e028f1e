"""Backward elimination of roles: which chunks a student can be trained without (docs/explanation/skipping.md)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.skipping.roles import NO_ROLE, Roles
from skipthink.student.token_rows import Bools

FLOOR = 0.1
"""Least accuracy of the best student at which trials say anything; see `floor_of`."""

NEEDED = 0.5
"""A role is not tried again once accuracy without it was below this share of the best: it is needed, whatever goes."""

Dropped = tuple[int, ...]
"""Roles in the order in which they were dropped."""


@dataclass(frozen=True)
class Attempt:
    """What a student answers that was trained without some roles.

    Attributes:
        dropped: the roles.
        right: which questions it answered correctly, bool (n,).
        tokens_per_answer: generated.
        train_target_tokens: that it was trained on.
    """

    dropped: Dropped
    right: Bools
    tokens_per_answer: float
    train_target_tokens: int

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.right.mean())


class Attempts(Protocol):
    """Who trains students without some roles, all from the same weights and on the same number of target tokens."""

    def __call__(self, dropped: Dropped, *, again: bool = False) -> Attempt:
        """What a student answers that was trained without some roles; again: on the samples in another order."""


@dataclass(frozen=True)
class Trial:
    """A student without some more roles, beside the best one so far.

    Attributes:
        roles: which it is without, on top of those that are gone.
        without: that student.
        best: the most accurate student that only those were taken from which may go.
        within: fall of the accuracy that is allowed in any case, a share.
        n_trainings: of which the student is the best.
    """

    roles: tuple[int, ...]
    without: Attempt
    best: Attempt
    within: float = 0.0
    n_trainings: int = 1

    @property
    def may_go(self) -> bool:
        """Whether the roles are not missed."""
        return is_as_good(self.without.right, self.best.right, self.within)

    def is_in_doubt(self, doubt: float) -> bool:
        """Whether the roles are missed, but by no more than a share of the questions."""
        return not self.may_go and -self.rise <= doubt + 1e-12

    @property
    def rise(self) -> float:
        """By how much the student without the roles is better than the best, a share of the questions."""
        return self.without.accuracy - self.best.accuracy


def eliminate(
    roles: Sequence[int],
    attempt: Attempts,
    *,
    likely: Sequence[int] = (),
    within: float = 0.0,
    doubt: float = 0.0,
    passes: int = 1,
) -> list[Trial]:
    """Tries to do without all likely roles at once and without one after the other; no set of roles is tried twice.

    At once, since a student may miss half of what belongs together (the announcements of some steps and not of
    others) and nothing where all of it is gone; if they may go, the single trials are saved. A further pass tries
    those again that stayed, as long as a role has gone since: it may be missed no longer. Those that were missed most
    (`NEEDED`) are not tried again.

    Args:
        roles: in the order in which they are tried.
        attempt: of the roles that are left out.
        likely: roles that are tried at once, where they are more than one and not all that are left.
        within: fall of the accuracy below the best that is allowed even where it is beyond its standard error.
        doubt: fall up to which a student is trained once more, and the better of the two counts: a student without what
            is needed falls further, and two that were trained alike may differ by more than `within`. Of a rise by more
            the best student is trained once more: it may not have got going, and then nothing would seem to be missed.
        passes: over the roles that are left, at most.

    Returns:
        The trials, in the order in which they were made.
    """
    best = attempt(())
    dropped: Dropped = ()
    trials: list[Trial] = []
    tried: set[frozenset[int]] = set()
    needed: set[int] = set()
    repeated: set[Dropped] = set()
    for _ in range(passes):
        kept = [role for role in roles if role not in dropped]
        singles = [(role,) for role in kept if role not in needed]
        at_once = tuple(role for (role,) in singles if role in likely)
        for more in [at_once, *singles] if 1 < len(at_once) < len(kept) else singles:
            without = (*dropped, *more)
            if set(more) & set(dropped) or frozenset(without) in tried:
                continue
            tried.add(frozenset(without))
            trial = Trial(more, attempt(without), best, within)
            if doubt and trial.rise > doubt and best.dropped not in repeated:
                repeated.add(best.dropped)
                best = _better(best, attempt(best.dropped, again=True))
                trial = replace(trial, best=best)
            if trial.is_in_doubt(doubt):
                repeated.add(without)
                better = _better(trial.without, attempt(without, again=True))
                trial = replace(trial, without=better, n_trainings=2)
            trials.append(trial)
            if trial.may_go:
                dropped = without
                best = _better(best, trial.without)
            elif len(more) == 1 and trial.without.accuracy < NEEDED * trial.best.accuracy:
                needed.update(more)
    return trials


def _better(one: Attempt, other: Attempt) -> Attempt:
    """The more accurate; the first of equals."""
    return max(one, other, key=lambda attempt: attempt.accuracy)


def dropped_by(trials: Sequence[Trial], floor: float = FLOOR) -> Dropped:
    """The roles that may go; none where all students are at the floor, as nothing is missed by who can do nothing."""
    if is_at_floor(trials, floor):
        return ()
    return tuple(role for trial in trials if trial.may_go for role in trial.roles)


def is_at_floor(trials: Sequence[Trial], floor: float = FLOOR) -> bool:
    """Whether no student was right on that share of the questions."""
    return all(max(trial.best.accuracy, trial.without.accuracy) < floor for trial in trials)


def floor_of(answers: Sequence[str]) -> float:
    """The accuracy that a student must reach for trials to say anything, a share.

    That is what one gets who gives the commonest answer to all questions, and a standard error more; at least `FLOOR`.

    Args:
        answers: the right ones, at least one.
    """
    n, most = len(answers), Counter(answers).most_common(1)[0][1]
    share = most / n
    return max(FLOOR, share + math.sqrt(share * (1 - share) / n))


def is_as_good(right: Bools, other: Bools, within: float = 0.0) -> bool:
    """Whether answers are right as often as others to the same questions, up to the standard error of the difference.

    Args:
        right: bool (n,).
        other: bool (n,).
        within: share of the questions by which they may fall short even if that is more than the standard error.
    """
    differences = other.astype(np.float64) - right
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    return float(differences.mean()) <= max(error, within) + 1e-12


def least_new_first(roles: Roles, chunk_tokens: Ints) -> list[int]:
    """Roles in the order of trials: those whose chunks seldom state a new number first, of equals the longest.

    What is likely to be needed comes last, when answers are short and learnt well: where a student is as bad with
    everything as without it, nothing seems to be missed.

    Args:
        roles: of the chunks.
        chunk_tokens: int64 (n, M).
    """
    totals = [int(chunk_tokens[roles.of == role].sum()) for role in range(roles.n_roles)]
    return sorted(range(roles.n_roles), key=lambda role: (round(roles.new[role], 1), -totals[role], role))


def seldom_new(roles: Roles) -> list[int]:
    """Roles of which less than half of the chunks state a number that is new."""
    return [role for role in range(roles.n_roles) if roles.new[role] < 0.5]


def skip_roles(roles: Roles, dropped: Dropped) -> tuple[Bools, int]:
    """The chunks of dropped roles.

    A sample of which no chunk would be left keeps those of the role that was dropped last, unless all roles go: that
    the answer alone is enough was then tried.

    Args:
        roles: of the chunks.
        dropped: in the order in which they were dropped.

    Returns:
        Which chunks are skipped, bool (n, M), and how many samples keep chunks of a dropped role.
    """
    held = roles.of != NO_ROLE
    rank = np.full(roles.n_roles + 1, -1)  # the last entry is that of no role
    rank[list(dropped)] = np.arange(len(dropped))
    ranks = rank[roles.of]
    skipped = held & (ranks >= 0)
    emptied = (held == skipped).all(axis=1) & held.any(axis=1)
    if len(dropped) == roles.n_roles or not emptied.any():
        return skipped, 0
    last = np.where(held, ranks, -1).max(axis=1, keepdims=True)
    skipped[emptied] &= (ranks != last)[emptied]
    return skipped, int(emptied.sum())
