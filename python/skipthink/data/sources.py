"""Reads rows from files, folders of `datasets` and the hub, and keeps how to name each row in messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipthink.exceptions import DataError
from skipthink.io.files import parse_json
from skipthink.io.tables import JsonLines, read_batches, reading

SPLITS = ("train", "validation", "test")
SUFFIXES = (".jsonl", ".json", ".parquet")
_SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testing": "test",
}


@dataclass
class RawRows:
    """Rows as the source has them: `columns` of one length, and how to name a row in messages."""

    source: str
    columns: dict[str, list[Any]]
    n_rows: int
    place: Callable[[int], str]
    notes: dict[str, Any] = field(default_factory=dict)


def split_name(name: str) -> str | None:
    """Our name of a split ("val" is "validation"), None where it is none of ours."""
    return _SPLIT_NAMES.get(name.lower())


def same_split(name: str, wanted: str) -> bool:
    """Whether two names mean one split."""
    return name == wanted or (split_name(name) is not None and split_name(name) == split_name(wanted))


def read_source(source: str | Path, split: str | None) -> RawRows:
    """Reads all rows of a file, folder or hub data set; of a dictionary of splits only `split`.

    Raises:
        DataError: the source cannot be read, or holds no row.
    """
    path = Path(source)
    if path.is_dir():
        return _refuse_empty(_read_datasets(str(source), split, is_folder=True))
    suffix = path.suffix.lower()
    if path.exists() or suffix in SUFFIXES:
        readers = {".jsonl": _read_jsonl, ".json": _read_json, ".parquet": _read_parquet}
        if suffix not in readers:
            raise DataError(
                f"cannot read {source}: files end in {', '.join(SUFFIXES)}; convert it to one of them"
            )
        return _refuse_empty(readers[suffix](path))
    if re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?(:[\w.-]+)?", str(source)):
        return _refuse_empty(_read_datasets(str(source), split, is_folder=False))
    raise DataError(f"cannot read {str(source)!r}: no such file or folder, and no name of a data set")


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
    return _from_records(path, records, lambda row: f"element {row}", {})


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _from_records(
    path: Path, records: list[dict[str, Any]], place: Callable[[int], str], notes: dict[str, Any]
) -> RawRows:
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return RawRows(str(path), columns, len(records), place, notes)


def _read_parquet(path: Path) -> RawRows:
    columns: dict[str, list[Any]] = {}
    n_rows = 0
    with reading(path):
        for batch in read_batches(path):
            n_rows += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                columns.setdefault(name, []).extend(column.to_pylist())
    return RawRows(str(path), columns, n_rows, lambda row: f"row {row}")


def _read_datasets(source: str, split: str | None, *, is_folder: bool) -> RawRows:
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
        return RawRows(source, found.to_dict(), len(found), lambda row: f"row {row}")
    chosen = {key: part for key, part in found.items() if split is None or same_split(key, split)}
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
    return RawRows(source, columns, len(places), places.__getitem__, {"rows_of_unread_splits": n_others})
