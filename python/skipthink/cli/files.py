"""Commands on files of rationales: split, chunk, check, score, audit, pool."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipthink.answers.options import CheckOptions
from skipthink.cli.app import Address, EngineName, Out, Rules, ShownAs, app, check_column, cli_option
from skipthink.cli.streams import (
    FILES,
    Gpus,
    Keep,
    OnErrorName,
    ShardName,
    Source,
    Stream,
    Target,
    Workers,
    single_file,
)
from skipthink.core.options import SearchOptions
from skipthink.exceptions import InvalidInputError
from skipthink.scoring.options import ChunkOptions, ScoringOptions
from skipthink.stream.options import FileOptions

if TYPE_CHECKING:
    from skipthink.data.sources import RawRows

SEARCH, SCORING, CHECK = SearchOptions(), ScoringOptions(), CheckOptions(answer="number")
"""Defaults of the commands."""
LOSS_COLUMNS = ("losses", "n_tokens", "end_losses")


@app.command()
def split(
    file: Source,
    target: Target = None,
    *,
    rules: Rules = "auto",
    column: Annotated[str, typer.Option(help="Column of the texts.")] = "rationale",
    keep: Keep = None,
    on_error: OnErrorName = FILES.on_error,
    engine: EngineName = FILES.engine,
    address: Address = FILES.address,
    workers: Workers = FILES.workers,
    shard: ShardName = None,
    out: Out = None,
) -> None:
    """Splits rationales into steps.

    With OUT, millions of rows in bounded memory; after a kill the same command resumes. Without it, one file, also CSV.
    """
    if target is None:
        _print_steps(single_file(file, "--out"), out, rules, column)
        return
    from skipthink.stream.splitter import Splitter

    stream = Stream("split", file, target, _options(engine, address, workers, on_error), shard)
    known = stream.known_columns()
    check_column(file, column, known)
    stream.run(Splitter(column, rules=rules, keep=stream.kept(keep, known), on_error=stream.options.on_error))


def _print_steps(file: Path, out: Path | None, rules: str, column: str) -> None:
    """The steps of the texts of one file, as rows of id and steps."""
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
    file: Source,
    out: Target = None,
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
    keep: Keep = None,
    texts: Annotated[bool, typer.Option(help="Whether to write the texts of the chunks.")] = True,
    on_error: OnErrorName = FILES.on_error,
    engine: EngineName = FILES.engine,
    address: Address = FILES.address,
    workers: Workers = FILES.workers,
    shard: ShardName = None,
) -> None:
    """Cuts rationales into M chunks by search on their losses, in bounded memory.

    Losses come from the columns losses (one mean loss per step, or M of them) and, where there are,
    n_tokens and end_losses. Average chunking needs none. After a kill the same command resumes.
    """
    from skipthink.core.options import SearchOptions
    from skipthink.stream.chunker import Chunker
    from skipthink.stream.files import tally_chunks

    search = SearchOptions(
        method=method,  # type: ignore[arg-type]
        objective=objective,  # type: ignore[arg-type]
        balance=balance,
        eta=eta,
        scope=scope,  # type: ignore[arg-type]
        min_steps=min_steps,
    )
    stream = Stream("chunk", file, out, _options(engine, address, workers, on_error), shard)
    known = stream.known_columns()
    check_column(file, column, known)
    if method != "average":
        check_column(file, "losses", known, "score the rationales first, or use --method average")
    losses, n_tokens, end_losses = (name if name in known else None for name in LOSS_COLUMNS)
    chunker = Chunker(
        chunks,
        rationale=column,
        losses=losses,
        n_tokens=n_tokens,
        end_losses=end_losses,
        keep=stream.kept(keep, known),
        texts=texts,
        rules=rules,
        on_error=stream.options.on_error,
        **search.chunk_arguments(),
    )
    absent = [name for name in LOSS_COLUMNS if name not in known]
    total = stream.run(chunker, absent=absent, tally=tally_chunks)
    if total.tally.get("unsearched") and method != "average":
        typer.echo(
            f"{total.tally['unsearched']} of {total.rows_out} rows have too few steps and keep average chunks",
            err=True,
        )
    _warn_of_unsplit(total.tally.get("unsplit", 0), total.rows_out)


@app.command()
def check(
    file: Source,
    out: Target = None,
    *,
    answer: Annotated[str, cli_option(CheckOptions, "answer")],
    column: Annotated[
        str, typer.Option(help="Column of the texts: answers, or rationales that end in one.")
    ] = "rationale",
    gold: Annotated[str, typer.Option(help="Column of the gold answers.")] = "answer",
    tolerance: Annotated[float, cli_option(CheckOptions, "tolerance")] = CHECK.tolerance,
    relative_tolerance: Annotated[
        float, cli_option(CheckOptions, "relative_tolerance", "--relative-tolerance")
    ] = CHECK.relative_tolerance,
    keep: Keep = None,
    on_error: OnErrorName = FILES.on_error,
    engine: EngineName = FILES.engine,
    address: Address = FILES.address,
    workers: Workers = FILES.workers,
    shard: ShardName = None,
) -> None:
    """Checks the answers that texts state against gold answers: right, wrong or unparsed, and what is stated.

    In bounded memory; after a kill the same command resumes.
    """
    from skipthink.stream.checker import Checker
    from skipthink.stream.files import tally_verdicts

    stream = Stream("check", file, out, _options(engine, address, workers, on_error), shard)
    known = stream.known_columns()
    check_column(file, column, known, "name the column of the texts with --column")
    check_column(file, gold, known, "name the column of the gold answers with --gold")
    checker = Checker(
        answer,  # type: ignore[arg-type]
        text=column,
        gold=gold,
        tolerance=tolerance,
        relative_tolerance=relative_tolerance,
        keep=stream.kept(keep, known),
        on_error=stream.options.on_error,
    )
    total = stream.run(checker, tally=tally_verdicts)
    found = ", ".join(f"{count} {verdict}" for verdict, count in total.tally.items())
    typer.echo(f"{total.rows_out} answers: {found}", err=True)


@app.command()
def score(
    file: Source,
    target: Target = None,
    *,
    student: Annotated[str, typer.Option(help="Folder or name of the student that scores.")],
    chunks: Annotated[int, cli_option(ChunkOptions, "M", "--chunks", "-M")],
    passes: Annotated[
        str,
        typer.Option(
            help="conditioned: M passes; free: one; both, without OUT: conditioned, and how well the two agree."
        ),
    ] = "conditioned",
    rules: Rules = "auto",
    batch_tokens: Annotated[
        int, cli_option(ScoringOptions, "score_batch_tokens", "--batch-tokens")
    ] = SCORING.score_batch_tokens,
    autocast: Annotated[str | None, typer.Option(help="bfloat16 or float16.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, …; by default a GPU if there is one.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="With OUT, a column to keep; id (if there is one) and rationale by default."),
    ] = None,
    on_error: OnErrorName = FILES.on_error,
    engine: EngineName = FILES.engine,
    address: Address = FILES.address,
    workers: Workers = FILES.workers,
    gpus: Gpus = FILES.gpus,
    shard: ShardName = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Without OUT, the folder of scores from which a killed call resumes."),
    ] = None,
    out: Out = None,
    display: ShownAs = None,
) -> None:
    """Scores the steps of rationales with a student: the losses that the search for chunks uses.

    With OUT, files of any size in bounded memory; after a kill the same command resumes. Without it, one file, also
    CSV.
    """
    del display  # its callback has set it
    options = _options(engine, address, workers, on_error, gpus)
    if target is None and (options != FILES or keep is not None or shard is not None):
        raise InvalidInputError(
            "--keep, --on-error, --engine, --address, --workers, --gpus and --shard need a place to write to: name OUT"
        )
    if target is not None:
        if passes == "both" or cache is not None or out is not None:
            raise InvalidInputError(
                f"--passes both, --cache and --out are for a single file: leave {target} out, or leave them out"
            )
        from skipthink.stream.scorer import Scorer

        stream = Stream("score", file, target, options, shard)
        known = stream.known_columns()
        for name in ("question", "rationale"):
            check_column(file, name, known, "rename the column that holds it")
        stream.run(
            Scorer(
                student,
                n_chunks=chunks,
                passes=passes,
                rules=rules,
                batch_tokens=batch_tokens,
                autocast=autocast,
                device=device,
                keep=[*stream.kept(keep, known), *(["rationale"] if keep is None else [])],
                on_error=stream.options.on_error,
            )
        )
        return
    from skipthink.io.writer import write_rows
    from skipthink.scoring.command import score_file

    write_rows(
        out,
        score_file(
            single_file(file, "--out"),
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
    roles: Annotated[
        int | None,
        typer.Option(
            min=1, help="Also shows the kinds (roles) of steps that the gate trial finds, at most so many."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Says before any training whether data suit the method: steps, leaks, wrong teachers, ceilings."""
    from skipthink.data.audit_files import audit_files
    from skipthink.data.audit_text import print_report
    from skipthink.io.writer import print_lines
    from skipthink.skipping.role_facts import role_sections, roles_of_files

    counted: dict[str, Any] = {}
    if tokenizer is not None:
        from skipthink.student.token_counts import load_counter

        counted = {"count_tokens": load_counter(tokenizer), "counted_by": tokenizer}
    report = audit_files(files, answer=answer, chunks=chunks or (), rules=rules, **counted)
    found = {} if roles is None else roles_of_files(report.tables, n_roles=roles, rules=rules)
    if as_json:
        content = report.to_dict()
        for of_file in content["files"] if found else ():
            of_file["roles"] = [asdict(role) for role in found[of_file["file"]]]
        print_lines([json.dumps(content, indent=2).replace("\x7f", "\\u007f") + "\n"])
    else:
        print_report(report, lambda text: print_lines([text]), role_sections(found))


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


def _options(
    engine: str, address: str | None, workers: int | None, on_error: str, gpus: float | None = None
) -> FileOptions:
    return FileOptions(
        engine=engine,  # type: ignore[arg-type]
        address=address,
        workers=workers,
        gpus=gpus,
        on_error=on_error,  # type: ignore[arg-type]
    )


def _filled(rows: RawRows, column: str) -> list[Any]:
    """A column that every row must have."""
    values = rows.columns[column]
    for row, value in enumerate(values):
        if value is None:
            place = f"{rows.source}, {rows.place(row)}"
            raise InvalidInputError(f"{place}: {column} is missing; fill it or drop the row")
    return values
