"""Levels of skipping: nested sets of chunks, from nothing to all that a gate skips (docs/explanation/skipping.md)."""

from __future__ import annotations

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.student.losses import Floats
from skipthink.student.token_rows import Bools


def turns_by_position(skipped: Bools) -> Floats:
    """Turns of chunks that go one after the other from the front, as the gate `answer` asks about them.

    Args:
        skipped: chunks that a gate skips, bool (n, M).

    Returns:
        The turn of each chunk: at which share of the way from nothing to all skipped chunks it goes, in (0, 1]; inf of
        chunks that stay; float64 (n, M).
    """
    return _shares(np.where(skipped, np.cumsum(skipped, axis=1), 0), skipped)


def turns_by_order(chunk: Ints, skipped: Bools) -> Floats:
    """Turns of chunks that go in an order of their sample, as the gate `soft` finds it.

    Args:
        chunk: 1 … M in the order in which they go, 0 behind the last, int64 (n, M); skipped chunks come first.
        skipped: chunks that the gate skips, bool (n, M).

    Returns:
        As `turns_by_position`.
    """
    ranks = np.zeros_like(chunk)
    rows, places = np.nonzero(chunk > 0)
    ranks[rows, chunk[rows, places] - 1] = places + 1
    return _shares(np.where(skipped, ranks, 0), skipped)


def turns_by_role(roles: Ints, dropped: tuple[int, ...], skipped: Bools) -> Floats:
    """Turns of chunks that go role by role, in all samples alike, as the gate `trial` tries them.

    Args:
        roles: the role of each chunk, int64 (n, M).
        dropped: the roles that may go, in the order in which they went.
        skipped: chunks that the gate skips, bool (n, M).

    Returns:
        As `turns_by_position`; chunks of one role have one turn.
    """
    turns = np.full(skipped.shape, np.inf)
    for place, role in enumerate(dropped, 1):
        turns[skipped & (roles == role)] = place / len(dropped)
    return turns


def level_sets(turns: Floats, n_levels: int) -> list[Bools]:
    """The chunks that each level leaves out, bool (n, M): nothing at the first one, all with a turn at the last.

    Args:
        turns: as `turns_by_position` gives them.
        n_levels: L, at least 2.
    """
    return [turns <= level / (n_levels - 1) + 1e-9 for level in range(n_levels)]


def _shares(ranks: Ints, skipped: Bools) -> Floats:
    """Ranks 1 … k of the skipped chunks of each sample as shares of k."""
    counts = np.maximum(skipped.sum(axis=1, keepdims=True), 1)
    shares: Floats = np.where(skipped, ranks / counts, np.inf)
    return shares
