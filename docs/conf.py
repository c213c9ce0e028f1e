"""The docs site: `make docs` builds it into build/site, and every warning is an error.

The source folder is the repository itself, so a link between two Markdown files is the same on the site and on a code
host. The order of the pages is in _toc.yml.
"""

import importlib
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "site"))
# nothing is downloaded, neither by imports nor by notebooks
os.environ["HF_HUB_OFFLINE"] = "1"
# sphinx_external_toc looks at every object there is, at this one of torch too
warnings.filterwarnings("ignore", message="`torch.distributed.reduce_op` is deprecated")

from public_names import PACKAGES  # noqa: E402
from sphinx.ext.napoleon import GoogleDocstring  # noqa: E402

import skipthink  # noqa: E402

# public names that a package imports on first use are no attributes of it, and autodoc looks for attributes
for package in map(importlib.import_module, PACKAGES):
    for name in package.__all__:
        setattr(package, name, getattr(package, name))

project = "skipthink"
copyright = "the skipthink developers, Apache-2.0"
release = version = skipthink.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_external_toc",
    "myst_nb",
    "command_help",
    "for_machines",
]
include_patterns = ["docs/**.md", "docs/**.ipynb", "dev/*.md", "bench/README.md", "*.md"]
exclude_patterns = [".*", "build", "dist", "fuzz", "python", "runs", "rust", "students", "target", "tests"]
external_toc_path = "docs/_toc.yml"

# texts in single backquotes are code, in docstrings as in Markdown
default_role = "code"
myst_heading_anchors = 4
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
toc_object_entries = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "notebooks")
nb_execution_timeout = 60
nb_execution_raise_on_error = True

html_theme = "furo"
html_title = f"skipthink {release}"
html_static_path = ["site/static"]
html_css_files = ["skipthink.css"]
html_copy_source = False  # for_machines.py copies the Markdown of each page beside it
html_show_sphinx = False


def link_pages(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Links what docstrings name by path or section: `docs/how-to/data.md`, `method §4`."""
    del app, what, name, obj, options
    for row, line in enumerate(lines):
        linked = re.sub(r"\bdocs/([\w/-]+)\.md\b", r":doc:`/docs/\1`", line)
        lines[row] = re.sub(r"\bmethod (§\d)", r":doc:`method \1 </docs/explanation/method>`", linked)


def returns_as_text(docstring: Any, section: str) -> list[str]:
    """The section "Returns" as a sentence: types are in signatures, so text before a colon is not one."""
    del section
    lines: list[str] = docstring._format_block(
        ":returns: ", docstring._dedent(docstring._consume_to_next_section())
    )
    return lines


GoogleDocstring._parse_returns_section = returns_as_text


def setup(app: Any) -> None:
    """Registers what is done to docstrings."""
    app.connect("autodoc-process-docstring", link_pages)
