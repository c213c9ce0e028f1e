"""Reads files of rows as record batches: Parquet, Arrow IPC and JSON lines, a batch at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from skipthink.exceptions import DataError
from skipthink.io.files import parse_object
from skipthink.io.places import Place

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = (".parquet",)
ARROW = (".arrow", ".feather", ".ipc")
JSONL = (".jsonl", ".ndjson")
SUFFIXES = PARQUET + ARROW + JSONL

BATCH_ROWS = 16_384
BATCH_BYTES = 64 * 2**20
"""What a batch holds at most, so that long texts need no more memory than short ones."""


def check_suffix(path: str | Path | Place) -> str:
    """The suffix of a path, in lower case.

    Raises:
        DataError: none of those that can be read and written.
    """
    suffix = Place.of(path).suffix
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path} has the ending {suffix!r}; name a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file"
        )
    return suffix


def column_names(path: str | Path | Place) -> list[str]:
    """Columns of a file; of JSON lines the keys of the first object.

    Raises:
        DataError: the file cannot be read, or holds no row.
    """
    if check_suffix(path) not in JSONL:
        return list(file_schema(path).names)
    with reading(path):
        first = next(iter(JsonLines(path)), None)
    if first is None:
        raise DataError(f"{path} holds no row")
    return list(first[1])


def file_schema(path: str | Path | Place) -> pa.Schema:
    """The schema of a Parquet or Arrow file.

    Raises:
        DataError: the file cannot be read.
    """
    import pyarrow.parquet as pq

    with reading(path):
        if check_suffix(path) in PARQUET:
            return pq.read_schema(Place.of(path).open_arrow())
        return open_ipc(path).schema


def read_batches(
    path: str | Path | Place,
    columns: Sequence[str] | None = None,
    *,
    skip_rows: int = 0,
    n_rows: int | None = None,
    batch_rows: int = BATCH_ROWS,
    absent: Sequence[str] = (),
    types: dict[str, pa.DataType] | None = None,
    start: LineStart | None = None,
) -> Iterator[pa.RecordBatch]:
    """Reads a file batch by batch; Arrow IPC is memory-mapped and not copied.

    Args:
        path: a .parquet, .arrow, .feather, .ipc, .jsonl or .ndjson file.
        columns: the columns to read; None: all.
        skip_rows: rows at the start that are passed over.
        batch_rows: most rows of a batch; one of long rows holds fewer.
        absent: columns that the file was found not to have; JSON lines are refused where a later one has them.
        n_rows: rows to read after those; None: all.
        types: of JSON lines the types of the columns; None: what the file gives.
        start: of JSON lines where row `skip_rows` stands; None: lines are read to find it.

    Yields:
        Batches of the same schema, rows in order.

    Raises:
        DataError: the file cannot be read, lacks a column, has one twice, or changes its types on the way.
    """
    suffix = check_suffix(path)
    names = column_names(path)
    if len(set(names)) < len(names):
        raise DataError(f"{path} has columns of the same name: {', '.join(names)}; rename them")
    missing = [name for name in columns or [] if name not in names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}, it has {', '.join(names)}")
    wanted = names if columns is None else list(columns)
    place = Place.of(path)
    if suffix in PARQUET:
        batches = _parquet(place, wanted, skip_rows, n_rows, batch_rows)
    elif suffix in ARROW:
        batches = skip(_ipc(place, wanted), skip_rows)
    else:
        with reading(path):
            types = types or json_types(path, wanted)
        stop = None if n_rows is None else skip_rows + n_rows
        batches = _jsonl(place, types, (skip_rows, stop), start, batch_rows, absent)
    left = n_rows
    while left is None or left > 0:
        with reading(path):
            batch = next(batches, None)
        if batch is None:
            return
        if left is not None:
            batch = batch.slice(0, left)
            left -= batch.num_rows
        yield from split_batch(batch, batch_rows)


def split_batch(
    batch: pa.RecordBatch, batch_rows: int = BATCH_ROWS, batch_bytes: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Slices of a batch, without a copy, of at most `batch_rows` rows and about `batch_bytes` (`BATCH_BYTES`)."""
    fitting = (batch_bytes or BATCH_BYTES) * batch.num_rows // max(1, batch.nbytes)
    size = max(1, min(batch_rows, fitting))
    if batch.num_rows <= size:
        yield batch
        return
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)


def skip(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.RecordBatch]:
    """The batches less their first rows."""
    for batch in batches:
        if batch.num_rows > n_rows:
            yield batch.slice(n_rows)
        n_rows = max(0, n_rows - batch.num_rows)


