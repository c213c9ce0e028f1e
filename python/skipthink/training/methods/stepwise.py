"""Stepwise: every step an item of its own, without a fixed number of chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from skipthink.core.codes import Piece, Stage
from skipthink.core.planning import ItemPlan
from skipthink.core.ragged import Ints
from skipthink.student.encoding import EncodedSamples
from skipthink.student.items import Items, build_items
from skipthink.student.markers import Markers
from skipthink.student.token_rows import offsets_of
from skipthink.training.method import Method
from skipthink.training.source import ItemSource


class Stepwise(Method):
    """One item per step, one that says stop, one for the answer."""

    name, mode = "stepwise", "stepwise"

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        return source.of_rows(stepwise_items(source.encoded, source.markers))

    def about(self, source: ItemSource) -> dict[str, Any]:
        """`max_steps`: most steps of a sample, which bounds how many the student may write."""
        items = self.items(source, 0)
        return {"max_steps": int(np.bincount(items.rows[items.stages == Stage.STEP]).max()) - 1}

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Items of a step, and those that say stop."""
        n_step_items = int((items.stages == Stage.STEP).sum()) - len(source.rows)
        return {"step_items": n_step_items, "stop_items": len(source.rows)}


def stepwise_items(encoded: EncodedSamples, markers: Markers) -> Items:
    """Every step an item of its own, however many there are, then the end of the steps and the answer.

        step k    [1] q s_1 … s_{k-1}   | s_k <end>     k = 1 … K
        stop      [1] q s_1 … s_K       | <end>
        answer    [answer] q s_1 … s_K  | a <end>

    All steps are asked for by the one marker `[1]`: nothing tells the student which step it writes, or how many
    there are. A step without a token gives no item, since its target would say stop.

    Returns:
        Row by row, in this order; stages `Stage.STEP` (steps and stop) and `Stage.ANSWER`.
    """
    n_steps = encoded.n_steps
    n_items = n_steps + 2
    rows = np.repeat(np.arange(len(encoded)), n_items)
    step = np.arange(n_items.sum()) - np.repeat(offsets_of(n_items)[:-1], n_items)
    cuts, last = encoded.step_tokens.offsets[rows], n_steps[rows]
    starts = encoded.step_tokens.values[cuts + np.minimum(step, last)]
    ends = encoded.step_tokens.values[cuts + np.minimum(step + 1, last)]
    given = (ends > starts) | (step >= last)
    rows, starts, ends, is_answer = rows[given], starts[given], ends[given], (step > last)[given]
    n_answer, zero = encoded.answer.lengths[rows], np.zeros_like(rows)
    pieces = np.stack([
        _pieces(np.where(is_answer, Piece.ANSWER_MARK, Piece.STAGE_MARK), zero + 1, zero + 2),
        _pieces(zero + Piece.QUESTION, zero, encoded.question.lengths[rows]),
        _pieces(zero + Piece.RATIONALE, zero, starts),
        _pieces(
            np.where(is_answer, Piece.ANSWER, Piece.RATIONALE),
            np.where(is_answer, 0, starts),
            np.where(is_answer, n_answer, ends),
        ),
        _pieces(zero + Piece.END, zero, zero + 1),
    ], axis=1)  # fmt: skip
    plan = ItemPlan(
        rows=rows,
        stages=np.where(is_answer, Stage.ANSWER, Stage.STEP),
        pieces=pieces.reshape(-1, 3),
        piece_offsets=np.arange(len(rows) + 1) * pieces.shape[1],
        n_prompt_pieces=zero + 3,
        prompt_lengths_tokens=1 + encoded.question.lengths[rows] + starts,
        target_lengths_tokens=np.where(is_answer, n_answer, ends - starts) + 1,
    )
    return build_items(encoded, plan, markers)


def _pieces(kinds: Ints, starts: Ints, ends: Ints) -> Ints:
    return np.stack([kinds, starts, ends], axis=1)


METHOD = Stepwise()
