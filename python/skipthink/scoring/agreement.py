"""Agreement of stage-free and stage-conditioned losses: whether one pass is enough instead of M (method §4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints
from skipthink.core.search import chunk
from skipthink.exceptions import InvalidInputError
from skipthink.student.losses import Floats, StepLosses


@dataclass(frozen=True)
class Agreement:
    """Agreement of J under stage-free and stage-conditioned losses.

    Attributes:
        n_rows: samples.
        n_compared: samples with at least two segmentations: the others have nothing to choose.
        rank_correlation: Spearman correlation of J over the segmentations of a sample, mean over those compared; NaN
            where none is.
        same_optimum: share of those compared whose best segmentation is the same.
        regret: what the stage-free optimum costs more than the best, in stage-conditioned J (nats per token), mean over
            those compared.
    """

    n_rows: int
    n_compared: int
    rank_correlation: float
    same_optimum: float
    regret: float

    def __str__(self) -> str:
        if not self.n_compared:
            return f"stage-free and stage-conditioned losses: none of {self.n_rows} samples has anything to choose"
        return (
            f"stage-free against stage-conditioned losses, {self.n_compared} of {self.n_rows} samples with a choice: "
            f"rank correlation of J {self.rank_correlation:.3f}, same optimum {100 * self.same_optimum:.1f} %, "
            f"regret {self.regret:.4f} nats"
        )


def compare_passes(
    conditioned: StepLosses, free: StepLosses, *, min_steps: int = 1, max_candidates: int = 500, seed: int = 0
) -> Agreement:
    """Compares the J of segmentations and the optima under the two caches of the same samples.

    Args:
        conditioned: losses under M stages.
        free: losses without a stage.
        min_steps: least steps of a chunk, 0 or more; samples with fewer than M · min_steps steps are left out.
        max_candidates: segmentations of a sample whose J is correlated: all where it has no more, else so many drawn
            at random, by (seed, row).
        seed: seeds drawing.

    Raises:
        InvalidInputError: the losses are not of these two kinds, or not of the same samples.
    """
    if conditioned.end_nll is None or free.end_nll is not None:
        raise InvalidInputError(
            "compare_passes takes stage-conditioned losses first and stage-free ones second"
        )
    if not np.array_equal(conditioned.offsets, free.offsets):
        raise InvalidInputError("the losses are of different samples; score the same samples both ways")
    n_stages = conditioned.nll.shape[1]
    correlations, compared = [], []
    for row in range(len(conditioned)):
        n_steps = int(conditioned.offsets[row + 1] - conditioned.offsets[row])
        cuts = _segmentations(n_steps, n_stages, min_steps, max_candidates, (seed, row))
        if len(cuts) < 2:
            continue
        compared.append(row)
        correlations.append(
            _spearman(*(_objective(_costs(losses, row), cuts) for losses in (conditioned, free)))
        )
    if not compared:
        return Agreement(len(conditioned), 0, float("nan"), float("nan"), float("nan"))
    best, found = (
        chunk(None, M=n_stages, eta=0.0, method="optimal", min_steps=min_steps, **losses.chunk_arguments())
        for losses in (conditioned, free)
    )
    rows = np.asarray(compared)
    same = (best.boundaries == found.boundaries).all(axis=1)
    chosen = [_objective(_costs(conditioned, row), found.boundaries[row : row + 1])[0] for row in compared]
    regret = np.asarray(chosen) - best.objective[rows]
    return Agreement(
        len(conditioned),
        len(rows),
        float(np.mean(correlations)),
        float(same[rows].mean()),
        float(np.maximum(regret, 0.0).mean()),  # below 0 by rounding alone
    )


def _segmentations(n_steps: int, n_chunks: int, min_steps: int, limit: int, seed: tuple[int, int]) -> Ints:
    """Boundaries with at least min_steps steps per chunk, int64 (n, M + 1); all of them, or `limit` drawn ones."""
    spare = n_steps - n_chunks * min_steps
    if spare < 0:
        return np.empty((0, n_chunks + 1), np.int64)
    # where the M - 1 bars stand among spare stars and bars says how many spare steps each chunk gets
    places = spare + n_chunks - 1
    if comb(places, n_chunks - 1) <= limit:
        every = list(combinations(range(places), n_chunks - 1))
        bars = np.asarray(every, np.int64).reshape(len(every), n_chunks - 1)
    else:
        generator = np.random.default_rng(seed)
        drawn = [generator.choice(places, n_chunks - 1, replace=False) for _ in range(limit)]
        bars = np.unique(np.sort(np.asarray(drawn, np.int64), axis=1), axis=0)
    inner = bars - np.arange(n_chunks - 1) + min_steps * np.arange(1, n_chunks)
    edges = np.zeros((len(bars), 1), np.int64)
    return np.concatenate([edges, inner, edges + n_steps], axis=1)


def _costs(losses: StepLosses, row: int) -> Floats:
    """c_m(i, j) of a row, float64 (S, K + 1, K + 1), as in method §4; 0 for an empty chunk without end losses."""
    steps = slice(losses.offsets[row], losses.offsets[row + 1])
    sums = np.concatenate([np.zeros((1, losses.nll.shape[1])), np.cumsum(losses.nll[steps], axis=0)]).T
    tokens = np.concatenate([[0], np.cumsum(losses.n_tokens[steps])])
    total: Floats = sums[:, None, :] - sums[:, :, None]
    count = (tokens[None, :] - tokens[:, None])[None]
    if losses.end_nll is not None:
        ends = losses.end_nll[losses.end_offsets[row] : losses.end_offsets[row + 1]]
        total = total + ends.T[:, None, :]
        count = count + 1
    costs: Floats = np.where(count > 0, total / np.maximum(count, 1), 0.0)
    return costs


def _objective(costs: Floats, boundaries: Ints) -> Floats:
    """J of each segmentation, float64 (n,)."""
    stages = np.arange(boundaries.shape[1] - 1) % len(costs)  # stage-free: one table for all
    found: Floats = costs[stages[None, :], boundaries[:, :-1], boundaries[:, 1:]].sum(axis=1)
    return found


def _spearman(left: Floats, right: Floats) -> float:
    """Spearman's rank correlation; 1 where both, 0 where one of them ties everything."""
    ranks = [_ranks(values) for values in (left, right)]
    spread = [float(rank.std()) for rank in ranks]
    if min(spread) == 0.0:
        return float(max(spread) == 0.0)
    return float(
        np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / (spread[0] * spread[1])
    )


def _ranks(values: Floats) -> npt.NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Floats = np.cumsum(counts) - (counts + 1) / 2
    return means[inverse]
