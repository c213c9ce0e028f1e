"""Work on one part: its rows are read, mapped by a batch function, written whole, and counted."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink import _core
from skipthink.exceptions import DataError, RunError, SkipthinkError
from skipthink.io.places import Place
from skipthink.io.tables import LineStart, read_batches
from skipthink.io.writer import BatchWriter
from skipthink.options import Options
from skipthink.stream.function import ERROR, BatchFunction
from skipthink.stream.shards import Part, hash_of, schema_text

if TYPE_CHECKING:
    import pyarrow as pa

STATE = "_skipthink"
"""Folder, within a result, of what is known about it; readers of data sets pass over names with an underscore."""
GROUP_ROWS = 131_072
GROUP_BYTES = 64 * 2**20
"""What a row group of a result, and the memory of a worker, holds about."""
_UNRELATED = ("num_threads", "device")
"""Options of batch functions that say how they are computed, not what."""
MOST_REASONS = 50
"""Reasons of bad rows that a part tells apart."""

Tally = Callable[["pa.RecordBatch"], dict[str, int]]
"""What a function's results are counted by, beside rows."""


@dataclass(frozen=True)
class PartTask:
    """A part to be worked on.

    Attributes:
        place: its shard.
        part: its rows.
        name: name of its result, without the ending.
    """

    place: Place
    part: Part
    name: str


@dataclass
class Counts:
    """What was counted: of a part, or of parts together.

    Attributes:
        rows_in: rows read.
        rows_out: rows written.
        bad: rows with an error, by reason.
        seconds: of work, added up over the workers.
        bytes_in: of the shards, as they lie on disk.
        bytes_out: of the results.
        tally: what else was counted.
    """

    rows_in: int = 0
    rows_out: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    tally: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Adds the counts of another part."""
        for name in ("rows_in", "rows_out", "seconds", "bytes_in", "bytes_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.bad = dict(Counter(self.bad) + Counter(other.bad))
        self.tally = {
            name: self.tally.get(name, 0) + other.tally.get(name, 0) for name in {**self.tally, **other.tally}
        }


@dataclass(frozen=True)
class PartWork:
    """What is done with each part. It can be pickled.

    Attributes:
        function: the batch function.
        schema: the columns that are read, with their types.
        folder: folder of the results.
        suffix: kind of the results, a file ending.
        batch_rows: most rows worked on at once.
        absent: columns that no shard may have.
        tally: counts what is of interest in a batch of results.
    """

    function: BatchFunction
    schema: pa.Schema
    folder: Place
    suffix: str
    batch_rows: int
    absent: tuple[str, ...] = ()
    tally: Tally | None = None

    @cached_property
    def digest(self) -> str:
        """Hash of all that results depend on, beside the rows; of a function with a model, its files are read once."""
        return hash_of(
            [_core.__version__, describe_function(self.function), schema_text(self.schema), self.suffix]
        )

    def result_of(self, name: str) -> Place:
        """The file of a part's result."""
        return self.folder / (name + self.suffix)

    def note_of(self, name: str) -> Place:
        """The file that says that a part is done, and what was counted; it is written last."""
        return self.folder / STATE / "parts" / f"{name}.json"

    @property
    def sign(self) -> Place:
        """The file that says whose results the folder is for."""
        return self.folder / STATE / "work.json"

    def put_up(self) -> None:
        """Says that the folder is for the results of this work; what still works for another writes nothing more."""
        if not self.is_current():
            self.sign.write_json({"work": self.digest})

    def is_current(self) -> bool:
        """Whether the folder is for the results of this work, as far as this machine sees."""
        found = self.sign.read_json()
        return isinstance(found, dict) and found.get("work") == self.digest

    def do(self, task: PartTask, progress: Callable[[int], None] | None = None) -> Counts:
        """Works on a part. Whoever does it again writes the same.

        Args:
            task: the part.
            progress: called with the rows of each batch that is done.

        Raises:
            RunError: the folder is for the results of other work by now.
            SkipthinkError: what the function refuses, with the shard.
            OSError: a file cannot be written.
        """
        started = time.monotonic()
        counts = Counts(bytes_in=task.part.n_bytes)
        out = self.result_of(task.name)
        schema = self.function.schema(self.schema)
        with out.writing() as sink:
            with BatchWriter(sink, schema, self.suffix, quick=True) as writer:
                for table in _groups(self._mapped(task, counts, progress)):
                    writer.write(table)
            counts.bytes_out = Path(sink).stat().st_size if isinstance(sink, str) else sink.tell()
            self._check(task, counts)
        counts.seconds = round(time.monotonic() - started, 3)
        self.note_of(task.name).write_json(vars(counts))
        return counts

    def _check(self, task: PartTask, counts: Counts) -> None:
        """Refuses a result that must not get its name."""
        if counts.rows_in != task.part.n_rows:
            raise DataError(
                f"{task.place} has {counts.rows_in} rows from row {task.part.first_row} on where {task.part.n_rows} "
                "were; it was changed while it was read: give the same command again"
            )
        if not self.is_current():
            raise RunError(
                f"{self.folder} is for other results now: another command with other data or options has begun there; "
                "name another place, or give the same command again when the other has ended"
            )

    def _mapped(
        self, task: PartTask, counts: Counts, progress: Callable[[int], None] | None
    ) -> Iterator[pa.RecordBatch]:
        row = task.part.first_row
        for batch in self._read(task):
            try:
                found = self.function(batch, range(row, row + batch.num_rows))
            except SkipthinkError as error:
                raise type(error)(f"{task.place}: {error}") from error
            row += batch.num_rows
            counts.add(count_results(found, self.tally))
            yield found
            if progress is not None:
                progress(batch.num_rows)

    def _read(self, task: PartTask) -> Iterator[pa.RecordBatch]:
        """The rows of a part, with the types that all shards have."""
        import pyarrow as pa

        part = task.part
        batches = read_batches(
            task.place,
            self.schema.names,
            skip_rows=part.first_row,
            n_rows=part.n_rows,
            batch_rows=self.batch_rows,
            absent=self.absent,
            types=dict(zip(self.schema.names, self.schema.types, strict=True)),
            start=None if part.start is None else LineStart(*part.start),
        )
        for batch in batches:
            if batch.schema.equals(self.schema):
                yield batch
                continue
            try:
                yield batch.cast(self.schema)
            except (pa.ArrowException, ValueError) as error:
                raise DataError(
                    f"{task.place} has other types of columns than the first shard: {error}; write all alike"
                ) from error


