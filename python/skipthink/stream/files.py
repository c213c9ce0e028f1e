"""Chunking of a file into a file, in bounded memory, resumable after a kill (method §4)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink import _core
from skipthink.core.steps import LONG_CHARACTERS
from skipthink.exceptions import DataError
from skipthink.io.files import atomic_path, write_json
from skipthink.io.tables import BATCH_ROWS, check_suffix, count_rows, read_batches
from skipthink.io.writer import BatchWriter
from skipthink.options import Options
from skipthink.stream.chunker import Chunker
from skipthink.stream.readers import map_batches

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS = 262_144
PART_BYTES = 256 * 2**20
"""A part, and a row group of the result, holds at most so much; a kill loses no more than a part."""

_PART = re.compile(r"part-(\d{12})-(\d{12})\.arrow")


def chunk_file(
    source: str | Path,
    out: str | Path,
    chunker: Chunker,
    *,
    batch_rows: int = BATCH_ROWS,
    absent: Sequence[str] = (),
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Chunks the rows of a file and writes them to another, in order.

    Parts are written to the folder `<out>.parts` until all rows are done; then `out` is written and gets its name in
    one step, and the folder is removed. After a kill the same call resumes after the last complete part. Parts of
    another source, other options or another version are discarded, which the report says.

    Args:
        source: a .parquet, .arrow, .feather, .ipc, .jsonl or .ndjson file.
        out: file to write, of any of these kinds.
        chunker: columns and options.
        batch_rows: most rows worked on at once; the result does not depend on it.
        absent: as in `skipthink.io.tables.read_batches`.
        progress: called with (rows done, rows of the file; None where only reading it tells).

    Returns:
        rows; unsearched (rows with too few steps, which keep average chunks); unsplit (long rationales of one step,
        where the chunks' texts are written); resumed (rows found done); thrown_away (parts of another job); seconds.

    Raises:
        DataError: a file that cannot be read or written.
        InvalidInputError: what `chunk` refuses, with the row.
    """
    source, out = Path(source), Path(out)
    suffix = check_suffix(out)
    if out.exists() and source.exists() and source.samefile(out):
        raise DataError(f"{out} is the source itself; name another file")
    started = time.monotonic()
    total = count_rows(source)
    parts = _Parts(out.with_name(out.name + ".parts"), _job(source, chunker))
    resumed = done = parts.end
    if progress is not None:
        progress(done, total)
    read = read_batches(source, chunker.columns, skip_rows=done, batch_rows=batch_rows, absent=absent)
    try:
        for done in _write_parts(parts, read, chunker, batch_rows):
            if progress is not None:
                progress(done, total)
    finally:
        if not parts.paths:  # an error in the first part leaves nothing behind
            parts.remove()
    if not done:
        raise DataError(f"{source} holds no row")
    n_unsearched, n_unsplit = _join(parts, out, suffix)
    parts.remove()
    return {
        "rows": done,
        "unsearched": n_unsearched,
        "unsplit": n_unsplit,
        "resumed": resumed,
        "thrown_away": parts.n_thrown_away,
        "seconds": round(time.monotonic() - started, 3),
    }


