"""Optimal `variance` boundaries in numba, tuned by hand: the peer of the boundary search.

Both forms drop what all segmentations share (Σ x² of the row), so a chunk costs -(Σ x)²/n; sums are of float32
losses less the row's mean. One cost row serves all layers of an end point, there is no argmin table (the way back
recomputes a cost row for each boundary) and the layer of the last chunk is never filled: only its last cell counts.
One call takes a batch of rows and runs on one thread. Rows of fewer steps than chunks keep one step a chunk.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Losses = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]
Boundaries = npt.NDArray[np.int32]

FAR = np.float32(1e30)
ONE = np.float32(1.0)
jit = numba.njit(fastmath=True, error_model="numpy")


@jit
def _prefix_sums(values, sums):
    mean = np.float32(0.0)
    for step in range(values.shape[0]):
        mean += values[step]
    mean /= np.float32(values.shape[0])
    sums[0] = np.float32(0.0)
    for step in range(values.shape[0]):
        sums[step + 1] = sums[step] + (values[step] - mean)


@jit
def _inverses(n_steps):
    """1 / (n_steps - t): read from `n_steps - end` on, these are the inverse lengths of chunks up to `end`."""
    inverse = np.empty(n_steps, np.float32)
    for step in range(n_steps):
        inverse[step] = ONE / np.float32(n_steps - step)
    return inverse


@jit
def _longest(offsets):
    longest = 0
    for row in range(offsets.shape[0] - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@jit
def _one_step_a_chunk(n_steps, boundaries):
    for chunk in range(boundaries.shape[0]):
        boundaries[chunk] = min(chunk, n_steps)


@jit
def _search_plain(losses, offsets, m, boundaries):
    longest = _longest(offsets)
    sums, inverse = np.empty(longest + 1, np.float32), _inverses(longest)
    cost = np.empty(longest, np.float32)
    best = np.empty((m, longest + 1), np.float32)
    for row in range(offsets.shape[0] - 1):
        n_steps = offsets[row + 1] - offsets[row]
        if n_steps < m:
            _one_step_a_chunk(n_steps, boundaries[row])
            continue
        _prefix_sums(losses[offsets[row] : offsets[row + 1]], sums)
        for end in range(1, n_steps):
            shift = longest - end
            for start in range(end):
                mass = sums[end] - sums[start]
                cost[start] = -mass * mass * inverse[start + shift]
            best[0, end] = cost[0]
            for chunk in range(1, min(m - 1, end)):
                before = best[chunk - 1]
                least = FAR
                for start in range(chunk, end):
                    joined = before[start] + cost[start]
                    if joined < least:
                        least = joined
                best[chunk, end] = least
        boundaries[row, 0], boundaries[row, m] = 0, n_steps
        end = n_steps
        for chunk in range(m - 1, 0, -1):
            least, at = FAR, chunk
            for start in range(chunk, end):
                mass = sums[end] - sums[start]
                joined = best[chunk - 1, start] - mass * mass * inverse[start + longest - end]
                if joined < least:
                    least, at = joined, start
            boundaries[row, chunk] = at
            end = at


@numba.njit(fastmath=True, error_model="numpy", inline="always")
def _cost_row(sums, inverse, end, cost):
    """Costs of the chunks `start … end`, over slices: without index arithmetic LLVM makes vectors of the loop."""
    last, before = sums[end], sums[:end]
    inverses, costs = inverse[inverse.shape[0] - end :], cost[:end]
    for start in range(costs.shape[0]):
        mass = last - before[start]
        costs[start] = -mass * mass * inverses[start]


@jit
def _search_blocked(losses, offsets, m, boundaries):
    longest = _longest(offsets)
    sums, inverse = np.empty(longest + 1, np.float32), _inverses(longest)
    cost = np.empty(longest, np.float32)
    best = np.empty(((m + 1) // 3 * 3 + 1, longest + 1), np.float32)
    for row in range(offsets.shape[0] - 1):
        n_steps = offsets[row + 1] - offsets[row]
        if n_steps < m:
            _one_step_a_chunk(n_steps, boundaries[row])
            continue
        _prefix_sums(losses[offsets[row] : offsets[row + 1]], sums)
        best[:, 0] = FAR
        for end in range(1, n_steps):
            _cost_row(sums, inverse, end, cost)
            best[0, end] = cost[0]
            # three layers share a pass over the cost row and keep three minima in flight; layers of more chunks
            # than steps stay FAR
            for chunk in range(1, m - 1, 3):
                before_1, before_2, before_3 = best[chunk - 1], best[chunk], best[chunk + 1]
                least_1 = least_2 = least_3 = FAR
                for start in range(end):
                    joined_1 = before_1[start] + cost[start]
                    joined_2 = before_2[start] + cost[start]
                    joined_3 = before_3[start] + cost[start]
                    least_1 = joined_1 if joined_1 < least_1 else least_1
                    least_2 = joined_2 if joined_2 < least_2 else least_2
                    least_3 = joined_3 if joined_3 < least_3 else least_3
                best[chunk, end], best[chunk + 1, end], best[chunk + 2, end] = least_1, least_2, least_3
        boundaries[row, 0], boundaries[row, m] = 0, n_steps
        end = n_steps
        for chunk in range(m - 1, 0, -1):
            _cost_row(sums, inverse, end, cost)
            least, at = FAR, chunk
            for start in range(chunk, end):
                joined = best[chunk - 1, start] + cost[start]
                if joined < least:
                    least, at = joined, start
            boundaries[row, chunk] = at
            end = at


def plain(losses: Losses, offsets: Offsets, m: int) -> Boundaries:
    """Plain loops over indices.

    Args:
        losses: float32 (total_steps,).
        offsets: rows of steps, int64 (n + 1,).
        m: number of chunks M, at least 2.

    Returns:
        int32 (n, M + 1).
    """
    return _run(_search_plain, losses, offsets, m)


def blocked(losses: Losses, offsets: Offsets, m: int) -> Boundaries:
    """The same over slices, three layers a pass: the fastest form found. Arguments as of `plain`."""
    return _run(_search_blocked, losses, offsets, m)


def _run(search, losses: Losses, offsets: Offsets, m: int) -> Boundaries:
    if m < 2:
        raise ValueError(f"M must be at least 2, got {m}")
    boundaries = np.empty((len(offsets) - 1, m + 1), np.int32)
    search(losses, offsets, m, boundaries)
    return boundaries
