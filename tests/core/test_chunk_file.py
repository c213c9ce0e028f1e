"""Files to files: all kinds, atomic, and from where it stood after a kill at any moment."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import skipthink
from skipthink import chunk_file
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io import tables


def made(n):
    random = np.random.default_rng(3)
    lengths = random.integers(1, 9, n)
    texts = [" ".join(f"Schritt {step} ist „gut“." for step in range(k)) for k in lengths]
    return pa.table(
        {"id": np.arange(n), "rationale": texts, "losses": [random.gamma(2.0, 0.5, k) for k in lengths]}
    )


TABLE = made(1000)
EXPECTED = skipthink.chunk_batches(TABLE, 3, keep=["id"]).read_all()
CHUNKER = skipthink.Chunker(3, keep=["id"])


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path, row_group_size=100)
    return path


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(sys.modules["skipthink.stream.files"], "PART_ROWS", 100)


def read(path):
    return pa.Table.from_batches(tables.read_batches(path))


@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather", "jsonl"])
@pytest.mark.parametrize("batch_rows", [1, 37, 4096])
def test_every_kind_of_file_and_batch(tmp_path, source, small_parts, kind, batch_rows):
    out = tmp_path / f"out.{kind}"
    calls = []
    report = chunk_file(
        source, out, CHUNKER, batch_rows=batch_rows, progress=lambda *call: calls.append(call)
    )
    assert {name: report[name] for name in ("rows", "resumed", "thrown_away")} == {
        "rows": 1000, "resumed": 0, "thrown_away": 0,
    }  # fmt: skip
    assert report["unsearched"] == sum(not searched for searched in EXPECTED["searched"].to_pylist()) > 0
    assert read(out).to_pylist() == EXPECTED.to_pylist()
    assert calls[0] == (0, 1000)
    assert calls[-1] == (1000, 1000)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    names = ["rows.parquet", out.name, f"{out.name}.report.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream", "jsonl"])
def test_reading_can_start_anywhere(tmp_path, kind):
    path = tmp_path / ("rows.arrow" if kind == "stream" else f"rows.{kind}")
    if kind == "parquet":
        pq.write_table(TABLE, path, row_group_size=170)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))
    else:
        with (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(str(path), TABLE.schema) as file:
            file.write_table(TABLE, max_chunksize=170)
    for skip_rows in (0, 1, 169, 170, 171, 999, 1000, 1200):
        found = list(tables.read_batches(path, ["id"], skip_rows=skip_rows, batch_rows=64))
        assert [row for batch in found for row in batch["id"].to_pylist()] == list(range(skip_rows, 1000))


def test_long_rows_make_small_batches(monkeypatch):
    monkeypatch.setattr(tables, "BATCH_BYTES", 1000)
    table = pa.table({"text": ["x" * 400] * 10})
    assert [part.num_rows for part in tables.split_batch(table.to_batches()[0])] == [2] * 5


KILLED = """
import os, signal, sys
import skipthink
from skipthink.io import files

source, out, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
module = sys.modules["skipthink.stream.files"]
module.PART_ROWS = 100
taken, real = 0, files.flush

def flush(path):
    global taken
    taken += 1
    if taken == calls:
        os.kill(os.getpid(), signal.SIGKILL)
    real(path)

