"""Statistics of comparisons: differences of methods over seeds and questions (docs/how-to/compare.md).

Accuracy varies for two reasons: a seed trains another student, and a test set holds these questions and not others.
All methods answer the same questions, and a seed gives all of them the same fresh student and folds, so methods are
compared in pairs. The hierarchical bootstrap draws seeds with replacement, and then questions, the same ones for all
drawn seeds: a question that is hard is hard for every seed (Owen 2007, "The pigeonhole bootstrap"). With few seeds its
spread is too small by the factor sqrt((S - 1) / S), which is put right, and normal quantiles are too near: those of
Student's t are used instead, with degrees of freedom after Satterthwaite (1946). The intervals are too wide rather than
too narrow (tests/training/test_statistics.py simulates their coverage).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import InvalidInputError

Table = npt.NDArray[np.float64]
N_DRAWS = 10_000
BLOCK_DRAWS = 500
"""Draws at once, which bounds memory."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and questions with what is known of its error.

    Attributes:
        value: the mean.
        low: lower end of the interval.
        high: upper end of the interval.
        standard_error: of the hierarchical bootstrap.
        df: degrees of freedom of the t distribution that the interval is taken from.
        p: two-sided p-value of the mean being 0.
        sd_seeds: standard deviation over seeds of the mean over questions; None of one seed.
        n_seeds: seeds.
        n_questions: questions.
    """

    value: float
    low: float
    high: float
    standard_error: float
    df: float
    p: float
    sd_seeds: float | None
    n_seeds: int
    n_questions: int

    def detectable(self, *, level: float = 0.95, power: float = 0.8) -> float:
        """The smallest true mean that such a comparison finds to be different from 0 with a probability of `power`.

        (t_df((1 + level) / 2) + t_df(power)) standard errors.
        """
        if self.standard_error == 0:
            return 0.0
        return (_t_quantile((1 + level) / 2, self.df) + _t_quantile(power, self.df)) * self.standard_error


def estimate_mean(
    values: npt.ArrayLike, *, level: float = 0.95, n_draws: int = N_DRAWS, seed: int = 0
) -> Estimate:
    """The mean of values over seeds and questions, with an interval of the hierarchical bootstrap.

    Args:
        values: (n_seeds, n_questions), such as 1 for a right answer and 0 for a wrong one, or differences of these.
        level: of the interval.
        n_draws: draws of the bootstrap.
        seed: of the draws.

    Raises:
        InvalidInputError: not a table, empty, or with values that are not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
        raise InvalidInputError(
            f"values must be a table of finite numbers, seeds by questions, got shape {table.shape}"
        )
    n_seeds, n_questions = table.shape
    value, by_seed = float(table.mean()), table.mean(axis=1)
    error = float(np.std(draw_means(table, n_draws=n_draws, seed=seed), ddof=1)) if n_draws > 1 else 0.0
    error = 0.0 if error < 1e-12 else error  # what rounding leaves of equal values
    df = degrees_of_freedom(table, error)
    half = _t_quantile((1 + level) / 2, df) * error if error else 0.0
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        standard_error=error,
        df=df,
        p=_p_value(value, error, df),
        sd_seeds=float(np.std(by_seed, ddof=1)) if n_seeds > 1 else None,
        n_seeds=n_seeds,
        n_questions=n_questions,
    )


def draw_means(table: Table, *, n_draws: int = N_DRAWS, seed: int = 0) -> Table:
    """Means of the hierarchical bootstrap, float64 (n_draws,): seeds are drawn, then questions, the same for all seeds.

    Deviations of the drawn seeds from all seeds are enlarged by sqrt(S / (S - 1)): S drawn seeds deviate too little.

    Args:
        table: float64 (n_seeds, n_questions).
        n_draws: draws.
        seed: of the draws.
    """
    n_seeds, n_questions = table.shape
    generator = np.random.default_rng(seed)
    enlarged = math.sqrt(n_seeds / (n_seeds - 1)) if n_seeds > 1 else 0.0
    means = np.empty(n_draws)
    for start in range(0, n_draws, BLOCK_DRAWS):
        size = min(BLOCK_DRAWS, n_draws - start)
        seeds = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size) / n_seeds
        questions = generator.multinomial(n_questions, np.full(n_questions, 1 / n_questions), size)
        weights = 1 / n_seeds + enlarged * (seeds - 1 / n_seeds)
        means[start : start + size] = ((weights @ table) * questions).sum(axis=1) / n_questions
    return means


def degrees_of_freedom(table: Table, standard_error: float) -> float:
    """Degrees of freedom after Satterthwaite (1946): few where seeds make most of the error, many where questions do.

    Args:
        table: float64 (n_seeds, n_questions).
        standard_error: of its mean.
    """
    parts = [
        (float(np.var(means, ddof=1)) / len(means), len(means) - 1)
        for means in (table.mean(axis=1), table.mean(axis=0))
        if len(means) > 1
    ]
    spread = sum(variance**2 / df for variance, df in parts)
    return math.inf if spread == 0 else standard_error**4 / spread


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, adjusted for their number (Holm 1979).

    The smallest of n is multiplied by n, the next by n - 1, and so on; none becomes smaller than the one before it, and
    none above 1. Below 0.05, the probability of any false finding among them is at most 5 %.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted


def judge_margin(low: float, high: float, margin: float) -> str:
    """What an interval of a difference says of non-inferiority within a margin.

    Args:
        low: lower end of the interval.
        high: upper end.
        margin: what may be lost, above 0.

    Returns:
        "better": above 0; "not worse": above -margin; "worse": below -margin; "open": none of these.
    """
    if low > 0:
        return "better"
    if low > -margin:
        return "not worse"
    return "worse" if high < -margin else "open"


def pareto_front(costs: Sequence[float], gains: Sequence[float]) -> list[int]:
    """The points that no other point beats: by less cost at no less gain, or by more gain at no more cost.

    Returns:
        Places of the points, in the order of their costs.
    """
    order = sorted(range(len(costs)), key=lambda place: (costs[place], -gains[place]))
    front: list[int] = []
    for place in order:
        best = front[-1] if front else None
        equal = best is not None and (costs[place], gains[place]) == (costs[best], gains[best])
        if best is None or equal or gains[place] > gains[best]:
            front.append(place)
    return front


def _t_quantile(share: float, df: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf(share) if math.isinf(df) else stats.t.ppf(share, df))


def _p_value(value: float, error: float, df: float) -> float:
    from scipy import stats

    if error == 0:
        return 1.0 if value == 0 else 0.0
    t = abs(value) / error
    return float(2 * (stats.norm.sf(t) if math.isinf(df) else stats.t.sf(t, df)))
