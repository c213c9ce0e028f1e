"""One-pass items put together piece by piece: steps left out, markers between chunks, or the answer first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skipthink.core.codes import Piece, Stage
from skipthink.core.planning import ItemPlan
from skipthink.core.ragged import Ints
from skipthink.student.items import Items, build_items
from skipthink.student.token_rows import Bools, offsets_of
from skipthink.training.source import ItemSource

Span = tuple[int, int, int]
"""Kind, start and end of a piece, as in `ItemPlan.pieces`."""


def mark(kind: Piece, number: int = 0) -> Span:
    """A marker; `[m]` has the number m."""
    return (int(kind), number, number + 1)


def join_pieces(
    source: ItemSource, stage: Stage, prompts: Sequence[Sequence[Span]], targets: Sequence[Sequence[Span]]
) -> Items:
    """One item per sample, of the samples that are trained on.

    Args:
        source: the samples.
        stage: what the prompts ask for.
        prompts: the pieces of each sample's prompt; the question is one of them.
        targets: the pieces of each sample's target, without the end token, which is added.
    """
    rows = [[*prompt, *target, mark(Piece.END)] for prompt, target in zip(prompts, targets, strict=True)]
    pieces: Ints = np.asarray([piece for row in rows for piece in row], dtype=np.int64).reshape(-1, 3)
    n_prompt_pieces = np.asarray([len(prompt) for prompt in prompts], dtype=np.int64)
    offsets = offsets_of([len(row) for row in rows])
    ends = offsets_of(pieces[:, 2] - pieces[:, 1])[offsets[:-1] + n_prompt_pieces]
    bounds = offsets_of(pieces[:, 2] - pieces[:, 1])[offsets]
    plan = ItemPlan(
        rows=np.arange(len(rows)),
        stages=np.full(len(rows), int(stage)),
        pieces=pieces,
        piece_offsets=offsets,
        n_prompt_pieces=n_prompt_pieces,
        prompt_lengths_tokens=ends - bounds[:-1],
        target_lengths_tokens=bounds[1:] - ends,
    )
    return source.of_rows(build_items(source.encoded, plan, source.markers))


def questions(source: ItemSource) -> list[Span]:
    """The question of each sample."""
    return [(int(Piece.QUESTION), 0, int(length)) for length in source.encoded.question.lengths]


def answers(source: ItemSource) -> list[Span]:
    """The answer of each sample."""
    return [(int(Piece.ANSWER), 0, int(length)) for length in source.encoded.answer.lengths]


def kept_items(source: ItemSource, kept: Bools, stage: Stage = Stage.BASE) -> Items:
    """One-pass items whose rationales hold some steps alone.

    Args:
        source: the samples.
        kept: the steps that stay, bool (total_steps,), row by row.
        stage: `Stage.BASE`: `q | kept steps [answer] a <end>`; `Stage.SKIP`: the same behind `[skip]`.
    """
    encoded = source.encoded
    lead = [mark(Piece.SKIP_MARK)] if stage == Stage.SKIP else []
    rows = np.split(kept, offsets_of(encoded.n_steps)[1:-1])
    targets = []
    for row, answer in zip(range(len(encoded)), answers(source), strict=True):
        cuts = encoded.step_tokens[row].tolist()
        spans = [
            (int(Piece.RATIONALE), start, end)
            for start, end, stays in zip(cuts[:-1], cuts[1:], rows[row], strict=True)
            if stays
        ]
        targets.append([*spans, mark(Piece.ANSWER_MARK), answer])
    return join_pieces(source, stage, [[*lead, question] for question in questions(source)], targets)
