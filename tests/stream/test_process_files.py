"""Batch functions over files, folders and patterns: all rows once, whoever works, and from where it stood after a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dying import Dying

import skipthink
from skipthink.core.steps import LONG_CHARACTERS
from skipthink.exceptions import DataError, InvalidInputError, RunError
from skipthink.io.places import Place
from skipthink.stream import Generator, LocalGenerator, Scorer
from skipthink.stream.checker import Checker
from skipthink.stream.files import process_files, tally_chunks, tally_verdicts
from skipthink.stream.part_work import PartWork
from skipthink.stream.shards import Share

N_ROWS = 1000


def made(n, seed=3):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9, n)
    texts = [" ".join(f"Schritt {step} ist „gut“." for step in range(k)) for k in lengths]
    losses = [random.gamma(2.0, 0.5, k) for k in lengths]
    return pa.table({"id": np.arange(n) + 10_000 * seed, "rationale": texts, "losses": losses})


TABLES = [made(400, 1), made(250, 2), made(350, 3)]
CHUNKER = skipthink.Chunker(3, keep=["id"])
EXPECTED = skipthink.chunk_batches(pa.concat_tables(TABLES), 3, keep=["id"]).read_all()


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "shards"
    (folder / "deep").mkdir(parents=True)
    for path, table in zip(["a.parquet", "b.parquet", "deep/c.parquet"], TABLES, strict=True):
        pq.write_table(table, folder / path, row_group_size=50)
    (folder / "_state.parquet").write_bytes(b"passed over")
    (folder / "README.txt").write_text("not data")
    return folder


def rows_of(out):
    paths = sorted(out.glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths])


def counts(report, *names):
    return {name: report[name] for name in names or ("rows_in", "rows_out", "resumed", "discarded", "bad")}


WHOLE = {"rows_in": N_ROWS, "rows_out": N_ROWS, "resumed": 0, "discarded": 0, "bad": {}}


def test_a_folder_becomes_a_folder_of_parts(tmp_path, source):
    calls = []
    out = tmp_path / "out"
    report = process_files(
        source,
        f"{out}/",
        CHUNKER,
        part_rows=100,
        tally=tally_chunks,
        progress=lambda *call: calls.append(call),
    )
    assert counts(report) == WHOLE
    assert (report["shards"], report["parts"]) == (3, 4 + 3 + 4)
    assert report["tally"]["unsearched"] == sum(not found for found in EXPECTED["searched"].to_pylist())
    assert report["bytes_in"] == sum(path.stat().st_size for path in source.rglob("[abc].parquet"))
    assert report["bytes_out"] == sum(path.stat().st_size for path in out.glob("part-*"))
    assert rows_of(out).equals(EXPECTED)
    assert pq.read_table(out).num_rows == N_ROWS  # readers pass over what is noted beside the parts
    assert json.loads((out / "_report.json").read_text()) == report
    assert calls[0] == (0, N_ROWS)
    assert calls[-1] == (N_ROWS, N_ROWS)
    again = process_files(source, out, CHUNKER, part_rows=100, tally=tally_chunks)
    assert counts(again) == {**WHOLE, "resumed": N_ROWS}
    assert again["tally"] == report["tally"]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "jsonl"])
def test_a_pattern_becomes_one_file(tmp_path, source, ending):
    out = tmp_path / f"out.{ending}"
    report = process_files(f"{source}/**/*.parquet", out, CHUNKER, part_rows=100)
    assert counts(report) == WHOLE
    found = list(skipthink.io.tables.read_batches(out))
    assert pa.Table.from_batches(found).to_pylist() == EXPECTED.to_pylist()
    assert {path.name for path in tmp_path.iterdir()} == {"shards", out.name, f"{out.name}.report.json"}
    two = process_files(f"{source}/*.parquet", out, CHUNKER, part_rows=100)
    assert two["rows_in"] == 650


@pytest.mark.parametrize("kind", ["arrow", "stream", "jsonl"])
def test_every_kind_of_shard(tmp_path, kind):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, table in enumerate(TABLES):
        if kind == "jsonl":
            lines = [json.dumps(row) + "\n" for row in table.to_pylist()]
            lines.insert(7, "  \n")  # rows are lines that are not blank
            (folder / f"{number}.jsonl").write_text("".join(lines))
        else:
            new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
            with new(str(folder / f"{number}.arrow"), table.schema) as file:
                file.write_table(table, max_chunksize=130)
    report = process_files(folder, f"{tmp_path}/out/", CHUNKER, part_rows=60, batch_rows=37)
    assert counts(report) == WHOLE
    assert report["parts"] > 12
    assert rows_of(tmp_path / "out").to_pylist() == EXPECTED.to_pylist()


def test_types_of_json_lines_are_those_of_all_shards(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"id": null, "rationale": "One. Two.", "losses": [1, 2]}\n')
    (folder / "b.jsonl").write_text("")
    (folder / "c.jsonl").write_text('{"id": 1.5, "rationale": "One. Two.", "losses": [1, 2.5]}\n')
    process_files(folder, f"{tmp_path}/out/", CHUNKER)
    found = rows_of(tmp_path / "out")
    assert found.schema.field("id").type == pa.float64()
    assert found["id"].to_pylist() == [None, 1.5]
    (folder / "d.jsonl").write_text('{"id": "x", "rationale": "One. Two.", "losses": [1]}\n')
    with pytest.raises(
        DataError, match=r"d.jsonl: id holds string, shards before it hold double; write all alike"
    ):
        process_files(folder, f"{tmp_path}/out/", CHUNKER)


def test_large_row_groups_are_cut_and_small_ones_put_together(tmp_path):
    source = tmp_path / "rows.parquet"
    pq.write_table(pa.concat_tables(TABLES), source)  # one row group
    assert process_files(source, f"{tmp_path}/one/", CHUNKER, part_rows=200)["parts"] == 1
    assert process_files(source, f"{tmp_path}/cut/", CHUNKER, part_rows=100)["parts"] == 10
    assert rows_of(tmp_path / "one").equals(rows_of(tmp_path / "cut"))


def test_two_processes_give_what_one_gives(tmp_path, source):
    one = process_files(source, f"{tmp_path}/one/", CHUNKER, part_rows=100)
    two = process_files(source, f"{tmp_path}/two/", CHUNKER, part_rows=100, workers=2)
    assert counts(one) == counts(two) == WHOLE
    same_files(tmp_path / "one", tmp_path / "two")


def same_files(left, right):
    """Byte for byte, names included."""
    names = [path.name for path in sorted(left.glob("part-*"))]
    assert names == [path.name for path in sorted(right.glob("part-*"))]
    assert all((left / name).read_bytes() == (right / name).read_bytes() for name in names)


def test_a_worker_that_dies_is_replaced(tmp_path, source):
    flag = tmp_path / "flag"
    flag.write_text("")
    report = process_files(source, f"{tmp_path}/out/", Dying(str(flag)), part_rows=100, workers=2)
    assert counts(report) == WHOLE
    assert not flag.exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_workers_that_always_die_end_the_work(tmp_path, source, monkeypatch):
    monkeypatch.setattr("skipthink.stream.workers.MOST_DEATHS", 0)
    with pytest.raises(
        RunError, match=r"workers died 1 times, with 11 parts left: they may have run out of memory"
    ):
        process_files(source, f"{tmp_path}/out/", Dying(), part_rows=100, workers=2)


KILLED = """
import sys
import skipthink
from skipthink.stream.files import process_files

