"""Post-think: the answer first, the rationale behind it, which need not be written (arXiv 2406.14511)."""

from __future__ import annotations

from skipthink.core.codes import Piece, Stage
from skipthink.student.items import Items
from skipthink.training.method import Method
from skipthink.training.one_pass import Span, answers, join_pieces, mark, questions
from skipthink.training.source import ItemSource


class PostThink(Method):
    """One item per sample: `[answer] q | a [thought] r <end>`; at inference `[thought]` ends the answer."""

    name, mode = "post-think", "post-think"

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The same items in every epoch."""
        return _items(
            source,
            [
                [answer, mark(Piece.THOUGHT_MARK), (int(Piece.RATIONALE), 0, int(length))]
                for answer, length in zip(answers(source), source.encoded.rationale.lengths, strict=True)
            ],
        )

    def whole_items(self, source: ItemSource) -> Items:
        """What is written at inference: answers, and the marker that ends them in place of the end token."""
        return _items(source, [[answer, mark(Piece.THOUGHT_MARK)] for answer in answers(source)])


def _items(source: ItemSource, targets: list[list[Span]]) -> Items:
    prompts = [[mark(Piece.ANSWER_MARK), question] for question in questions(source)]
    return join_pieces(source, Stage.ANSWER_ONLY, prompts, targets)


METHOD = PostThink()
