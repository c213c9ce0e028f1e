"""Files on a real Ray cluster: nodes and programs that are killed, an object store, GPUs; the result is that of one process."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench_scripts import BENCH, bench_script
from command_line import call_cli
from engines import start, stop_all
from object_store import object_store

import skipthink
from skipthink.io.places import Place
from skipthink.stream import Checker, Generator, Scorer, Splitter
from skipthink.stream.files import process_files

STUDENT = Path(skipthink.__file__).parent / "testbed" / "students" / "S"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # what Ray warns of is its own
]


@pytest.fixture(scope="module")
def store():
    with object_store() as uri:
        yield uri


@pytest.fixture(scope="module")
def ray_address(store):
    """A Ray whose nodes have the keys of the store in their environment."""
    start("Ray Data")
    import ray

    yield ray.get_runtime_context().gcs_address
    stop_all()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Eight parts of ten rows."""
    made = [
        {
            "id": row,
            "question": f"{row} and {row + 1} pens?",
            "rationale": f"There are {row} pens. There are {row + 1} more.\nThat is {2 * row + 1}.",
            "answer": str(2 * row + row % 2),
        }
        for row in range(80)
    ]
    path = tmp_path_factory.mktemp("files") / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(made), path, row_group_size=10)
    return path


def answering(folder):
    """A student of random weights that answers."""
    return bench_script("chaos_files").random_student(folder / "rows.parquet", folder)


def parts_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("part-*")}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda folder: Splitter(keep=["id"]), id="split"),
        pytest.param(lambda folder: Checker("number", keep=["id"]), id="check"),
        pytest.param(
            lambda folder: Generator(answering(folder), keep=["id"], device="cpu", num_threads=1),
            id="generate",
        ),
    ],
)
def test_files_of_every_function_are_those_of_one_process(make, rows, ray_address, tmp_path):
    function = make(rows.parent)
    expected = process_files(rows, f"{tmp_path}/expected/", function, part_rows=10)
    report = process_files(
        rows, f"{tmp_path}/found/", function, part_rows=10, engine="ray", address=ray_address, workers=1
    )
    assert (report["rows_in"], report["rows_out"], report["parts"], report["bad"]) == (80, 80, 8, {})
    assert report["engine"] == "ray"
    assert {key: report[key] for key in ("tally", "bytes_out")} == {
        key: expected[key] for key in ("tally", "bytes_out")
    }
    assert parts_of(tmp_path / "found") == parts_of(tmp_path / "expected") != {}


@pytest.mark.parametrize(
    "words",
    [
        ["split"],
        ["check", "--answer", "number"],
        ["chunk", "-M", 2, "--method", "optimal"],
        ["score", "--student", STUDENT, "-M", 2],
    ],
    ids=lambda words: words[0],
)
def test_commands_on_ray_write_what_they_write_here(words, rows, ray_address, tmp_path):
    table = pq.read_table(rows)
    if words[0] == "chunk":
        losses = [[0.1, 2.0, 0.1 * (row % 7)] for row in range(80)]
        table = table.append_column("losses", pa.array(losses))
    (tmp_path / "in").mkdir()
    for shard in range(4):
        pq.write_table(table.slice(20 * shard, 20), tmp_path / "in" / f"{shard}.parquet")
    name, *options = words
    one_thread = {"OMP_NUM_THREADS": "1"}  # as workers have, for the last bit of a student's sums
    call_cli(name, tmp_path / "in", f"{tmp_path}/expected/", *options, env=one_thread)
    on_ray = ["--engine", "ray", "--address", ray_address]
    done = call_cli(name, tmp_path / "in", f"{tmp_path}/found/", *options, *on_ray, env=one_thread)
    assert "80 rows in, 80 out, 0 bad" in done.stderr
    report, expected = (
        json.loads((tmp_path / out / "_report.json").read_text()) for out in ("found", "expected")
    )
    assert (report["engine"], expected["engine"]) == ("ray", "local")
    assert (report["parts"], report["tally"]) == (4, expected["tally"])
    assert parts_of(tmp_path / "found") == parts_of(tmp_path / "expected") != {}


