"""Shards of a source and their parts: a part is a range of rows of a shard, and is known by its content."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.places import Place, find_files
from skipthink.io.tables import (
    ARROW,
    JSONL,
    PARQUET,
    SUFFIXES,
    LineStart,
    check_suffix,
    column_names,
    file_schema,
    ipc_batches,
    join_types,
    json_types,
    reading,
)

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS = 262_144
PART_BYTES = 256 * 2**20
"""What a part holds about; it is the most that a worker loses with a kill, and what it takes at once."""
COSTLY_PART_ROWS = 16_384
"""The same of a function that asks a model: half a minute of a GPU's work (docs/how-to/scale.md)."""
WHOLE_GROUPS = 8
"""A row group of Parquet is cut only if it holds more parts than this: the rows before a cut are read once more."""


@dataclass(frozen=True)
class Part:
    """Rows of a shard.

    Attributes:
        shard: number of the shard among those of the source.
        first_row: number of its first row in the shard.
        n_rows: its rows.
        n_bytes: its share of the bytes of the shard.
        start: of JSON lines, the byte where its first row stands and the lines before.
    """

    shard: int
    first_row: int
    n_rows: int
    n_bytes: int
    start: tuple[int, int] | None = None


@dataclass(frozen=True)
class Shard:
    """A file of a source.

    Attributes:
        place: the file.
        digest: hash of its content.
        n_rows: its rows.
        parts: its parts, in order.
    """

    place: Place
    digest: str
    n_rows: int
    parts: list[Part]


@dataclass(frozen=True)
class Share:
    """One of several calls that divide a source among them, for arrays of jobs: `3/64` is the third of 64."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """The share that a text such as "3/64" names, counted from 1.

        Raises:
            InvalidInputError: it names none.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InvalidInputError(f"--shard must be a number of a count, from 1/64 to 64/64, got {text!r}")
        return cls(int(match[1]), int(match[2]))

    @property
    def name(self) -> str:
        """The name of its completion file."""
        return f"{self.number:05d}-of-{self.of:05d}.json"


def list_source(source: Place) -> list[Place]:
    """The files of a source, in order.

    Raises:
        DataError: there is none, or they are of several kinds.
    """
    files = find_files(source, SUFFIXES)
    kinds = {_kind(place) for place in files}
    if len(kinds) > 1:
        names = ", ".join(sorted({place.suffix for place in files}))
        raise DataError(
            f"{source} has files of several kinds ({names}); name one kind, as in '{source}/*.parquet'"
        )
    return files


def read_schema(files: Sequence[Place], columns: Sequence[str] | None, absent: Sequence[str]) -> pa.Schema:
    """The columns that are read of all shards, with their types.

    Of Parquet and Arrow files the first says them; of JSON lines all files together, so that they depend neither on
    the order of work nor on shares.

    Args:
        files: the shards.
        columns: the columns; None: all of the first shard.
        absent: columns that the first shard lacks and no other may have.

    Raises:
        DataError: a shard lacks a column, or has one of `absent`.
    """
    import pyarrow as pa

    wanted = list(columns) if columns is not None else None
    if _kind(files[0]) != JSONL:
        schema = file_schema(files[0])
        names = schema.names if wanted is None else wanted
        _check_columns(files[0], schema.names, names, absent)
        return pa.schema([schema.field(name) for name in names])
    types: dict[str, pa.DataType] = {}
    for place in files:
        if place.state()["bytes"] == 0:
            continue
        known = column_names(place)
        wanted = known if wanted is None else wanted
        _check_columns(place, known, wanted, absent)
        with reading(place):
            found = json_types(place, wanted)
        for name, kind in found.items():
            joined = join_types(types.get(name, pa.null()), kind)
            if joined is None:
                raise DataError(
                    f"{place}: {name} holds {kind}, shards before it hold {types[name]}; write all alike"
                )
            types[name] = joined
    if not types:
        raise DataError(f"{files[0]} holds no row")
    return pa.schema(list(types.items()))


def plan_shard(
    number: int,
    place: Place,
    notes: Place,
    part_rows: int,
    part_bytes: int = PART_BYTES,
    whole_groups: int = WHOLE_GROUPS,
) -> Shard:
    """The parts of a shard; what was found is noted, so that an unchanged file is not read for it again.

    Args:
        number: of the shard.
        place: the file.
        notes: folder of notes.
        part_rows: rows of a part, about.
        part_bytes: bytes of a part, about.
        whole_groups: most parts of a row group of Parquet that is not cut.

    Raises:
        DataError: the file cannot be read.
    """
    size = place.state()
    state = {
        "path": str(place),
        **size,
        "part_rows": part_rows,
        "part_bytes": part_bytes,
        "whole_groups": whole_groups,
    }
    note = notes / f"{hashlib.sha256(str(place).encode()).hexdigest()[:24]}.json"
    known = note.read_json()
    if not isinstance(known, dict) or known.get("state") != state:
        with reading(place):
            found = _scan(place, size["bytes"], part_rows, part_bytes, whole_groups)
            known = {"state": state, "digest": place.digest(), "parts": [asdict(part) for part in found]}
        note.write_json(known)
    parts = [Part(**{**part, "shard": number}) for part in known["parts"]]
    return Shard(place, known["digest"], sum(part.n_rows for part in parts), parts)


