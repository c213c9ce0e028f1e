"""The result of work on a source: a folder of parts, or one file they are joined to; what is done, what is left."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skipthink.exceptions import DataError, InvalidInputError, RunError
from skipthink.io.files import atomic_path
from skipthink.io.parquet_joining import join_parquet
from skipthink.io.places import Place
from skipthink.io.tables import ARROW, PARQUET, check_suffix, ipc_batches
from skipthink.stream.part_work import STATE, Counts, PartTask, PartWork
from skipthink.stream.shards import Shard, Share, part_key

REPORT = "_report.json"
_PART = re.compile(r"part-(\d{5,})-(\d{12})-([0-9a-f]{16})\.(parquet|arrow|feather|ipc|jsonl|ndjson)")
_TORN = re.compile(r"\.(part-\d{5,}-\d{12}-[0-9a-f]{16})\..*\.tmp")


@dataclass(frozen=True)
class Result:
    """Where a result is written.

    Attributes:
        out: what the user named.
        folder: where the parts are: `out` itself, or `<out>.parts` until they are joined to the file `out`.
        suffix: the ending of the parts.
    """

    out: Place
    folder: Place
    suffix: str

    @classmethod
    def at(cls, out: Place) -> Result:
        """The result at a place: a folder where it ends in / or is one or is in an object store, else a file.

        Raises:
            DataError: a file of another ending than those that are written.
        """
        if not out.is_local and out.suffix and not out.root.partition("?")[0].endswith("/"):
            raise DataError(f"a result in an object store is a folder of parts: name {out}/")
        if not out.is_local or out.path.endswith("/") or out.is_folder():
            return cls(out, Place(out.path.rstrip("/") or "/", out.root), PARQUET[0])
        suffix = check_suffix(out)
        return cls(out, Place(f"{out.path}.parts"), suffix)

    @property
    def is_folder(self) -> bool:
        """Whether the parts are the result."""
        return self.folder.path == (self.out.path.rstrip("/") or "/")

    @property
    def report(self) -> Place:
        """The file of the report."""
        return self.folder / REPORT if self.is_folder else Place(f"{self.out.path}.report.json")

    @property
    def notes(self) -> Place:
        """Folder of what was found out about the shards."""
        return self.folder / STATE / "shards"

    def completion(self, share: Share) -> Place:
        """The file that says that a share is done."""
        return self.folder / STATE / "shares" / share.name

    def tasks(self, shards: dict[int, Shard], work: PartWork) -> list[PartTask]:
        """All parts of shards, in order, with the names of their results."""
        digest = work.digest
        return [
            PartTask(
                shard.place, part, f"part-{number:05d}-{part.first_row:012d}-{part_key(shard, part, digest)}"
            )
            for number, shard in sorted(shards.items())
            for part in shard.parts
        ]

    def done(self, tasks: Sequence[PartTask], work: PartWork) -> dict[str, Counts]:
        """The parts that are done, with what was counted."""
        noted = {name.removesuffix(".json") for name, _ in (self.folder / STATE / "parts").list()}
        there = {name for name, _ in self.folder.list()}
        found = {}
        for task in tasks:
            if task.name in noted and task.name + self.suffix in there:
                counts = work.note_of(task.name).read_json()
                if isinstance(counts, dict):
                    found[task.name] = Counts(**counts)
        return found

    def discard_others(
        self, tasks: Sequence[PartTask], shards: set[int], n_shards: int, mine: Sequence[PartTask]
    ) -> int:
        """Removes parts of other work on these shards, or of shards that are gone; what else is there is left alone.

        Args:
            tasks: all parts of the shards.
            shards: numbers of the shards.
            n_shards: of the source.
            mine: the parts that this call works on: what a killed writer has left of them is removed too. Others may
                be written at this moment, by calls that work on other shares.

        Returns:
            Parts that were removed.
        """
        self.remove_torn(mine)
        names = {task.name for task in tasks}
        discarded = 0
        for file, _ in self.folder.list():
            match = _PART.fullmatch(file)
            if match is None:
                continue
            is_ours = int(match[1]) in shards or int(match[1]) >= n_shards
            name = file.rpartition(".")[0]
            if is_ours and (name not in names or not file.endswith(self.suffix)):
                (self.folder / file).remove()
                (self.folder / STATE / "parts" / f"{name}.json").remove()
                discarded += 1
        return discarded

    def remove_torn(self, tasks: Sequence[PartTask]) -> None:
        """Removes what writers of these parts have left that were killed."""
        names = {task.name for task in tasks}
        for file, _ in self.folder.list():
            torn = _TORN.fullmatch(file)
            if torn is not None and torn[1] in names:
                (self.folder / file).remove()

    def finish(self, tasks: Sequence[PartTask]) -> None:
        """Joins the parts, where the result is a file; it gets its name in one step, and the parts are removed."""
        if self.is_folder:
            self.remove_torn(tasks)
            return
        parts = [Path((self.folder / (task.name + self.suffix)).path) for task in tasks]
        join_parts(parts, Path(self.out.path), self.suffix)
        self.remove_parts()

    def remove_parts(self) -> None:
        """Removes what is ours of the folder of a file's parts, and the folder where nothing else is in it."""
        for file, _ in self.folder.list():
            if _PART.fullmatch(file) or _TORN.fullmatch(file):
                (self.folder / file).remove()
        state = Path((self.folder / STATE).path)
        if state.is_dir():
            shutil.rmtree(state)
        self.folder.remove_if_empty()


