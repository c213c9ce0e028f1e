"""What the site holds for programs: each page as Markdown, llms.txt, llms-full.txt and the schema of recipes.

llms.txt lists the pages with their first sentence (https://llmstxt.org), llms-full.txt holds all of them in one text.
A page that is made at build time, such as the Python reference, is written as plain text.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.text import TextBuilder
from sphinx.writers.text import TextTranslator

from skipthink.io.recipes import schema_of
from skipthink.run.recipe import recipe_kind

OPTIONAL = ("dev/", "CHANGELOG", "CONTRIBUTING", "SECURITY")
"""Pages that a reader in a hurry leaves out: listed last, and not in llms-full.txt."""
MADE = re.compile(r"^```\{(?:eval-rst|command-help)\}", re.MULTILINE)
"""What a page has whose content is made at build time."""
SUMMARY = (
    "skipthink distils chain-of-thought reasoning of a large language model into a small one: it cuts rationales into"
    " chunks by a search on the student's losses, trains one chunk at a time (CWT), and trains a student that skips"
    " the chunks it does not need (STT), after arXiv 2505.18642."
)


def write_all(app: Sphinx, error: Exception | None) -> None:
    """Writes the files after a build of HTML pages that has not failed."""
    if error is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    pages = {name: page_as_text(app, name) for name in pages_in_order(app)}
    for name, text in pages.items():
        write(out / f"{name}.md", text)
    write(out / "llms.txt", listing(app, list(pages)))
    write(out / "llms-full.txt", "\n\n".join(text for name, text in pages.items() if not is_optional(name)))
    write(
        out / "recipe.schema.json", json.dumps(schema_of(recipe_kind()), indent=2, ensure_ascii=False) + "\n"
    )


def write(path: Path, text: str) -> None:
    """Writes a text; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def is_optional(name: str) -> bool:
    """Whether a page is one of those that can be left out."""
    return name.startswith(OPTIONAL)


def pages_in_order(app: Sphinx) -> list[str]:
    """All pages, as the table of contents orders them."""
    return list(dict.fromkeys(walk(app, app.config.root_doc)))


def walk(app: Sphinx, name: str) -> list[str]:
    """A page and the pages below it."""
    below = app.env.toctree_includes.get(name, ())
    return [name, *(page for child in below for page in walk(app, child))]


def page_as_text(app: Sphinx, name: str) -> str:
    """A page as Markdown, or as plain text where its content is made at build time."""
    path = Path(app.env.doc2path(name))
    if path.suffix == ".ipynb":
        return notebook_as_markdown(executed(app, name) or path)
    source = path.read_text(encoding="utf-8")
    return plain_text(app, name) if MADE.search(source) else source


def plain_text(app: Sphinx, name: str) -> str:
    """A page as Sphinx writes it for text files."""
    builder = TextBuilder(app, app.env)
    builder.secnumbers = {}
    document = app.env.get_and_resolve_doctree(name, builder)
    translator = TextTranslator(document, builder)
    document.walkabout(translator)
    return translator.body


def executed(app: Sphinx, name: str) -> Path | None:
    """The notebook with the outputs of this build."""
    path = Path(app.outdir).parent / "jupyter_execute" / f"{name}.ipynb"
    return path if path.exists() else None


def notebook_as_markdown(path: Path) -> str:
    """A notebook as Markdown: its texts, its code, and what the code printed."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            text = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
            if text.strip():
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def listing(app: Sphinx, names: list[str]) -> str:
    """The text of llms.txt."""
    lines = [f"# {app.config.project}", "", f"> {SUMMARY}", ""]
    for title, chosen in (
        ("Documentation", [name for name in names if not is_optional(name)]),
        ("Optional", [name for name in names if is_optional(name)]),
    ):
        lines += [f"## {title}", ""]
        lines += [f"- [{app.env.titles[name].astext()}]({name}.md){about(app, name)}" for name in chosen]
        lines.append("")
    return "\n".join(lines)


def about(app: Sphinx, name: str) -> str:
    """The first sentence of a page behind a colon; empty where it does not begin with one."""
    for paragraph in app.env.get_doctree(name).findall(nodes.paragraph):
        sentence = re.split(r"(?<=[.!?]) ", " ".join(paragraph.astext().split()))[0].rstrip(":.")
        return f": {sentence}"
    return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers what is written after a build."""
    app.connect("build-finished", write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
