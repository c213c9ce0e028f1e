"""Whole files of rows as Python values: read with the place of every row, written in one step."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import atomic_path, parse_json
from skipthink.io.tables import (
    JSONL,
    SUFFIXES,
    check_suffix,
    json_line,
    json_objects,
    read_batches,
    reading,
    write_table,
)

READABLE = (".json", *SUFFIXES)
"""Endings of files that `read_rows` reads."""


@dataclass
class RawRows:
    """Rows as the source has them: `columns` of one length, and how to name a row in messages."""

    source: str
    columns: dict[str, list[Any]]
    n_rows: int
    place: Callable[[int], str]
    notes: dict[str, Any] = field(default_factory=dict)

    def filled(self, column: str) -> list[Any]:
        """A column that every row must have.

        Raises:
            KeyError: there is no such column.
            InvalidInputError: a row lacks it.
        """
        values = self.columns[column]
        for row, value in enumerate(values):
            if value is None:
                place = f"{self.source}, {self.place(row)}"
                raise InvalidInputError(f"{place}: {column} is missing; fill it or drop the row")
        return values

    def ids(self) -> Sequence[Any]:
        """The column id; numbers of the rows where there is none."""
        return self.columns.get("id", range(self.n_rows))


def read_rows(path: str | Path) -> RawRows:
    """Reads all rows of a file; values keep the types they have there.

    Args:
        path: a file of JSON lines, a JSON file that is one list of objects, or a Parquet or Arrow file.

    Raises:
        DataError: the file has another ending, cannot be read, or a line is no object.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    with reading(path):
        if suffix in JSONL:
            return _from_lines(path)
        if suffix == ".json":
            return _from_list(path)
        return _from_table(path)


def write_rows(path: str | Path | None, rows: Iterable[dict[str, Any]]) -> None:
    """Writes rows atomically, of the kind that the file's ending says; JSON lines one after the other.

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


def print_lines(lines: Iterable[str]) -> None:
    """Writes lines to standard output, until nobody reads them any more (`| head`)."""
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


def _from_lines(path: Path) -> RawRows:
    records, lines = [], []
    for number, record, _ in json_objects(path):
        records.append(record)
        lines.append(number)
    with path.open("rb") as file:
        n_blank = sum(not line.strip() for line in file)
    return _from_records(path, records, lambda row: f"line {lines[row]}", {"blank_lines": n_blank})


def _from_list(path: Path) -> RawRows:
    records = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), str(path))
    if not isinstance(records, list):
        found = type(records).__name__
        raise DataError(f"{path} holds {found}, not a list of objects; write one, or JSON lines")
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{path}, element {index} is {type(record).__name__}, not an object")
    return _from_records(path, records, lambda row: f"element {row}", {})


def _from_records(
    path: Path, records: list[dict[str, Any]], place: Callable[[int], str], notes: dict[str, Any]
) -> RawRows:
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return RawRows(str(path), columns, len(records), place, notes)


def _from_table(path: Path) -> RawRows:
    columns: dict[str, list[Any]] = {}
    n_rows = 0
    for batch in read_batches(path):
        n_rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            columns.setdefault(name, []).extend(column.to_pylist())
    return RawRows(str(path), columns, n_rows, lambda row: f"row {row}")
