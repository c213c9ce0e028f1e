"""Writes rows: to Parquet, Arrow IPC and JSON lines, a batch at a time or whole; JSON lines to standard output."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from skipthink.exceptions import InvalidInputError
from skipthink.io.files import PARQUET_OPTIONS, atomic_path
from skipthink.io.tables import ARROW, JSONL, PARQUET, check_suffix

if TYPE_CHECKING:
    import pyarrow as pa


def write_rows(path: str | Path | None, rows: Iterable[dict[str, Any]]) -> None:
    """Writes rows atomically, in the format of the file's ending; JSON lines one after the other.

    Args:
        path: a file of `skipthink.io.tables.SUFFIXES`; None: standard output, as JSON lines.
        rows: the rows.

    Raises:
        DataError: another ending.
        InvalidInputError: a value that the kind of file cannot hold.
        OSError: the file cannot be written.
    """
    if path is None:
        print_lines(map(json_line, rows))
    elif check_suffix(path) in JSONL:
        with atomic_path(path) as scratch, scratch.open("wb") as file:
            file.writelines(_encoded(rows))
    else:
        import pyarrow as pa

        try:
            table = pa.Table.from_pylist(list(rows))
        except (pa.ArrowException, UnicodeEncodeError) as error:
            raise InvalidInputError(
                f"cannot write {path}: {error}; a column holds values of one type"
            ) from error
        write_table(path, table)


def write_table(path: str | Path, table: pa.Table) -> None:
    """Writes a table atomically, in the format of the file's ending.

    Raises:
        DataError: another ending than those of `SUFFIXES`.
        InvalidInputError: a value that JSON lines cannot hold.
        OSError: the file cannot be written.
    """
    suffix = check_suffix(path)
    with atomic_path(path) as scratch, BatchWriter(scratch, table.schema, suffix) as writer:
        writer.write(table)


class BatchWriter:
    """Writes tables of one schema to a file, bit by bit.

    Args:
        sink: the file to write, or a stream of Arrow.
        schema: schema of all tables.
        suffix: what to write: one of `SUFFIXES`.
        quick: whether Parquet is written without dictionaries, which texts that differ only pay for, and without
            statistics of texts.
    """

    def __init__(self, sink: Any, schema: pa.Schema, suffix: str, *, quick: bool = False) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        is_path = isinstance(sink, str | Path)
        self._file: Any = None
        if suffix in PARQUET:
            options = {**PARQUET_OPTIONS, **(_quick_options(schema) if quick else {})}
            self._writer = pq.ParquetWriter(sink, schema, **options)
        elif suffix in ARROW:
            self._writer = pa.ipc.new_file(str(sink) if is_path else sink, schema)
        else:
            self._file = Path(sink).open("wb") if is_path else sink  # noqa: SIM115 - closed on exit
            self._writer = self._file if is_path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Writes a table; in Parquet it becomes a row group."""
        if self._file is None:
            self._writer.write_table(table)
            return
        for line in json_lines(table.to_batches()):
            self._file.write(line.encode())


def _quick_options(schema: pa.Schema) -> dict[str, Any]:
    import pyarrow as pa

    numbers = [field.name for field in schema if pa.types.is_primitive(field.type)]
    return {"use_dictionary": False, "write_statistics": numbers or False}


def json_lines(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """Rows as lines of JSON."""
    for batch in batches:
        yield from map(json_line, batch.to_pylist())


def json_line(row: dict[str, Any]) -> str:
    """A row as a line of JSON, with its line end; NaN and infinity, which JSON cannot say, as null.

    Raises:
        InvalidInputError: a value that JSON has no form for, such as a date.
    """
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False) + "\n"
    except TypeError as error:
        raise InvalidInputError(
            f"a row cannot be written as JSON: {error}; leave the column out, or write Parquet"
        ) from error


def _finite(value: Any) -> Any:
    """The value, null in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_lines(lines: Iterable[str]) -> None:
    """Writes lines to standard output, until the reader closes the pipe (`| head`)."""
    try:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _encoded(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for row, record in enumerate(rows):
        try:
            yield json_line(record).encode("utf-8")
        except UnicodeEncodeError as error:
            found = repr(error.object[error.start])
            raise InvalidInputError(
                f"row {row} holds the lone surrogate {found}; remove or replace it"
            ) from error
