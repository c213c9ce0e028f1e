"""Fallback: questions whose short answer is doubtful are answered again in full, and all tokens count.

Which answers are doubtful is a threshold on their confidence (`skipthink.evaluation.confidence`). It is set on
validation questions, and holds for others as far as these are like them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import InvalidInputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """What a threshold gives.

    Attributes:
        threshold: answers of a lower confidence are given again; −inf: none, inf: all.
        again: share of the questions that are answered again.
        accuracy: share of right answers.
        tokens: generated tokens per question, those of both answers where there are two.
    """

    threshold: float
    again: float
    accuracy: float
    tokens: float


@dataclass(frozen=True)
class Cascade:
    """Two answers to each of n questions: a first, short one, and the one it is replaced by where it is doubtful.

    Attributes:
        confidence: of the first answers, float64 (n,).
        right: whether the first and the second answer is right, bool (n, 2).
        tokens: generated tokens of both, int64 (n, 2).
    """

    confidence: Floats
    right: npt.NDArray[np.bool_]
    tokens: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.confidence)
        if n == 0:
            raise InvalidInputError("a cascade needs at least one question")
        for name, values in (("right", self.right), ("tokens", self.tokens)):
            if values.shape != (n, 2):
                raise InvalidInputError(f"{name} must have the shape {(n, 2)}, got {values.shape}")
        if np.isnan(self.confidence).any():
            row = int(np.flatnonzero(np.isnan(self.confidence))[0])
            raise InvalidInputError(f"the confidence of question {row} is NaN")

    def at(self, threshold: float) -> Point:
        """What answering again below a threshold gives."""
        again = (
            self.confidence < threshold if threshold < np.inf else np.ones(len(self.confidence), dtype=bool)
        )
        right = np.where(again, self.right[:, 1], self.right[:, 0])
        tokens = self.tokens[:, 0] + np.where(again, self.tokens[:, 1], 0)
        return Point(threshold, float(again.mean()), float(right.mean()), float(tokens.mean()))

    def curve(self) -> list[Point]:
        """All different ways to part the questions, from no second answer to second answers for all."""
        thresholds = [-np.inf, *np.unique(self.confidence)[1:].tolist(), np.inf]
        return [self.at(threshold) for threshold in thresholds]

    def calibrate(self, within: float) -> Point:
        """The point with the fewest tokens that is at most so far below the second answers.

        Args:
            within: points of accuracy, 0 … 100.

        Returns:
            The point; of equal ones that with fewer second answers. Where no other is good enough, second answers for
            all.
        """
        goal = float(self.right[:, 1].mean()) - within / 100
        good = [point for point in self.curve() if point.accuracy >= goal - 1e-12]
        return min(good, key=lambda point: (point.tokens, point.again))
