"""The command `inspect`: what a run did, what data will do, and which tokens items train."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipthink.cli.app import Rules, app
from skipthink.exceptions import InvalidInputError
from skipthink.inspection.layout import RECIPE_FILE
from skipthink.io.visible import visible

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.inspection.listing import Wanted
    from skipthink.inspection.terminal import SamplePrinter

LISTED, SHOWN = 50, 3
"""How many samples a list has, and how many are shown in full, where `--limit` says nothing."""


@app.command("inspect")
def inspect_command(
    target: Annotated[
        Path,
        typer.Argument(
            help="A run folder; a data file (with --student); a file of items (with --tokenizer)."
        ),
    ],
    sample: Annotated[str | None, typer.Option("--id", help="Shows the sample of this id.")] = None,
    wrong: Annotated[
        list[str] | None,
        typer.Option(help="A method: lists the samples it does not get right; can be given several times."),
    ] = None,
    disagree: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="METHOD METHOD", help="Lists the samples that one gets right and the other does not."
        ),
    ] = None,
    chunks: Annotated[
        int | None,
        typer.Option(
            "--chunks", "-M", help="Lists the training samples with so many chunks; of a data file: M."
        ),
    ] = None,
    grep: Annotated[
        str | None, typer.Option(help="Lists the samples that hold a text, in whatever case.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the students; the first by default.")] = None,
    method: Annotated[
        str | None, typer.Option(help="Shows the items and outputs of this method alone.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Most samples; {LISTED} of a list, {SHOWN} that are shown in full."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Cuts no text, however long.")] = False,
    student: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of the student that a data file is looked at with; S comes with the package."
        ),
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Folder or name of the tokenizer that items were made with.")
    ] = None,
    rules: Rules = "auto",
) -> None:
    """Shows samples of a run, of data, or items: chunks, losses, trained tokens, questions to the judge, outputs.

    A list of a run's samples, or one of them in full with --id. Data are shown as a student would be trained on them,
    items with the tokens that carry loss. Exit code 2 where an item trains no token.
    """
    from skipthink.inspection.listing import Wanted
    from skipthink.inspection.terminal import LONGEST, SamplePrinter, make_console
    from skipthink.run.addresses import refuse_address

    refuse_address(target)
    reconfigure: Callable[..., None] | None = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # a terminal that knows few characters
    printer = SamplePrinter(make_console(), longest=None if full else LONGEST, method=method)
    if (target / RECIPE_FILE).exists():
        wanted = Wanted(
            split=split, wrong=wrong or (), disagree=disagree, chunks=chunks, grep=grep, seed=seed
        )
        _inspect_run(target, sample, wanted, limit or LISTED, printer)
    elif tokenizer is not None:
        _inspect_items(target, tokenizer, sample, limit or SHOWN, printer)
    elif student is not None and not target.is_dir():
        _inspect_data(target, student, chunks, rules, (sample, grep, limit or SHOWN), printer)
    else:
        what = "is no run folder: it holds no recipe.yaml" if target.is_dir() else "is a file"
        raise InvalidInputError(
            f"{target} {what}; name the folder of a run, or a data file with --student, or a file of items with "
            "--tokenizer"
        )


def _inspect_run(
    target: Path, sample: str | None, wanted: Wanted, limit: int, printer: SamplePrinter
) -> None:
    from skipthink.inspection import SampleViews, open_run
    from skipthink.inspection.listing import select, summaries
    from skipthink.inspection.terminal import print_listing

    record = open_run(target)
    if sample is not None:
        printer.show(SampleViews(record).find(sample))
    else:
        listing = select(record, wanted)
        shown = listing.rows[:limit].tolist()
        print_listing(printer.console, summaries(record, listing, shown), listing.methods)
        more = "" if len(shown) == len(listing.rows) else f"; {len(shown)} are shown, --limit shows more"
        typer.echo(f"{len(listing.rows)} of {listing.total} samples of the split {listing.split}{more}")
    for entry in record.missing:
        typer.echo(f"missing: {visible(str(entry))}", err=True)


def _inspect_data(
    target: Path,
    student: str,
    n_chunks: int | None,
    rules: str,
    asked: tuple[str | None, str | None, int],
    printer: SamplePrinter,
) -> None:
    from skipthink.inspection.preview import preview

    sample, grep, limit = asked

    def choose(table: pa.Table) -> list[int]:
        rows = range(table.num_rows)
        if sample is not None:
            ids = table["id"].to_pylist()
            return [row for row in rows if ids[row] == sample][:1]
        if grep is not None:
            texts = table.select(["id", "question", "rationale", "answer"]).to_pylist()
            held = (row for row in rows if grep.lower() in "\n".join(texts[row].values()).lower())
            return list(islice(held, limit))
        return list(rows)[:limit]

    student = _folder_of(student)
    for view in preview(target, student=student, n_chunks=n_chunks, rules=rules, choose=choose):
        printer.show(view)


def _inspect_items(
    target: Path, tokenizer: str, sample: str | None, limit: int, printer: SamplePrinter
) -> None:
    from skipthink.inspection.items import Totals, read_items
    from skipthink.student.token_counts import load_tokenizer

    if target.is_dir():
        target = target / "items.parquet"
    totals, n_shown = Totals(), 0
    for item in read_items(target, load_tokenizer(_folder_of(tokenizer))):
        totals.add(item)
        if n_shown < limit and (item.name == sample if sample is not None else True):
            n_shown += 1
            printer.item(item.as_item())
            for note in item.notes:
                printer.console.print(f"  note: {note}")
    if sample is not None and not n_shown:
        raise InvalidInputError(f"{target} has no item with the id {sample!r}")
    share = f"{100 * totals.trained / totals.tokens:.1f} %" if totals.tokens else "none"
    typer.echo(f"{totals.items} items, {totals.trained} of {totals.tokens} tokens trained ({share})")
    for note, count in (totals.notes or {}).items():
        typer.echo(f"{count} of {totals.items}: {note}")
    totals.refuse_untrained(target)


def _folder_of(name: str) -> str:
    """A folder or name; of a student that comes with the package, its folder."""
    from skipthink.testbed import NAMES, student_path

    return str(student_path(name)) if name in NAMES and not Path(name).exists() else name
