"""What commands over files share: options of who works, the progress line, the report, rows on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipthink.cli.app import cli_option
from skipthink.exceptions import InvalidInputError
from skipthink.stream.options import FileOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.stream.function import BatchFunction
    from skipthink.stream.part_work import Counts, Tally

FILES = FileOptions()
"""Defaults of the options."""
MOST_REASONS = 10
"""Reasons of bad rows that are printed; the report has all."""

Source = Annotated[
    str,
    typer.Argument(
        help="Parquet, Arrow or JSONL file, a folder of them, or a pattern such as 'data/*.parquet'; also in an object "
        "store (s3://…, gs://…).",
        metavar="IN",
    ),
]
Target = Annotated[
    str | None,
    typer.Argument(
        help="A .parquet, .arrow or .jsonl file, or a folder, written with / at its end, where parts stay as Parquet "
        "files; JSON lines on standard output by default.",
        metavar="OUT",
    ),
]
Keep = Annotated[list[str] | None, typer.Option(help="A column to keep; id by default, if there is one.")]
Gpus = Annotated[float | None, cli_option(FileOptions, "gpus")]
Workers = Annotated[int | None, cli_option(FileOptions, "workers")]
OnErrorName = Annotated[str, cli_option(FileOptions, "on_error", "--on-error")]
ShardName = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="N/COUNT",
        help="Works on one of COUNT shares of the source, for arrays of jobs; a share that is done is not done again.",
    ),
]


@dataclass(frozen=True)
class Stream:
    """A command over files.

    Attributes:
        name: of the command.
        source: what is read.
        out: what is written; None: standard output.
        options: who works.
        shard: the share that is worked on, as it was given.
    """

    name: str
    source: str
    out: str | None
    options: FileOptions
    shard: str | None

    def __post_init__(self) -> None:
        if self.out is None and (self.options != FileOptions(on_error=self.options.on_error) or self.shard):
            raise InvalidInputError(
                "--engine, --address, --workers, --gpus and --shard need a place to write to: name OUT"
            )

    def known_columns(self) -> list[str]:
        """Columns of the first file that has a row."""
        from skipthink.io.places import Place
        from skipthink.io.tables import column_names
        from skipthink.stream.shards import list_source

        files = list_source(Place.of(self.source))
        return column_names(next((place for place in files if place.state()["bytes"]), files[0]))

    def kept(self, keep: Sequence[str] | None, known: Sequence[str]) -> list[str]:
        """The columns to keep.

        Raises:
            InvalidInputError: one that is not there.
        """
        from skipthink.cli.app import check_column

        for name in keep or ():
            check_column(self.source, name, known, "name columns that are there with --keep")
        return [name for name in known if name == "id"] if keep is None else list(keep)

    def run(
        self,
        function: BatchFunction,
        *,
        absent: Sequence[str] = (),
        tally: Tally | None = None,
    ) -> Counts:
        """Maps the rows and writes or prints them; returns what was counted.

        Raises:
            SkipthinkError: what reading, the function or writing raises.
        """
        if self.out is None:
            return self._print(function, absent, tally)
        return self._write(self.out, function, absent, tally)

    def _print(self, function: BatchFunction, absent: Sequence[str], tally: Tally | None) -> Counts:
        from skipthink.io.places import Place
        from skipthink.io.tables import read_batches
        from skipthink.io.writer import json_lines, print_lines
        from skipthink.stream.part_work import Counts, count_results
        from skipthink.stream.readers import map_batches
        from skipthink.stream.shards import list_source

        total = Counts()

        def found() -> Iterator[pa.RecordBatch]:
            for place in list_source(Place.of(self.source)):
                for batch in map_batches(read_batches(place, function.columns, absent=absent), function):
                    total.add(count_results(batch, tally))
                    yield batch

        print_lines(json_lines(found()))
        _print_bad(total)
        return total

    def _write(
        self,
        out: str,
        function: BatchFunction,
        absent: Sequence[str],
        tally: Tally | None,
    ) -> Counts:
        from skipthink.io.progress import Display, format_progress
        from skipthink.stream.files import process_files
        from skipthink.stream.part_work import Counts
        from skipthink.stream.shards import Share

        display, started = Display(sys.stderr), time.monotonic()
        before: list[int] = []

        def progress(done: int, total: int) -> None:
            before[:] = before or [done]  # what was found done says nothing about the time left
            seconds = time.monotonic() - started
            display.show([format_progress(self.name, done, total, seconds, kept=before[0], unit="rows")])

        report = process_files(
            self.source,
            out,
            function,
            engine=self.options.engine,
            address=self.options.address,
            workers=self.options.workers,
            gpus=self.options.gpus,
            share=None if self.shard is None else Share.parse(self.shard),
            absent=absent,
            tally=tally,
            progress=progress,
        )
        display.clear()
        for line in report_lines(out, report, self.shard):
            display.line(line)
        total = Counts(report["rows_in"], report["rows_out"], report["bad"], tally=report["tally"])
        _print_bad(total)
        return total


def report_lines(out: str, report: dict[str, Any], shard: str | None) -> list[str]:
    """What is said of a report: rows, seconds and bytes; what was done before; what is left to other shares."""
    lines = [
        f"{out}: {report['rows_in']} rows in, {report['rows_out']} out, {sum(report['bad'].values())} bad; "
        f"{report['seconds']:.1f}s ({report['work_seconds']:.1f}s of work on {report['parts']} parts); "
        f"{report['bytes_in']} bytes in, {report['bytes_out']} out"
    ]
    if report["resumed"]:
        lines.append(f"{report['resumed']} rows were done before")
    if report["discarded"]:
        lines.append(f"{report['discarded']} parts of another source, version or options were discarded")
    if shard is not None:
        missing = report["missing_shares"]
        left = (
            f"{missing} of {shard.partition('/')[2]} are not" if missing else "all are, the report is written"
        )
        lines.append(f"share {shard} is done; {left}")
    return lines


def _print_bad(total: Counts) -> None:
    reasons = sorted(total.bad.items(), key=lambda entry: -entry[1])
    for reason, count in reasons[:MOST_REASONS]:
        typer.echo(f"bad: {count} rows: {reason}", err=True)
    if len(reasons) > MOST_REASONS:
        typer.echo(f"bad: {len(reasons) - MOST_REASONS} further reasons are in the report", err=True)


def single_file(source: str, option: str) -> Path:
    """The source of what reads one file of this machine.

    Raises:
        InvalidInputError: it is something else.
    """
    path = Path(source)
    if "://" in source or path.is_dir():
        raise InvalidInputError(f"{source} is no single file of this machine; name OUT instead of {option}")
    return path
