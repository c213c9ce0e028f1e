"""Splitting of batches: the steps of texts as a column (method §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skipthink.core.arrow_columns import arrow_array
from skipthink.core.chunk_texts import steps_of_spans
from skipthink.core.steps import split_steps_batch
from skipthink.stream.function import BatchFunction, OnError
from skipthink.stream.threads import worker_threads

if TYPE_CHECKING:
    import pyarrow as pa


class Splitter(BatchFunction):
    """`skipthink.split_steps` as a function of batches.

    It appends `steps`, list of strings that join to the text (none where the text is white space), and `n_steps`,
    int64. A `Chunker` reads the steps as its column of rationales.

    Args:
        text: column of the texts.
        rules: as in `split_steps`.
        keep: as in `BatchFunction`.
        id_column: as in `BatchFunction`.
        on_error: as in `BatchFunction`.
        num_threads: as in `BatchFunction`.

    Raises:
        InvalidInputError: unknown rules.
    """

    def __init__(
        self,
        text: str = "rationale",
        *,
        rules: str | Sequence[str] = "auto",
        keep: Sequence[str] | None = None,
        id_column: str | None = None,
        on_error: OnError = "raise",
        num_threads: int | None = None,
    ) -> None:
        super().__init__(keep=keep, id_column=id_column, on_error=on_error, num_threads=num_threads)
        self.text = text
        self.rules = rules if isinstance(rules, str) else tuple(rules)
        split_steps_batch([], rules=self.rules, num_threads=num_threads)  # wrong rules are refused now

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        return {self.text: "texts"}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        return [pa.field("steps", pa.list_(pa.string())), pa.field("n_steps", pa.int64())]

    def compute(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        """See `BatchFunction.compute`."""
        import pyarrow as pa

        texts = arrow_array(self.text, given[self.text])
        spans = split_steps_batch(texts, rules=self.rules, num_threads=worker_threads(self.num_threads))
        return {"steps": steps_of_spans(texts, spans), "n_steps": pa.array(spans.n_steps)}