class _Parts:
    """The folder of parts; a part's name says which rows it holds."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "job.json"
        self.n_thrown_away = 0
        if not note.exists() or note.read_text(encoding="utf-8") != _json(job):
            self.n_thrown_away = len(self._found())
            self._clear()
            write_json(note, job)
        self.paths: list[Path] = []
        self.end = 0
        for path, start, end in self._found():
            if start == self.end:
                self.paths.append(path)
                self.end = end

    def path_of(self, n_rows: int) -> Path:
        """Path of the next part."""
        return self.folder / f"part-{self.end:012d}-{self.end + n_rows:012d}.arrow"

    def add(self, n_rows: int) -> None:
        """Counts the next part, which has been written."""
        self.paths.append(self.path_of(n_rows))
        self.end += n_rows

    def tables(self) -> Iterator[pa.Table]:
        """The parts, one after the other."""
        import pyarrow as pa

        for path in self.paths:
            with pa.memory_map(str(path)) as file:
                yield pa.ipc.open_file(file).read_all()

    def remove(self) -> None:
        """Removes what is ours, and the folder where nothing else is in it."""
        self._clear()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _found(self) -> list[tuple[Path, int, int]]:
        found = ((path, _PART.fullmatch(path.name)) for path in sorted(self.folder.iterdir()))
        return [(path, int(match[1]), int(match[2])) for path, match in found if match]

    def _clear(self) -> None:
        scratch = (path for path in self.folder.iterdir() if re.fullmatch(r"\.(part|job).*\.tmp", path.name))
        for path in [*scratch, *(path for path, _, _ in self._found()), self.folder / "job.json"]:
            path.unlink(missing_ok=True)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _job(source: Path, chunker: Chunker) -> dict[str, Any]:
    """What parts depend on. A source is known by place, size and time of change: a digest would read it once more."""
    try:
        state = source.stat()
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from error
    settings = {name: value for name, value in vars(chunker).items() if name != "num_threads"}
    return {
        "version": _core.__version__,
        "source": str(source.resolve()),
        "bytes": state.st_size,
        "changed_ns": state.st_mtime_ns,
        "settings": json.loads(json.dumps(settings, default=_options_as_json)),
    }


def _options_as_json(options: Options) -> dict[str, Any]:
    return {type(options).__name__: options.to_dict()}


def _write_parts(
    parts: _Parts, read: Iterator[pa.RecordBatch], chunker: Chunker, batch_rows: int
) -> Iterator[int]:
    """Writes the parts that are missing; yields the rows done after each batch."""
    first = next(read, None)
    if first is None:
        return
    done = parts.end
    part: list[pa.RecordBatch] = []
    n_bytes = 0
    for batch in map_batches(chain([first], read), chunker, first_row=done, batch_rows=batch_rows):
        part.append(batch)
        done += batch.num_rows
        n_bytes += batch.nbytes
        if done - parts.end >= PART_ROWS or n_bytes >= PART_BYTES:
            _write_part(parts, part)
            part, n_bytes = [], 0
        yield done
    if part:
        _write_part(parts, part)


def _write_part(parts: _Parts, batches: list[pa.RecordBatch]) -> None:
    import pyarrow as pa

    codec = "lz4" if pa.Codec.is_available("lz4") else None
    table = pa.Table.from_batches(batches)
    with (
        atomic_path(parts.path_of(table.num_rows)) as scratch,
        pa.ipc.new_file(
            str(scratch), table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)
        ) as file,
    ):
        file.write_table(table)
    parts.add(table.num_rows)


def count_unsplit_rows(rows: pa.Table | pa.RecordBatch) -> int:
    """Rows of a result whose rationale has `LONG_CHARACTERS` or more and a single step; 0 without chunks' texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "chunks" not in rows.schema.names:
        return 0
    single = rows.filter(
        pc.equal(pc.list_element(rows["boundaries"], rows["boundaries"].type.list_size - 1), 1)
    )
    lengths = pc.utf8_length(pc.binary_join(single["chunks"], ""))
    return int(pc.sum(pc.greater_equal(lengths, pa.scalar(LONG_CHARACTERS, lengths.type))).as_py() or 0)


def _join(parts: _Parts, out: Path, suffix: str) -> tuple[int, int]:
    """Writes the parts as one file; returns how many rows were not searched, and how many long ones not split."""
    import pyarrow.compute as pc

    n_unsearched = n_unsplit = 0
    tables = parts.tables()
    first = next(tables)
    with atomic_path(out) as scratch, BatchWriter(scratch, first.schema, suffix) as writer:
        for table in chain([first], tables):
            writer.write(table)
            n_unsearched += table.num_rows - pc.sum(table["searched"]).as_py()
            n_unsplit += count_unsplit_rows(table)
    return n_unsearched, n_unsplit
