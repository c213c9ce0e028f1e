"""Answering of batches: what a student writes for questions, as columns (method §5, §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError
from skipthink.stream.students import StudentFunction

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.student.student import Student


class Generator(StudentFunction):
    """`Student.answer` as a function of batches, with greedy decoding.

    It appends `generated`, the answer (null where the student never came to one), `chain`, what it wrote before,
    markers included, and `generated_tokens` and `prompt_tokens`, int64.

    What is written for a row does not depend on how rows are cut into batches, except where the best two tokens are
    as likely as each other up to rounding.

    Args:
        student: folder or name of a trained student.
        question: column of the questions.
        mode: mode it answers in, as in `Student.answer`; None: that it was trained for.
        batch_size: questions answered side by side.
        options: as in `StudentFunction`.

    Raises:
        InvalidInputError: wrong options.
    """

    def __init__(
        self,
        student: Any,
        *,
        question: str = "question",
        mode: str | None = None,
        batch_size: int = 64,
        **options: Any,
    ) -> None:
        super().__init__(student, **options)
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}")
        self.question, self.mode, self.batch_size = question, mode, batch_size

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        return {self.question: "texts"}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        types = {
            "generated": pa.string(),
            "chain": pa.string(),
            "generated_tokens": pa.int64(),
            "prompt_tokens": pa.int64(),
        }
        return [pa.field(name, kind) for name, kind in types.items()]

    def check(self, student: Student) -> None:
        """See `StudentFunction.check`: a student that is not trained knows neither mode nor limits.

        Raises:
            InvalidInputError: it is not trained, or not for this mode.
        """
        student.answer(["1"], self.mode)

    def ask(self, student: Student, rows: dict[str, Any]) -> dict[str, Any]:
        """See `StudentFunction.ask`."""
        import pyarrow as pa

        questions = rows[self.question].to_pylist()
        found = student.answer(questions, self.mode, batch_size=self.batch_size)
        columns = {
            "generated": [answer.text for answer in found],
            "chain": [answer.chain for answer in found],
            "generated_tokens": [answer.written.n_generated for answer in found],
            "prompt_tokens": [answer.written.n_prompt for answer in found],
        }
        return {field.name: pa.array(columns[field.name], field.type) for field in self.added()}
