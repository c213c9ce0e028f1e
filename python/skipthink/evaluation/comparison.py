"""Comparison of methods that answered the same questions, in pairs (docs/how-to/compare.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skipthink.evaluation.statistics import (
    Estimate,
    adjust_holm,
    estimate_mean,
    judge_margin,
    pareto_front,
)
from skipthink.exceptions import InvalidInputError

Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What a method answered, over its seeds.

    Attributes:
        label: the method, as the comparison names it.
        seeds: seed of each row, each once.
        ids: the questions.
        right: 1 where the answer is right, else 0, float64 (n_seeds, n_questions).
        tokens: generated tokens, float64 (n_seeds, n_questions).
        seconds: seconds per answer, batched, float64 (n_seeds,).
        train_target_tokens: target tokens of training, float64 (n_seeds,).
        train_seconds: seconds of training, float64 (n_seeds,).
    """

    label: str
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    right: Table
    tokens: Table
    seconds: Table
    train_target_tokens: Table
    train_seconds: Table

    def rows(self, seeds: Sequence[int]) -> list[int]:
        """The rows of some seeds."""
        return [self.seeds.index(seed) for seed in seeds]


def compare_answers(
    answers: Sequence[Answers],
    *,
    against: str | None = None,
    margin: float = 0.03,
    level: float = 0.95,
    n_draws: int = 10_000,
) -> dict[str, Any]:
    """Compares methods in pairs.

    Args:
        answers: of each method; all about the same questions.
        against: label of the method that all others are compared with; None: every pair is compared.
        margin: accuracy that a method may lose and still count as not worse, as a share (0.03: 3 points).
        level: of the intervals.
        n_draws: draws of the bootstrap.

    Returns:
        `methods`: label, seeds, accuracy with low, high and sd_seeds, tokens_per_answer, seconds_per_answer,
        train_target_tokens, train_seconds, and whether no other method is better and cheaper in tokens or seconds
        (front_tokens, front_seconds). `pairs`: method, against, seeds (that both have), the difference of their
        accuracies with low, high, standard_error, df, sd_seeds and p; p_holm (over all pairs), detectable (the
        smallest difference found with a probability of 80 %), verdict (`judge_margin`), times_fewer_tokens.

    Raises:
        InvalidInputError: labels that repeat, questions that differ, no common seed, or an unknown `against`.
    """
    _check(answers, against)
    methods = [_method(one, level, n_draws) for one in answers]
    for cost in ("tokens", "seconds"):
        front = pareto_front(
            [row[f"{cost}_per_answer"] for row in methods], [row["accuracy"] for row in methods]
        )
        for place, row in enumerate(methods):
            row[f"front_{cost}"] = place in front
    pairs = [
        _pair(one, other, margin, level, n_draws)
        for place, other in enumerate(answers)
        for one in (answers[place + 1 :] if against is None else answers)
        if one is not other and against in (None, other.label)
    ]
    for pair, p_holm in zip(pairs, adjust_holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p_holm
    return {
        "n_questions": len(answers[0].ids),
        "level": level,
        "margin": margin,
        "against": against,
        "methods": methods,
        "pairs": pairs,
    }


def _check(answers: Sequence[Answers], against: str | None) -> None:
    labels = [one.label for one in answers]
    if not answers:
        raise InvalidInputError("there is no method to compare")
    doubled = next((label for label in labels if labels.count(label) > 1), None)
    if doubled is not None:
        raise InvalidInputError(f"two methods are called {doubled!r}")
    if against is not None and against not in labels:
        raise InvalidInputError(f"no method {against!r} to compare with; there are {', '.join(labels)}")
    for one in answers[1:]:
        if one.ids != answers[0].ids:
            raise InvalidInputError(
                f"{one.label} answered {len(one.ids)} questions and {answers[0].label} {len(answers[0].ids)} which are "
                "not the same ones in the same order; compare runs on the same data, split and sizes"
            )


def _method(one: Answers, level: float, n_draws: int) -> dict[str, Any]:
    found = estimate_mean(one.right, level=level, n_draws=n_draws)
    return {
        "method": one.label,
        "seeds": list(one.seeds),
        "accuracy": found.value,
        "low": max(0.0, found.low),
        "high": min(1.0, found.high),
        "sd_seeds": found.sd_seeds,
        "tokens_per_answer": float(one.tokens.mean()),
        "seconds_per_answer": float(one.seconds.mean()),
        "train_target_tokens": float(one.train_target_tokens.mean()),
        "train_seconds": float(one.train_seconds.mean()),
    }


def _pair(one: Answers, other: Answers, margin: float, level: float, n_draws: int) -> dict[str, Any]:
    seeds = sorted(set(one.seeds) & set(other.seeds))
    if not seeds:
        raise InvalidInputError(
            f"{one.label} has the seeds {list(one.seeds)} and {other.label} {list(other.seeds)}: none in common, so "
            "they cannot be compared in pairs"
        )
    rows, others = one.rows(seeds), other.rows(seeds)
    found: Estimate = estimate_mean(one.right[rows] - other.right[others], level=level, n_draws=n_draws)
    numbers = asdict(found)
    tokens = float(one.tokens[rows].mean())
    return {
        "method": one.label,
        "against": other.label,
        "seeds": seeds,
        "difference": numbers.pop("value"),
        **{name: numbers[name] for name in ("low", "high", "standard_error", "sd_seeds", "p")},
        "df": None if np.isinf(found.df) else found.df,
        "detectable": found.detectable(level=level),
        "verdict": judge_margin(found.low, found.high, margin),
        "times_fewer_tokens": float(other.tokens[others].mean()) / tokens if tokens else None,
    }
