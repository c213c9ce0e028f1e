"""Pools: what leaves a split because another one has it, and what is counted."""

import json

import pytest
from command_line import call_cli

from skipthink.data import load_samples
from skipthink.data.pooling import COLUMNS, pool_files
from skipthink.exceptions import DataError, InvalidInputError


def write(path, rows):
    names = ("id", "question", "rationale", "answer", "split", "correct")
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path):
    first = write(tmp_path / "first.jsonl", [
        ("1", "Ann has 3 pens.", "Three.", "3", "train", True),
        ("2", "Bob eats 2 figs.", "Two.", "2", "test", True),
        ("3", "Cid owns 5 cars.", "Five?", "5", "train", False),
        ("4", "Cid owns 5 cars.", "Five.", "5", "train", True),
        ("5", "cid owns  5 cars", "It is five.", "5", "train", True),
    ])  # fmt: skip
    second = write(tmp_path / "second.jsonl", [
        ("1", "Bob eats 2 figs", "Two.", "2", "train", True),
        ("2", "Bob eats 7 figs.", "Seven.", "7", "train", True),
        ("6", "Bob eats 2 figs!", "Two!", "2", "test", True),
        ("7", "Ann has 9 pens.", "Nine.", "9", "train", None),
        ("8", "Ann has 3 pens.", "Three.", "3", "train", True),
        ("9", "Cid owns 5 cars.", "Six.", "6", "train", True),
    ])  # fmt: skip
    return [first, second]


def test_test_wins_and_templates_stay_together(files):
    table, report = pool_files(files)
    assert table.column_names == list(COLUMNS)
    rows = [(row["file"], row["id"]) for row in table.to_pylist()]
    assert rows == [
        ("first", "1"), ("first", "2"), ("first", "3"), ("first", "4"), ("first", "5"), ("second", "7"),
    ]  # fmt: skip
    assert report == {
        "rows": 11,
        "splits": {"test": 1, "train": 5},
        "questions": {"test": 1, "train": 3},
        "dropped": {
            "train: question stands in test": 1,
            "train: question but for its numbers stands in test": 1,
            "test: asked before": 1,
            "train: said before": 1,
            "train: another answer to the same question": 1,
        },
    }


def test_right_teachers_are_kept_first(files):
    table, report = pool_files(files, rationales=1)
    found = {row["id"]: row["correct"] for row in table.to_pylist()}
    assert found == {"1": True, "2": True, "4": True, "7": None}
    assert report["dropped"]["train: further rationales"] == 2


def test_long_rationales_leave_train_alone(files):
    table, report = pool_files(files, longest=5)
    assert "5" not in table["id"].to_pylist()  # "It is five."
    assert report["dropped"]["train: rationale of more than 5 characters"] == 3
    assert report["rows"] == table.num_rows + sum(report["dropped"].values())


def test_ids_that_two_files_have_are_told_apart(files, tmp_path):
    third = write(tmp_path / "third.jsonl", [("1", "Dan sees 4 dogs.", "Four.", "4", "train", True)])
    table, _ = pool_files([files[0], third])
    assert {"first/1", "third/1", "2"} <= set(table["id"].to_pylist())


def test_wrong_pools_are_refused(files, tmp_path):
    for wrong in ([], [files[0], files[0]]):
        with pytest.raises(InvalidInputError, match="files of different names"):
            pool_files(wrong)
    for name in ("rationales", "longest"):
        with pytest.raises(InvalidInputError, match=f"{name} must be at least 1, got 0"):
            pool_files(files, **{name: 0})
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "1", "question": "q", "rationale": "r", "answer": "1"}) + "\n")
    with pytest.raises(DataError, match="has no column split"):
        pool_files([bare])
    only = write(tmp_path / "only.jsonl", [("2", "Bob eats 2 figs.", "Two.", "2", "train", True)])
    held = write(tmp_path / "held.jsonl", [("1", "Bob eats 5 figs.", "Five.", "5", "test", True)])
    with pytest.raises(DataError, match="no row of train is left"):
        pool_files([only, held])


def test_a_pool_is_loaded_as_any_file(files, tmp_path):
    out = tmp_path / "pool.jsonl"
    done = call_cli("pool", *files, "--out", out)
    assert "train: 5 rows, 3 questions" in done.stderr
    assert "dropped from test: asked before: 1" in done.stderr
    assert load_samples(out).report["kept"] == 4 + 1


def test_real_arithmetic_leaks_no_template(real_file):
    files = [real_file(stem) for stem in ("addsub", "multiarith", "singleeq", "svamp")]
    table, report = pool_files(files, rationales=1, answer="number")
    assert report["rows"] == table.num_rows + sum(report["dropped"].values())
    assert report["splits"] == {"test": 585, "train": 1451}
