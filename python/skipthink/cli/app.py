"""The program `skipthink`, to which the modules beside this one add their commands, and what commands share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from skipthink.exceptions import InvalidInputError
from skipthink.io.progress import MODE_VARIABLE, MODES, check_mode
from skipthink.options import Options, choices_of, help_of, hint_of
from skipthink.scoring.options import ChunkOptions

app = typer.Typer(
    name="skipthink",
    help="Chunk-wise chain-of-thought distillation (Skip-Thinking, arXiv 2505.18642).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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


@contextlib.contextmanager
def going_on(folder: object) -> Iterator[None]:
    """Ends a command of jobs with what to do next: exit code 1 where a job failed, 130 where it was interrupted.

    Args:
        folder: where the same command goes on from.
    """
    from skipthink.run.scheduler import JobCrashedError

    try:
        yield
    except JobCrashedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; the same command goes on from where {folder} stands", err=True)
        raise typer.Exit(130) from None


Rules = Annotated[str, cli_option(ChunkOptions, "rules")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Changes a key of the recipe, e.g. training.epochs=5; can be given several times.",
    ),
]


def _set_display(mode: str | None) -> str | None:
    """The display of all work in this process."""
    if mode is not None:
        os.environ[MODE_VARIABLE] = check_mode(mode)
    return mode


ShownAs = Annotated[
    str | None,
    typer.Option(
        "--display",
        callback=_set_display,
        metavar="|".join(MODES),
        help="How progress is shown: bars on a terminal and lines elsewhere (auto), lines, an object of JSON per "
        f"line, or nothing; {MODE_VARIABLE} sets it for all commands.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|ray",
        help="What does the work: processes of this machine, or a Ray cluster.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="The address of a Ray cluster; by default that of the variable RAY_ADDRESS, or else a Ray is started "
        "on this machine.",
    ),
]
Copy = Annotated[
    Path | None,
    typer.Option(
        "--copy",
        help="Where an OUT in an object store is worked on, a folder of this machine; one in the user's cache by "
        "default, or in that of the variable SKIPTHINK_CACHE.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="A .jsonl, .parquet or .arrow file; standard output by default.")
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


def check_column(
    file: str | Path,
    column: str,
    known: Iterable[str],
    remedy: str = "name the column of the rationales with --column",
) -> None:
    """Checks that a file has a column.

    Args:
        file: the file, for the message.
        column: the column.
        known: the columns it has.
        remedy: what to do where it has not.

    Raises:
        InvalidInputError: it has none of this name.
    """
    if column not in known:
        raise InvalidInputError(f"{file} has no column {column!r}, it has {', '.join(known)}; {remedy}")
