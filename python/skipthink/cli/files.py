"""Commands on files of rationales: split, chunk, score, audit, pool."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipthink.cli.app import DataFile, Out, Rules, ShownAs, app, check_column, cli_option
from skipthink.core.options import SearchOptions
from skipthink.exceptions import InvalidInputError
from skipthink.scoring.options import ChunkOptions, ScoringOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.data.sources import RawRows
    from skipthink.stream.chunker import Chunker

SEARCH, SCORING = SearchOptions(), ScoringOptions()
"""Defaults of the commands."""
LOSS_COLUMNS = ("losses", "n_tokens", "end_losses")


@app.command()
def split(
    file: DataFile,
    rules: Rules = "auto",
    column: Annotated[str, typer.Option(help="Column of the texts.")] = "rationale",
    out: Out = None,
) -> None:
    """Splits rationales into steps."""
    import skipthink
    from skipthink.core.steps import count_unsplit
    from skipthink.data.sources import read_source
    from skipthink.io.writer import write_rows

    read = read_source(file, None)
    check_column(file, column, read.columns)
    texts, ids = _filled(read, column), read.columns.get("id", range(read.n_rows))
    spans = skipthink.split_steps_batch(texts, rules=rules)
    _warn_of_unsplit(count_unsplit(texts, spans), len(texts))
    rows = (
        {"id": row_id, "steps": [text[start:end] for start, end in spans[row]]}
        for row, (row_id, text) in enumerate(zip(ids, texts, strict=True))
    )
    write_rows(out, rows)


@app.command()
def chunk(
    file: Annotated[Path, typer.Argument(help="Parquet, Arrow or JSONL file, one sample per row.")],
    out: Annotated[
        Path | None,
        typer.Argument(help="A .parquet, .arrow or .jsonl file; JSON lines on standard output by default."),
    ] = None,
    *,
    chunks: Annotated[int, cli_option(ChunkOptions, "M", "--chunks", "--m", "-M")],
    eta: Annotated[float, cli_option(SearchOptions, "eta")] = SEARCH.eta,
    method: Annotated[str, cli_option(SearchOptions, "method")] = SEARCH.method,
    objective: Annotated[str, cli_option(SearchOptions, "objective")] = SEARCH.objective,
    balance: Annotated[float, cli_option(SearchOptions, "balance")] = SEARCH.balance,
    scope: Annotated[str, cli_option(SearchOptions, "scope")] = SEARCH.scope,
    min_steps: Annotated[int, cli_option(SearchOptions, "min_steps")] = SEARCH.min_steps,
    rules: Rules = "auto",
    column: Annotated[
        str, typer.Option(help="Column of the rationales: texts, or lists of steps.")
    ] = "rationale",
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to keep; id by default, if there is one.")
    ] = None,
    texts: Annotated[bool, typer.Option(help="Whether to write the texts of the chunks.")] = True,
) -> None:
    """Cuts rationales into M chunks by search on their losses, in bounded memory.

    Losses come from the columns losses (one mean loss per step, or M of them) and, where there are,
    n_tokens and end_losses. Average chunking needs none. After a kill the same command resumes.
    """
    from skipthink.core.options import SearchOptions
    from skipthink.io.tables import column_names
    from skipthink.stream.chunker import Chunker

    search = SearchOptions(
        method=method,  # type: ignore[arg-type]
        objective=objective,  # type: ignore[arg-type]
        balance=balance,
        eta=eta,
        scope=scope,  # type: ignore[arg-type]
        min_steps=min_steps,
    )
    known = column_names(file)
    check_column(file, column, known)
    if method != "average":
        check_column(file, "losses", known, "score the rationales first, or use --method average")
    for name in keep or ():
        check_column(file, name, known, "name columns that are there with --keep")
    losses, n_tokens, end_losses = (name if name in known else None for name in LOSS_COLUMNS)
    absent = [name for name in LOSS_COLUMNS if name not in known]
    chunker = Chunker(
        chunks,
        rationale=column,
        losses=losses,
        n_tokens=n_tokens,
        end_losses=end_losses,
        keep=[name for name in known if name == "id"] if keep is None else keep,
        texts=texts,
        rules=rules,
        **search.chunk_arguments(),
    )
    n_rows, n_unsearched, n_unsplit = (
        _print_chunks(file, chunker, absent) if out is None else _write_chunks(file, out, chunker, absent)
    )
    if n_unsearched and method != "average":
        typer.echo(f"{n_unsearched} of {n_rows} rows have too few steps and keep average chunks", err=True)
    _warn_of_unsplit(n_unsplit, n_rows)


@app.command()
def score(
    file: DataFile,
    student: Annotated[str, typer.Option(help="Folder or name of the student that scores.")],
    chunks: Annotated[int, cli_option(ChunkOptions, "M", "--chunks", "-M")],
    passes: Annotated[
        str,
        typer.Option(help="conditioned: M passes; free: one; both: conditioned, and how well the two agree."),
    ] = "conditioned",
    rules: Rules = "auto",
    batch_tokens: Annotated[
        int, cli_option(ScoringOptions, "score_batch_tokens", "--batch-tokens")
    ] = SCORING.score_batch_tokens,
    autocast: Annotated[str | None, typer.Option(help="bfloat16 or float16.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, …; by default a GPU if there is one.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of scores, from which a killed call resumes.")
    ] = None,
    out: Out = None,
    display: ShownAs = None,
) -> None:
    """Scores the steps of rationales with a student: the losses that the search for chunks uses."""
    del display  # its callback has set it
    from skipthink.io.writer import write_rows
    from skipthink.scoring.command import score_file

    write_rows(
        out,
        score_file(
            file,
            student=student,
            n_chunks=chunks,
            passes=passes,
            rules=rules,
            batch_tokens=batch_tokens,
            autocast=autocast,
            device=device,
            cache=cache,
            say=lambda text: typer.echo(text, err=True),
        ),
    )


@app.command()
def audit(
    files: Annotated[list[Path], typer.Argument(help="Data files; with several, also what they share.")],
    answer: Annotated[
        str | None,
        typer.Option(help="Kind of the answers (docs/reference/answers.md); inferred by default."),
    ] = None,
    chunks: Annotated[
        list[int] | None,
        typer.Option(
            "--chunks", "-M", help="An M to look at, can be given several times; 2 to 8 by default."
        ),
    ] = None,
    rules: Rules = "auto",
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of a tokenizer to count with; by default words and marks are counted."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Says before any training whether data suit the method: steps, leaks, wrong teachers, ceilings."""
    from skipthink.data.audit_files import audit_files
    from skipthink.data.audit_text import print_report
    from skipthink.io.writer import print_lines

    counted: dict[str, Any] = {}
    if tokenizer is not None:
        from skipthink.student.token_counts import load_counter

        counted = {"count_tokens": load_counter(tokenizer), "counted_by": tokenizer}
    report = audit_files(files, answer=answer, chunks=chunks or (), rules=rules, **counted)
    if as_json:
        print_lines([json.dumps(report.to_dict(), indent=2).replace("\x7f", "\\u007f") + "\n"])
    else:
        print_report(report, lambda text: print_lines([text]))


