"""The report of one or two runs as a single HTML file that opens by double click (docs/how-to/report.md)."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError
from skipthink.inspection.page.figures import Figure, all_figures
from skipthink.inspection.page.measures import Shown, measured, methods_table, pairs_table
from skipthink.inspection.page.pack import pack, source_hash
from skipthink.inspection.page.samples import ITEM_TOKENS, Samples
from skipthink.inspection.page.svg import to_svg
from skipthink.inspection.record import RunRecord
from skipthink.io.files import atomic_path
from skipthink.io.markup import name_signs

if TYPE_CHECKING:
    import jinja2

LABELS = ("A", "B")
WARNINGS = 40
"""Missing things that are listed; more are counted."""


def write_page(records: Sequence[RunRecord], path: str | Path, *, item_tokens: int = ITEM_TOKENS) -> Path:
    """Writes the report of one run, or of two side by side.

    Args:
        records: one or two runs, in whatever state they are; what is missing is listed on top of the page.
        path: the HTML file.
        item_tokens: tokens of training items that the page may hold; samples beyond have none, and are counted.

    Returns:
        The file.

    Raises:
        InvalidInputError: no run or more than two, or the packages of `skipthink[report]` are not installed.
        OSError: the file cannot be written.
    """
    if not 1 <= len(records) <= len(LABELS):
        raise InvalidInputError(f"a report is of one run or two, got {len(records)}")
    template = _template()
    labels = LABELS if len(records) > 1 else ("",)
    runs = [Shown(record, label) for record, label in zip(records, labels, strict=False)]
    context = _context(runs, item_tokens)
    with atomic_path(path) as scratch, scratch.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(template.generate(context))
    return Path(path)


def _template() -> jinja2.Template:
    try:
        import jinja2
        import matplotlib as _  # noqa: F401 - figures need it; said before anything is done
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"a report needs the package {error.name}: pip install 'skipthink[report]'"
        ) from error
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["visible"] = lambda text: name_signs(str(text))
    return environment.from_string(asset("page.html.jinja"))


def asset(name: str) -> str:
    """A file beside this one: the template, the style or the script."""
    return (resources.files("skipthink.inspection.page") / "assets" / name).read_text(encoding="utf-8")


def _context(runs: Sequence[Shown], item_tokens: int) -> dict[str, Any]:
    from markupsafe import Markup

    for run in runs:
        run.record.load_all()
        run.record.tokenizer()
    found = measured(runs)
    samples = Samples(runs, found, item_tokens)
    style, script = asset("page.css"), asset("browser.js")
    data = _Data(samples)
    policy = (
        f"default-src 'none'; script-src {source_hash(script)}; style-src {source_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {
        "policy": policy,
        "version": importlib.metadata.version("skipthink"),
        "title": " and ".join(run.named(run.record.name) for run in runs),
        "subtitle": f"What {'a run' if len(runs) == 1 else 'two runs'} of skipthink did, and why.",
        "style": Markup(style),  # noqa: S704 - files of the package
        "script": Markup(script),  # noqa: S704
        "runs": [_about(run) for run in runs],
        "methods": methods_table(found),
        "pairs": pairs_table(runs, found),
        "figures": [_drawn(figure) for figure in all_figures(runs)],
        "n_samples": len(samples),
        "data": data,
    }


class _Data:
    """The script elements with data: name and content; made when the template comes to them."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[tuple[str, str]]:
        index = self.samples.index()
        for number, block in enumerate(self.samples.blocks()):
            yield f"block-{number}", pack(block)
        yield "index", pack(index | {"notes": self.samples.notes})


def _drawn(figure: Figure) -> dict[str, Any]:
    from markupsafe import Markup

    name = figure.name.replace("_", "-")
    svg = to_svg(
        figure.draw, name=name, description=f"{figure.title}. {figure.caption}", height=figure.height
    )
    return {
        "title": figure.title,
        "caption": figure.caption,
        "svg": Markup(svg),  # noqa: S704 - every text in it is escaped by ElementTree
        "table": figure.table,
    }


def _about(run: Shown) -> dict[str, Any]:
    """State, facts and recipe of a run."""
    record = run.record
    missing = [str(entry) for entry in record.missing]
    more = len(missing) - WARNINGS
    warnings = missing[:WARNINGS] + ([f"and {more} more"] if more > 0 else [])
    results = record.results() or {}
    facts = [("recipe", record.name), ("task", str(results.get("task", record.recipe.get("task") or "–")))]
    facts += [("folder", record.path.name), ("state", "finished" if record.is_finished else "not finished")]
    for part in ("machine", "versions"):
        facts += [(name, str(value)) for name, value in (results.get(part) or {}).items()]
    devices = {str(job.result["device"]) for job in record.jobs.values() if job.result.get("device")}
    if devices:
        facts.append(("evaluated on", ", ".join(sorted(devices))))
    return {
        "label": run.named(record.name),
        "state": "what is here, and what is missing" if warnings else "finished",
        "warnings": warnings,
        "facts": facts,
        "recipe": _recipe_text(record),
    }


def _recipe_text(record: RunRecord) -> str:
    try:
        return (record.path / "recipe.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
