"""Commands of `skipthink`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    from skipthink.data.sources import RawRows

app = typer.Typer(
    name="skipthink",
    help="Chunk-wise chain-of-thought distillation (Skip-Thinking, arXiv 2505.18642).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DataFile = Annotated[Path, typer.Argument(help="JSONL or Parquet file, one sample a row.")]
Rules = Annotated[str, typer.Option(help="Step rules: auto, lines or sentences.")]
Out = Annotated[Path | None, typer.Option(help="A .jsonl or .parquet file; standard output where not given.")]


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
        os.environ["SKIPTHINK_DEBUG"] = "1"  # the stages of a run are processes of their own


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, see docs/recipes.md.")],
    data: Annotated[
        Path | None, typer.Option(help="A data file that takes the place of the recipe's data.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/<recipe name> by default.")] = None,
) -> None:
    """Runs a recipe from data to table; finished stages are skipped, killed ones resumed."""
    from skipthink.pipeline.run import run_recipe
    from skipthink.pipeline.scheduler import StageCrashedError
    from skipthink.recipe import load_recipe

    loaded = load_recipe(recipe, data=data)
    folder = Path("runs") / loaded.name if out is None else out
    try:
        run_recipe(loaded, folder)
    except StageCrashedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; the same command goes on from where {folder} stands", err=True)
        raise typer.Exit(130) from None


@app.command()
def split(
    file: DataFile,
    rules: Rules = "auto",
    column: Annotated[str, typer.Option(help="Column of the texts.")] = "rationale",
    out: Out = None,
) -> None:
    """Splits rationales into steps."""
    import skipthink

    texts, ids = _texts(_read(file, [column]), column)
    spans = skipthink.split_steps_batch(texts, rules=rules)
    rows = (
        {"id": row_id, "steps": [text[start:end] for start, end in spans[row]]}
        for row, (row_id, text) in enumerate(zip(ids, texts, strict=True))
    )
    _write(rows, out)


@app.command()
def chunk(
    file: DataFile,
    chunks: Annotated[int, typer.Option("--chunks", "-M", help="M, the number of chunks.")],
    eta: Annotated[float, typer.Option(help="Least gain of an accepted change, nats.")] = 0.1,
    method: Annotated[str, typer.Option(help="average, greedy, anneal or optimal.")] = "greedy",
    objective: Annotated[str, typer.Option(help="mean, variance or max.")] = "mean",
    scope: Annotated[str, typer.Option(help="pair or left (greedy).")] = "pair",
    min_steps: Annotated[int, typer.Option(help="Least steps of a chunk.")] = 1,
    seed: Annotated[int, typer.Option(help="Seeds annealing.")] = 0,
    rules: Rules = "auto",
    column: Annotated[
        str, typer.Option(help="Column of the rationales: texts, or lists of steps.")
    ] = "rationale",
    out: Out = None,
) -> None:
    """Cuts rationales into M chunks by search on their losses.

    Losses come from the columns losses (one mean loss a step, or M of them) and, where there are,
    n_tokens and end_losses. Average chunking needs none.
    """
    import skipthink

    read = _read(file, [column] + (["losses"] if method != "average" else []))
    texts, ids = _texts(read, column)
    losses = read.columns.get("losses")
    found = skipthink.chunk(
        texts,
        _no_losses(texts, rules) if losses is None else losses,
        chunks,
        eta,
        method=method,
        objective=objective,
        scope=scope,
        min_steps=min_steps,
        seed=seed,
        rules=rules,
        n_tokens=read.columns.get("n_tokens"),
        end_losses=read.columns.get("end_losses"),
    )
    rows = (
        {
            "id": row_id,
            "boundaries": found.boundaries[row].tolist(),
            "chunks": found[row],
            "objective": float(found.objective[row]),
            "initial_objective": float(found.initial_objective[row]),
        }
        for row, row_id in enumerate(ids)
    )
    _write(rows, out)
    if found.n_unsearched and method != "average":
        typer.echo(
            f"{found.n_unsearched} of {len(ids)} rows have too few steps and keep average chunks", err=True
        )


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(help="A trained method of a run, such as runs/demo/train/stt/s0.")
    ],
    out: Annotated[Path, typer.Option(help="A .jsonl or .parquet file.")],
    format: Annotated[
        str, typer.Option(help="prompt-completion, messages, sharegpt or ids.")
    ] = "prompt-completion",
    mismatch: Annotated[
        str, typer.Option(help="Items whose text gives other token ids: error, drop or keep.")
    ] = "error",
) -> None:
    """Writes the items a method was trained on for other trainers."""
    from skipthink.exports import export_trained

    counts = export_trained(folder, out, format=format, mismatch=mismatch)
    typer.echo(
        f"{counts['written']} of {counts['items']} items in {out}; "
        f"{counts['mismatched']} whose text gives other token ids than the run trained on"
    )


@app.command()
def score(
    file: DataFile,
    student: Annotated[str, typer.Option(help="Folder or name of the student that scores.")],
    chunks: Annotated[int, typer.Option("--chunks", "-M", help="M, the number of chunks.")],
    stages: Annotated[
        str, typer.Option(help="conditioned: M passes; free: one; both: conditioned, and how far they agree.")
    ] = "conditioned",
    rules: Rules = "auto",
    batch_tokens: Annotated[int, typer.Option(help="Padded tokens of a forward pass.")] = 8192,
    autocast: Annotated[str | None, typer.Option(help="bfloat16 or float16.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; a GPU where there is one.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of scores; a killed call goes on from it.")
    ] = None,
    out: Out = None,
) -> None:
    """Scores the steps of rationales with a student: the losses that chunk searches on."""
    from skipthink.scoring.command import score_file

    _write(
        score_file(
            file,
            student=student,
            n_chunks=chunks,
            stages=stages,
            rules=rules,
            batch_tokens=batch_tokens,
            autocast=autocast,
            device=device,
            cache=cache,
            say=lambda text: typer.echo(text, err=True),
        ),
        out,
    )


@app.command()
def doctor() -> None:
    """Shows what is installed, what the machine has, and whether the core works."""
    from skipthink.doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.topic:<14} {finding.text}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _no_losses(texts: list[Any], rules: str) -> list[list[float]]:
    """Zero losses for average chunking, which looks at none."""
    import skipthink

    return [
        [0.0] * len(text if isinstance(text, list) else skipthink.split_steps(text, rules=rules))
        for text in texts
    ]


def _read(file: Path, columns: list[str]) -> RawRows:
    """Reads a file and checks that it has the columns.

    Raises:
        InvalidInputError: a column is missing.
        DataError: the file cannot be read.
    """
    from skipthink.data.sources import read_source

    rows = read_source(file, None)
    for column in columns:
        if column not in rows.columns:
            remedy = (
                "score the rationales first, or use --method average"
                if column == "losses"
                else "name the column of the rationales with --column"
            )
            known = ", ".join(rows.columns)
            raise InvalidInputError(f"{file} has no column {column!r}, it has {known}; {remedy}")
    return rows


def _texts(rows: RawRows, column: str) -> tuple[list[Any], list[Any]]:
    """The column and the ids (row numbers where there is no column id)."""
    texts = rows.columns[column]
    for row, text in enumerate(texts):
        if text is None:
            raise InvalidInputError(
                f"{rows.source}, {rows.place(row)}: {column} is missing; fill it or drop the row"
            )
    return texts, rows.columns.get("id", list(range(rows.n_rows)))


def _write(rows: Iterable[dict[str, Any]], out: Path | None) -> None:
    """Writes rows as JSONL or Parquet; to standard output as JSONL."""
    if out is not None and out.suffix == ".parquet":
        import pyarrow as pa

        from skipthink.files import write_parquet

        write_parquet(out, pa.Table.from_pylist(list(rows)))
        return
    if out is not None and out.suffix not in (".jsonl", ".json"):
        raise InvalidInputError(f"--out is {out}; name a .jsonl or .parquet file")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if out is not None:
        from skipthink.files import write_text

        write_text(out, "".join(lines))
        return
    try:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
