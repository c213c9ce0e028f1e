"""Reads rows from files, folders of `datasets` and the hub, and keeps how to name each row in messages."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import parse_json
from skipthink.io.tables import JsonLines, read_batches, reading

SPLITS = ("train", "validation", "test")
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PACKED = ".gz"
"""Behind the suffix of any text file: it is packed."""
_SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testing": "test",
}


@dataclass
class RawRows:
    """Rows as the source has them.

    Attributes:
        source: the source, in messages.
        columns: columns of one length.
        n_rows: their length.
        details: names of rows beside their number, such as "line 3"; None where there are none.
        notes: what goes into the report.
    """

    source: str
    columns: dict[str, list[Any]]
    n_rows: int
    details: Callable[[int], str] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def place(self, row: int) -> str:
        """The name of a row in messages: its number, from 0, and in files of lines the line, from 1."""
        return f"row {row}" if self.details is None else f"row {row}, {self.details(row)}"


def split_name(name: str, splits: Mapping[str, str] | None = None) -> str | None:
    """Our name of a split ("val" is "validation"), None where it is none of ours.

    Args:
        name: the source's name.
        splits: our name → the source's, where it is another one; it hides the names that are known otherwise.
    """
    for ours, theirs in (splits or {}).items():
        if name == theirs:
            return ours
    known = _SPLIT_NAMES.get(name.lower())
    return None if known in (splits or {}) else known


def same_split(name: str, wanted: str, splits: Mapping[str, str] | None = None) -> bool:
    """Whether a split of the source is the wanted one."""
    ours = split_name(name, splits)
    return name == wanted or (ours is not None and ours == _SPLIT_NAMES.get(wanted.lower()))


def check_splits(splits: Mapping[str, str]) -> None:
    """Checks a mapping of splits.

    Raises:
        InvalidInputError: a key that is no split of ours, or one source's split twice.
    """
    for ours, theirs in splits.items():
        if ours not in SPLITS:
            raise InvalidInputError(f"splits names {ours!r}; our splits are {', '.join(SPLITS)}")
        if list(splits.values()).count(theirs) > 1:
            raise InvalidInputError(f"splits takes the split {theirs!r} twice")


def read_source(source: str | Path, split: str | None, splits: Mapping[str, str] | None = None) -> RawRows:
    """Reads all rows of a file, folder or hub data set; of a dictionary of splits only `split`.

    Args:
        source: as in `load_samples`.
        split: the split to read; None: all.
        splits: our name of a split → the source's.

    Raises:
        DataError: the source cannot be read, or holds no row.
    """
    path = Path(source)
    if path.is_dir():
        return _refuse_empty(_read_datasets(str(source), split, splits, is_folder=True))
    suffix = source_suffix(path)
    if path.exists() or suffix in SUFFIXES:
        readers = {
            ".jsonl": _read_jsonl,
            ".ndjson": _read_jsonl,
            ".json": _read_json,
            ".csv": _read_csv,
            ".tsv": _read_csv,
            ".parquet": _read_parquet,
        }
        if suffix not in readers or (suffix == ".parquet" and path.suffix.lower() == PACKED):
            raise DataError(
                f"cannot read {source}: files end in {', '.join(SUFFIXES)}, those of text also in {PACKED}; "
                "convert it to one of them"
            )
        return _refuse_empty(readers[suffix](path))
    if re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?(:[\w.-]+)?", str(source)):
        return _refuse_empty(_read_datasets(str(source), split, splits, is_folder=False))
    raise DataError(f"cannot read {str(source)!r}: no such file or folder, and no name of a data set")


def source_suffix(path: Path) -> str:
    """The suffix of a file in lower case, that of what is packed where it ends in .gz."""
    return (Path(path.stem) if path.suffix.lower() == PACKED else path).suffix.lower()


def source_stem(source: str) -> str:
    """The name of a source without folders and suffixes, of which ids are made."""
    path = Path(source.partition(":")[0])
    return Path(path.stem).stem if path.suffix.lower() == PACKED else path.stem


def _refuse_empty(raw: RawRows) -> RawRows:
    if raw.n_rows == 0:
        raise DataError(f"{raw.source} holds no row")
    return raw


def _read_jsonl(path: Path) -> RawRows:
    records, lines = [], []
    found = JsonLines(path)
    with reading(path):
        for number, record, _ in found:
            records.append(record)
            lines.append(number)
    return _from_records(path, records, lambda row: f"line {lines[row]}", {"blank_lines": found.n_blank})


def _read_json(path: Path) -> RawRows:
    place = str(path)
    records = parse_json(_read_bytes(path), place)
    if not isinstance(records, list):
        raise DataError(
            f"{place} holds {type(records).__name__}, not a list of objects; write one, or JSON lines"
        )
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{place}, element {index} is {type(record).__name__}, not an object")
    return _from_records(path, records, None, {})


def _read_csv(path: Path) -> RawRows:
    """A table of text with a line of names; empty cells are nulls, cells in quotes may hold line breaks."""
    content = _read_bytes(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {number} is not UTF-8: byte {error.start} of the file is {content[error.start]:#04x}"
        ) from error
    limit = csv.field_size_limit(max(len(text), 2**17))  # the library refuses long cells otherwise
    try:
        return _rows_of_csv(path, text)
    finally:
        csv.field_size_limit(limit)


def _rows_of_csv(path: Path, text: str) -> RawRows:
    delimiter = "\t" if source_suffix(path) == ".tsv" else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    rows: list[list[str | None]] = []
    lines: list[int] = []
    n_blank = line = 0
    try:
        for cells in reader:
            first, line = line + 1, reader.line_num
            if not cells:
                n_blank += 1
            elif names is None:
                names = cells
            elif len(cells) != len(names):
                raise DataError(
                    f"{path}, line {first} has {len(cells)} cells, but the first line names {len(names)} columns; "
                    "put cells that hold the delimiter or a line break into quotes"
                )
            else:
                rows.append([cell or None for cell in cells])
                lines.append(first)
    except csv.Error as error:
        raise DataError(f"{path}, line {line + 1} cannot be read: {error}") from error
    names = names or []
    if len(set(names)) < len(names):
        raise DataError(f"{path} has columns of the same name: {', '.join(names)}; rename them")
    columns: dict[str, list[Any]] = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return RawRows(str(path), columns, len(rows), lambda row: f"line {lines[row]}", {"blank_lines": n_blank})


def _read_bytes(path: Path) -> bytes:
    with reading(path):
        content = path.read_bytes()
        if path.suffix.lower() == PACKED:
            content = gzip.decompress(content)
    return content.removeprefix(b"\xef\xbb\xbf")


def _from_records(
    path: Path, records: list[dict[str, Any]], details: Callable[[int], str] | None, notes: dict[str, Any]
) -> RawRows:
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return RawRows(str(path), columns, len(records), details, notes)


def _read_parquet(path: Path) -> RawRows:
    columns: dict[str, list[Any]] = {}
    n_rows = 0
    with reading(path):
        for batch in read_batches(path):
            n_rows += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                columns.setdefault(name, []).extend(column.to_pylist())
    return RawRows(str(path), columns, n_rows)


def _read_datasets(
    source: str, split: str | None, splits: Mapping[str, str] | None, *, is_folder: bool
) -> RawRows:
    """Reads with `datasets`; the splits of a dictionary become the column `split`."""
    import datasets  # type: ignore[import-untyped]

    name, _, config = source.partition(":")
    saved = is_folder and any(
        (Path(source) / mark).exists() for mark in ("dataset_dict.json", "dataset_info.json")
    )
    try:
        if saved:
            found = datasets.load_from_disk(source)
        else:
            found = (
                datasets.load_dataset(source) if is_folder else datasets.load_dataset(name, config or None)
            )
    except Exception as error:  # the library raises what its many backends raise
        raise DataError(f"cannot load {source!r} with datasets: {type(error).__name__}: {error}") from error
    if isinstance(found, datasets.Dataset):
        return RawRows(source, found.to_dict(), len(found))
    chosen = {key: part for key, part in found.items() if split is None or same_split(key, split, splits)}
    if not chosen:
        raise DataError(f"{source} has no split {split!r}; it has {', '.join(map(str, found))}")
    places = [f"split {key}, row {row}" for key, part in chosen.items() for row in range(len(part))]
    parts = {key: part.to_dict() for key, part in chosen.items()}
    names = dict.fromkeys(column for part in parts.values() for column in part)
    columns = {
        column: [
            value
            for key, part in parts.items()
            for value in (part[column] if column in part else [None] * len(chosen[key]))
        ]
        for column in names
    }
    columns["split"] = [str(key) for key, part in chosen.items() for _ in range(len(part))]
    n_others = sum(len(part) for part in found.values()) - len(places)
    notes = {"rows_of_unread_splits": n_others}
    return _RowsOfSplits(source, columns, len(places), places.__getitem__, notes)


class _RowsOfSplits(RawRows):
    """Rows of several splits, each counted from 0."""

    def place(self, row: int) -> str:
        assert self.details is not None  # noqa: S101 - always given
        return self.details(row)
