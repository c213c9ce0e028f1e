"""Files in object stores (S3, Google, a file system of fsspec): read, written, resumed."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import call_cli
from object_store import object_store

import skipthink
from skipthink.exceptions import DataError, SkipthinkError
from skipthink.io.places import Place
from skipthink.stream.files import process_files

CHUNKER = skipthink.Chunker(2, keep=["id"])
TABLE = pa.table(
    {
        "id": np.arange(300),
        "rationale": [f"We take {row} pens. We add {row} more. We count." for row in range(300)],
        "losses": np.random.default_rng(0).gamma(2.0, 0.5, (300, 3)).tolist(),
    }
)
EXPECTED = skipthink.chunk_batches(TABLE, 2, keep=["id"]).read_all()


@pytest.fixture(scope="module", params=["s3", "gs", "memory"])
def store(request):
    with object_store(request.param) as uri:
        for number in range(3):
            with Place.of(uri(f"in/{number}.parquet")).writing() as sink:
                pq.write_table(TABLE.slice(number * 100, 100), sink, row_group_size=25)
            lines = "".join(json.dumps(row) + "\n" for row in TABLE.slice(number * 100, 100).to_pylist())
            with Place.of(uri(f"lines/{number}.jsonl")).writing() as sink:
                sink.write(lines.encode())
        yield uri


def rows_of(place):
    names = [name for name, _ in place.list() if name.startswith("part-")]
    return pa.concat_tables([pq.read_table((place / name).open_arrow()) for name in names])


@pytest.mark.parametrize("source", ["in/", "in/*.parquet", "lines/"])
def test_from_store_to_store(store, source):
    out = f"out-{source.strip('/').replace('/*', '-')}/"  # with the ending of a file, but a folder
    report = process_files(store(source), store(out), CHUNKER, part_rows=25, workers=1)
    assert (report["rows_in"], report["rows_out"], report["shards"], report["parts"]) == (300, 300, 3, 12)
    place = Place.of(store(out.rstrip("/")))
    assert rows_of(place).to_pylist() == EXPECTED.to_pylist()
    assert (place / "_report.json").read_json() == report
    again = process_files(store(source), store(out), CHUNKER, part_rows=25)
    assert again["resumed"] == 300


KILLED = """
import sys
import skipthink
from skipthink.stream.files import process_files

if __name__ == "__main__":
    process_files(sys.argv[1], sys.argv[2], skipthink.Chunker(2, keep=["id"]), part_rows=25)
"""


def test_interrupted_and_resumed(store):
    """What is done stays; the next call does the rest."""

    def interrupt(done, total):
        if done > 100:  # in the fifth part
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_files(store("in/*.parquet"), store("late/"), CHUNKER, part_rows=25, progress=interrupt)
    place = Place.of(store("late"))
    assert (place / "_report.json").read_json() is None
    report = process_files(store("in/*.parquet"), store("late/"), CHUNKER, part_rows=25)
    assert (report["rows_out"], report["resumed"], report["discarded"]) == (300, 100, 0)
    assert rows_of(place).to_pylist() == EXPECTED.to_pylist()


def test_the_command_from_store_to_store(store):
    words = [store("in/*.parquet"), store("of-command/"), "-M", "2", "--keep", "id"]
    assert "300 rows in, 300 out, 0 bad" in call_cli("chunk", *words).stderr
    assert rows_of(Place.of(store("of-command"))).to_pylist() == EXPECTED.to_pylist()
    assert "300 rows were done before" in call_cli("chunk", *words).stderr


@pytest.mark.parametrize("store", ["s3", "gs"], indirect=True)  # which other processes see
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are of Unix")
def test_killed_and_resumed(store, tmp_path):
    """Killed once some objects are there: what is done stays, the rest is done by two, and the objects are the same."""
    process_files(store("in/"), f"{tmp_path}/expected/", CHUNKER, part_rows=25)
    place = Place.of(store("killed"))
    script = tmp_path / "job.py"
    script.write_text(KILLED)
    job = subprocess.Popen([sys.executable, script, store("in/"), store("killed/")])
    deadline = time.monotonic() + 120
    while len((place / "_skipthink/parts").list()) < 3 and time.monotonic() < deadline:
        assert job.poll() in (None, 0)
        time.sleep(0.001)
    job.kill()
    job.wait()
    done = len((place / "_skipthink/parts").list())
    assert done >= 3
    report = process_files(store("in/"), store("killed/"), CHUNKER, part_rows=25, workers=2)
    assert (report["rows_in"], report["rows_out"], report["resumed"]) == (300, 300, 25 * done)
    same_objects(place, tmp_path / "expected")


def same_objects(place, folder):
    names = [name for name, _ in place.list() if name.startswith("part-")]
    assert names == sorted(path.name for path in folder.glob("part-*"))
    for name in names:
        with (place / name).open_bytes() as file:
            assert file.read() == (folder / name).read_bytes()


def test_an_error_leaves_no_object(store):
    place = Place.of(store("torn.parquet"))
    with pytest.raises(ValueError, match="half"), place.writing() as sink:
        sink.write(b"half a file")
        raise ValueError("half")
    assert not place.exists()


def test_an_object_that_changed_is_another_one(store):
    place = Place.of(store("one/rows.parquet"))
    for shift in (0, 50):
        with place.writing() as sink:
            pq.write_table(TABLE.slice(shift, 50), sink)
        report = process_files(store("one/"), store("one-out/"), CHUNKER)
        assert (report["resumed"], report["discarded"]) == (0, int(shift > 0))
        assert rows_of(Place.of(store("one-out")))["id"].to_pylist() == list(range(shift, shift + 50))


def test_an_object_that_changed_but_for_its_size_is_another_one(store):
    """Stores that tell no time of a change tell something else: a name of the version, or when an object was made."""
    place = Place.of(store("lines-of-one/rows.jsonl"))
    for number in range(2):
        with place.writing() as sink:
            sink.write(b'{"id": %d, "rationale": "One. Two.", "losses": [1.0, 2.0]}\n' % number)
        report = process_files(store("lines-of-one/"), store("lines-out/"), CHUNKER)
        assert (report["resumed"], report["discarded"]) == (0, number)
        assert rows_of(Place.of(store("lines-out")))["id"].to_pylist() == [number]
        time.sleep(1.1)  # S3 tells whole seconds


def test_bad_places(store):
    for source, out, message in [
        (store("absent/"), store("x/"), "there is no such file or folder"),
        (store("in/"), store("x.parquet"), "a result in an object store is a folder of parts"),
        (store("in/"), store("in/deep/"), "lies in .*/in, which is read"),
        ("nothing://in", store("x/"), "cannot open nothing://in"),
    ]:
        with pytest.raises((DataError, SkipthinkError), match=message):
            process_files(source, out, CHUNKER)
