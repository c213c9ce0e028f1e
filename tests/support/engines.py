"""Engines as functions: an Arrow table in, through the engine and a batch function, an Arrow table out.

Ray and Spark have to be started: `start` does so, once per process, and `stop_all` ends what it has started.
"""

import importlib.util
import os
import shutil
import sys

import pyarrow as pa
import pytest
from bench_scripts import bench_script

from skipthink.stream import map_batches, map_in_arrow


def through_pyarrow(table, function):
    return function(table)


def through_ray(table, function):
    import ray

    results = ray.data.from_arrow(table).map_batches(function, batch_format="pyarrow")
    return pa.concat_tables(ray.get(results.to_arrow_refs()))


def through_spark(table, function):
    return map_in_arrow(spark().createDataFrame(table), function).toArrow()


def through_daft(table, function):
    import daft

    given = daft.from_arrow(table)
    if given.schema()["rationale"].dtype.is_python():
        raise NotImplementedError("Daft would hold the column as Python objects")
    return daft.from_arrow(map_batches(given.to_arrow_iter(), function).read_all()).to_arrow()


def through_polars(table, function):
    import polars as pl

    rows = pl.from_arrow(table).lazy()
    schema = pl.DataFrame(function(rows.head(0).collect())).schema
    return rows.map_batches(lambda frame: pl.DataFrame(function(frame)), schema=schema).collect().to_arrow()


def through_duckdb(table, function):
    import duckdb

    given = table  # noqa: F841 - the query names it; `table` is a word of SQL
    rows = duckdb.connect().sql("select * from given").to_arrow_reader()
    chunks = map_batches(rows, function)  # noqa: F841 - the query names it
    return duckdb.connect().sql("select * from chunks").to_arrow_table()


def through_datasets(table, function):
    import datasets

    rows = datasets.Dataset(table).with_format("arrow")
    features = datasets.Features.from_arrow_schema(function.schema(rows.features.arrow_schema))
    mapped = rows.map(
        function, batched=True, batch_size=5, features=features, remove_columns=rows.column_names
    )
    return mapped.data.table


def through_pandas(table, function):
    return pa.Table.from_pandas(function(table.to_pandas()).to_pandas())


ENGINES = {
    "pyarrow": ("pyarrow", through_pyarrow),
    "Ray Data": ("ray", through_ray),
    "Spark": ("pyspark", through_spark),
    "Daft": ("daft", through_daft),
    "Polars": ("polars", through_polars),
    "DuckDB": ("duckdb", through_duckdb),
    "datasets": ("datasets", through_datasets),
    "pandas": ("pandas", through_pandas),
}
"""Name of an engine to its module and its function."""


def marks(engine):
    """Marks of a test of an engine. One process of the tests has the one Ray, and the one Spark."""
    group = {"Ray Data": "ray", "Spark": "spark"}.get(engine)
    if group is None:
        return []
    return [pytest.mark.slow, pytest.mark.xdist_group(group), pytest.mark.timeout(900)]


def start(engine):
    """Starts an engine that has to be started and is not; skips the test where the engine is not installed."""
    module = ENGINES[engine][0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed" + (": make test-spark" if module == "pyspark" else ""))
    if engine == "Spark" and "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        pytest.skip("Spark needs a Java: JAVA_HOME is not set, and there is no java on the path")
    if engine == "Ray Data":
        start_ray()
    elif engine == "Spark":
        spark()


def start_ray():
    """Starts a Ray of one node, without what watches it; it waits for its agents however busy the machine is."""
    import ray
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        return
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "300000")
    os.environ.setdefault("RAY_worker_niceness", "0")  # or its workers starve where others are at work too
    # more CPUs than there may be: actors hold one each, and tasks must find another; a GPU that is only said to be there
    node = {"num_cpus": 4, "num_gpus": 1, "object_store_memory": 200 * 2**20}
    less = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    for patience in range(4, -1, -1):
        try:
            with bench_script("chaos_run").patient_node() as ports:
                _started["cluster"] = Cluster(initialize_head=True, head_node_args=node | less | ports)
            break
        except Exception:
            if not patience:
                raise
    ray.init(address=_started["cluster"].address, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False


_started = {}


def spark():
    """The session of this process; `SKIPTHINK_SPARK=local-cluster[2,1,1024]` has executors in processes of their own."""
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    os.environ["PYSPARK_PYTHON"] = sys.executable  # its workers would run the first python3 of the path
    builder = SparkSession.builder.master(os.environ.get("SKIPTHINK_SPARK", "local[2]"))
    for name, value in SPARK.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


SPARK = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
}
"""Spark that listens on this machine alone, without a page of its own."""


def stop_all():
    """Ends the Ray and the Spark of this process."""
    ray, sql = sys.modules.get("ray"), sys.modules.get("pyspark.sql")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        _started.pop("cluster").shutdown()
    if sql is not None and (running := sql.SparkSession.getActiveSession()) is not None:
        running.stop()
