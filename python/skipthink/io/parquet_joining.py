"""Joins Parquet files of one schema by copying their bytes: nothing is decoded, only the footer is written anew.

A Parquet file is its row groups, one after the other, and a footer that says where they are: a structure
`FileMetaData` in Thrift's compact protocol (https://parquet.apache.org/docs/file-format/metadata/). The offsets in it
count from the start of the file, so joining files means moving them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from skipthink.exceptions import DataError
from skipthink.io.files import atomic_path

MAGIC = b"PAR1"
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
)
_WHOLE = {_I16, _I32, _I64}

# numbers of fields in parquet.thrift
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSET, _CHUNK_METADATA = 2, 3
_PAGE_INDEXES = (4, 6)
_PAGE_OFFSETS = (9, 10, 11, 14)

Struct = dict[int, tuple[int, Any]]
"""Fields by number, each with its type of the protocol and its value."""


def join_parquet(parts: Sequence[Path], out: Path) -> int:
    """Writes the row groups of files to one file, in order, atomically.

    Args:
        parts: Parquet files of the same schema, without page indexes and encryption.
        out: the file to write.

    Returns:
        The rows.

    Raises:
        DataError: a file that is torn, has another schema, or a page index.
        OSError: a file cannot be read or written.
    """
    joined: Struct | None = None
    with atomic_path(out) as scratch, scratch.open("wb") as file:
        file.write(MAGIC)
        for part in parts:
            with part.open("rb") as source:
                footer, end = _read_footer(source, part)
                shift = file.tell() - len(MAGIC)
                groups = footer[_ROW_GROUPS][1][1]
                first = 0 if joined is None else len(joined[_ROW_GROUPS][1][1])
                for number, group in enumerate(groups, first):
                    _move(group, shift, number, part)
                if joined is None:
                    joined = footer
                else:
                    if footer[_SCHEMA] != joined[_SCHEMA]:
                        raise DataError(f"cannot join {part} with {parts[0]}: they have different columns")
                    joined[_ROW_GROUPS][1][1].extend(groups)
                    joined[_NUM_ROWS] = (_I64, joined[_NUM_ROWS][1] + footer[_NUM_ROWS][1])
                source.seek(len(MAGIC))
                _copy(source, file, end - len(MAGIC))
        if joined is None:
            raise DataError(f"cannot write {out}: there is no part to join")
        content = bytearray()
        _write_struct(content, joined)
        file.write(content + struct.pack("<I", len(content)) + MAGIC)
    return int(joined[_NUM_ROWS][1])


def _read_footer(file: BinaryIO, path: Path) -> tuple[Struct, int]:
    """The footer of a file, and where it begins."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    length = struct.unpack("<I", tail[:4])[0] if len(tail) == 8 else size
    if tail[4:] != MAGIC or length + 12 > size:
        raise DataError(f"{path} is no whole Parquet file; remove it, and it is made again")
    start = size - 8 - length
    file.seek(start)
    return _Reader(file.read(length)).struct(), start


def _move(group: Struct, shift: int, number: int, path: Path) -> None:
    """Moves the offsets of a row group by `shift` bytes and numbers it."""
    _add(group, _GROUP_OFFSET, shift)
    group.pop(_ORDINAL, None)
    if number < 2**15:
        group[_ORDINAL] = (_I16, number)
    for chunk in group[_COLUMNS][1][1]:
        if any(index in chunk for index in _PAGE_INDEXES):
            raise DataError(f"cannot join {path}: it has a page index")
        _add(chunk, _CHUNK_OFFSET, shift)
        for offset in _PAGE_OFFSETS:
            _add(chunk[_CHUNK_METADATA][1], offset, shift)


def _add(fields: Struct, number: int, shift: int) -> None:
    kind, value = fields.get(number, (_I64, 0))
    if value:  # 0 stands for an offset that is not given
        fields[number] = (kind, value + shift)


def _copy(source: BinaryIO, sink: BinaryIO, length: int) -> None:
    while length:
        block = source.read(min(length, 2**20))
        if not block:
            raise DataError("a part became shorter while it was read")
        sink.write(block)
        length -= len(block)


class _Reader:
    """Reads structures of the compact protocol."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while header := self._byte():
            kind, delta = header & 15, header >> 4
            number = number + delta if delta else self._whole()
            fields[number] = (kind, kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind))
        return fields

    def _byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _whole(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self, length: int) -> bytes:
        self.at += length
        return self.content[self.at - length : self.at]

    def _value(self, kind: int) -> Any:
        if kind in _WHOLE:
            return self._whole()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            header = self._byte()
            size = header >> 4 if header < 240 else self._varint()
            return header & 15, [self._value(header & 15) for _ in range(size)]
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind in (_TRUE, _FALSE, _BYTE):  # in a list a truth value takes a byte
            return self._byte()
        raise DataError(f"a Parquet footer holds Thrift type {kind}, which no version of the format has")


def _write_struct(out: bytearray, fields: Struct) -> None:
    before = 0
    for number, (kind, value) in sorted(fields.items()):
        delta = number - before
        if 0 < delta < 16:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            _write_whole(out, number)
        if kind not in (_TRUE, _FALSE):
            _write_value(out, kind, value)
        before = number
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _WHOLE:
        _write_whole(out, value)
    elif kind == _BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == _STRUCT:
        _write_struct(out, value)
    elif kind in (_LIST, _SET):
        inner, values = value
        if len(values) < 15:
            out.append(len(values) << 4 | inner)
        else:
            out.append(240 | inner)
            _write_varint(out, len(values))
        for entry in values:
            _write_value(out, inner, entry)
    elif kind == _DOUBLE:
        out += value
    else:
        out.append(value)


def _write_whole(out: bytearray, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _write_varint(out: bytearray, value: int) -> None:
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
