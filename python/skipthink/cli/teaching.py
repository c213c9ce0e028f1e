"""The command of the teacher: teach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skipthink.cli.app import ShownAs, app


@app.command()
def teach(
    questions: Annotated[
        Path,
        typer.Argument(
            help="JSONL or Parquet file or `datasets` folder of questions and answers, or a recipe with a teacher."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; teacher/<file name> by default.")
    ] = None,
    *,
    answer: Annotated[
        str | None,
        typer.Option(help="number, choice, yes_no, date, string or maths; recipes say it themselves."),
    ] = None,
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
    display: ShownAs = None,
) -> None:
    """Has a teacher answer questions and keeps the rationales worth learning from; nothing is paid twice."""
    del display  # its callback has set it
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
    if questions.suffix in (".yaml", ".yml"):
        from skipthink.run.prepare import read_assignment

        assignment = read_assignment(questions, command.as_changes(flags, "teacher."), changes or ())
    else:
        assignment = command.read_assignment(questions, answer, command.as_changes(flags), changes or ())
    if show:
        print_lines(line + "\n" for line in command.show_requests(assignment, show))
        return
    for line in assignment.notes:
        typer.echo(line, err=True)
    folder = Path("teacher") / questions.stem if out is None else out
    taught = ask(
        assignment.questions,
        assignment.teacher,
        folder,
        kind=assignment.checks.answer,
        tolerance=assignment.checks.tolerance,
        relative_tolerance=assignment.checks.relative_tolerance,
    )
    for line in command.summary(taught, folder):
        typer.echo(line)
    code, message = command.ending(taught, folder)
    if message is not None:
        typer.echo(message, err=True)
    raise typer.Exit(code)
