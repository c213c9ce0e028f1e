"""Steps of rationales measured: their tokens, which of them bring something new, and what that bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipthink.core.ragged import Ints
from skipthink.core.search import average_boundaries
from skipthink.core.steps import StepSpans, split_steps_batch
from skipthink.data.facts import Fact, find_facts, list_number, question_facts

CountTokens = Callable[[Sequence[str], StepSpans], Ints]
"""Texts and their steps to the tokens of each step, int64 (total_steps,)."""


@dataclass(frozen=True)
class StepMeasures:
    """The steps of n rationales.

    Attributes:
        offsets: rows of steps, int64 (n + 1,).
        n_tokens: tokens of each step, int64 (total_steps,).
        new: whether a step states a number, a name or an option that neither the question nor an earlier step has
            stated, bool (total_steps,).
        telling: whether it is new for more than the number it has in a list, bool (total_steps,).
    """

    offsets: Ints
    n_tokens: Ints
    new: NDArray[np.bool_]
    telling: NDArray[np.bool_]

    @property
    def n_steps(self) -> Ints:
        """K of each row, int64 (n,)."""
        return np.diff(self.offsets)

    @property
    def tokens(self) -> Ints:
        """Tokens of each rationale, int64 (n,)."""
        return self._sums(self.n_tokens)

    @property
    def last(self) -> Ints:
        """Index of the last step of each row with a step, int64."""
        return self.offsets[1:][self.n_steps > 0] - 1

    def kept(self) -> NDArray[np.bool_]:
        """The steps that stay where the others are dropped: new ones, and all of a row that has none.

        Where no step is new (the answer stands in the question), the rule cannot tell what is needed.
        """
        empty = np.repeat(self._sums(self.new) == 0, self.n_steps)
        kept: NDArray[np.bool_] = self.new | empty
        return kept

    def n_blind(self) -> int:
        """Rows of two steps or more in which no step but perhaps the last one is telling."""
        early = self.telling.copy()
        early[self.last] = False
        return int(np.sum((self._sums(early) == 0) & (self.n_steps > 1)))

    def ceiling(self, M: int | None = None) -> float:
        """The most tokens can shrink: those of all rationales / those of what stays.

        Args:
            M: number of average chunks; a chunk stays where one of its steps does. None: step by step.

        Returns:
            1 or more; 1 where there is no token.
        """
        kept = self.kept()
        if M is None:
            stays = int(self.n_tokens[kept].sum())
        else:
            cuts = average_boundaries(self.n_steps, M) + self.offsets[:-1, None]
            in_chunk = np.diff(_running(kept)[cuts], axis=1) > 0
            stays = int((np.diff(_running(self.n_tokens)[cuts], axis=1) * in_chunk).sum())
        return float(self.n_tokens.sum()) / stays if stays else 1.0

    def _sums(self, values: NDArray[Any]) -> Ints:
        return np.diff(_running(values)[self.offsets])


def _running(values: NDArray[Any]) -> Ints:
    """Running sums with a zero in front, int64 (len(values) + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])


def find_fresh(question: str, steps: Iterable[str], names: Set[str]) -> Iterator[tuple[str, set[Fact], int]]:
    """The facts of each step that neither the question nor an earlier step has stated.

    Args:
        question: the question.
        steps: the steps of its rationale, in order.
        names: words that are names (`find_names`).

    Yields:
        The step, its new facts, and its number of tokens (`TOKEN` of `skipthink.data.facts`).
    """
    given = question_facts(question)
    for step in steps:
        facts, count = find_facts(step, names)
        yield step, facts - given, count
        given |= facts


def measure_steps(
    questions: Sequence[str],
    rationales: Sequence[str],
    names: Set[str],
    *,
    rules: str = "auto",
    count_tokens: CountTokens | None = None,
) -> tuple[StepMeasures, list[str]]:
    """Measures rationales.

    Args:
        questions: one per row.
        rationales: one per row.
        names: words that are names (`find_names`).
        rules: step rules.
        count_tokens: counts tokens; None: `TOKEN` of `skipthink.data.facts`.

    Returns:
        The measures, and the last step of each rationale ("" where it has none).

    Raises:
        InvalidInputError: unknown rules.
    """
    spans = split_steps_batch(rationales, rules=rules)
    new: list[bool] = []
    telling: list[bool] = []
    n_tokens: list[int] = []
    last: list[str] = []
    for row, (question, text) in enumerate(zip(questions, rationales, strict=True)):
        step = ""
        for step, fresh, count in find_fresh(question, (text[start:end] for start, end in spans[row]), names):
            new.append(bool(fresh))
            telling.append(bool(fresh - {list_number(step)}) if fresh else False)
            n_tokens.append(count)
        last.append(step)
    counted = np.array(n_tokens, np.int64) if count_tokens is None else count_tokens(rationales, spans)
    flags = (np.array(values, np.bool_) for values in (new, telling))
    return StepMeasures(spans.offsets, counted, *flags), last


def join_measures(parts: Sequence[StepMeasures]) -> StepMeasures:
    """The measures of several batches as those of one."""
    starts = accumulate((int(part.offsets[-1]) for part in parts), initial=0)
    offsets = [
        np.zeros(1, np.int64),
        *(part.offsets[1:] + start for part, start in zip(parts, starts, strict=False)),
    ]
    return StepMeasures(
        np.concatenate(offsets),
        np.concatenate([np.zeros(0, np.int64), *(part.n_tokens for part in parts)]),
        np.concatenate([np.zeros(0, np.bool_), *(part.new for part in parts)]),
        np.concatenate([np.zeros(0, np.bool_), *(part.telling for part in parts)]),
    )
