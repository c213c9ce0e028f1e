"""Intervals of shares; numpy only, so that reports need no torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


def wilson_interval(n_right: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson 1927); it holds near 0 and 1, where mean ± z·sd does not.

    Args:
        n_right: successes.
        n: trials, at least 1.
        z: quantile of the standard normal distribution; 95 % by default.

    Returns:
        Lower and upper end, within 0 … 1.
    """
    share, spread = n_right / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # rounding must not push the ends past what was seen
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def interval_over_questions(right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """The 95 % interval of accuracy over questions, the seeds as they are.

    Answers of several seeds to one question are not independent, so a question counts once, by its mean over seeds
    (a cluster per question). How seeds differ is another matter: their standard deviation says it.

    Args:
        right: bool (n_seeds, n_questions), at least one of each.

    Returns:
        Lower and upper end, within 0 … 1; of one seed the Wilson interval.
    """
    n_seeds, n_questions = right.shape
    if n_seeds == 1:
        return wilson_interval(int(right.sum()), n_questions)
    low, high = mean_interval(right.mean(axis=0))
    return max(0.0, low), min(1.0, high)


def mean_interval(values: npt.NDArray[Any]) -> tuple[float, float]:
    """The 95 % interval of a mean, mean ± z·sd/√n; of a single value that value.

    Args:
        values: one per question, floats (n,), n at least 1.
    """
    mean = float(np.mean(values))
    half = Z_95 * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return mean - half, mean + half
