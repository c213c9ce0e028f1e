"""Commands of the tasks that generate their own data: tasks make, tasks stats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from skipthink.cli.app import Out, app
from skipthink.exceptions import InvalidInputError

task_app = typer.Typer(
    help="Tasks that generate their own data (docs/how-to/tasks.md).", no_args_is_help=True
)
app.add_typer(task_app, name="tasks")


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
    """Generates samples of a task."""
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
        list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks; all by default.")
    ] = None,
    real: Annotated[Path | None, typer.Option(help="Folder of real rationales to compare with.")] = None,
    n: Annotated[int, typer.Option("-n", help="Number of samples per task.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seeds the samples.")] = 0,
) -> None:
    """Measures rationales and their steps, as a Markdown table."""
    from skipthink import tasks
    from skipthink.data.task_statistics import compare, format_table

    typer.echo(format_table(compare(names or tasks.NAMES, real=real, n=n, seed=seed)))
