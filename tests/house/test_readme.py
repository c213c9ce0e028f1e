"""What the documents show is run: Python blocks, and the commands that take seconds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "dev").glob("*.md")),
]
# the Python blocks of design.md are signatures, not programs; those of engines.md are run in tests/stream
RUNNABLE = [path for path in DOCUMENTS if path.name not in ("design.md", "engines.md")]
EXAMPLES = [example for example in find_examples(*RUNNABLE) if example.prefix.split()[:1] == ["python"]]
QUICK = ("doctor", "split", "chunk", "--version")


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_python_blocks(example: CodeExample, eval_example: EvalExample):
    eval_example.set_config(line_length=110)
    eval_example.run_print_check(example)


def commands(document):
    """Lines of the shell blocks, without prompts, comments and continuation."""
    for block in re.findall(
        r"^```(?:sh|bash|console)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL
    ):
        lines = (line.removeprefix("$ ").partition(" #")[0].strip() for line in block.splitlines())
        yield from (line for line in lines if line and not line.startswith("#"))


def test_readme_shows_the_two_commands():
    found = set(commands(ROOT / "README.md"))
    assert {"make demo", "make test"} <= found


SKIPTHINK = [
    (path.name, line) for path in DOCUMENTS for line in commands(path) if line.startswith("skipthink ")
]


QUICKSTART = "quickstart.md"
"""Its commands work on the file of the first one, so they are run in order."""


@pytest.mark.parametrize(
    ("document", "line"),
    [entry for entry in SKIPTHINK if entry[1].split()[1] in QUICK and entry[0] != QUICKSTART],
)
def test_quick_commands(document, line, tmp_path):
    rows = '{"id": "a", "rationale": "One. Two. Three.", "losses": [0.5, 2.0, 0.1]}\n'
    (tmp_path / "rationales.jsonl").write_text(rows)
    run(line, tmp_path)


def test_the_commands_of_the_quickstart_up_to_training(tmp_path):
    lines = [line for document, line in SKIPTHINK if document == QUICKSTART and line.split()[1] != "run"]
    assert [line.split()[1] for line in lines] == ["tasks", "audit", "chunk"]
    said = "".join(run(line, tmp_path) for line in lines)
    assert shown(said) == ["text", "text", "json"]
    rows = (tmp_path / "chunks.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 200
    (chunks,) = re.findall(r"^```json\n(.*?)^```", QUICKSTART_TEXT, re.MULTILINE | re.DOTALL)
    assert json.loads(chunks) == json.loads(rows[0])["chunks"]


QUICKSTART_TEXT = (ROOT / "docs" / QUICKSTART).read_text(encoding="utf-8")


def shown(said):
    """Kinds of the outputs that the quickstart shows, after a check that the commands print them; … is anything."""
    blocks = re.findall(r"^```(text|json)\n(.*?)^```", QUICKSTART_TEXT, re.MULTILINE | re.DOTALL)
    for kind, block in blocks:
        pattern = ".*?".join(re.escape(part) for part in block.strip().split("…"))
        assert kind == "json" or re.search(pattern, said, re.DOTALL), f"is not printed:\n{block}"
    return [kind for kind, _ in blocks]


def run(line, folder):
    """Runs a command of skipthink; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *line.split()], cwd=folder, capture_output=True, text=True, check=False,
        env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


@pytest.mark.parametrize(("document", "line"), [entry for entry in SKIPTHINK if entry[1].split()[1] == "run"])
def test_recipes_that_documents_run_exist(document, line):
    recipe = line.split()[2]
    assert recipe == "recipe.yaml" or (ROOT / recipe).is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_exist(document):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"
