"""Base with markers: the chunks of chunk-wise training in one sequence, at the price of Base."""

from __future__ import annotations

import numpy as np

from skipthink.core.codes import Piece, Stage
from skipthink.student.items import Items
from skipthink.training.method import Method
from skipthink.training.one_pass import Span, answers, join_pieces, mark, questions
from skipthink.training.source import ItemSource


class Marked(Method):
    """One item per sample: `q | [1] c_1 [2] c_2 … [answer] a <end>`, chunks of equal numbers of steps."""

    name, has_chunks = "base-markers", True

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        targets = [
            [*chunk_spans(source, row), mark(Piece.ANSWER_MARK), answer]
            for row, answer in enumerate(answers(source))
        ]
        return join_pieces(source, Stage.BASE, [[question] for question in questions(source)], targets)

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Markers between the chunks, and chunks without a step, which have none."""
        empty = np.diff(source.boundaries[source.rows], axis=1) == 0
        return {"chunk_markers": int((~empty).sum()), "chunks_without_step": int(empty.sum())}


def chunk_spans(source: ItemSource, row: int) -> list[Span]:
    """The chunks of a sample, each behind its marker; an empty one has none."""
    steps, cuts = source.encoded.step_tokens[row], source.boundaries[row].tolist()
    return [
        piece
        for stage, (start, end) in enumerate(zip(cuts[:-1], cuts[1:], strict=True), start=1)
        if end > start
        for piece in (
            mark(Piece.STAGE_MARK, stage),
            (int(Piece.RATIONALE), int(steps[start]), int(steps[end])),
        )
    ]


METHOD = Marked()
