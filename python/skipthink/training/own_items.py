"""Items that hold an answer of a student's own, beside those that hold the teacher's (`skipthink.own_answers`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skipthink.core.codes import Piece, Stage
from skipthink.exceptions import InvalidInputError
from skipthink.student.items import Items, take_items
from skipthink.training.one_pass import answers, join_pieces, mark, questions
from skipthink.training.source import ItemSource


@dataclass(frozen=True)
class OwnItems:
    """Items of own answers.

    Attributes:
        items: at most one per sample: `[skip] q` or `q` | own chain [answer] a <end>.
        n_longer: own answers that are left out because they are longer than the teacher's.
        n_same: own answers that are left out because they are the teacher's, word for word.
        n_missing: samples without an own answer.
    """

    items: Items
    n_longer: int
    n_same: int
    n_missing: int

    def report(self) -> dict[str, int]:
        """What is trained on and what is left out, in items."""
        return {
            "own_items": len(self.items),
            "own_longer": self.n_longer,
            "own_same": self.n_same,
            "own_missing": self.n_missing,
        }


def own_items(source: ItemSource, teacher: Items, stage: Stage) -> OwnItems:
    """The items of own answers that say it as briefly as the teacher, or more briefly.

    The chain is what the student wrote, id by id; the answer is that of the sample, in its spelling.

    Args:
        source: the samples, with `own`.
        teacher: the teacher's items of this stage, one per sample that is trained on, in the order of the samples.
        stage: `Stage.BASE` or `Stage.SKIP`.

    Raises:
        InvalidInputError: there are no own answers.
    """
    if source.own is None:
        raise InvalidInputError("training on own answers needs them; see skipthink.own_answers")
    chains = source.own
    lead = [mark(Piece.SKIP_MARK)] if stage == Stage.SKIP else []
    targets = [
        [(int(Piece.RATIONALE), 0, int(length)), mark(Piece.ANSWER_MARK), answer]
        for length, answer in zip(chains.lengths, answers(source), strict=True)
    ]
    written = replace(source, encoded=replace(source.encoded, rationale=chains))
    items = join_pieces(written, stage, [[*lead, question] for question in questions(source)], targets)
    is_there = chains.lengths[items.rows] > 0
    is_longer = is_there & (items.n_target > teacher.n_target)
    is_same = np.asarray(
        [np.array_equal(items.tokens[index], teacher.tokens[index]) for index in range(len(items))],
        dtype=np.bool_,
    )
    return OwnItems(
        items=take_items(items, np.flatnonzero(is_there & ~is_longer & ~is_same)),
        n_longer=int(is_longer.sum()),
        n_same=int((is_there & is_same).sum()),
        n_missing=int((~is_there).sum()),
    )
