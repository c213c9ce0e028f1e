"""Pruned by the judge: one pass on the chunks that the judge of `stt` needs, and on nothing else."""

from __future__ import annotations

from skipthink.exceptions import InvalidInputError
from skipthink.student.token_rows import Bools
from skipthink.training.dropping import drop_chunks
from skipthink.training.method import Needs
from skipthink.training.methods.pruned_rule import Pruned
from skipthink.training.source import ItemSource


class PrunedByJudge(Pruned):
    """One item per sample, without the chunks that the judge can do without."""

    name, needs, judge = "pruned-judge", Needs.SKIPS, "base+sbc"

    def choose(self, source: ItemSource) -> Bools:
        """The steps of the chunks that are needed."""
        if source.skipped is None:
            raise InvalidInputError(f"{self.name} needs skip data")
        return drop_chunks(source.encoded, source.boundaries, source.skipped)


METHOD = PrunedByJudge()