if __name__ == "__main__":
    process_files(sys.argv[1], sys.argv[2], skipthink.Chunker(3, keep=["id"]), part_rows=50, workers=int(sys.argv[3]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are of Unix")
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_resumed_with_other_workers(tmp_path, source, workers):
    """Killed with its workers once some parts are there: no row is lost, none is there twice, none is done again."""
    process_files(source, f"{tmp_path}/expected/", CHUNKER, part_rows=50)
    out = tmp_path / "out"
    script = tmp_path / "job.py"
    script.write_text(KILLED)
    job = subprocess.Popen([sys.executable, script, source, f"{out}/", str(workers)], start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((out / "_skipthink/parts").glob("*.json"))) < 3 and time.monotonic() < deadline:
        assert job.poll() in (None, 0)
        time.sleep(0.001)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    finished = {path.stem: path.stat().st_mtime_ns for path in (out / "_skipthink/parts").glob("*.json")}
    assert len(finished) >= 3
    report = process_files(source, out, CHUNKER, part_rows=50, workers=3 - workers)
    assert report["rows_in"] == report["rows_out"] == N_ROWS
    assert report["resumed"] == 50 * len(finished)
    now = {path.stem: path.stat().st_mtime_ns for path in (out / "_skipthink/parts").glob("*.json")}
    assert {name: now[name] for name in finished} == finished
    assert not list(out.glob(".*"))
    same_files(tmp_path / "expected", out)


def test_other_content_and_other_options_are_other_parts(tmp_path, source):
    out = tmp_path / "out"
    process_files(source, f"{out}/", CHUNKER, part_rows=100)
    (out / "part-of-mine.parquet").write_bytes(b"mine")
    pq.write_table(made(250, 4), source / "b.parquet", row_group_size=50)
    report = process_files(source, out, CHUNKER, part_rows=100)
    assert (report["resumed"], report["discarded"]) == (750, 3)
    other = process_files(source, out, skipthink.Chunker(2, keep=["id"]), part_rows=100)
    assert (other["resumed"], other["discarded"]) == (0, 11)
    (source / "deep" / "c.parquet").unlink()
    fewer = process_files(source, out, skipthink.Chunker(2, keep=["id"]), part_rows=100)
    assert (fewer["rows_in"], fewer["resumed"], fewer["discarded"]) == (650, 650, 4)
    assert (out / "part-of-mine.parquet").read_bytes() == b"mine"
    os.utime(source / "a.parquet")
    assert process_files(source, out, skipthink.Chunker(2, keep=["id"]), part_rows=100)["resumed"] == 650


@pytest.mark.parametrize(
    "make",
    [Scorer, Generator, lambda folder: LocalGenerator(folder, kind="number")],
    ids=["scorer", "generator", "local"],
)
def test_another_model_in_the_same_folder_is_other_work(tmp_path, make):
    model = tmp_path / "model"
    model.mkdir()
    works = []
    for weights in (b"one", b"two", b"one"):
        (model / "model.safetensors").write_bytes(weights)
        works.append(PartWork(make(str(model)), pa.schema([]), Place(str(tmp_path)), ".parquet", 10).digest)
    assert works[0] != works[1] and works[0] == works[2]


def test_a_part_without_its_note_is_done_again(tmp_path, source):
    out = tmp_path / "out"
    process_files(source, f"{out}/", CHUNKER, part_rows=100)
    torn, noted = sorted(out.glob("part-*"))[2:4]
    torn.write_bytes(b"torn")
    (out / "_skipthink" / "parts" / f"{torn.stem}.json").unlink()
    noted.unlink()
    assert process_files(source, out, CHUNKER, part_rows=100)["resumed"] == N_ROWS - 200
    assert rows_of(out).equals(EXPECTED)


def test_bad_rows_are_counted_by_reason(tmp_path, source):
    losses = TABLES[0]["losses"].to_pylist()
    losses[3] = [float("nan")] * len(losses[3])
    losses[77] = [float("nan")] * len(losses[77])
    losses[5] = [*losses[5], 1.0]
    texts = TABLES[0]["rationale"].to_pylist()
    texts[9] = "  "
    bad = TABLES[0].set_column(2, "losses", pa.array(losses)).set_column(1, "rationale", pa.array(texts))
    pq.write_table(bad, source / "a.parquet")
    with pytest.raises(InvalidInputError, match=r"a.parquet: .*row 9 \(id 10009\)"):
        process_files(source, f"{tmp_path}/raised/", CHUNKER)
    lenient = skipthink.Chunker(3, keep=["id"], on_error="null")
    report = process_files(source, f"{tmp_path}/out/", lenient, part_rows=100, tally=tally_chunks)
    assert report["rows_in"] == report["rows_out"] == N_ROWS
    assert sorted(report["bad"].values()) == [1, 1, 2]
    assert any("NaN" in reason and count == 2 for reason, count in report["bad"].items())
    found = rows_of(tmp_path / "out")
    assert [row for row, error in enumerate(found["error"].to_pylist()) if error] == [3, 5, 9, 77]
    kept = found.filter(pa.compute.is_null(found["error"])).drop_columns("error")
    expected = pa.Table.from_pylist([row for row in EXPECTED.to_pylist() if row["id"] % 10_000 not in (3, 5, 9, 77)
                                     or row["id"] >= 20_000], schema=EXPECTED.schema)  # fmt: skip
    assert kept.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("fixed_lists", [True, False])
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_chunks_are_counted_alike_in_lists_of_both_kinds(tmp_path, ending, fixed_lists):
    texts = ["a" * LONG_CHARACTERS, "a" * (LONG_CHARACTERS - 1), "One. Two. Three. Four.", " "]
    losses = [[1.0], [1.0], [0.1, 0.2, 2.0, 3.0], []]
    pq.write_table(pa.table({"rationale": texts, "losses": losses}), tmp_path / "in.parquet")
    chunker = skipthink.Chunker(2, keep=[], fixed_lists=fixed_lists, on_error="null")
    report = skipthink.chunk_file(tmp_path / "in.parquet", tmp_path / f"out.{ending}", chunker)
    assert counts(report, "rows", "unsearched", "unsplit") == {"rows": 4, "unsearched": 2, "unsplit": 1}
    pq.write_table(pa.table({"rationale": [" "], "losses": [[]]}), tmp_path / "bad.parquet")
    report = skipthink.chunk_file(tmp_path / "bad.parquet", tmp_path / f"bad-out.{ending}", chunker)
    assert counts(report, "rows", "unsearched", "unsplit") == {"rows": 1, "unsearched": 0, "unsplit": 0}


def test_answers_are_counted_by_verdict(tmp_path):
    texts = ["The answer is 4.", "The answer is 5.", "I do not know."]
    pq.write_table(pa.table({"rationale": texts, "answer": ["4", "4", "4"]}), tmp_path / "in.parquet")
    checker = Checker("number", keep=[])
    report = process_files(tmp_path / "in.parquet", tmp_path / "out.jsonl", checker, tally=tally_verdicts)
    assert report["tally"] == {"right": 1, "wrong": 1, "unparsed": 1}
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["stated"] for line in lines] == ["4", "5", None]


@pytest.mark.parametrize(
    "count", [2, 5]
)  # fewer than there are files, and more: files or parts are shared out
def test_shares_make_the_whole(tmp_path, source, count):
    process_files(source, f"{tmp_path}/expected/", CHUNKER, part_rows=100)
    out = tmp_path / "out"
    for number in range(count, 0, -1):
        assert not (out / "_report.json").exists()
        report = process_files(source, f"{out}/", CHUNKER, part_rows=100, share=Share(number, count))
        assert report["missing_shares"] == number - 1
    same_files(tmp_path / "expected", out)
    whole = json.loads((out / "_report.json").read_text())
    assert (whole["rows_in"], whole["rows_out"], whole["shares"]) == (N_ROWS, N_ROWS, count)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    again = process_files(source, out, CHUNKER, part_rows=100, share=Share(1, count))
    assert again["resumed"] == again["rows_in"]
    assert {path: path.stat().st_mtime_ns for path in before if "_report" not in path.name} == {
        path: stamp for path, stamp in before.items() if "_report" not in path.name
    }
    # a share of other work is not done
    other = process_files(source, out, skipthink.Chunker(2), part_rows=100, share=Share(1, count))
    assert other["resumed"] == 0
    assert other["missing_shares"] == count - 1
    # without shares the rest is done
    assert process_files(source, out, CHUNKER, part_rows=100)["rows_in"] == N_ROWS


def test_a_late_writer_of_other_work_writes_nothing(tmp_path, source):
    out = tmp_path / "out"

    def begin_other_work(done, total):
        if 0 < done < total and not (out / "begun").exists():
            (out / "begun").touch()
            process_files(source, f"{out}/", skipthink.Chunker(2, keep=["id"]), part_rows=100)

    with pytest.raises(RunError, match=r"out is for other results now: another command"):
        process_files(source, f"{out}/", CHUNKER, part_rows=100, progress=begin_other_work)
    assert rows_of(out).equals(skipthink.chunk_batches(pa.concat_tables(TABLES), 2, keep=["id"]).read_all())
    assert process_files(source, f"{out}/", CHUNKER, part_rows=100)["discarded"] == 11
    assert rows_of(out).equals(EXPECTED)


def test_a_share_leaves_what_others_are_writing(tmp_path, source):
    out = tmp_path / "out"
    process_files(source, f"{out}/", CHUNKER, part_rows=100, share=Share(1, 5))
    tasks = sorted(path.name for path in out.glob("part-*"))
    (out / tasks[0]).unlink()
    (out / f".{tasks[0]}.1.ab.tmp").write_bytes(b"being written")
    process_files(source, f"{out}/", CHUNKER, part_rows=100, share=Share(2, 5))
    assert (out / f".{tasks[0]}.1.ab.tmp").exists()
    process_files(source, f"{out}/", CHUNKER, part_rows=100)
    assert not list(out.glob(".part-*"))


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4"])
def test_bad_shares(text):
    with pytest.raises(InvalidInputError, match="--shard must be a number of a count"):
        Share.parse(text)


def test_bad_places(tmp_path, source):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "rows.parquet").write_bytes((source / "a.parquet").read_bytes()[:-10])
    other = tmp_path / "other"
    other.mkdir()
    pq.write_table(TABLES[0], other / "a.parquet")
    pq.write_table(TABLES[0].drop_columns("losses"), other / "b.parquet")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    pq.write_table(TABLES[0], mixed / "a.parquet")
    (mixed / "b.jsonl").write_text("{}\n")
    for read, out, options, message in [
        (tmp_path / "absent", "out/", {}, "there is no such file or folder"),
        (f"{tmp_path}/*.arrow", "out/", {}, "names no file"),
        (mixed, "out/", {}, r"files of several kinds \(.jsonl, .parquet\)"),
        (empty, "out/", {}, "cannot read .*rows.parquet"),
        (other, "out/", {}, "cannot read|has no column 'losses'"),
        (source, "out.csv", {}, "name a .parquet"),
        (source, "shards/more/", {}, "lies in .*shards, which is read"),
        (source / "a.parquet", "shards/", {}, "which is read, lies in"),
        (source / "a.parquet", "shards/a.parquet", {}, "is the source itself"),
        (source, "out.parquet", {"share": Share(1, 2)}, "--shard writes parts to a folder"),
        (source, "out/", {"workers": 0}, "workers must be at least 1"),
        (source, "out/", {"engine": "spark"}, 'engine must be "local" or "ray"'),
        (source, "out/", {"gpus": 0.5}, "gpus is of a Ray cluster"),
    ]:
        with pytest.raises((DataError, InvalidInputError), match=message):
            process_files(read, f"{tmp_path}/{out}", CHUNKER, **options)