def test_from_an_object_store_to_an_object_store(rows, store, ray_address, tmp_path):
    process_files(rows, f"{tmp_path}/expected/", Splitter(keep=["id"]), part_rows=10)
    with Place.of(store("ray-in/rows.parquet")).writing() as sink:
        sink.write(rows.read_bytes())
    options = {"part_rows": 10, "engine": "ray", "address": ray_address}
    report = process_files(store("ray-in/"), store("ray-out/"), Splitter(keep=["id"]), **options)
    assert (report["rows_in"], report["rows_out"], report["parts"]) == (80, 80, 8)
    place = Place.of(store("ray-out"))
    names = [name for name, _ in place.list() if name.startswith("part-")]
    tables = [pq.read_table((place / name).open_arrow()) for name in names]
    assert pa.concat_tables(tables).equals(pq.read_table(tmp_path / "expected"))
    again = process_files(store("ray-in/"), store("ray-out/"), Splitter(keep=["id"]), **options)
    assert again["resumed"] == 80


def test_a_worker_sees_the_gpu_that_it_was_given_and_no_other(rows, ray_address, tmp_path):
    """The node says that it has one; there is none, so what a model is asked is computed on the CPU."""

    class Told(Splitter):
        def compute(self, given, first_row):
            import os

            import ray

            seen = (os.environ.get("CUDA_VISIBLE_DEVICES"), ray.get_gpu_ids())
            found = super().compute(given, first_row)
            return found | {"steps": pa.array([[str(seen)]] * len(found["steps"]))}

    for gpus, told in [(1, "('0', [0])"), (0, "('', [])")]:
        out = f"{tmp_path}/{gpus}/"
        report = process_files(
            rows, out, Told(), part_rows=10, engine="ray", address=ray_address, gpus=gpus, workers=2 - gpus
        )
        assert report["rows_out"] == 80
        assert set(pq.read_table(out)["steps"].to_pylist()[0]) == {told}
    asked = Scorer(STUDENT, n_chunks=2, keep=["id"], num_threads=1)
    report = process_files(
        rows, f"{tmp_path}/scored/", asked, part_rows=40, engine="ray", address=ray_address
    )
    assert report["workers"] is None
    assert report["rows_out"] == 80


PROGRAM = """
import sys, time
from skipthink.stream import Splitter
from skipthink.stream.files import process_files

if __name__ == "__main__":
    class Slow(Splitter):
        def compute(self, given, first_row):
            time.sleep(0.3)
            return super().compute(given, first_row)

    source, out, engine, *address = sys.argv[1:]
    options = {"address": address[0]} if address else {}
    process_files(source, out, Slow(keep=["id"]), part_rows=10, engine=engine, **options)
"""


def test_a_program_that_is_killed_goes_on_where_it_was(rows, ray_address, tmp_path):
    """Its workers end with it; what they have done stays, also for one process without Ray."""
    (tmp_path / "program.py").write_text(PROGRAM)
    call = [sys.executable, str(tmp_path / "program.py"), str(rows)]
    subprocess.run([*call, f"{tmp_path}/expected/", "local"], check=True)
    notes = tmp_path / "out/_skipthink/parts"
    out = [f"{tmp_path}/out/", "ray", ray_address]
    job = subprocess.Popen([*call, *out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(notes.glob("*.json"))) < 2 and time.monotonic() < deadline:
        assert job.poll() is None
        time.sleep(0.01)
    job.kill()
    job.wait()
    time.sleep(1)  # workers of a driver that is gone end a moment later
    done = {path.name: path.stat().st_mtime_ns for path in notes.glob("*.json")}
    assert 2 <= len(done) < 8
    subprocess.run([*call, f"{tmp_path}/out/", "local"], check=True)
    report = json.loads((tmp_path / "out/_report.json").read_text())
    assert (report["rows_out"], report["resumed"]) == (80, 10 * len(done))
    assert parts_of(tmp_path / "out") == parts_of(tmp_path / "expected")
    assert all((notes / name).stat().st_mtime_ns == when for name, when in done.items())


def test_work_that_loses_a_node_ends_like_that_of_one_process():
    pytest.importorskip("ray")
    words = [sys.executable, str(BENCH / "chaos_files.py"), "--times", "1", "--parts", "40"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(line["work"], line["round"]) for line in told] == [
        ("chunk", "undisturbed"), ("chunk", 0), ("score", "undisturbed"), ("score", 0),
    ]  # fmt: skip
    assert all(line["differences"] == [] and line["done_again"] == 0 for line in told)
    assert all(line["goes_on"] for line in told[::2]), "what one process has done is not done again on Ray"
    assert all(line["killed"] and 0 < line["done_before"] < line["parts"] for line in told[1::2])
