"""Makes the pictures of a real run for README and docs: `python docs/pictures/draw.py RUN [FOLDER]`.

Of its report: the top and the sample browser, light and dark; and accuracy against tokens, cuts and skips as SVG. Needs
Chromium and the packages `skipthink[report]` and playwright; the run of the pictures here is recipes/demo.yaml.
"""

import argparse
import runpy
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import chromium  # noqa: E402
import matplotlib as mpl  # noqa: E402
from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from PIL import Image  # noqa: E402

from skipthink import plots  # noqa: E402
from skipthink.inspection import RunRecord, open_run  # noqa: E402
from skipthink.inspection.page import write_page  # noqa: E402

WIDTH, HEIGHT = 1280, 800
COLOURS = 160
STYLE = {
    "svg.hashsalt": "skipthink",
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OPEN_ITEMS = "document.querySelectorAll('#browser-sample details').forEach((part) => { part.open = true; })"


def interesting_sample(record: RunRecord) -> str:
    """The id of a training sample of which some chunks are skipped and some are kept."""
    for judged in record.judged():
        if judged.skips is not None:
            flags = zip(judged.skips["id"].to_pylist(), judged.skips["skipped"].to_pylist(), strict=True)
            return next(name for name, skipped in flags if any(skipped) and not all(skipped))
    samples = record.samples("train")
    if samples is None:
        raise SystemExit(f"{record.path} has no training samples")
    return str(samples["id"][0].as_py())


def draw_page(record: RunRecord, out: Path) -> None:
    """Pictures of the report: its top, and the browser with an evaluated and a training sample."""
    with tempfile.TemporaryDirectory() as folder, chromium.started() as browser:
        page_file = write_page([record], Path(folder) / "report.html")
        for scheme in ("light", "dark"):
            size = {"width": WIDTH, "height": HEIGHT}
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(page_file.as_uri())
            page.wait_for_selector("html[data-ready=yes]", state="attached")
            page.screenshot(path=out / f"report-{scheme}.png")
            page.locator("#browser-show").select_option("flips")
            page.locator("#browser-list .row").first.click()
            page.keyboard.press("c")
            page.wait_for_selector(".cards.two")
            page.locator("#samples").evaluate("section => section.scrollIntoView()")
            page.screenshot(path=out / f"browser-{scheme}.png")
            page.locator("#browser-reset").click()
            page.goto(f"{page_file.as_uri()}#/samples?id={interesting_sample(record)}")
            page.wait_for_selector("#browser-sample .gate")
            page.evaluate(OPEN_ITEMS)
            page.locator("#browser-list").evaluate("list => list.scrollIntoView()")
            page.screenshot(path=out / f"sample-{scheme}.png")
            page.close()
        for picture in out.glob("*.png"):  # a third of the size, and no difference that is seen
            Image.open(picture).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


def draw_figures(record: RunRecord, out: Path) -> None:
    """Figures of the report, as SVG; dark on white."""
    for name in ("accuracy_against", "cuts", "skips"):
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(7, 4), layout="constrained")
            getattr(plots, name)(record, ax=figure.add_subplot())
            FigureCanvasSVG(figure).print_svg(out / f"{name.replace('_', '-')}.svg", metadata={"Date": None})


def main() -> None:
    """Makes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run, such as runs/demo")
    parser.add_argument(
        "out", type=Path, nargs="?", help="folder of all pictures; by default each replaces the one in docs"
    )
    options = parser.parse_args()
    if chromium.PATH is None:
        raise SystemExit(chromium.WHY_NOT)
    record = open_run(options.run)
    out = options.out or Path(__file__).parent
    out.mkdir(parents=True, exist_ok=True)
    explanation = ROOT / "docs" / "explanation" / "figures"
    runpy.run_path(str(explanation / "draw.py"))["draw_all"](options.out or explanation)
    draw_figures(record, out)
    draw_page(record, out)


if __name__ == "__main__":
    main()
