"""Commands of comparisons: study, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from skipthink.cli.app import Address, Changes, Copy, EngineName, ShownAs, app, going_on


@app.command()
def study(
    recipe: Annotated[Path, typer.Argument(help="A recipe, whose section study says what is tried.")],
    data: Annotated[Path | None, typer.Option(help="A data file that replaces the recipe's data.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The folder of the study, or an address in an object store; runs/study-<recipe name> by default."
        ),
    ] = None,
    changes: Changes = None,
    copy: Copy = None,
    plan: Annotated[bool, typer.Option("--plan", help="Says what would be run, and runs nothing.")] = False,
    engine: EngineName = "local",
    address: Address = None,
    display: ShownAs = None,
) -> None:
    """Tunes rates on validation, compares all methods and seeds on the test split; resumes after a kill."""
    del display  # its callback has set it
    from skipthink.io.progress import Display
    from skipthink.run.addresses import open_files
    from skipthink.run.engines import open_engine
    from skipthink.run.recipe import load_recipe
    from skipthink.run.study import Study

    loaded = load_recipe(recipe, data=data, changes=changes or ())
    files = open_files(Path("runs") / f"study-{loaded.name}" if out is None else out, copy)
    planned = Study(loaded, files.folder.path, Display(), files=files)
    if plan:
        typer.echo("\n".join(planned.plan()))
        return
    with going_on(files), open_engine(engine, address) as planned.engine:
        planned.run()


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or the folder of a study.")],
    against: Annotated[
        str | None, typer.Option(help="The method that all others are compared with; base by default.")
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compares every pair of methods.")] = False,
    margin: Annotated[
        float, typer.Option(help="Points of accuracy that a method may lose and still count as not worse.")
    ] = 3.0,
    plot: Annotated[
        Path | None, typer.Option(help="An .svg, .png or .pdf file: accuracy against tokens and seconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Compares the methods of finished runs in pairs, with intervals over seeds and questions."""
    from skipthink.exceptions import InvalidInputError
    from skipthink.run.addresses import refuse_address
    from skipthink.run.comparing import compare_runs, format_comparison

    for folder in runs:
        refuse_address(folder)
    if not 0 < margin < 100:
        raise InvalidInputError(f"--margin must be between 0 and 100 points, got {margin:g}")
    found = compare_runs(runs, against=against, margin=margin / 100, all_pairs=all_pairs)
    typer.echo(json.dumps(found, indent=2) if as_json else format_comparison(found))
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    for missing in found["unfinished"]:
        typer.echo(f"not evaluated yet: {missing}", err=True)
    if plot is not None:
        from skipthink.evaluation.plots import plot_comparison

        plot_comparison(found, plot)
        typer.echo(f"plot: {plot}", err=True)
