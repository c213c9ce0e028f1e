"""Files as they come on the command line: columns that are null at first, hints that can be followed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import call_cli

from skipthink.exceptions import DataError
from skipthink.io.tables import BATCH_ROWS, read_batches

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def cli(*arguments, check=0):
    return call_cli(*arguments, env={"COLUMNS": "200"}, check=check)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_with(first, last, n=BATCH_ROWS):
    rows = [{"id": number, "rationale": "One is. Two is.", "note": first} for number in range(n)]
    return [*rows, {"id": n, "rationale": "One is. Two is.", "note": last}]


def test_a_column_that_is_null_in_the_first_batch(tmp_path):
    for suffix in (".parquet", ".jsonl", ".arrow"):
        file = write(tmp_path / "in.jsonl", rows_with(None, "x"))
        out = tmp_path / f"out{suffix}"
        done = cli("chunk", file, out, "--m", 2, "--method", "average", "--keep", "note")
        assert f"{BATCH_ROWS + 1} rows" in done.stderr
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["note"].to_pylist() == [None] * BATCH_ROWS + ["x"]


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [
        (None, 1.5, "double"),
        (1, 1.5, "double"),
        (1, None, "int64"),
        ([], ["a"], "list<item: string>"),
        ([None], [1], "list<item: double>"),
        ({"a": None}, {"a": "x", "b": [1]}, "struct<a: string, b: list<item: int64>>"),
        (None, None, "null"),
        ("a", None, "string"),
    ],
)
def test_the_type_of_a_column_depends_on_no_batch(tmp_path, first, last, kind):
    file = write(tmp_path / "in.jsonl", rows_with(first, last, BATCH_ROWS + 5))
    found = []
    for batch_rows in (1000, BATCH_ROWS, 10 * BATCH_ROWS):
        batches = list(read_batches(file, ["note"], batch_rows=batch_rows))
        assert {str(batch.schema.field("note").type) for batch in batches} == {kind}
        found.append([value for batch in batches for value in batch["note"].to_pylist()])
    assert found[0] == found[1] == found[2]
    late = list(read_batches(file, ["note"], skip_rows=BATCH_ROWS + 3))
    assert str(late[0].schema.field("note").type) == kind


@pytest.mark.parametrize(("first", "last"), [(1, "x"), ("x", 1), ([1], "x"), (None, {"a": 1})])
def test_values_of_two_kinds_are_refused_alike(tmp_path, first, last):
    rows = [*rows_with(None, first, 3), *rows_with(None, last, BATCH_ROWS)]
    file = write(tmp_path / "in.jsonl", rows)
    messages = set()
    for batch_rows in (100, 10 * BATCH_ROWS):
        if first is None:
            list(read_batches(file, ["note"], batch_rows=batch_rows))
            continue
        with pytest.raises(
            DataError, match=rf"row {len(rows) - 1}, line {len(rows)}: note is .*write all alike"
        ) as error:
            list(read_batches(file, ["note"], batch_rows=batch_rows))
        messages.add(str(error.value))
    assert len(messages) <= 1


def test_hints_can_be_followed(tmp_path):
    file = write(tmp_path / "in.jsonl", [{"id": 1, "rationale": "One is. Two is."}])
    done = cli("chunk", file, "--m", 2, "--method", "average", "--keep", "nots", check=2)
    assert "has no column 'nots', it has id, rationale" in done.stderr and "--keep" in done.stderr
    assert "--column" not in done.stderr
    done = cli("chunk", file, "--m", 2, "--method", "average", "--column", "text", check=2)
    assert "--column" in done.stderr
    assert "score the rationales first" in cli("chunk", file, "--m", 2, check=2).stderr
    row = {"question": "q", "rationale": "A is 1. So 1.", "answer": "1", "split": "train_sft"}
    file = write(tmp_path / "b.jsonl", [row])
    out = tmp_path / "run"
    done = cli("run", RECIPES / "multiarith.yaml", "--data", file, "--out", out, check=2)
    assert "split is 'train_sft'" in done.stderr and "data.splits" in done.stderr


def test_rows_that_weigh_nothing_are_refused(tmp_path):
    rows = [{"rationale": "One. Two.", "losses": [1, 2], "n_tokens": weights} for weights in ([1, 0], [0, 0])]
    file = write(tmp_path / "in.jsonl", rows)
    for out in ([], [tmp_path / "out.parquet"]):
        done = cli("chunk", file, *out, "--m", 2, check=2)
        assert "n_tokens of row 1 are all 0" in done.stderr


def test_long_rationales_of_one_step_are_told(tmp_path):
    rows = [{"id": number, "rationale": "and so on " * (40 * number + 1)} for number in range(3)]
    file = write(tmp_path / "in.jsonl", rows)
    told = "2 of 3 rationales have 300 characters or more and a single step"
    assert told in cli("split", file).stderr
    assert told in cli("chunk", file, "--m", 2, "--method", "average").stderr
    assert told in cli("chunk", file, tmp_path / "o.arrow", "--m", 2, "--method", "average").stderr
