"""A task of the user's own: the example of docs/how-to/tasks.md, as it stands there, through the whole pipeline."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skipthink import tasks
from skipthink.exceptions import InvalidInputError
from skipthink.run.jobs import PREPARE, build_graph
from skipthink.run.prepare import prepare_splits
from skipthink.run.recipe import load_recipe

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "tasks.md"


def blocks(language):
    own = DOCUMENT.read_text(encoding="utf-8").partition("## Your own task")[2]
    return re.findall(rf"^```{language}\n(.*?)^```", own, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    (code,), (recipe,) = blocks("python"), blocks("yaml")
    (tmp_path / "coin_flip.py").write_text(code, encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return tmp_path


def run(folder, line):
    env = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *line], cwd=folder, capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_the_example_of_the_docs_runs_from_data_to_table(folder):
    (shell,) = blocks("sh")
    stats, made, ran = (line.partition("  #")[0].split() for line in shell.splitlines())
    assert "| `coin_flip` | made | 1000 | 8.0 ± 0.0 | 8 / 8 / 8 / 8 / 8 |" in run(folder, stats)
    rows = [json.loads(line) for line in run(folder, made).splitlines()]
    assert [row["id"] for row in rows] == [f"coin_flip-train-{index}" for index in range(3)]
    assert "coin: coin_flip, n = 10" in run(folder, ran)
    results = json.loads((folder / "runs" / "coin" / "results.json").read_text())
    assert results["task"] == "coin_flip"
    assert [row["method"] for row in results["methods"]] == ["base", "stt"]
    prepared = pq.read_table(folder / "runs" / "coin" / "data" / "test.parquet")
    for question, answer in zip(
        *(prepared[name].to_pylist() for name in ("question", "answer")), strict=True
    ):
        assert answer == ("yes" if question.count("flips it") % 2 == 0 else "no")
    (folder / "coin_flip.py").write_text((folder / "coin_flip.py").read_text() + "# changed\n")
    with pytest.raises(AssertionError, match="finished with other data than now"):
        run(folder, ran)


def test_a_task_of_ones_own_has_splits_and_checks_like_the_others(folder):
    path = str(folder / "coin_flip.py")
    made = tasks.make(path, train=60, validation=20, test=20, n_people=6)
    names = {
        split: set(re.findall(r"(\w+) (?:flips|leaves) it\.", str(rows))) for split, rows in made.items()
    }
    flips = {
        split: {tuple(re.findall("flips it|leaves it", row["question"])) for row in rows}
        for split, rows in made.items()
    }
    for parts in (names, flips):
        assert all(parts.values())
        assert not (parts["train"] & parts["test"] or parts["train"] & parts["validation"])
    with pytest.raises(InvalidInputError, match="coin_flip has no option 'people'; did you mean 'n_people'"):
        tasks.make(path, train=1, validation=1, test=1, people=3)


def test_a_module_that_can_be_imported_holds_a_task_too(folder, monkeypatch):
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").touch()
    (folder / "coin_flip.py").rename(folder / "my_package" / "my_task.py")
    monkeypatch.syspath_prepend(folder)
    rows = list(tasks.rows("my_package.my_task", split="train", n=2))
    assert [row["task"] for row in rows] == ["coin_flip"] * 2
    assert tasks.answer_kind("my_package.my_task") == "yes_no"


def test_the_file_of_a_recipe_lies_beside_it_and_counts_by_its_content(folder):
    recipe = load_recipe(folder / "recipe.yaml")
    assert recipe.data.task == str(folder / "coin_flip.py")
    assert recipe.task_name == "coin_flip"
    before = build_graph(recipe).fingerprints[PREPARE]
    assert before == build_graph(recipe).fingerprints[PREPARE]
    with (folder / "coin_flip.py").open("a") as stream:
        stream.write("# changed\n")
    assert before != build_graph(recipe).fingerprints[PREPARE]


TASK_OF_TEXT = "from skipthink.tasks.base import Draft, Role, Task\nfrom dataclasses import dataclass\n"
BROKEN = {
    "no file": (None, r"cannot load the task .*own\.py: FileNotFoundError"),
    "no Python": ("def (", r"cannot load the task .*own\.py: SyntaxError"),
    "an error of its own": ("1 / 0", r"cannot load the task .*own\.py: ZeroDivisionError: division by zero"),
    "no task": ("x = 1", r"own\.py holds no TASK"),
    "something else": ("TASK = 3", r"own\.py holds no TASK"),
    "options that are no dataclass": (
        TASK_OF_TEXT + "TASK = Task('a', 'number', dict, lambda rng, task_options: None)",
        "options of a must be a dataclass",
    ),
    "a name that is a path": (
        TASK_OF_TEXT + "TASK = Task('../a', 'number', dict, lambda rng, task_options: None)",
        "a task's name is like a Python name",
    ),
}
OPTIONS = "@dataclass(frozen=True)\nclass TaskOptions:\n    x: int = 1\n"
DRAFT = (
    TASK_OF_TEXT + OPTIONS + "TASK = Task('own', 'number', TaskOptions, lambda rng, task_options: Draft("
    "key=rng.random(), question='?', answer={answer!r}, sentences=({sentences}), separator=' '))"
)
BROKEN |= {
    "an answer of another kind": (
        DRAFT.format(answer="many", sentences="(Role.SUMMARY, 'Many.'),"),
        "own-train-0: gold answer 'many' is no answer of the kind 'number'",
    ),
    "an empty sentence": (
        DRAFT.format(answer="1", sentences="(Role.SUMMARY, ''),"),
        "own-train-0: every rationale has sentences, none of them empty",
    ),
    "no sentence": (DRAFT.format(answer="1", sentences=""), "own-train-0: every rationale has sentences"),
}


@pytest.mark.parametrize(("code", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_file_is_said(tmp_path, code, message):
    if code is not None:
        (tmp_path / "own.py").write_text(code)
    before = set(sys.modules)
    with pytest.raises(InvalidInputError, match=message):
        list(tasks.rows(str(tmp_path / "own.py"), split="train", n=1))
    if "cannot load" in message:  # what broke off stays nowhere
        assert not [name for name in set(sys.modules) - before if name.startswith("_skipthink_own_")]


@pytest.mark.parametrize(
    "name", ["os", "os.path", "skipthink.tasks.base", "../x", "x.json", "a..b", "", "a b.c"]
)
def test_what_is_no_task_is_none(name):
    with pytest.raises(InvalidInputError, match=r"no task|holds no TASK|No module named 'x'"):
        tasks.rows(name, split="train", n=1)


def test_data_never_name_code(tmp_path, monkeypatch):
    """A row's task, a label of a recipe and a path in a text are only text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    row = {
        "id": "evil.py",
        "task": "evil.py",
        "question": "evil.py?",
        "rationale": "evil.py. So 3.",
        "answer": "3",
    }
    lines = [
        json.dumps(row | {"id": f"evil.py{index}", "question": f"evil.py {index}?"}) for index in range(4)
    ]
    (tmp_path / "evil.jsonl").write_text("\n".join(lines))
    (tmp_path / "r.yaml").write_text(
        "name: r\ntask: evil.py\nanswer: number\ndata: {file: evil.jsonl, sizes: {validation: 1, test: 1}}\nchunks: {M: 2}\n"
    )
    recipe = load_recipe(tmp_path / "r.yaml")
    build_graph(recipe)
    tables, _ = prepare_splits(recipe.data, recipe.answer)
    assert tables["train"]["task"].to_pylist() == ["evil.py"] * 2
    assert not (tmp_path / "ran").exists()
