"""Batch functions: what maps a batch of rows to the same rows with columns appended, in any engine.

A batch function holds options and nothing else. It can be pickled, its result does not depend on how rows are cut into
batches or on their order, and `schema` says the types of the result before there is a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from skipthink.exceptions import DataError, InvalidInputError, InvalidTypeError
from skipthink.io.tables import split_batch
from skipthink.stream.columns import KINDS, empty_batch, is_texts, slice_rows, text_column
from skipthink.stream.messages import placed, without_row

if TYPE_CHECKING:
    import pyarrow as pa

OnError = Literal["raise", "null"]

ERROR = "error"
"""Column of what was wrong with a row, with on_error="null"."""

ROW_FAULTS = (InvalidInputError, InvalidTypeError, DataError)
"""What a row can be at fault for. All else (out of memory, a lost worker, a bug) is raised whatever `on_error` says."""

PART_BYTES = 2**30
"""A batch of more bytes is worked on in parts, since an array of strings holds 2 GiB at most."""


class BatchFunction(ABC):
    """A function of batches, with its options.

    A batch is a `pyarrow.Table` or `RecordBatch`, to which columns are appended; anything else that exports an Arrow
    stream (polars and pandas frames, readers), for which a Table is returned; or a mapping of lists, for which the new
    columns are returned as lists (what `datasets.Dataset.map(…, batched=True)` wants).

    Args:
        keep: columns that stay in the result of a table; None: all.
        id_column: column of the rows' ids, for messages; None: "id" where the batch has it.
        on_error: "raise": a bad row raises; "null": its new columns are null, and the column error says why.
        num_threads: threads; None: see `skipthink.stream.threads.worker_threads`. Results do not depend on it.
    """

    is_costly: ClassVar[bool] = False
    """Whether a row costs milliseconds, not microseconds, since a model is asked: then parts of files are smaller."""

    def __init__(
        self,
        *,
        keep: Sequence[str] | None = None,
        id_column: str | None = None,
        on_error: OnError = "raise",
        num_threads: int | None = None,
    ) -> None:
        if on_error not in get_args(OnError):
            raise InvalidInputError(f'on_error must be "raise" or "null", got {on_error!r}')
        if isinstance(keep, str):
            raise InvalidTypeError(f"keep must be a list of columns, got {keep!r}; write [{keep!r}]")
        self.keep = None if keep is None else tuple(keep)
        self.id_column = id_column
        self.on_error = on_error
        self.num_threads = num_threads

    @property
    def model_path(self) -> str | None:
        """The folder, file or name of the model that is asked, None without one: results depend on its files."""
        return None

    @property
    @abstractmethod
    def reads(self) -> dict[str, str]:
        """The columns that are read, each with what it holds, a key of `skipthink.stream.columns.KINDS`."""

    @abstractmethod
    def added(self) -> list[pa.Field]:
        """The columns that are appended, `error` apart."""

    @abstractmethod
    def compute(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        """The new columns of some rows.

        Args:
            given: the columns that are read, as Arrow arrays, or as sequences where the batch is a mapping.
            first_row: number of the first of these rows, for what is drawn by row.

        Returns:
            Arrow arrays of the types that `added` says.

        Raises:
            InvalidInputError: what is wrong with a row, as "… row N …", counted in these rows.
        """

    def with_plain_lists(self) -> BatchFunction:
        """The same function without lists of fixed size in its result, for engines that have none, such as Spark."""
        return self

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )

    @property
    def inputs(self) -> list[str]:
        """The columns that are read."""
        named = [self.id_column] if self.id_column is not None else []
        return list(dict.fromkeys([*self.reads, *named]))

    @property
    def columns(self) -> list[str] | None:
        """The columns that a source must have: those kept and those read; None: all are kept."""
        return None if self.keep is None else list(dict.fromkeys((*self.keep, *self.inputs)))

    def schema(self, input_schema: Any) -> pa.Schema:
        """The schema of the result, before there is a batch; no batch has another.

        Args:
            input_schema: schema of the batches, a `pyarrow.Schema` or what exports one.

        Returns:
            The columns that are kept, with their metadata and that of the schema, and those appended.

        Raises:
            InvalidInputError: a column that is missing, there twice, or would be overwritten.
            InvalidTypeError: a column of another type than is read.
        """
        import pyarrow as pa

        given = input_schema if isinstance(input_schema, pa.Schema) else pa.schema(input_schema)
        self._check_names(given.names)
        for name, kind in self.reads.items():
            found = given.field(name).type
            if not KINDS[kind](found):
                hint = "; join each list to one text" if kind == "texts" and is_texts(found) else ""
                raise InvalidTypeError(f"{name} must hold {kind}, got {found}{hint}")
        fields = self._new_fields()
        new = {field.name for field in fields}
        kept = [name for name in (given.names if self.keep is None else self.keep) if name not in new]
        return pa.schema([*(given.field(name) for name in kept), *fields], given.metadata)

    def __call__(self, batch: Any, indices: Sequence[int] | None = None) -> Any:
        """Maps one batch.

        Args:
            batch: a table, or a mapping of columns.
            indices: numbers of its rows in the whole data set (`with_indices=True`), for messages and what is drawn by
                row.

        Returns:
            The table with columns appended, or a dictionary of the new columns.

        Raises:
            InvalidInputError: a bad row, by row and id; a column that is missing or would be overwritten.
            InvalidTypeError: no batch, or a column of a wrong type.
        """
        import pyarrow as pa

        if isinstance(batch, Mapping):
            return self._map_lists(batch, indices)
        table = batch if isinstance(batch, pa.Table | pa.RecordBatch) else _as_table(batch)
        schema = self.schema(table.schema)
        read = table.select(self._read_names(table.schema.names))
        parts = [
            self._run({name: part[name] for name in part.schema.names}, part.num_rows, start, indices)
            for start, part in _parts(read)
        ]
        kept = schema.names[: len(schema) - len(self._new_fields())]
        columns = {name: table[name] for name in kept}
        for field in self._new_fields():
            arrays = [part[field.name] for part in parts]
            is_table = isinstance(table, pa.Table)
            columns[field.name] = pa.chunked_array(arrays, field.type) if is_table else _joined(arrays)
        return type(table).from_arrays(list(columns.values()), schema=schema)

    def over(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Maps an iterator of batches, for engines that hand one over, as Spark's `mapInArrow` does."""
        return map(self, batches)

    def first_row(self, indices: Sequence[int] | None) -> int:
        """The number that the first row of a batch is drawn by; 0 where nothing is drawn."""
        del indices
        return 0

    def _new_fields(self) -> list[pa.Field]:
        import pyarrow as pa

        return [*self.added(), *([pa.field(ERROR, pa.string())] if self.on_error == "null" else [])]

    def _check_names(self, names: Sequence[str]) -> None:
        for name in [*self.inputs, *(self.keep or ())]:
            if name not in names:
                raise InvalidInputError(f"the batch has no column {name!r}, it has {', '.join(names)}")
            if list(names).count(name) > 1:
                raise InvalidInputError(f"the batch has several columns {name!r}; rename or drop all but one")
        kept = set(names if self.keep is None else self.keep) - self.replaced
        taken = kept.intersection(field.name for field in self._new_fields())
        if taken:
            raise InvalidInputError(
                f"the batch has a column {min(taken)!r} already; rename it, or leave it out of keep"
            )

    @property
    def replaced(self) -> set[str]:
        """Columns that are read and may be replaced by new ones of the same name."""
        return set()

    def _read_names(self, names: Sequence[str]) -> list[str]:
        """Columns to read: those of `inputs`, and ids where there are some."""
        found = ["id"] if self.id_column is None and names.count("id") == 1 else []
        return list(dict.fromkeys([*self.inputs, *found]))

    def _map_lists(self, batch: Mapping[str, Any], indices: Sequence[int] | None) -> dict[str, list[Any]]:
        """The new columns of a mapping of lists."""
        names = list(batch)
        self._check_names(names)
        columns = {name: batch[name] for name in self._read_names(names)}
        if any(isinstance(column, np.ndarray) for column in columns.values()):
            raise InvalidTypeError(
                "a batch of NumPy arrays would lose the types of its columns; hand over Arrow: "
                'map_batches(…, batch_format="pyarrow") in Ray, with_format("arrow") in datasets'
            )
        n_rows = len(columns[self.inputs[0]])
        added = self._run(columns, n_rows, 0, indices)
        return {name: column.to_pylist() for name, column in added.items()}

    def _run(
        self, given: dict[str, Any], n_rows: int, start: int, indices: Sequence[int] | None
    ) -> dict[str, Any]:
        """The new columns of a part of a batch that begins at its row `start`."""
        import pyarrow as pa

        ids = given.get(self.id_column or "id")
        if indices is not None:
            indices = indices[start : start + n_rows]
        first_row = self.first_row(indices) + (start if indices is None else 0)
        if n_rows == 0:
            return {field.name: pa.nulls(0, field.type) for field in self._new_fields()}
        read = {name: given[name] for name in self.reads}
        if self.on_error == "null":
            return self._sifted(read, n_rows, first_row)
        try:
            return self._computed(read, first_row)
        except ROW_FAULTS as error:
            raise placed(error, indices, ids, n_rows, start) from error

    def _computed(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        kinds = self.reads
        given = {
            name: text_column(name, column) if kinds[name] == "texts" else column
            for name, column in given.items()
        }
        return self.compute(given, first_row)

    def _sifted(self, given: dict[str, Any], n_rows: int, first_row: int) -> dict[str, Any]:
        """The new columns, null for bad rows, which are found by halving: no message has to name them."""
        import pyarrow as pa

        pieces: list[dict[str, Any]] = []
        waiting = [(0, n_rows)]
        while waiting:
            start, end = waiting.pop()
            rows = {name: slice_rows(column, start, end) for name, column in given.items()}
            try:
                found = self._computed(rows, first_row + start)
                pieces.append({**found, ERROR: pa.nulls(end - start, pa.string())})
            except ROW_FAULTS as error:
                if end - start > 1:
                    middle = (start + end) // 2
                    waiting += [(middle, end), (start, middle)]
                    continue
                nothing = {field.name: pa.nulls(1, field.type) for field in self.added()}
                pieces.append({**nothing, ERROR: pa.array([without_row(error)], pa.string())})
        return {field.name: _joined([piece[field.name] for piece in pieces]) for field in self._new_fields()}


def _as_table(batch: Any) -> pa.Table:
    import pyarrow as pa

    if not hasattr(batch, "__arrow_c_stream__"):
        raise InvalidTypeError(
            f"a batch is a pyarrow table or a mapping of columns, got {type(batch).__name__}"
        )
    try:
        return pa.table(batch)
    except pa.ArrowException as error:
        raise InvalidTypeError(f"a batch is a table, got {type(batch).__name__}: {error}") from error


def _parts(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first row, record batch) of a table; one batch unless it is very large."""
    import pyarrow as pa

    batches = [table] if isinstance(table, pa.RecordBatch) else table.combine_chunks().to_batches()
    start = 0
    for batch in batches or [empty_batch(table.schema)]:
        for part in split_batch(batch, max(1, batch.num_rows), PART_BYTES):
            yield start, part
            start += part.num_rows


def _joined(arrays: list[Any]) -> Any:
    """Arrays as one.

    Raises:
        InvalidInputError: together they hold more than an array can.
    """
    import pyarrow as pa

    if len(arrays) == 1:
        return arrays[0]
    try:
        return pa.concat_arrays(arrays)
    except pa.ArrowInvalid as error:
        raise InvalidInputError(
            f"the batch is too large for one array: {error}; use smaller batches"
        ) from error