def part_key(shard: Shard, part: Part, work: str) -> str:
    """What the result of a part depends on, as a hash: content, rows and the work on them.

    Args:
        shard: the part's shard.
        part: the part.
        work: hash of function, options, types and version.
    """
    return hash_of([shard.digest, part.first_row, part.n_rows, work])


def hash_of(value: object) -> str:
    """A short hash of a value that JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def schema_text(schema: pa.Schema) -> str:
    """A schema as text, for hashes."""
    return base64.b64encode(schema.serialize()).decode()


def _kind(place: Place) -> tuple[str, ...]:
    suffix = check_suffix(place)
    return next(kind for kind in (PARQUET, ARROW, JSONL) if suffix in kind)


def _check_columns(place: Place, known: Sequence[str], wanted: Sequence[str], absent: Sequence[str]) -> None:
    if len(set(known)) < len(known):
        raise DataError(f"{place} has columns of the same name: {', '.join(known)}; rename them")
    for name in wanted:
        if name not in known:
            raise DataError(f"{place} has no column {name!r}, it has {', '.join(known)}")
    for name in absent:
        if name in known:
            raise DataError(
                f"{place} has a column {name!r}, which the first shard has not; give it to all or none"
            )


def _scan(place: Place, n_bytes: int, part_rows: int, part_bytes: int, whole_groups: int) -> list[Part]:
    """The parts of a file that has not been seen, of shard 0."""
    kind = _kind(place)
    if kind == JSONL:
        return _line_parts(place, part_rows, part_bytes)
    if kind == PARQUET:
        ends = _cuts(_group_sizes(place), part_rows, part_bytes, whole_groups)
    else:
        ends = _cuts(
            [(batch.num_rows, batch.nbytes) for batch in ipc_batches(place)], part_rows, part_bytes, 1
        )
    total = max(1, ends[-1] if ends else 1)
    starts = [0, *ends[:-1]]
    return [
        Part(0, start, end - start, n_bytes * end // total - n_bytes * start // total)
        for start, end in zip(starts, ends, strict=False)
    ]


def _group_sizes(place: Place) -> list[tuple[int, int]]:
    import pyarrow.parquet as pq

    about = pq.read_metadata(place.open_arrow())
    groups = [about.row_group(index) for index in range(about.num_row_groups)]
    return [(group.num_rows, group.total_byte_size) for group in groups]


def _cuts(sizes: list[tuple[int, int]], part_rows: int, part_bytes: int, most_pieces: int) -> list[int]:
    """Ends of the parts: groups of rows together where they are small, cut where they make more than `most_pieces`."""
    ends: list[int] = []
    done = rows = n_bytes = 0
    for group_rows, group_bytes in sizes:
        if group_rows == 0:
            continue
        if rows and (rows + group_rows > part_rows or n_bytes + group_bytes > part_bytes):
            ends.append(done)
            rows = n_bytes = 0
        pieces = max(-(-group_rows // part_rows), -(-group_bytes // part_bytes))
        if pieces > most_pieces:
            pieces = min(pieces, group_rows)
            ends += [done + group_rows * (piece + 1) // pieces for piece in range(pieces)]
            done += group_rows
        else:
            done, rows, n_bytes = done + group_rows, rows + group_rows, n_bytes + group_bytes
    return ends if not rows else [*ends, done]


def _line_parts(place: Place, part_rows: int, part_bytes: int) -> list[Part]:
    """Parts of JSON lines, whose rows are the lines that are not blank."""
    parts: list[Part] = []
    start: LineStart | None = None
    first = rows = byte = 0
    with place.open_bytes() as file:
        for number, line in enumerate(file):
            byte += len(line)
            if not line.removeprefix(b"\xef\xbb\xbf" if number == 0 else b"").strip():
                continue
            start = start or LineStart(byte - len(line), number)
            rows += 1
            if rows >= part_rows or byte - start.byte >= part_bytes:
                parts.append(Part(0, first, rows, byte - start.byte, start))
                first, rows, start = first + rows, 0, None
    if start is not None:
        parts.append(Part(0, first, rows, byte - start.byte, start))
    return parts