def count_results(batch: pa.RecordBatch, tally: Tally | None) -> Counts:
    """The counts of a batch of results; a batch function gives a row for a row."""
    n_rows = batch.num_rows
    return Counts(n_rows, n_rows, bad_rows(batch), tally={} if tally is None else tally(batch))


def bad_rows(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows with an error by reason: the message, with N for numbers and … for what is quoted."""
    import pyarrow.compute as pc

    if ERROR not in batch.schema.names or batch[ERROR].null_count == batch.num_rows:
        return {}
    found: Counter[str] = Counter()
    for entry in pc.value_counts(batch[ERROR].drop_null()).to_pylist():
        found[_reason(entry["values"])] += entry["counts"]
    kept = dict(found.most_common(MOST_REASONS))
    rest = found.total() - sum(kept.values())
    return {**kept, **({"other": rest} if rest else {})}


def describe_function(function: BatchFunction) -> dict[str, Any]:
    """A batch function as JSON: its name and options, less those that no result depends on; of a model its files."""
    settings = {name: value for name, value in vars(function).items() if name not in _UNRELATED}
    described = json.loads(json.dumps(settings, default=_options_as_json))
    model = function.model_path
    if model is not None and Path(model).exists():
        described["model"] = _digest_of_files(Path(model))
        described.pop("student", None)  # the same student in another folder gives the same results
    return {"function": type(function).__name__, **described}


def _digest_of_files(path: Path) -> list[str]:
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    return [f"{file.name} {Place(str(file)).digest()}" for file in files]


def _options_as_json(options: Options) -> dict[str, Any]:
    return {type(options).__name__: options.to_dict()}


def _reason(message: str) -> str:
    message = re.sub(r"'[^']*'|\"[^\"]*\"", "…", message)
    return re.sub(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", "N", message)[:160]


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches together, in tables that each become a row group."""
    import pyarrow as pa

    group: list[pa.RecordBatch] = []
    rows = n_bytes = 0
    for batch in batches:
        group.append(batch)
        rows, n_bytes = rows + batch.num_rows, n_bytes + batch.nbytes
        if rows >= GROUP_ROWS or n_bytes >= GROUP_BYTES:
            yield pa.Table.from_batches(group)
            group, rows, n_bytes = [], 0, 0
    if group:
        yield pa.Table.from_batches(group)
