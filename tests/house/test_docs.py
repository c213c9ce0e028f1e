"""What the documents say of the code is still so: error texts that are quoted, methods that have a page."""

import ast
import re
from pathlib import Path

import pytest

from skipthink.run.tables import PLACE, with_tables
from skipthink.training.methods import own_methods

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
METHODS = ROOT / "docs" / "reference" / "methods"
PARTS = ["What", "When", "Options", "Cost", "Source"]
GAP = "\0"
"""Stands for a placeholder of a message."""
LEAST_LETTERS = 9
"""A quotation with less constant text in one piece would be found anywhere."""


def python_texts(path):
    """Texts of a module, GAP for placeholders, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def rust_texts(path):
    """Texts of a source, GAP for placeholders, without its comments and tests."""
    source = path.read_text(encoding="utf-8").partition("#[cfg(test)]\nmod tests {")[0]
    source = re.sub(r"^\s*//.*$", "", source, flags=re.MULTILINE)
    for text in re.findall(r'"((?:[^"\\]|\\.)*)"', source, flags=re.DOTALL):
        yield re.sub(r"\{[^{}]*\}", GAP, re.sub(r"\\\n\s*", "", text))


@pytest.fixture(scope="module")
def texts():
    found = [text for path in (ROOT / "python").rglob("*.py") for text in python_texts(path)]
    return found + [text for path in (ROOT / "rust").rglob("src/**/*.rs") for text in rust_texts(path)]


def quotations():
    """(document, quoted text): the first cells of tables of messages, a text in each pair of backticks."""
    for path in DOCUMENTS:
        for table in re.findall(
            r"^\| message \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", path.read_text(), re.MULTILINE
        ):
            for line in table.splitlines():
                cell = line.removeprefix("| ").partition(" | ")[0]
                found = re.findall(r"`([^`]+)`", cell)
                yield from ((path.name, text) for text in found or [cell])


def is_said(quoted, texts):
    """Whether one text of the code holds all constant pieces of a quotation, in their order."""
    pattern = re.compile(".*".join(map(re.escape, quoted.split("…"))), re.DOTALL)
    return any(pattern.search(text) for text in texts)


def test_the_troubleshooting_page_quotes_messages():
    assert sum(name == "troubleshooting.md" for name, _ in quotations()) > 80


@pytest.mark.parametrize(("document", "quoted"), sorted(set(quotations())))
def test_quoted_messages_are_in_the_code(document, quoted, texts):
    assert max(map(len, quoted.split("…"))) >= LEAST_LETTERS, f"{document}: quote more of {quoted!r}"
    assert is_said(quoted, texts), f"{document} quotes {quoted!r}, which no text of the code says"


def test_a_message_that_is_not_in_the_code_is_found_out(texts):
    assert is_said("cannot read the recipe …: …", texts)
    assert not is_said("cannot read the recipes …: …", texts)
    assert not is_said("…; delete it to run the stage again; cannot read …", texts)


def page_title(method):
    """What the page of a method is called; the searches of base+sbc share one, and so do the choices of steps."""
    return next(
        (shared for shared in ("base+sbc", "pruned", "stt") if method.startswith(f"{shared}-")), method
    )


def page_of(method):
    return METHODS / f"{page_title(method).replace('+', '-')}.md"


@pytest.mark.parametrize("method", own_methods())
def test_every_method_has_a_page_with_its_parts(method):
    text = page_of(method).read_text(encoding="utf-8")
    title, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.strip() == f"# {page_title(method)}"
    assert [part.partition("\n")[0] for part in parts] == PARTS
    assert all(part.partition("\n")[2].strip() for part in parts)
    assert f"`{method}`" in text
    listed = (METHODS / "README.md").read_text(encoding="utf-8")
    assert f"`{method}`" in listed
    assert f"({page_of(method).name})" in listed


def test_every_page_is_of_a_method():
    assert set(METHODS.glob("*.md")) == {page_of(name) for name in own_methods()} | {METHODS / "README.md"}


@pytest.mark.parametrize("name", ["reference/recipes.md", "how-to/testbed.md"])
def test_tables_of_options_are_made_from_the_declarations(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert PLACE.search(text)
    assert with_tables(text) == text, f"write them anew: python -m skipthink.run.tables docs/{name}"
