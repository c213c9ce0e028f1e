"""Judging of batches: which chunks a student can do without, as a column (method §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.answers.options import AnswerKind, CheckOptions
from skipthink.core.ledger import RIGHT, SKIPPED, SkipLedger
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.skipping.options import SkipOptions
from skipthink.stream.columns import boundary_rows
from skipthink.stream.students import StudentFunction, samples_of

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.core.ragged import Ints
    from skipthink.skipping.judge import Block
    from skipthink.skipping.skip_data import Progress
    from skipthink.student.student import Student


class SkipJudge(StudentFunction):
    """A chunk-wise trained student that is asked chunk by chunk what it can do without, as a function of batches.

    It appends `right`, whether the student is right with nothing left out (a sample that it gets wrong keeps all its
    chunks), and `skipped`, a list of M booleans. The answers are those of `skipthink.skipping.make_skip_data` with the
    gate "answer" and one judge; what that gate does over all samples (drawing decisions to the shares of roles,
    cross-fitting) is no function of a row.

    Args:
        student: folder or name of the student.
        kind: kind of the answers, one of `skipthink.answers.KINDS`.
        question: column of the questions.
        rationale: column of the rationales.
        answer: column of the gold answers.
        boundaries: column of the boundaries, lists of M + 1.
        rules: step rules that the rationales were chunked with.
        tolerance: as in `check_answer`.
        relative_tolerance: as in `check_answer`.
        judging: options of the gate `answer`; None: its default ones. With several votes, samples are drawn by the
            row's id, so that `id_column` must be given.
        seed: seeds the votes.
        options: as in `StudentFunction`.

    Raises:
        InvalidInputError: options that need more than a row.
    """

    def __init__(
        self,
        student: Any,
        *,
        kind: AnswerKind,
        question: str = "question",
        rationale: str = "rationale",
        answer: str = "answer",
        boundaries: str = "boundaries",
        rules: str | tuple[str, ...] = "auto",
        tolerance: float = 1e-6,
        relative_tolerance: float = 0.0,
        judging: SkipOptions | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(student, **options)
        self.question, self.rationale, self.answer = question, rationale, answer
        self.boundaries, self.rules, self.seed = boundaries, rules, seed
        self.judged_by = CheckOptions(answer=kind, tolerance=tolerance, relative_tolerance=relative_tolerance)
        self.judging = SkipOptions(gate="answer") if judging is None else judging
        alone = self.judging
        if alone.gate != "answer" or alone.crossfit != 1 or alone.own_weight is not None:
            raise InvalidInputError(
                'a SkipJudge judges row by row: gate must be "answer", crossfit 1, own_weight None; see make_skip_data'
            )
        if alone.temperature > 0 and self.id_column is None:
            raise InvalidInputError("votes are drawn by the rows' ids; name their column: id_column=…")

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        texts = [self.question, self.rationale, self.answer]
        if self.judging.temperature > 0 and self.id_column is not None:
            texts.append(self.id_column)
        return {**dict.fromkeys(texts, "texts"), self.boundaries: "lists of numbers"}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        return [pa.field("right", pa.bool_()), pa.field("skipped", pa.list_(pa.bool_()))]

    def ask(self, student: Student, rows: dict[str, Any]) -> dict[str, Any]:
        """See `StudentFunction.ask`."""
        import pyarrow as pa

        from skipthink.skipping.judge import Judge, Subjects
        from skipthink.skipping.skip_data import ask_judge, longest_first

        samples = samples_of(rows, question=self.question, rationale=self.rationale, answer=self.answer)
        encoded = student.encode(samples, self.rules)
        cuts = boundary_rows(self.boundaries, rows[self.boundaries], student.n_chunks, encoded.n_steps)
        if self.judging.temperature > 0:
            encoded.ids[:] = rows[str(self.id_column)].to_pylist()
        options = self.judging
        judge = Judge(
            student,
            student.decoding.using(
                batch_size=options.batch_size, temperature=options.temperature, seed=self.seed
            ),
            Subjects(encoded, cuts, samples["answer"].to_pylist(), self.judged_by),
            options,
        )
        if options.temperature > 0 and not judge.keeps:
            raise RunError(
                "votes of this student would depend on the batches, as its keys and values are not kept; "
                "judge at temperature 0, or with make_skip_data"
            )
        questions = _Questions(SkipLedger(cuts))
        ask_judge(judge, questions, longest_first(encoded, np.arange(len(encoded))))
        skipped = questions.ledger.states() == SKIPPED
        return {
            "right": pa.array(questions.ledger.base() == RIGHT),
            "skipped": pa.array(list(skipped), pa.list_(pa.bool_())),
        }

    def check(self, student: Student) -> None:
        """See `StudentFunction.check`.

        Raises:
            InvalidInputError: the student is not trained.
        """
        _ = student.decoding


class _Questions:
    """What is asked of the rows of a batch; the answers are kept in memory."""

    def __init__(self, ledger: SkipLedger) -> None:
        self.ledger = ledger
        self.progress: Progress | None = None

    def ask(self, block: Block, chunk: int, asked: Ints) -> None:
        """See `skipthink.skipping.skip_data.Questions`."""
        if len(asked):
            rows = block.rows[asked]
            right, _, _ = block.ask(chunk, asked, self.ledger.states(block.rows) == SKIPPED)
            self.ledger.record(rows, np.full(len(rows), chunk), right)
