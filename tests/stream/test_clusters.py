"""Batch functions on Ray and Spark: results of one process, bad rows, threads, jobs that go on, an executor that is killed."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import marks, spark, start, stop_all

import skipthink
from skipthink.exceptions import InvalidInputError, InvalidTypeError
from skipthink.stream import Scorer, map_in_arrow
from skipthink.stream.threads import POOL_VARIABLES, worker_threads

SCRIPT = Path(__file__).parents[1] / "support" / "killed_executor.py"
STUDENT = Path(skipthink.__file__).parent / "testbed" / "students" / "S"
CHUNKER = skipthink.Chunker(3, method="optimal", keep=["id"], on_error="null")
BAD = 5  # every so many-th row

on_ray = [*marks("Ray Data"), pytest.mark.filterwarnings("ignore")]  # what engines warn of is theirs
on_spark = [*marks("Spark"), pytest.mark.filterwarnings("ignore")]


def marked(name):
    """A decorator with the marks of an engine."""

    def decorate(test):
        for mark in {"ray": on_ray, "spark": on_spark}[name]:
            test = mark(test)
        return test

    return decorate


@pytest.fixture(scope="module", autouse=True)
def _stopped():
    yield
    stop_all()


def made(n_rows, bad=()):
    """Rows with losses of their own; rationales of bad rows are white space."""
    random = np.random.default_rng(0)
    steps = [f"Step {number} of many. " for number in range(9)]
    counts = random.integers(1, 9, n_rows)
    texts = [" " if row in bad else "".join(steps[:count]) for row, count in enumerate(counts)]
    losses = [random.gamma(2.0, 0.5, count) for count in counts]
    return pa.table({"id": np.arange(n_rows), "rationale": texts, "losses": losses})


def assert_equal(result, expected):
    """The same rows in any order; floats too, since each row is computed by itself."""
    result = result.sort_by("id")
    for name in expected.column_names:
        assert result[name].to_pylist() == expected[name].to_pylist(), name


@marked("ray")
def test_ray_gives_what_one_process_gives():
    start("Ray Data")
    import ray

    table = made(2000, bad=range(0, 2000, BAD))
    rows = ray.data.from_arrow(table).repartition(7)
    result = rows.map_batches(CHUNKER, batch_format="pyarrow", batch_size=31)
    found = pa.concat_tables(ray.get(result.to_arrow_refs()))
    assert found.schema.equals(CHUNKER.schema(table.schema))
    assert found["error"].null_count == 2000 - 2000 // BAD, "a bad row takes no other along"
    assert_equal(found, CHUNKER(table))


@marked("ray")
def test_a_bad_row_raises_in_ray_with_its_id():
    start("Ray Data")
    import ray

    chunker = skipthink.Chunker(3, method="optimal")
    with pytest.raises(Exception, match=r"rationale of row 7 \(id 7\) has no step"):
        ray.data.from_arrow(made(10, bad=[7])).map_batches(chunker, batch_format="pyarrow").materialize()


@marked("ray")
def test_ray_batches_of_numpy_are_refused():
    start("Ray Data")
    import ray

    with pytest.raises(Exception, match='batch_format="pyarrow"'):
        ray.data.from_arrow(made(4)).map_batches(CHUNKER).materialize()


@marked("ray")
def test_a_worker_of_ray_uses_one_thread_or_those_it_was_given():
    start("Ray Data")
    import ray

    def threads(given):
        with mock.patch.dict(os.environ):
            for name in ("SKIPTHINK_NUM_THREADS", *POOL_VARIABLES):
                os.environ.pop(name, None)
            os.environ.update(given)
            return worker_threads()

    task = ray.remote(threads)
    assert ray.get([task.remote({}), task.remote({"OMP_NUM_THREADS": "3"})]) == [1, 3]


@marked("ray")
def test_a_scorer_in_an_actor_of_ray():
    start("Ray Data")
    import ray

    options = {"n_chunks": 2, "keep": ["id"], "on_error": "null"}
    table = made(12, bad=[4]).append_column("question", pa.array(["How many steps?"] * 12))
    rows = ray.data.from_arrow(table).map_batches(
        Scorer,
        fn_constructor_args=[str(STUDENT)],
        fn_constructor_kwargs=options,
        batch_format="pyarrow",
        batch_size=5,
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    found = pa.concat_tables(ray.get(rows.to_arrow_refs())).sort_by("id")
    expected = Scorer(STUDENT, **options)(table)
    for name in ("id", "n_tokens", "error"):
        assert found[name].to_pylist() == expected[name].to_pylist()
    assert found["error"].null_count == 11
    for name in ("losses", "end_losses"):
        for one, other in zip(found[name].to_pylist(), expected[name].to_pylist(), strict=True):
            assert (one is None) == (other is None)
            assert one is None or np.allclose(one, other, rtol=1e-4, atol=1e-5)


@marked("ray")
def test_a_job_of_ray_that_failed_goes_on(tmp_path):
    """A job ends at a bad row; mended and started again it writes what is missing, and nothing twice."""
    start("Ray Data")
    import ray
    from ray.data.checkpoint import CheckpointConfig

    names = [tmp_path / f"rows-{number}.parquet" for number in range(4)]
    for number, name in enumerate(names):
        pq.write_table(made(40, bad=[35]).slice(10 * number, 10), name)
    chunker = skipthink.Chunker(3, method="optimal", keep=["id"])
    context = ray.data.DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=str(tmp_path / "seen"), delete_checkpoint_on_success=False
    )

    def run():
        rows = ray.data.read_parquet([str(name) for name in names])
        rows.map_batches(chunker, batch_format="pyarrow").write_parquet(str(tmp_path / "out"), mode="append")

    try:
        with pytest.raises(Exception, match="has no step"):
            run()
        gc.collect()  # the exception holds the job that failed, and the job its actors
        pq.write_table(made(40).slice(30, 10), names[3])
        run()
    finally:
        context.checkpoint_config = None
    assert_equal(pq.read_table(tmp_path / "out"), chunker(made(40)))


@marked("spark")
def test_spark_gives_what_one_process_gives():
    start("Spark")
    table = made(2000, bad=range(0, 2000, BAD))
    result = map_in_arrow(spark().createDataFrame(table).repartition(7), CHUNKER).toArrow()
    assert_equal(result, CHUNKER(table))
    assert result["error"].null_count == 2000 - 2000 // BAD


@marked("spark")
def test_spark_says_what_is_wrong_before_there_is_a_job():
    start("Spark")
    frame = spark().createDataFrame(made(3))
    with pytest.raises(InvalidInputError, match="no column 'losses'"):
        map_in_arrow(frame.drop("losses"), CHUNKER)
    with pytest.raises(InvalidTypeError, match="rationale must hold texts"):
        map_in_arrow(frame.withColumn("rationale", frame["id"]), CHUNKER)


@marked("spark")
def test_columns_that_only_travel_stay_what_they_are_in_spark():
    start("Spark")
    others = [
        "timestamp'2026-01-02 03:04:05' t",
        "timestamp_ntz'2026-01-02 03:04:05' n",
        "struct(1 a) s",
    ]
    frame = spark().createDataFrame(made(3)).selectExpr("*", *others)
    chunker = skipthink.Chunker(3, method="optimal")
    result = map_in_arrow(frame, chunker)
    assert result.schema[: len(frame.schema)] == frame.schema
    kept = ["t", "s", "id", "n"]
    result = map_in_arrow(frame, skipthink.Chunker(3, method="optimal", keep=kept))
    assert result.columns[:4] == kept
    found, expected = (rows.select("id", "t", "n", "s").sort("id").collect() for rows in (result, frame))
    assert found == expected


@marked("spark")
def test_a_scorer_in_spark():
    start("Spark")
    table = made(6).append_column("question", pa.array(["How many steps?"] * 6))
    scorer = Scorer(STUDENT, n_chunks=2, keep=["id"])
    found = map_in_arrow(spark().createDataFrame(table), scorer).toArrow().sort_by("id")
    expected = scorer(table)
    assert found["n_tokens"].to_pylist() == expected["n_tokens"].to_pylist()
    for one, other in zip(found["losses"].to_pylist(), expected["losses"].to_pylist(), strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-5)


@marked("spark")
def test_a_spark_job_whose_executor_is_killed(tmp_path):
    """Two executors in processes of their own; one gets SIGKILL in mid-job, and the result is that of one process."""
    start("Spark")
    pq.write_table(made(400, bad=[7]), tmp_path / "rows.parquet", row_group_size=20)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    killed = json.loads((tmp_path / "killed").read_text(encoding="utf-8"))
    ran = json.loads((tmp_path / "ran.json").read_text(encoding="utf-8"))
    assert killed["batches"] < 20, "there was work left"
    assert len(set(ran)) == 3, "another executor took its place"
    found = pq.read_table(tmp_path / "chunks")
    assert_equal(found, CHUNKER(made(400, bad=[7])))
