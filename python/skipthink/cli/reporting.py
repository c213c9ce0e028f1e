"""Command of reports: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skipthink.cli.app import app


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder, finished or not.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="[RUN2]", help="A second run, to stand beside the first.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="The page; report.html in the run folder by default, for two runs in this folder."),
    ] = None,
) -> None:
    """Writes one HTML file about a run, or about two: figures, tables, and every sample; see docs/how-to/report.md."""
    from skipthink.inspection import open_run
    from skipthink.inspection.layout import REPORT_FILE
    from skipthink.inspection.page import write_page
    from skipthink.run.addresses import refuse_address

    runs = [path for path in (run, other) if path is not None]
    for path in runs:
        refuse_address(path)
    records = [open_run(path) for path in runs]
    path = html or (run / REPORT_FILE if other is None else Path(REPORT_FILE))
    write_page(records, path)
    missing = sum(len(record.missing) for record in records)
    note = f"; what is missing in the run stands on top of it ({missing})" if missing else ""
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, open it in a browser{note}")
