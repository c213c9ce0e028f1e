"""Scores on disk: what a student has scored once is not scored again, even after a kill.

An entry is keyed by a hash of all that its numbers depend on: the student's weights and config, the precision,
and the ids of the sequence with its step cuts. The ids are what tokenizer, template, markers and text come to, so
a change of any of these that matters is a change of the key, and one that does not matter is none.
"""

from __future__ import annotations

import hashlib
import secrets
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import DataError, RunError
from skipthink.io.files import atomic_path
from skipthink.student.digest import model_digest
from skipthink.student.losses import Floats
from skipthink.student.sequences import Sequence

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedModel

FORMAT = "skipthink-scores-1"
KEY_BYTES = 16


class ScoreCache:
    """The scores of one student in a folder, as Arrow files that are there whole or not at all.

    Scores that have come in are written together, at most `write_seconds` after the first of them; a kill loses
    no more than these. Several processes may write to one folder.

    Args:
        folder: made where it is missing; students share it without seeing each other's scores.
        model: the student as it is now; its weights are hashed.
        precision: what else of the forward pass the numbers depend on.
        write_seconds: between two writes.

    Attributes:
        corrupted_files: files that could not be read; a warning named each, and it was removed.

    Raises:
        DataError: the folder cannot be made or read.
    """

    def __init__(
        self, folder: str | Path, model: PreTrainedModel, *, precision: str = "", write_seconds: float = 20.0
    ) -> None:
        self.folder, self.write_seconds = Path(folder), write_seconds
        self.context = hashlib.sha256(f"{FORMAT} {model_digest(model)} {precision}".encode()).hexdigest()
        self.corrupted_files = 0
        self._known: dict[bytes, tuple[Floats, Floats]] = {}
        self._pending: dict[bytes, tuple[Floats, Floats]] = {}
        self._due = float("inf")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            paths = sorted(self.folder.glob(f"{self.context[:16]}-*.arrow"))
        except OSError as error:
            raise DataError(
                f"cannot use {self.folder} as score cache: {error}; name another folder"
            ) from error
        for path in paths:
            self._load(path)

    def __len__(self) -> int:
        return len(self._known) + len(self._pending)

    def key(self, sequence: Sequence) -> bytes:
        """The content hash of a sequence under this student."""
        parts = (sequence.source, sequence.ids, sequence.cuts, np.asarray([sequence.n_prompt]))
        content = hashlib.sha256(self.context.encode())
        content.update(np.asarray([len(part) for part in parts], np.int64).tobytes())
        for part in parts:
            content.update(np.ascontiguousarray(part, np.int64).tobytes())
        return content.digest()[:KEY_BYTES]

    def get(self, key: bytes) -> tuple[Floats, Floats] | None:
        """The nll of the steps and of the end token after each, or None where they are not known."""
        return self._known.get(key) or self._pending.get(key)

    def put(self, key: bytes, nll: Floats, end_nll: Floats) -> None:
        """Notes the scores of a sequence."""
        if not self._pending:
            self._due = time.monotonic() + self.write_seconds
        self._pending[key] = (nll, end_nll)

    def write_due(self) -> None:
        """Writes what has come in, where it is time.

        Raises:
            RunError: the file cannot be written; what was written before stays.
        """
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Writes what has come in.

        Raises:
            RunError: the file cannot be written; what was written before stays.
        """
        if not self._pending:
            return
        import pyarrow as pa

        table = _table(self._pending, self.context)
        path = self.folder / f"{self.context[:16]}-{secrets.token_hex(8)}.arrow"
        try:
            with (
                atomic_path(path) as scratch,
                pa.OSFile(str(scratch), "wb") as sink,
                pa.ipc.new_file(sink, table.schema) as writer,
            ):
                writer.write_table(table)
        except OSError as error:
            raise RunError(
                f"cannot write scores to {self.folder}: {error}; {len(self._known)} scores written before are kept: "
                "make room, and the same call goes on from there"
            ) from error
        self._known |= self._pending
        self._pending = {}
        self._due = float("inf")

    def clear(self) -> None:
        """Removes the scores of this student, of all processes."""
        for path in self.folder.glob(f"{self.context[:16]}-*.arrow"):
            path.unlink(missing_ok=True)
        self._known, self._pending = {}, {}

    def _load(self, path: Path) -> None:
        import pyarrow as pa

        try:
            with pa.memory_map(str(path)) as source:
                self._known |= _entries(pa.ipc.open_file(source).read_all(), self.context)
        except FileNotFoundError:  # another process has cleared the folder
            return
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            self.corrupted_files += 1
            warnings.warn(
                f"score cache file {path} is corrupted ({error}); it is removed and its sequences are scored again",
                RuntimeWarning,
                stacklevel=4,
            )
            path.unlink(missing_ok=True)


def _table(entries: dict[bytes, tuple[Floats, Floats]], context: str) -> pa.Table:
    """Entries as a table whose schema carries a checksum of them."""
    import pyarrow as pa

    nll, ends = zip(*entries.values(), strict=True)
    table = pa.table(
        {
            "key": pa.array(list(entries), pa.binary(KEY_BYTES)),
            "nll": pa.array(nll, pa.list_(pa.float64())),
            "end_nll": pa.array(ends, pa.list_(pa.float64())),
        }
    )
    return table.replace_schema_metadata({"context": context, "checksum": _checksum(table)})


def _entries(table: pa.Table, context: str) -> dict[bytes, tuple[Floats, Floats]]:
    """The entries of a table.

    Raises:
        ValueError: it is no table of this student, or its content is not what was written.
    """
    metadata = table.schema.metadata or {}
    if metadata.get(b"context") != context.encode():
        raise ValueError("it holds the scores of another student than its name says")
    if metadata.get(b"checksum", b"").decode() != _checksum(table):
        raise ValueError("its checksum does not fit")
    nll, ends = (_rows(table[name]) for name in ("nll", "end_nll"))
    return dict(zip(table["key"].to_pylist(), zip(nll, ends, strict=True), strict=True))


def _ragged(column: pa.ChunkedArray) -> tuple[Floats, Ints]:
    """A list column as values and offsets, copied: the file may be removed later."""
    merged = column.combine_chunks()
    return merged.values.to_numpy(zero_copy_only=False).copy(), merged.offsets.to_numpy().copy()


def _rows(column: pa.ChunkedArray) -> list[Floats]:
    values, offsets = _ragged(column)
    return [values[start:end] for start, end in zip(offsets[:-1], offsets[1:], strict=True)]


def _checksum(table: pa.Table) -> str:
    content = hashlib.sha256(b"".join(table["key"].to_pylist()))
    for name in ("nll", "end_nll"):
        for part in _ragged(table[name]):
            content.update(part.data)
    return content.hexdigest()
