"""Streams through a batch function: a reader of its results, in bounded memory, rows in order (method §4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError, InvalidTypeError
from skipthink.io.tables import BATCH_ROWS, read_batches, split_batch
from skipthink.stream.chunker import Chunker
from skipthink.stream.columns import empty_batch
from skipthink.stream.function import BatchFunction

if TYPE_CHECKING:
    import pyarrow as pa


def chunk_batches(
    source: Any,
    M: int,
    eta: float = 0.1,
    *,
    first_row: int = 0,
    batch_rows: int = BATCH_ROWS,
    **options: Any,
) -> pa.RecordBatchReader:
    """Chunks a stream of rows in bounded memory; the result is the same for every size of batch.

    Args:
        source: a path (.parquet, .arrow, .feather, .ipc, .jsonl, .ndjson), a `pyarrow.RecordBatchReader` or any object
            that exports an Arrow stream (tables, polars and pandas frames, …), or an iterable of tables, record batches
            or mappings of columns.
        M: number of chunks.
        eta: as in `chunk`.
        first_row: number of the first row, for messages and as in `chunk`.
        batch_rows: most rows of a batch of the result.
        options: columns and options, as in `Chunker`.

    Returns:
        A reader of record batches: the rows of the source, in order, with the columns boundaries, objective,
        initial_objective, searched and, unless texts=False, chunks appended. Nothing beyond its first batch is read
        before it is asked for.

    Raises:
        InvalidInputError: what `chunk` refuses; names the row of the stream.
    """
    return map_batches(source, Chunker(M, eta, **options), first_row=first_row, batch_rows=batch_rows)


def map_batches(
    source: Any, function: BatchFunction, *, first_row: int = 0, batch_rows: int = BATCH_ROWS
) -> pa.RecordBatchReader:
    """Maps a stream of rows through a batch function, in bounded memory.

    Args:
        source: as in `chunk_batches`.
        function: the function.
        first_row: number of the first row.
        batch_rows: most rows of a batch of the result.

    Returns:
        A reader of the results, rows in order. Nothing beyond the first batch is read before it is asked for.

    Raises:
        InvalidInputError: what the function refuses; names the row of the stream.
    """
    import pyarrow as pa

    if batch_rows < 1:
        raise InvalidInputError(f"batch_rows must be at least 1, got {batch_rows}")
    batches = _mapped(source, function, first_row, batch_rows)
    first = next(batches, None)
    if first is None:
        raise InvalidInputError("the stream holds no batch, so that its columns are not known")

    def typed() -> Iterator[pa.RecordBatch]:
        row = first_row
        for batch in chain([first], batches):
            yield _cast(batch, first.schema, row)
            row += batch.num_rows

    return pa.RecordBatchReader.from_batches(first.schema, typed())


def _mapped(source: Any, function: BatchFunction, row: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
    for batch in _batches(source, function, batch_rows):
        for part in split_batch(batch, batch_rows):
            yield function(part, range(row, row + part.num_rows))
            row += part.num_rows


def _batches(source: Any, function: BatchFunction, batch_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(source, str | Path):
        yield from read_batches(source, function.columns, batch_rows=batch_rows)
    elif hasattr(source, "__arrow_c_stream__"):
        reader = (
            source if isinstance(source, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(source)
        )
        batch = None
        for batch in reader:
            yield batch
        if batch is None:  # a batch of no row says which columns there are
            yield empty_batch(reader.schema)
    elif isinstance(source, pa.RecordBatch):
        yield source
    elif isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise InvalidTypeError(
            f"source must be a path, an Arrow stream or an iterable of batches, got {type(source).__name__}"
        )
    else:
        for item in source:
            yield from _as_batches(item)


def _as_batches(item: Any) -> list[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(item, pa.RecordBatch):
        return [item]
    if isinstance(item, Mapping):
        item = pa.table(dict(item))
    if isinstance(item, pa.Table):
        return list(item.to_batches())
    raise InvalidTypeError(f"a batch is a pyarrow table or a mapping of columns, got {type(item).__name__}")


def _cast(batch: pa.RecordBatch, schema: pa.Schema, row: int) -> pa.RecordBatch:
    """The batch in the types of the first one."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InvalidInputError(
            f"the batch that starts at row {row} has other columns than the first one: {error}; give all batches "
            "the same schema"
        ) from error