@contextmanager
def reading(path: str | Path | Place) -> Iterator[None]:
    """Turns what reading a file raises into a `DataError` that names the file."""
    import pyarrow as pa

    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _parquet(
    place: Place, columns: list[str], skip_rows: int, n_rows: int | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(place.open_arrow(), pre_buffer=not place.is_local)
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    first = 0
    while first < len(sizes) and skip_rows >= sizes[first]:
        skip_rows -= sizes[first]
        first += 1
    last, wanted = first, skip_rows + (sum(sizes) if n_rows is None else n_rows)
    while last < len(sizes) and wanted > 0:
        wanted -= sizes[last]
        last += 1
    if first == last:
        return iter(())
    groups = range(first, last)
    return skip(file.iter_batches(batch_rows, groups, columns, use_threads=False), skip_rows)


def open_ipc(path: str | Path | Place) -> Any:
    """An Arrow IPC file or stream, memory-mapped on this machine."""
    import pyarrow as pa

    source = Place.of(path).open_arrow()
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def ipc_batches(path: str | Path | Place) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow IPC file or stream."""
    import pyarrow as pa

    reader = open_ipc(path)
    if isinstance(reader, pa.RecordBatchFileReader):
        return (reader.get_batch(index) for index in range(reader.num_record_batches))
    return iter(reader)


def _ipc(place: Place, columns: list[str]) -> Iterator[pa.RecordBatch]:
    return (batch.select(columns) for batch in ipc_batches(place))


class LineStart(NamedTuple):
    """Where a row of a file of JSON lines begins."""

    byte: int
    lines_before: int


def _jsonl(
    place: Place,
    types: dict[str, pa.DataType],
    rows_wanted: tuple[int, int | None],
    start: LineStart | None,
    batch_rows: int,
    absent: Sequence[str],
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    rows: list[tuple[str, dict[str, Any]]] = []
    n_bytes = 0

    def batch() -> pa.RecordBatch:
        arrays = [_json_column(place, name, rows, kind) for name, kind in types.items()]
        rows.clear()
        return pa.RecordBatch.from_arrays(arrays, names=list(types))

    first, stop = rows_wanted
    numbered = enumerate(JsonLines(place, start or LineStart(0, 0)), first if start else 0)
    passed = 0 if start else first
    for row, (number, record, size) in islice(
        numbered, passed, None if stop is None else passed + stop - first
    ):
        where = f"{place}, row {row}, line {number}"
        for name in record.keys() & absent:
            raise DataError(
                f"{where} has {name!r}, which the first line has not; write it in every line, or in none"
            )
        rows.append((where, record))
        n_bytes += size
        if len(rows) == batch_rows or n_bytes >= BATCH_BYTES:
            yield batch()
            n_bytes = 0
    if rows:
        yield batch()


class JsonLines:
    """Objects of a file of JSON lines, packed by gzip where the name ends in .gz; blank lines are passed over.

    Attributes:
        n_blank: blank lines so far.
    """

    def __init__(self, path: str | Path | Place, start: LineStart | None = None) -> None:
        self.place, self.n_blank = Place.of(path), 0
        self.start = start or LineStart(0, 0)

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any], int]]:
        """Yields the number of the line, from 1, its object and its bytes.

        Raises:
            DataError: a line that is no object.
            OSError: the file cannot be read.
        """
        for number, line, size in self.lines():
            place = f"{self.place}, line {number}"
            yield number, parse_object(line.rstrip(b"\n"), place), size

    def lines(self) -> Iterator[tuple[int, bytes, int]]:
        """Yields the number of each line that is not blank, from 1, its content and its bytes."""
        opened = self.place.open_bytes(self.start.byte)
        with opened, gzip.open(opened) if self.place.suffix == ".gz" else opened as file:
            for number, line in enumerate(file, self.start.lines_before + 1):
                content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if content.strip():
                    yield number, content, len(content)
                else:
                    self.n_blank += 1


def json_types(path: str | Path | Place, columns: Sequence[str]) -> dict[str, pa.DataType]:
    """The types of the columns of JSON lines, which depend on the file alone and on no size of batch.

    The first `BATCH_ROWS` rows decide, and where a column could be otherwise behind them (nulls, whole numbers,
    objects), all rows: the file is read twice then. Numbers in lists are floats.
    """
    import pyarrow as pa

    types: dict[str, pa.DataType] = dict.fromkeys(columns, pa.null())
    wrong: set[str] = set()
    records = (record for _, record, _ in JsonLines(path))
    while rows := list(islice(records, BATCH_ROWS)):
        for name in columns:
            if name not in wrong and not _is_settled(types[name]):
                types[name], fits = _join_values(types[name], [record.get(name) for record in rows])
                wrong |= set() if fits else {name}
        if all(_is_settled(types[name]) or name in wrong for name in columns):
            break
    return {name: _widened(kind) for name, kind in types.items()}


def _join_values(kind: pa.DataType, values: list[Any]) -> tuple[pa.DataType, bool]:
    """The type that holds a column so far and more values, and whether there is one for all of them."""
    import pyarrow as pa

    try:
        joined = join_types(kind, pa.array(values).type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        if len(values) == 1:
            return kind, False
        joined = None
    if joined is not None:
        return joined, True
    if len(values) == 1:
        return kind, False
    half = len(values) // 2
    kind, fits = _join_values(kind, values[:half])
    return _join_values(kind, values[half:]) if fits else (kind, False)


def join_types(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both of two types of JSON values; None where there is none."""
    import pyarrow as pa

    if left.equals(right) or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    numbers = {left, right}
    if numbers == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(left) and pa.types.is_list(right):
        inner = join_types(left.value_type, right.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        fields = {field.name: field.type for field in left}
        for field in right:
            joined = join_types(fields.get(field.name, pa.null()), field.type)
            if joined is None:
                return None
            fields[field.name] = joined
        return pa.struct(list(fields.items()))
    return None


def _is_settled(kind: pa.DataType) -> bool:
    """Whether no further value can change the type: it fits, or is refused."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return _is_settled(kind.value_type) or pa.types.is_integer(kind.value_type)
    return not (pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_struct(kind))


def _json_column(
    path: Place, name: str, rows: list[tuple[str, dict[str, Any]]], kind: pa.DataType
) -> pa.Array:
    """A column of one type."""
    import pyarrow as pa

    values = [record.get(name) for _, record in rows]
    try:
        return pa.array(values, type=kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        for place, record in rows:
            try:
                pa.array([record.get(name)], type=kind)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                found = f"{record.get(name)!r:.60}"
                raise DataError(
                    f"{place}: {name} is {found}, rows before hold {kind}; write all alike"
                ) from error
        raise DataError(f"{path}: {name} cannot be read as one column: {error}") from error


def _widened(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_integer(inner) or pa.types.is_null(inner):
            return pa.list_(pa.float64())
        return pa.list_(_widened(inner))
    return kind
