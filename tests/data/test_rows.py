"""The reader and the writer of row files."""

import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skipthink.data.sources import read_source
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.tables import SUFFIXES, JsonLines, read_batches
from skipthink.io.writer import write_rows, write_table

ROWS = [
    {"id": 1, "text": "a\nb", "losses": [0.5, 2.0], "note": None},
    {"id": 2, "text": "ä \u2028", "losses": [], "note": "x"},
]


def rows_of(path):
    return [row for batch in read_batches(path) for row in batch.to_pylist()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_come_back_as_they_were_written(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    write_rows(path, iter(ROWS))
    assert rows_of(path) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tables_are_written_like_rows(tmp_path, suffix):
    write_rows(tmp_path / f"rows{suffix}", ROWS)
    write_table(tmp_path / f"table{suffix}", pa.Table.from_pylist(ROWS))
    assert rows_of(tmp_path / f"table{suffix}") == rows_of(tmp_path / f"rows{suffix}")


def test_lines_are_read_with_their_numbers_packed_or_not(tmp_path):
    content = b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": "x"}\n \n'
    (tmp_path / "rows.jsonl").write_bytes(content)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(content))
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        lines = JsonLines(tmp_path / name)
        assert [(number, record) for number, record, _ in lines] == [(1, {"a": 1}), (3, {"a": "x"})]
        assert lines.n_blank == 2


def test_numbers_that_are_not_finite_are_null_in_json_wherever_they_stand(tmp_path):
    rows = [{"a": float("nan"), "b": [1.0, float("inf")], "c": {"d": -float("inf")}}]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert json.loads((tmp_path / "rows.jsonl").read_text()) == {
        "a": None,
        "b": [1.0, None],
        "c": {"d": None},
    }


@pytest.mark.parametrize(
    ("name", "rows", "error", "message"),
    [
        ("rows.csv", ROWS, DataError, "has the ending '.csv'; name a .parquet"),
        ("rows.json", ROWS, DataError, "has the ending '.json'"),
        ("rows.jsonl", [{"a": "x"}, {"a": "\ud800"}], InvalidInputError, "row 1 holds the lone surrogate"),
        ("rows.jsonl", [{"a": b"x"}], InvalidInputError, "cannot be written as JSON: .*bytes"),
        ("rows.parquet", [{"a": 1}, {"a": "x"}], InvalidInputError, "values of one type"),
        ("rows.parquet", [{"a": "\ud800"}], InvalidInputError, "cannot write .*rows.parquet"),
    ],
)
def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path, name, rows, error, message):
    (tmp_path / name).write_text("old")
    with pytest.raises(error, match=message):
        write_rows(tmp_path / name, rows)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "old")]


def test_columns_of_the_same_name_are_refused(tmp_path):
    column = pa.array(["x"])
    pq.write_table(pa.Table.from_arrays([column, column], names=["a", "a"]), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="columns of the same name: a, a; rename them"):
        read_source(tmp_path / "rows.parquet", None)


def test_text_that_is_not_utf8_is_told(tmp_path):
    text = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    pq.write_table(pa.table({"a": text}), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"cannot read .*rows.parquet: .*utf-8"):
        read_source(tmp_path / "rows.parquet", None)


def test_lines_are_printed_until_nobody_reads_them(capsys):
    write_rows(None, ROWS[:1])
    assert json.loads(capsys.readouterr().out) == ROWS[0]
    code = (
        "import itertools\nfrom skipthink.io.writer import write_rows\n"
        "write_rows(None, ({'row': row} for row in itertools.count()))"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline() == b'{"row": 0}\n'
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
