"""Backward elimination of roles: which chunks a student can be trained without (docs/explanation/skipping.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.skipping.roles import NO_ROLE, Roles
from skipthink.student.token_rows import Bools

Dropped = tuple[int, ...]
"""Roles in the order in which they were dropped."""


@dataclass(frozen=True)
class Attempt:
    """What a student answers that was trained on, for a while, without some roles.

    Attributes:
        dropped: the roles.
        right: which questions it answered correctly, bool (n,).
        tokens_per_answer: generated.
        train_target_tokens: that it was trained on in this attempt.
    """

    dropped: Dropped
    right: Bools
    tokens_per_answer: float
    train_target_tokens: int

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.right.mean())


@dataclass(frozen=True)
class Fork:
    """Two attempts from the same weights, with the same number of target tokens.

    Attributes:
        role: which one of them does without, on top of what both do without.
        without: that one.
        control: the other one.
    """

    role: int
    without: Attempt
    control: Attempt

    @property
    def may_go(self) -> bool:
        """Whether the role is not missed."""
        return is_as_good(self.without.right, self.control.right)


def eliminate(roles: Sequence[int], attempt: Callable[[Dropped, Dropped], Attempt]) -> list[Fork]:
    """Tries to do without one role after the other; each is tried once, on top of those that are gone by then.

    Args:
        roles: in the order in which they are tried.
        attempt: of (what the student has done without so far, what it is to do without from now on); from the same
            weights for all that follows the same beginning, and the same result whenever it is asked.

    Returns:
        A fork per role, in this order.
    """
    dropped: Dropped = ()
    forks = []
    for role in roles:
        control = attempt(dropped, dropped)
        fork = Fork(role, attempt(dropped, (*dropped, role)), control)
        forks.append(fork)
        if fork.may_go:
            dropped = fork.without.dropped
    return forks


def dropped_by(forks: Sequence[Fork]) -> Dropped:
    """The roles that may go."""
    return tuple(fork.role for fork in forks if fork.may_go)


def is_as_good(right: Bools, other: Bools) -> bool:
    """Whether answers are right as often as others to the same questions, up to the standard error of the difference.

    Args:
        right: bool (n,).
        other: bool (n,).
    """
    differences = other.astype(np.float64) - right
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    return float(differences.mean()) <= error + 1e-12


def longest_first(roles: Roles, chunk_tokens: Ints) -> list[int]:
    """Roles by the tokens of all their chunks: those that save most are tried first.

    Args:
        roles: of the chunks.
        chunk_tokens: int64 (n, M).
    """
    totals = [int(chunk_tokens[roles.of == role].sum()) for role in range(roles.n_roles)]
    return sorted(range(roles.n_roles), key=lambda role: (-totals[role], role))


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
