"""Commands over files: folders, shares, engines, bad rows, and what they say of it."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import call_cli

ROWS = [
    {"id": f"r{row}", "rationale": f"We take {row} pens. We add {row} more. So the answer is {2 * row}.",
     "losses": [0.1, 2.0, 0.1 * row], "answer": str(2 * row)}
    for row in range(40)
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for shard in range(2):
        pq.write_table(
            pa.Table.from_pylist(ROWS[shard::2]), tmp_path / "in" / f"{shard}.parquet", row_group_size=5
        )
    return tmp_path / "in"


def rows_of(out):
    return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part-*"))])


def test_split_over_a_folder(folder, tmp_path):
    done = call_cli("split", folder, f"{tmp_path}/out/")
    assert "40 rows in, 40 out, 0 bad" in done.stderr
    found = rows_of(tmp_path / "out")
    assert found.column_names == ["id", "steps", "n_steps"]
    assert found["n_steps"].to_pylist() == [3] * 40
    assert "40 rows were done before" in call_cli("split", folder, tmp_path / "out").stderr


def test_chunk_in_shares(folder, tmp_path):
    arguments = ["chunk", folder, f"{tmp_path}/out/", "-M", "2", "--method", "optimal"]
    done = call_cli(*arguments, "--shard", "1/2")
    assert "20 rows in, 20 out" in done.stderr
    assert "share 1/2 is done; 1 of 2 are not" in done.stderr
    assert (
        "share 2/2 is done; all are, the report is written" in call_cli(*arguments, "--shard", "2/2").stderr
    )
    assert json.loads((tmp_path / "out" / "_report.json").read_text())["rows_out"] == 40
    whole = call_cli("chunk", folder, tmp_path / "whole.parquet", "-M", "2", "--method", "optimal")
    assert "40 rows in, 40 out" in whole.stderr
    assert pq.read_table(tmp_path / "whole.parquet").equals(rows_of(tmp_path / "out"))


def test_check_counts_verdicts_and_bad_rows(tmp_path):
    rows = [{**row, "answer": "so many" if row["id"] == "r7" else row["answer"]} for row in ROWS]
    rows[3]["rationale"] = "I do not know."
    rows[4]["rationale"] = "So the answer is 1."
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    bad = call_cli("check", tmp_path / "rows.parquet", "--answer", "number", check=2)
    assert "row 7 (id 'r7')" in bad.stderr
    arguments = ["check", tmp_path / "rows.parquet", tmp_path / "out.jsonl", "--answer", "number"]
    done = call_cli(*arguments, "--on-error", "null")
    assert "40 answers: 37 right, 1 wrong, 1 unparsed" in done.stderr
    assert "40 rows in, 40 out, 1 bad" in done.stderr
    assert "bad: 1 rows: answer of this row: gold answer … is no answer of the kind …" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["verdict"] for line in lines[3:8]] == ["unparsed", "wrong", "right", "right", None]


def test_check_prints_without_a_place(folder):
    done = call_cli("check", folder, "--answer", "number")
    assert [json.loads(line)["verdict"] for line in done.stdout.splitlines()] == ["right"] * 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "2"], "need a place to write to: name OUT"),
        (["--shard", "1/2"], "need a place to write to: name OUT"),
        (["OUT/", "--shard", "3/2"], "--shard must be a number of a count"),
        (["--engine", "ray"], "need a place to write to: name OUT"),
        (["OUT/", "--engine", "spark"], 'engine must be "local" or "ray", got'),
        (["OUT/", "--address", "here:6379"], "address is of a Ray cluster: give engine ray with it"),
        (["OUT/", "--on-error", "skip"], "on_error"),
        (["OUT.csv"], "name a .parquet"),
        (["OUT/", "--keep", "nothing"], "no column 'nothing'"),
    ],
)
def test_mistakes(folder, tmp_path, arguments, message):
    words = [word.replace("OUT", f"{tmp_path}/out") for word in arguments]
    assert message in call_cli("chunk", folder, *words, "-M", "2", check=2).stderr
