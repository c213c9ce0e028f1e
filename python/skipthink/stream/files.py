"""Batch functions over files: a file, a folder or an object store, in bounded memory, resumable after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.answers import Verdict
from skipthink.core.steps import LONG_CHARACTERS
from skipthink.exceptions import DataError
from skipthink.io.places import Place
from skipthink.io.tables import BATCH_ROWS
from skipthink.stream.chunker import Chunker
from skipthink.stream.function import BatchFunction
from skipthink.stream.options import FileOptions
from skipthink.stream.part_work import Counts, PartTask, PartWork, Tally
from skipthink.stream.result import Result, check_apart, check_whole, need_folder, whole_report
from skipthink.stream.shards import (
    COSTLY_PART_ROWS,
    PART_ROWS,
    WHOLE_GROUPS,
    Share,
    hash_of,
    list_source,
    plan_shard,
    read_schema,
)
from skipthink.stream.workers import work_on

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int], None]

COSTLY_BATCH_ROWS = 1024
"""Most rows of a batch of a function that asks a model: seconds of work, after which progress is said."""


def process_files(
    source: str | Path,
    out: str | Path,
    function: BatchFunction,
    *,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    gpus: float | None = None,
    share: Share | None = None,
    part_rows: int | None = None,
    batch_rows: int | None = None,
    absent: Sequence[str] = (),
    tally: Tally | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Maps the rows of files through a batch function, part by part, and writes the results.

    A part is a range of rows of a shard. Its result has a name made of the shard's content, the rows, the function with
    its options, and the version; it is written whole, and then noted as done. So a call that was killed goes on after
    the parts that are done, with any engine and number of workers, and gives the same files. Parts of other content
    or other options are discarded, which the report says.

    Args:
        source: a .parquet, .arrow, .feather, .ipc, .jsonl or .ndjson file, a folder of them, or a pattern such as
            `data/*.parquet`; on this machine or in an object store (`s3://bucket/data/`).
        out: a file of one of these kinds, or a folder (an existing one, one with / at its end, or one in an object
            store), where the parts stay as Parquet files whose names sort as the rows.
        function: the batch function.
        engine: "local": this machine; "ray": a Ray cluster, all of whose nodes see source and out under these names.
        address: of the cluster; None: the environment's RAY_ADDRESS, or a Ray that is started on this machine.
        workers: parts worked on at once, each by a process; None: 1, by this process, and on Ray as many as there is
            room for.
        gpus: GPUs of each worker on Ray; None: 1 where a model is asked and there are GPUs, else 0.
        share: the part of the source that this call works on; the others are worked on by other calls.
        part_rows: rows of a part, about; None: 262,144, or 16,384 where the function asks a model.
        batch_rows: most rows worked on at once; None: 16,384, or 1,024 where the function asks a model. The result does
            not depend on it, up to the rounding of a model's sums.
        absent: columns that the first shard was found not to have; another that has one is refused.
        tally: counts what is of interest in a batch of results.
        progress: called with (rows done, rows in all).

    Returns:
        The report, which is also written, to `_report.json` in a folder or `<out>.report.json` beside a file: rows_in,
        rows_out; bad (rows with an error, by reason); seconds, and work_seconds of all workers; bytes_in, bytes_out;
        shards, parts; resumed (rows found done); discarded (parts of other work); tally; engine, workers; with a share
        also missing_shares (shares that are not done yet).

    Raises:
        DataError: files that cannot be read or written.
        InvalidInputError: what the function refuses, with shard and row.
    """
    started = time.monotonic()
    options = FileOptions(engine=engine, address=address, workers=workers, gpus=gpus)  # type: ignore[arg-type]
    read, result = Place.of(source), Result.at(Place.of(out))
    if engine == "ray":  # workers have a current folder of their own
        read, result = read.absolute(), Result.at(Place.of(out).absolute())
    need_folder(result, share)
    files = list_source(read)
    check_apart(read, files, result)
    schema = read_schema(files, function.columns, absent)
    function.schema(schema)  # what cannot be mapped is refused before there is work
    is_costly = function.is_costly
    part_rows = part_rows or (COSTLY_PART_ROWS if is_costly else PART_ROWS)
    batch_rows = batch_rows or (COSTLY_BATCH_ROWS if is_costly else BATCH_ROWS)
    whole_groups = 1 if is_costly else WHOLE_GROUPS  # what is read twice costs nothing beside a model
    work = PartWork(function, schema, result.folder, result.suffix, batch_rows, tuple(absent), tally)
    chosen = _chosen(files, share)
    job = hash_of([work.digest, [str(place) for place in files], part_rows])
    state = [files[number].state() for number in chosen]
    if share is not None and (before := _done_before(result, share, job, state)) is not None:
        return before
    try:
        shards = {
            number: plan_shard(number, files[number], result.notes, part_rows, whole_groups=whole_groups)
            for number in chosen
        }
        every = result.tasks(shards, work)
        tasks = _shared(every, share, len(files))
        rows = sum(task.part.n_rows for task in tasks)
        if not rows and share is None:
            raise DataError(f"{source} holds no row")
        work.put_up()
        discarded = result.discard_others(every, set(shards), len(files), mine=tasks)
        done = result.done(tasks, work)
        resumed = sum(counts.rows_in for counts in done.values())
        left = [task for task in tasks if task.name not in done]
        _work(work, left, done, rows, progress, options)
    finally:
        if not result.is_folder and not any(name.startswith("part-") for name, _ in result.folder.list()):
            result.remove_parts()  # an error in the first part leaves nothing behind
    total = Counts()
    for task in tasks:
        total.add(done[task.name])
    check_whole(total, rows)
    result.finish(tasks)
    report = {
        **_counted(total),
        "shards": len(shards),
        "parts": len(tasks),
        "resumed": resumed,
        "discarded": discarded,
        "engine": engine,
        "workers": workers,
        "seconds": round(time.monotonic() - started, 3),
    }
    if not result.is_folder:
        report["bytes_out"] = result.out.state()["bytes"]
    if share is None:
        result.report.write_json(report)
        return report
    result.completion(share).write_json({"job": job, "state": state, "counts": vars(total), "report": report})
    return {**report, "missing_shares": _finish_shares(result, share, job)}