@app.command()
def pool(
    files: Annotated[list[Path], typer.Argument(help="Data files with a column split, one after the other.")],
    rationales: Annotated[
        int | None,
        typer.Option(help="Most rows of one training question, right teachers first; all by default."),
    ] = None,
    longest: Annotated[
        int | None,
        typer.Option(help="Characters of the longest training rationale that stays; all by default."),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(help="Kind of the answers (docs/reference/answers.md); not checked by default."),
    ] = None,
    out: Out = None,
) -> None:
    """Pools files into one whose splits share no question, nor one that differs in numbers alone."""
    from skipthink.data.pooling import pool_files
    from skipthink.io.writer import write_rows

    table, report = pool_files(files, rationales=rationales, longest=longest, answer=answer)
    write_rows(out, table.to_pylist())
    for name, count in report["splits"].items():
        typer.echo(f"{name}: {count} rows, {report['questions'][name]} questions", err=True)
    for reason, count in sorted(report["dropped"].items()):
        typer.echo(f"dropped from {reason}: {count}", err=True)


def _warn_of_unsplit(n_unsplit: int, n_rows: int) -> None:
    from skipthink.core.steps import LONG_CHARACTERS

    if n_unsplit:
        found = (
            f"{n_unsplit} of {n_rows} rationales have {LONG_CHARACTERS} characters or more and a single step"
        )
        advice = "write a line break behind each step, or one step per list element"
        typer.echo(f"{found}, so that nothing can be chunked in them: {advice}", err=True)


def _print_chunks(file: Path, chunker: Chunker, absent: list[str]) -> tuple[int, int, int]:
    """Prints the chunks of a file as JSON lines; rows, those not searched, and long ones not split."""
    from skipthink.io.tables import read_batches
    from skipthink.io.writer import json_lines, print_lines
    from skipthink.stream.files import count_unsplit_rows
    from skipthink.stream.readers import map_batches

    counts = [0, 0, 0]

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in map_batches(read_batches(file, chunker.columns, absent=absent), chunker):
            counts[0] += batch.num_rows
            counts[1] += batch.num_rows - batch["searched"].true_count
            counts[2] += count_unsplit_rows(batch)
            yield batch

    print_lines(json_lines(counted()))
    return counts[0], counts[1], counts[2]


def _write_chunks(file: Path, out: Path, chunker: Chunker, absent: list[str]) -> tuple[int, int, int]:
    """Writes the chunks of a file, with a line of progress; rows, those not searched, and long ones not split."""
    from skipthink.io.progress import Display, format_progress
    from skipthink.stream.files import chunk_file

    display, started = Display(sys.stderr), time.monotonic()

    before: list[int] = []

    def progress(done: int, total: int | None) -> None:
        before[:] = before or [done]  # what was found done says nothing about the time left
        left = 0 if total is None else total - before[0]
        display.show([format_progress("chunk", done - before[0], left, time.monotonic() - started)])

    report = chunk_file(file, out, chunker, absent=absent, progress=progress)
    notes = [f"{report['rows']} rows in {report['seconds']:.1f}s"]
    if report["resumed"]:
        notes.append(f"{report['resumed']} were done before")
    if report["thrown_away"]:
        notes.append(f"{report['thrown_away']} parts of another job were discarded")
    display.line(f"{out}: {', '.join(notes)}")
    return report["rows"], report["unsearched"], report["unsplit"]


def _filled(rows: RawRows, column: str) -> list[Any]:
    """A column that every row must have."""
    values = rows.columns[column]
    for row, value in enumerate(values):
        if value is None:
            place = f"{rows.source}, {rows.place(row)}"
            raise InvalidInputError(f"{place}: {column} is missing; fill it or drop the row")
    return values
