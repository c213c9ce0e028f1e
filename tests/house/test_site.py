"""The docs site: no page is left out, no public name is, and what checks the built site finds faults."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "python" / "skipthink"


@pytest.fixture(scope="module")
def site():
    """Imports a module of docs/site."""
    sys.path.insert(0, str(DOCS / "site"))
    yield importlib.import_module
    sys.path.remove(str(DOCS / "site"))


def entries(part):
    """Pages named in a part of docs/_toc.yml."""
    if isinstance(part, list):
        return [name for entry in part for name in entries(entry)]
    named = [part[key] for key in ("root", "file") if key in part]
    found = [page_name(path) for path in sorted(ROOT.glob(f"{part['glob']}.md"))] if "glob" in part else []
    below = [name for key in ("subtrees", "entries") for name in entries(part.get(key, []))]
    return named + found + below


def page_name(path):
    """A page as the table of contents names it."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


LISTED = entries(yaml.safe_load((DOCS / "_toc.yml").read_text(encoding="utf-8")))


def test_every_page_is_in_the_table_of_contents():
    pages = {page_name(path) for path in DOCS.rglob("*.*") if path.suffix in {".md", ".ipynb"}}
    assert {name for name in LISTED if name.startswith("docs/")} == pages, (
        "list every page in docs/_toc.yml, once"
    )
    assert len(set(LISTED)) == len(LISTED)
    assert [name for name in LISTED if not any(ROOT.glob(f"{name}.*"))] == []


def test_every_guide_is_linked_from_the_start_page():
    """A reader on a code host has no table of contents but docs/README.md."""
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#]+)\)", text))
    guides = [
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.*") if path.suffix in {".md", ".ipynb"}
    ]
    below = ("reference/methods/", "reference/python/", "README.md")
    assert [name for name in sorted(guides) if name not in linked and not name.startswith(below)] == []
    assert {"reference/methods/README.md", "reference/python/README.md"} <= linked


def test_public_packages_are_in_the_reference(site):
    """Packages, and single modules, that say which of their names are public, by `__all__`."""
    parts = {f"skipthink.{path.parent.name}": path for path in PACKAGE.glob("*/__init__.py")}
    parts |= {f"skipthink.{path.stem}": path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    public = {
        name
        for name, path in parts.items()
        if re.search(r"^__all__ = ", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    packages = set(site("public_names").PACKAGES)
    assert packages == public - {"skipthink.cli"} | {"skipthink"}
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference" / "python").glob("*.md"))
    documented = re.findall(r"^\.\. automodule:: (\S+)\n   :members:", pages, re.MULTILINE)
    assert set(documented) == packages | {"skipthink.exceptions"}
    assert len(set(documented)) == len(documented)


def test_every_command_is_in_the_reference(site):
    pytest.importorskip("sphinx", reason="the site's packages are not installed: make docs installs them")
    help_ = site("command_help")
    names = list(help_.command_names())
    assert {"chunk", "run", "audit", "tasks make", "tasks stats"} <= set(names)
    for name in names:
        assert help_.help_of(name).startswith(f"Usage: skipthink {name} ")
        assert max(map(len, help_.help_of(name).splitlines())) <= help_.WIDTH


SITES = {
    "good": ('<a href="b.html#there">b</a><a href="https://elsewhere.example/x">x</a><link rel="next" href="b.html">', []),
    "a script of another server": (
        '<script src="https://cdn.example/x.js"></script>', ["index.html loads https://cdn.example/x.js from another"]
    ),
    "a font of another server": (
        "<style>@font-face { src: url(//fonts.example/x.woff2) }</style>", ["loads //fonts.example/x.woff2"]
    ),
    "a picture of another server": ('<img src="http://pictures.example/a.png">', ["loads http://pictures.example"]),
    "a script that fetches": ("<script>import('https://cdn.example/m.js')</script>", ["loads https://cdn.example/m"]),
    "no such page": ('<a href="c.html">c</a>', ["links to c.html: there is no such file"]),
    "no such place": ('<a href="b.html#here">b</a>', ["links to b.html#here: the page has no such place"]),
    "no such picture": ('<img src="a%20b.png">', ["links to a%20b.png: there is no such file"]),
    "out of the site": ('<a href="../../secret.html">b</a>', ["there is no such file"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SITES)
def test_the_check_of_a_built_site(name, site, tmp_path):
    body, expected = SITES[name]
    (tmp_path / "index.html").write_text(f"<html><body>{body}</body></html>")
    (tmp_path / "b.html").write_text('<p id="there">b</p>')
    found = list(site("check").faults(tmp_path.resolve()))
    assert len(found) == len(expected)
    assert all(text in fault for text, fault in zip(expected, found, strict=True))


def test_style_sheets_are_checked(site, tmp_path):
    (tmp_path / "a.css").write_text(
        '@import "https://fonts.example/a.css"; b { background: url(data:image/png;base64,AA) }'
    )
    assert list(site("check").faults(tmp_path)) == [
        "a.css loads https://fonts.example/a.css from another server"
    ]


FIGURES = DOCS / "explanation" / "figures"


def test_figures_are_those_that_their_script_draws(tmp_path):
    pytest.importorskip("matplotlib", reason="figures are drawn by what `make docs` installs")
    subprocess.run([sys.executable, FIGURES / "draw.py", tmp_path], check=True)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in FIGURES.glob("*.svg")}, "draw them again"
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    for name in drawn:
        (caption,) = re.findall(rf"!\[([^\]]+)\]\(figures/{name}\)", pages)
        assert len(caption) > 50, "say in words what the figure shows"