def join_parts(parts: Sequence[Path], out: Path, suffix: str) -> None:
    """Writes files of one kind as one, in order, atomically; no row is decoded.

    Args:
        parts: the files.
        out: the file to write.
        suffix: their kind.
    """
    if len(parts) == 1:
        out.parent.mkdir(parents=True, exist_ok=True)
        parts[0].replace(out)
    elif suffix in PARQUET:
        join_parquet(parts, out)
    elif suffix in ARROW:
        _join_arrow(parts, out)
    else:
        with atomic_path(out) as scratch, scratch.open("wb") as file:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)


def _join_arrow(parts: Sequence[Path], out: Path) -> None:
    import pyarrow as pa

    schema = next(ipc_batches(parts[0])).schema
    with atomic_path(out) as scratch, pa.ipc.new_file(str(scratch), schema) as writer:
        for part in parts:
            for batch in ipc_batches(part):
                writer.write_batch(batch)


def check_apart(source: Place, files: Sequence[Place], result: Result) -> None:
    """Refuses a result that would be read as its own source.

    Raises:
        DataError: it would be.
    """
    if source.files != result.out.files:
        return
    out = _absolute(result.out)
    for place in files:
        read = _absolute(place)
        if read == out:
            raise DataError(f"{result.out} is the source itself; name another file")
        if result.is_folder and read.startswith(out + "/") and f"/{STATE}/" not in read:
            raise DataError(
                f"{place}, which is read, lies in {result.out}, where results go; name another folder"
            )
    if source.is_folder() and (out + "/").startswith(_absolute(source) + "/"):
        raise DataError(f"{result.out} lies in {source}, which is read; name another place")


def _absolute(place: Place) -> str:
    return str(Path(place.path).resolve()) if place.is_local else place.path.rstrip("/")


def whole_report(result: Result, share: Share, job: str) -> tuple[dict[str, Any] | None, int]:
    """The report of all shares together, where all are done, and how many are not."""
    folder = result.folder / STATE / "shares"
    names = {name for name, _ in folder.list()}
    reports = [(folder / Share(number, share.of).name).read_json() for number in range(1, share.of + 1)
               if Share(number, share.of).name in names]  # fmt: skip
    found = [report for report in reports if isinstance(report, dict) and report.get("job") == job]
    if len(found) < share.of:
        return None, share.of - len(found)
    total = Counts()
    for report in found:
        total.add(Counts(**report["counts"]))
    return vars(total), 0


def check_whole(counts: Counts, n_rows: int) -> None:
    """Checks that the counts of all parts add up.

    Raises:
        RunError: they do not.
    """
    if counts.rows_in != n_rows:
        raise RunError(
            f"{counts.rows_in} rows were worked on, but the source has {n_rows}; give the command again"
        )


def need_folder(result: Result, share: Share | None) -> None:
    """Refuses shares of a result that is one file.

    Raises:
        InvalidInputError: it is one.
    """
    if share is not None and not result.is_folder:
        raise InvalidInputError(
            f"--shard writes parts to a folder: name {result.out.path.rpartition('.')[0]}/"
        )
