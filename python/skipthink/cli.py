"""Commands of `skipthink`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipthink.core.options import SearchOptions
from skipthink.exceptions import InvalidInputError
from skipthink.options import Options, choices_of, help_of, hint_of
from skipthink.scoring.options import ChunkOptions, ScoringOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.data.sources import RawRows
    from skipthink.stream.chunker import Chunker

app = typer.Typer(
    name="skipthink",
    help="Chunk-wise chain-of-thought distillation (Skip-Thinking, arXiv 2505.18642).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

task_app = typer.Typer(
    help="Tasks that make their own data, and those of your own (docs/how-to/tasks.md).", no_args_is_help=True
)
app.add_typer(task_app, name="tasks")


def cli_option(kind: type[Options], name: str, *flags: str) -> Any:
    """An option of a command with the help of its declaration.

    Args:
        kind: the options that declare it.
        name: the option.
        flags: as it is given; --name where there are none.
    """
    text = help_of(kind, name).replace("`", "")
    choices = choices_of(hint_of(kind, name))
    listed = f" ({', '.join(choices)})" if choices else ""
    return typer.Option(*flags, help=f"{text[0].upper()}{text[1:]}{listed}.")


SEARCH, SCORING = SearchOptions(), ScoringOptions()
"""Defaults of the commands."""
LOSS_COLUMNS = ("losses", "n_tokens", "end_losses")
DataFile = Annotated[Path, typer.Argument(help="JSONL, CSV, TSV or Parquet file, one sample a row.")]
Rules = Annotated[str, cli_option(ChunkOptions, "rules")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A key of the recipe that is to be otherwise, e.g. training.epochs=5; can stand more than once.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="A .jsonl, .parquet or .arrow file; standard output where not given.")
]


def _version(value: bool) -> None:
    if value:
        from skipthink import _core

        typer.echo(f"skipthink {_core.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Shows the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Shows a traceback with an error.")] = False,
) -> None:
    """Options of all commands."""
    del version
    if debug:
        os.environ["SKIPTHINK_DEBUG"] = "1"  # the jobs of a run are processes of their own


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, see docs/reference/recipes.md.")],
    data: Annotated[
        Path | None, typer.Option(help="A data file that takes the place of the recipe's data.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/<recipe name> by default.")] = None,
    changes: Changes = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another run folder: what it has finished with the same inputs is copied, not computed again; "
            "can stand more than once."
        ),
    ] = None,
) -> None:
    """Runs a recipe from data to table; finished jobs are kept, killed ones resumed."""
    from skipthink.run.recipe import load_recipe
    from skipthink.run.runner import run_recipe
    from skipthink.run.scheduler import JobCrashedError

    loaded = load_recipe(recipe, data=data, changes=changes or ())
    folder = Path("runs") / loaded.name if out is None else out
    try:
        run_recipe(loaded, folder, reuse=reuse or ())
    except JobCrashedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; the same command goes on from where {folder} stands", err=True)
        raise typer.Exit(130) from None


@app.command()
def schema(
    recipe: Annotated[
        Path | None,
        typer.Argument(help="A recipe that names methods of your own, whose options are to be in it."),
    ] = None,
    pretraining: Annotated[
        bool, typer.Option("--pretrain", help="The schema of recipes of skipthink pretrain.")
    ] = False,
) -> None:
    """Prints the JSON schema of recipes, which editors complete and check keys with."""
    from skipthink.io.recipes import read_mapping, read_text, schema_of
    from skipthink.run.recipe import recipe_kind, recipe_kind_of

    kind: type[Options] = recipe_kind()
    if pretraining:
        from skipthink.testbed.options import PretrainRecipe

        kind = PretrainRecipe
    elif recipe is not None:
        content = read_mapping(read_text(recipe), name=str(recipe))
        kind = recipe_kind_of(content, name=str(recipe), folder=recipe.resolve().parent)
    typer.echo(json.dumps(schema_of(kind), indent=2, ensure_ascii=False))


@app.command()
def pretrain(
    recipe: Annotated[Path, typer.Argument(help="A recipe of recipes/testbed, see docs/how-to/testbed.md.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to; runs/pretrain-<recipe name> by default.")
    ] = None,
    changes: Changes = None,
) -> None:
    """Makes and pre-trains a student of the test bed; the same command goes on after a kill."""
    from skipthink.testbed.options import load_pretrain_recipe
    from skipthink.testbed.pretraining import pretrain

    loaded = load_pretrain_recipe(recipe, changes=changes or ())
    folder = Path("runs") / f"pretrain-{loaded.name}" if out is None else out
    typer.echo(f"student: {pretrain(loaded, folder)}")


@app.command()
def teach(
    questions: Annotated[
        Path, typer.Argument(help="JSONL or Parquet file, or `datasets` folder, with question and answer.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; teacher/<file name> by default.")
    ] = None,
    *,
    answer: Annotated[str, typer.Option(help="number, choice, yes_no, date, string or maths.")],
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible endpoint.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model there.")] = None,
    key_env: Annotated[str | None, typer.Option(help="Environment variable that holds its key.")] = None,
    local: Annotated[
        str | None, typer.Option(help="Instead: a folder, .gguf file or hub name, run here.")
    ] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Instead: files of the batch API.")] = False,
    prompt: Annotated[
        str | None, typer.Option(help="few-shot (default), zero-shot, concise, … or a file.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Task whose examples are shown, or a file of them.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Samples per question (1).")] = None,
    temperature: Annotated[float | None, typer.Option(help="Above 0 for several samples (0).")] = None,
    input_price: Annotated[float | None, typer.Option(help="Price of a million prompt tokens.")] = None,
    output_price: Annotated[float | None, typer.Option(help="Price of a million written tokens.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="The most that the answers of the store may cost.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Folder of the answers; in the result by default.")
    ] = None,
    show: Annotated[
        int, typer.Option(help="Prints what would be sent for so many questions, sends nothing.")
    ] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other key, e.g. filter.keep=shortest."),
    ] = None,
) -> None:
    """Has a teacher answer questions and keeps the rationales worth learning from; nothing is paid twice."""
    from skipthink.io.writer import print_lines
    from skipthink.teacher import command
    from skipthink.teacher.teaching import teach as ask

    kind = "batch" if batch else "endpoint"
    flags = {
        f"{kind}.base_url": base_url,
        f"{kind}.model": model,
        f"{kind}.key_env": key_env,
        "local.path": local,
        "prompt.name": prompt,
        "prompt.task": task,
        "sampling.n": n,
        "sampling.temperature": temperature,
        "price.input": input_price,
        "price.output": output_price,
        "price.budget": budget,
        "store": store,
    }
    options = command.read_teacher(flags, changes or (), name="skipthink teach")
    table, lines = command.read_questions(questions, kind=answer)
    if show:
        print_lines(line + "\n" for line in command.show_requests(table, options, answer, show))
        return
    for line in lines:
        typer.echo(line, err=True)
    folder = Path("teacher") / questions.stem if out is None else out
    taught = ask(table, options, folder, kind=answer)
    for line in command.summary(taught, folder):
        typer.echo(line)
    code, message = command.ending(taught, folder)
    if message is not None:
        typer.echo(message, err=True)
    raise typer.Exit(code)


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
    _check_column(file, column, read.columns)
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
    file: Annotated[Path, typer.Argument(help="Parquet, Arrow or JSONL file, one sample a row.")],
    out: Annotated[
        Path | None,
        typer.Argument(
            help="A .parquet, .arrow or .jsonl file; JSON lines on standard output where not given."
        ),
    ] = None,
    *,
    chunks: Annotated[int, cli_option(ChunkOptions, "M", "--chunks", "--m", "-M")],
    eta: Annotated[float, cli_option(SearchOptions, "eta")] = SEARCH.eta,
    method: Annotated[str, cli_option(SearchOptions, "method")] = SEARCH.method,
    objective: Annotated[str, cli_option(SearchOptions, "objective")] = SEARCH.objective,
    scope: Annotated[str, cli_option(SearchOptions, "scope")] = SEARCH.scope,
    min_steps: Annotated[int, cli_option(SearchOptions, "min_steps")] = SEARCH.min_steps,
    rules: Rules = "auto",
    column: Annotated[
        str, typer.Option(help="Column of the rationales: texts, or lists of steps.")
    ] = "rationale",
    keep: Annotated[list[str] | None, typer.Option(help="A column to keep; id where there is one.")] = None,
    texts: Annotated[bool, typer.Option(help="Whether to write the texts of the chunks.")] = True,
) -> None:
    """Cuts rationales into M chunks by search on their losses, in bounded memory.

    Losses come from the columns losses (one mean loss a step, or M of them) and, where there are,
    n_tokens and end_losses. Average chunking needs none. The same command goes on after a kill.
    """
    from skipthink.core.options import SearchOptions
    from skipthink.io.tables import column_names
    from skipthink.stream.chunker import Chunker

    search = SearchOptions(method=method, objective=objective, eta=eta, scope=scope, min_steps=min_steps)  # type: ignore[arg-type]
    known = column_names(file)
    _check_column(file, column, known)
    if method != "average":
        _check_column(file, "losses", known, "score the rationales first, or use --method average")
    for name in keep or ():
        _check_column(file, name, known, "name columns that are there with --keep")
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
def export(
    folder: Annotated[
        Path, typer.Argument(help="A trained method of a run, such as runs/demo/train/stt/s0.")
    ],
    out: Annotated[Path, typer.Option(help="A .jsonl, .parquet or .arrow file.")],
    format: Annotated[
        str, typer.Option(help="prompt-completion, messages, sharegpt or ids.")
    ] = "prompt-completion",
    mismatch: Annotated[
        str, typer.Option(help="Items whose text gives other token ids: error, drop or keep.")
    ] = "error",
) -> None:
    """Writes the items a method was trained on for other trainers."""
    from skipthink.publish.exports import export_trained

    counts = export_trained(folder, out, format=format, mismatch=mismatch)
    typer.echo(
        f"{counts['written']} of {counts['items']} items in {out}; "
        f"{counts['mismatched']} whose text gives other token ids than the run trained on"
    )


@app.command()
def score(
    file: DataFile,
    student: Annotated[str, typer.Option(help="Folder or name of the student that scores.")],
    chunks: Annotated[int, cli_option(ChunkOptions, "M", "--chunks", "-M")],
    passes: Annotated[
        str, typer.Option(help="conditioned: M passes; free: one; both: conditioned, and how far they agree.")
    ] = "conditioned",
    rules: Rules = "auto",
    batch_tokens: Annotated[
        int, cli_option(ScoringOptions, "score_batch_tokens", "--batch-tokens")
    ] = SCORING.score_batch_tokens,
    autocast: Annotated[str | None, typer.Option(help="bfloat16 or float16.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; a GPU where there is one.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of scores; a killed call goes on from it.")
    ] = None,
    out: Out = None,
) -> None:
    """Scores the steps of rationales with a student: the losses that chunk searches on."""
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


@task_app.command(name="make")
def make_task(
    task: Annotated[
        str, typer.Argument(help="A task, or a Python file or module of your own that holds one.")
    ],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    n: Annotated[int, typer.Option("-n", help="Number of samples.")] = 100,
    seed: Annotated[int, typer.Option(help="Seeds the samples.")] = 0,
    task_options: Annotated[str, typer.Option("--options", help="Options of the task as JSON.")] = "{}",
    out: Out = None,
) -> None:
    """Makes samples of a task."""
    from skipthink import tasks
    from skipthink.io.writer import write_rows

    try:
        options = json.loads(task_options)
    except ValueError as error:
        raise InvalidInputError(f'--options is no JSON ({error}); write {{"n_words": 3}}') from None
    if not isinstance(options, dict) or {"split", "n", "seed"} & set(options):
        raise InvalidInputError(f"--options is {task_options}; give a JSON object of the task's own options")
    write_rows(out, tasks.rows(task, split=split, n=n, seed=seed, **options))


@task_app.command()
def stats(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks; all where none is named.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="Folder of real rationales, measured beside those made.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Samples made of each task.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seeds them.")] = 0,
) -> None:
    """Measures rationales and their steps, as a Markdown table."""
    from skipthink import tasks
    from skipthink.data.task_statistics import compare, format_table

    typer.echo(format_table(compare(names or tasks.NAMES, real=real, n=n, seed=seed)))


@app.command()
def audit(
    files: Annotated[
        list[Path], typer.Argument(help="Data files; of several, what they share is told as well.")
    ],
    answer: Annotated[
        str | None,
        typer.Option(help="Kind of the answers (docs/reference/answers.md); inferred where not given."),
    ] = None,
    chunks: Annotated[
        list[int] | None,
        typer.Option("--chunks", "-M", help="An M to look at, can stand more than once; 2 to 8 by default."),
    ] = None,
    rules: Rules = "auto",
    tokenizer: Annotated[
        str | None, typer.Option(help="Folder or name of a tokenizer to count with; else words and marks.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Tells before any training what data can carry the method: steps, leaks, wrong teachers, ceilings."""
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
def doctor() -> None:
    """Shows what is installed, what the machine has, and whether the core works."""
    from skipthink.run.doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.topic:<14} {finding.text}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _warn_of_unsplit(n_unsplit: int, n_rows: int) -> None:
    from skipthink.core.steps import LONG_CHARACTERS

    if n_unsplit:
        found = (
            f"{n_unsplit} of {n_rows} rationales have {LONG_CHARACTERS} characters or more and a single step"
        )
        advice = "write a line break behind each step, or one step a list element"
        typer.echo(f"{found}, so that nothing can be chunked in them: {advice}", err=True)


