"""Planning of batches: the training items of samples as token ids and labels (method §5, §7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from skipthink.core.ragged import first_null_row
from skipthink.exceptions import InvalidInputError
from skipthink.stream.columns import boundary_rows
from skipthink.stream.students import StudentFunction, samples_of

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.student.items import Items
    from skipthink.student.student import Student

Scheme = Literal["chunkwise", "skip", "base", "answer-only"]

IGNORED = -100
"""Label of tokens without loss, as torch and transformers have it."""


class ItemPlanner(StudentFunction):
    """The training items of samples as a function of batches.

    It appends `items`, a list per sample: stage (1 … M, or a `skipthink.types.Stage`), input_ids, labels (-100 where a
    token carries no loss) and, of an encoder-decoder, source_ids (null elsewhere). `item_rows` makes a row of each.

    Args:
        student: folder or name of the student, whose tokenizer, markers and frame are used.
        scheme: "chunkwise" (M stage items and an answer item per sample), "skip", "base" or "answer-only" (one each).
        question: column of the questions.
        rationale: column of the rationales.
        answer: column of the answers.
        boundaries: column of the boundaries, lists of M + 1.
        skipped: column of the skipped chunks, lists of M booleans, which the scheme "skip" reads.
        thought: what stands for skipped chunks, as in `skipthink.plan_items`.
        rules: step rules that the rationales were chunked with.
        options: as in `StudentFunction`.

    Raises:
        InvalidInputError: an unknown scheme.
    """

    def __init__(
        self,
        student: Any,
        scheme: Scheme = "chunkwise",
        *,
        question: str = "question",
        rationale: str = "rationale",
        answer: str = "answer",
        boundaries: str = "boundaries",
        skipped: str = "skipped",
        thought: str = "per-chunk",
        rules: str | Sequence[str] = "auto",
        **options: Any,
    ) -> None:
        super().__init__(student, **options)
        if scheme not in get_args(Scheme):
            raise InvalidInputError(f"scheme must be one of {', '.join(get_args(Scheme))}, got {scheme!r}")
        self.scheme = scheme
        self.question, self.rationale, self.answer = question, rationale, answer
        self.boundaries, self.skipped, self.thought = boundaries, skipped, thought
        self.rules = rules if isinstance(rules, str) else tuple(rules)

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        texts = dict.fromkeys((self.question, self.rationale, self.answer), "texts")
        skipped = {self.skipped: "lists of booleans"} if self.scheme == "skip" else {}
        return {**texts, self.boundaries: "lists of numbers", **skipped}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        ids = pa.list_(pa.int64())
        item = pa.struct({"stage": pa.int64(), "input_ids": ids, "labels": ids, "source_ids": ids})
        return [pa.field("items", pa.list_(item))]

    def ask(self, student: Student, rows: dict[str, Any]) -> dict[str, Any]:
        """See `StudentFunction.ask`."""
        from skipthink.student.items import build_items

        samples = samples_of(rows, question=self.question, rationale=self.rationale, answer=self.answer)
        encoded = student.encode(samples, self.rules)
        cuts = boundary_rows(self.boundaries, rows[self.boundaries], student.n_chunks, encoded.n_steps)
        options: dict[str, Any] = {}
        if self.scheme == "skip":
            options = {"thought": self.thought, "skipped": self._flags(rows[self.skipped], student.n_chunks)}
        items = build_items(encoded, encoded.plan(self.scheme, cuts, **options), student.markers)
        return {"items": _lists_of_items(items, len(encoded), self.added()[0].type.value_type)}

    def _flags(self, column: Any, n_chunks: int) -> Any:
        """Skip flags, bool (n, M)."""
        import pyarrow.compute as pc

        wrong = np.flatnonzero(pc.list_value_length(column).to_numpy(zero_copy_only=False) != n_chunks)
        if len(wrong):
            raise InvalidInputError(
                f"{self.skipped} of row {wrong[0]} has {len(column[int(wrong[0])])} values, but M is {n_chunks}"
            )
        flat = column.flatten()
        row = first_null_row(flat, np.arange(len(column) + 1) * n_chunks)
        if row is not None:
            raise InvalidInputError(f"{self.skipped} of row {row} holds a null; drop the row")
        return flat.to_numpy(zero_copy_only=False).astype(np.bool_).reshape(len(column), n_chunks)


def item_rows(result: pa.Table | pa.RecordBatch, keep: Sequence[str] = ("id",)) -> pa.Table:
    """A row per item of what an `ItemPlanner` has returned; rows without items have none.

    Args:
        result: a table with the column items.
        keep: columns of the samples that the items get too.

    Returns:
        Those columns, and stage, input_ids, labels, source_ids.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = result if isinstance(result, pa.Table) else pa.Table.from_batches([result])
    items = table["items"].combine_chunks()
    kept = table.select(list(keep)).take(pc.list_parent_indices(items))
    flat = items.flatten()
    for field in flat.type:
        kept = kept.append_column(field.name, pc.struct_field(flat, field.name))
    return kept


def _lists_of_items(items: Items, n_rows: int, kind: Any) -> pa.Array:
    """Items as lists of structs, by sample; they are in the samples' order."""
    import pyarrow as pa

    from skipthink.student.items import loss_mask
    from skipthink.student.token_rows import TokenRows, offsets_of

    def lists(rows: TokenRows) -> pa.Array:
        return pa.ListArray.from_arrays(pa.array(rows.offsets.astype(np.int32)), pa.array(rows.values))

    labels = np.where(loss_mask(items), items.tokens.values, IGNORED)
    sources = pa.nulls(len(items), pa.list_(pa.int64())) if items.sources is None else lists(items.sources)
    columns = {
        "stage": pa.array(items.stages),
        "input_ids": lists(items.tokens),
        "labels": lists(TokenRows(labels, items.tokens.offsets)),
        "source_ids": sources,
    }
    structs = pa.StructArray.from_arrays(list(columns.values()), fields=list(kind))
    counts = offsets_of(np.bincount(items.rows, minlength=n_rows))
    return pa.ListArray.from_arrays(pa.array(counts.astype(np.int32)), structs)