def _chosen(files: list[Place], share: Share | None) -> list[int]:
    """Numbers of the shards of a share: every `of`-th; all where there are fewer shards than shares."""
    if share is None or len(files) < share.of:
        return list(range(len(files)))
    return list(range(len(files)))[share.number - 1 :: share.of]


def _shared(tasks: list[PartTask], share: Share | None, n_files: int) -> list[PartTask]:
    """The parts of a share: every `of`-th where shares take parts, because there are fewer shards than shares."""
    return tasks if share is None or n_files >= share.of else tasks[share.number - 1 :: share.of]


def _work(
    work: PartWork,
    tasks: list[PartTask],
    done: dict[str, Counts],
    rows: int,
    progress: Progress | None,
    options: FileOptions,
) -> None:
    """Works on the parts that are left, and notes what was counted."""
    n_done = sum(counts.rows_in for counts in done.values())

    def add(n_rows: int) -> None:
        nonlocal n_done
        n_done += n_rows
        if progress is not None:
            progress(n_done, rows)

    add(0)
    for task, counts in work_on(work, tasks, options, add):
        done[task.name] = counts


def _counted(total: Counts) -> dict[str, Any]:
    counted = dict(vars(total))
    return {**counted, "work_seconds": round(counted.pop("seconds"), 3)}


def _done_before(
    result: Result, share: Share, job: str, state: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """The report of a share that is done."""
    noted = result.completion(share).read_json()
    if not isinstance(noted, dict) or (noted.get("job"), noted.get("state")) != (job, state):
        return None
    return {
        **noted["report"],
        "resumed": noted["report"]["rows_in"],
        "seconds": 0.0,
        "missing_shares": _finish_shares(result, share, job),
    }


def _finish_shares(result: Result, share: Share, job: str) -> int:
    """Writes the report of all shares where they are done; returns how many are not."""
    total, missing = whole_report(result, share, job)
    if total is not None:
        result.report.write_json({**_counted(Counts(**total)), "shares": share.of})
    return missing


def chunk_file(
    source: str | Path,
    out: str | Path,
    chunker: Chunker,
    *,
    batch_rows: int = BATCH_ROWS,
    absent: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Chunks the rows of a file and writes them to another, in order: `process_files` with a `Chunker`.

    Args:
        source: as in `process_files`.
        out: as in `process_files`.
        chunker: columns and options.
        batch_rows: most rows worked on at once; the result does not depend on it.
        absent: as in `process_files`.
        progress: called with (rows done, rows in all).

    Returns:
        rows; unsearched (rows with too few steps, which keep average chunks); unsplit (long rationales of one step,
        where the chunks' texts are written); resumed (rows found done); thrown_away (parts of another job); seconds.

    Raises:
        DataError: a file that cannot be read or written.
        InvalidInputError: what `chunk` refuses, with the row.
    """
    report = process_files(
        source,
        out,
        chunker,
        part_rows=PART_ROWS,
        batch_rows=batch_rows,
        absent=absent,
        tally=tally_chunks,
        progress=progress,
    )
    return {
        "rows": report["rows_out"],
        **report["tally"],
        "resumed": report["resumed"],
        "thrown_away": report["discarded"],
        "seconds": report["seconds"],
    }


def tally_chunks(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows of a batch of chunks that were not searched, and long ones that were not split."""
    searched = batch["searched"]
    return {
        "unsearched": batch.num_rows - searched.null_count - int(searched.true_count),
        "unsplit": count_unsplit_rows(batch),
    }


def tally_verdicts(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows of a batch of checked answers by verdict."""
    counts = {str(verdict): 0 for verdict in Verdict}
    for entry in batch["verdict"].drop_null().value_counts().to_pylist():
        counts[entry["values"]] += entry["counts"]
    return counts


def count_unsplit_rows(rows: pa.Table | pa.RecordBatch) -> int:
    """Rows of a result whose rationale has `LONG_CHARACTERS` or more and a single step; 0 without chunks' texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "chunks" not in rows.schema.names:
        return 0
    boundaries = rows["boundaries"]
    width = pc.max(pc.list_value_length(boundaries)).as_py()  # a plain list's type does not say it
    if width is None:  # every row is bad
        return 0
    single = rows.filter(pc.equal(pc.list_element(boundaries, width - 1), 1))
    lengths = pc.utf8_length(pc.binary_join(single["chunks"], ""))
    return int(pc.sum(pc.greater_equal(lengths, pa.scalar(LONG_CHARACTERS, lengths.type))).as_py() or 0)