def _print_chunks(file: Path, chunker: Chunker, absent: list[str]) -> tuple[int, int, int]:
    """Prints the chunks of a file as JSON lines; rows, those not searched, and long ones not split."""
    from skipthink.io.tables import read_batches
    from skipthink.io.writer import json_lines, print_lines
    from skipthink.stream.chunker import stream
    from skipthink.stream.files import count_unsplit_rows

    counts = [0, 0, 0]

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in stream(read_batches(file, chunker.columns, absent=absent), chunker):
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
        notes.append(f"{report['thrown_away']} parts of another job thrown away")
    display.line(f"{out}: {', '.join(notes)}")
    return report["rows"], report["unsearched"], report["unsplit"]


def _check_column(
    file: Path,
    column: str,
    known: Iterable[str],
    remedy: str = "name the column of the rationales with --column",
) -> None:
    if column not in known:
        raise InvalidInputError(f"{file} has no column {column!r}, it has {', '.join(known)}; {remedy}")


def _filled(rows: RawRows, column: str) -> list[Any]:
    """A column that every row must have."""
    values = rows.columns[column]
    for row, value in enumerate(values):
        if value is None:
            place = f"{rows.source}, {rows.place(row)}"
            raise InvalidInputError(f"{place}: {column} is missing; fill it or drop the row")
    return values