files.flush = flush
skipthink.chunk_file(source, out, skipthink.Chunker(3, keep=["id"]), batch_rows=50)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are of Unix")
@pytest.mark.parametrize("calls", [1, 3, 5, 24, 45])
def test_a_killed_job_goes_on(tmp_path, source, small_parts, calls):
    """Killed while a note on the source, a part, a note on one or the result is written: no row is worked on twice."""
    out = tmp_path / "out.parquet"
    command = [sys.executable, "-c", KILLED, str(source), str(out), str(calls)]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    noted = list((tmp_path / "out.parquet.parts" / "_skipthink" / "parts").glob("part-*.json"))
    report = chunk_file(source, out, CHUNKER, batch_rows=77)
    assert report["resumed"] == 100 * len(noted) == 100 * max(0, min(10, (calls - 4) // 4))
    assert read(out).equals(EXPECTED)
    assert not (tmp_path / "out.parquet.parts").exists()


def interrupted(source, out, after):
    def stop(done, _):
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chunk_file(source, out, CHUNKER, batch_rows=50, progress=stop)


def test_parts_of_another_job_are_thrown_away(tmp_path, source, small_parts):
    out = tmp_path / "out.arrow"
    interrupted(source, out, 400)
    other = skipthink.Chunker(3, 0.0, keep=["id"], method="optimal")
    report = chunk_file(source, out, other)
    assert (report["resumed"], report["thrown_away"]) == (0, 3)
    assert read(out).equals(skipthink.chunk_batches(TABLE, 3, 0.0, keep=["id"], method="optimal").read_all())
    interrupted(source, out, 400)
    pq.write_table(TABLE.slice(50, 900), source, row_group_size=100)
    assert chunk_file(source, out, CHUNKER)["thrown_away"] == 3
    assert read(out).equals(EXPECTED.slice(50, 900))


def test_threads_do_not_make_another_job(tmp_path, source, small_parts):
    out = tmp_path / "out.arrow"
    interrupted(source, out, 400)
    assert chunk_file(source, out, skipthink.Chunker(3, keep=["id"], num_threads=1))["resumed"] == 300


def test_what_is_not_ours_stays_in_the_folder(tmp_path, source, small_parts):
    folder = tmp_path / "out.arrow.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    chunk_file(source, tmp_path / "out.arrow", CHUNKER)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_an_error_names_its_row_and_keeps_what_was_done(tmp_path, small_parts):
    losses = TABLE["losses"].to_pylist()
    losses[555] = [float("nan")] * len(losses[555])
    source, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    pq.write_table(TABLE.set_column(2, "losses", pa.array(losses)), source, row_group_size=100)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match=r"losses of row 555 \(id 555\) holds NaN"):
            chunk_file(source, out, CHUNKER, batch_rows=50)
        assert len(list((tmp_path / "out.parquet.parts").glob("part-*"))) == 5
    assert not out.exists()


def test_bad_files(tmp_path, source):
    out = tmp_path / "out.parquet"
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(source.read_bytes()[:-10])
    empty = tmp_path / "empty.parquet"
    pq.write_table(TABLE.slice(0, 0), empty)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"rationale": "A.", "losses": [1]}\n\n{"rationale": "B.", "losses": 1}\n')
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(
        '{"rationale": "A.", "losses": [1]}\n{"rationale": "B.", "losses": [1], "n_tokens": [2]}\n'
    )
    plain = skipthink.Chunker(1)
    for call, message in [
        (lambda: chunk_file(torn, out, CHUNKER), "cannot read .*torn.parquet"),
        (lambda: chunk_file(empty, out, CHUNKER), "empty.parquet holds no row"),
        (lambda: chunk_file(tmp_path / "absent.arrow", out, CHUNKER), "cannot read .*absent.arrow"),
        (lambda: chunk_file(source, source, CHUNKER), "is the source itself"),
        (lambda: chunk_file(source, tmp_path / "out.csv", CHUNKER), "name a .parquet"),
        (lambda: chunk_file(source, out, skipthink.Chunker(3, losses="loss")), "no column 'loss', it has id"),
        (
            lambda: chunk_file(lines, out, plain),
            "lines.jsonl, row 1, line 3: losses is 1, rows before hold list",
        ),
        (
            lambda: chunk_file(mixed, out, plain, absent=["n_tokens"]),
            "mixed.jsonl, row 1, line 2 has 'n_tokens'",
        ),
    ]:
        with pytest.raises((DataError, InvalidInputError), match=message):
            call()
        assert not list(tmp_path.glob("out.*"))


def test_a_full_disk_leaves_no_half_file(tmp_path, source, monkeypatch):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"older result")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        chunk_file(source, out, CHUNKER)
    assert out.read_bytes() == b"older result"
