"""Scoring of batches: the losses of steps as columns, which a `Chunker` reads (method §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.steps import split_steps_batch
from skipthink.exceptions import InvalidInputError
from skipthink.stream.students import StudentFunction, samples_of

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.core.ragged import Floats, Ints
    from skipthink.student.student import Student


class Scorer(StudentFunction):
    """`Student.score` as a function of batches.

    It appends `losses`, the mean loss of each step in nats per token (conditioned: a list of M per step; free: one
    number per step), `n_tokens`, the tokens of each step, and, conditioned, `end_losses`, lists of M for the end token
    after 0 … K steps. A `Chunker` reads them by these names.

    A row's losses do not depend on how rows are cut into batches, up to the rounding of float32 sums: the passes of
    a batch are padded to their longest sequence.

    Args:
        student: folder or name of the student.
        question: column of the questions.
        rationale: column of the rationales.
        passes: "conditioned" (M forward passes per sample) or "free" (one), as in `Student.score`.
        rules: step rules; those the rationales are chunked with.
        batch_tokens: most padded tokens of a forward pass.
        autocast: "bfloat16", "float16" or None, as in `Student.score`.
        options: as in `StudentFunction`.

    Raises:
        InvalidInputError: wrong options.
    """

    def __init__(
        self,
        student: Any,
        *,
        question: str = "question",
        rationale: str = "rationale",
        passes: str = "conditioned",
        rules: str | Sequence[str] = "auto",
        batch_tokens: int = 8192,
        autocast: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(student, **options)
        if passes not in ("conditioned", "free"):
            raise InvalidInputError(f'passes must be "conditioned" or "free", got {passes!r}')
        if batch_tokens < 1:
            raise InvalidInputError(f"batch_tokens must be at least 1, got {batch_tokens}")
        self.question, self.rationale = question, rationale
        self.passes, self.batch_tokens, self.autocast = passes, batch_tokens, autocast
        self.rules = rules if isinstance(rules, str) else tuple(rules)
        split_steps_batch([], rules=self.rules, num_threads=1)

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        return {self.question: "texts", self.rationale: "texts"}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        numbers = pa.list_(pa.float64())
        losses = pa.list_(numbers) if self.passes == "conditioned" else numbers
        fields = [pa.field("losses", losses), pa.field("n_tokens", pa.list_(pa.int64()))]
        return [*fields, pa.field("end_losses", losses)] if self.passes == "conditioned" else fields

    def ask(self, student: Student, rows: dict[str, Any]) -> dict[str, Any]:
        """See `StudentFunction.ask`."""
        import pyarrow as pa

        samples = samples_of(rows, question=self.question, rationale=self.rationale)
        found = student.score(
            student.encode(samples, self.rules),
            passes=self.passes,
            batch_tokens=self.batch_tokens,
            autocast=self.autocast,
        )
        is_conditioned = found.end_nll is not None
        columns = {
            "losses": _lists(found.losses if is_conditioned else found.losses[:, 0], found.offsets),
            "n_tokens": pa.ListArray.from_arrays(found.offsets.astype(np.int32), pa.array(found.n_tokens)),
        }
        if found.end_nll is not None:
            columns["end_losses"] = _lists(found.end_nll, found.end_offsets)
        return columns


def _lists(values: Floats, offsets: Ints) -> pa.Array:
    """Rows of numbers, or of lists of them, one list per row of a matrix."""
    import pyarrow as pa

    numbers = pa.array(np.ascontiguousarray(values).ravel())
    if values.ndim == 2:
        starts = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
        numbers = pa.ListArray.from_arrays(pa.array(starts), numbers)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), numbers)
