"""What engines cost beside one process: seconds, CPU seconds and memory of chunking a file on Ray Data and Spark.

    nice python bench/engine_cost.py --rows 1000000 --rounds 3
    nice python bench/engine_cost.py --rows 10000000 --rounds 1 --only one 'Ray Data, 2' 'Spark, 2'

Makes a Parquet file (mean 12 steps), and has every engine chunk it into a folder of Parquet files, in turns, each time
in a new process. The start is apart: an engine starts and chunks a few thousand rows before its clock begins. CPU
seconds and memory are those of all its processes: user and system time; private and shared memory without the pages
of mapped files, looked at every 0.2 s. The results must be those of one process. Ray and Spark are left out where
they are not installed.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds

import skipthink
from skipthink.stream import map_in_arrow
from skipthink.stream.files import process_files
from streaming import M, make

WARM_ROWS = 5_000
COLUMNS = ["id", "rationale", "losses", "n_tokens"]
CHUNKER = skipthink.Chunker(M, method="optimal", keep=["id"], n_tokens="n_tokens", num_threads=1)
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def one_process(workers):
    yield lambda source, out: process_files(source, f"{out}/", CHUNKER, workers=workers)


@contextlib.contextmanager
def ray_data(workers):
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "300000")
    os.environ.setdefault("RAY_worker_niceness", "0")  # its workers are as nice as the others that are timed
    import ray

    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=workers, object_store_memory=2**30, **options)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def run(source, out):
        rows = ray.data.read_parquet(str(source), columns=COLUMNS)
        rows.map_batches(CHUNKER, batch_format="pyarrow", batch_size=None).write_parquet(str(out))

    yield run
    ray.shutdown()


@contextlib.contextmanager
def spark(workers):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = builder.config("spark.driver.memory", "2g").getOrCreate()

    def run(source, out):
        rows = session.read.parquet(str(source)).select(*COLUMNS)
        map_in_arrow(rows, CHUNKER).write.parquet(str(out))

    yield run
    session.stop()


ENGINES = {
    "one process": ("skipthink", one_process, None),
    "skipthink, 2 workers": ("skipthink", one_process, 2),
    "Ray Data, 1 CPU": ("ray", ray_data, 1),
    "Ray Data, 2 CPUs": ("ray", ray_data, 2),
    "Spark, 1 core": ("pyspark", spark, 1),
    "Spark, 2 cores": ("pyspark", spark, 2),
}
"""Name to module, what starts the engine, and workers."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[""], help="names that begin so")
    parser.add_argument("--folder", type=Path, default=None, help="where the files lie while it runs")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]))
        return
    names = [name for name, (module, *_) in ENGINES.items() if importlib.util.find_spec(module)]
    names = [name for name in names if name.startswith(tuple(options.only))]
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        make(folder / "warm.parquet", WARM_ROWS)
        make(folder / "rows.parquet", options.rows)
        expected = outcome(folder, ENGINES["one process"][1], options.rows)
        found = {name: [] for name in names}
        for number in range(options.rounds):
            for name in (*names[number % len(names) :], *names[: number % len(names)]):
                found[name].append(measure(name, folder, expected))
                print(f"# {name}: {json.dumps(found[name][-1])}", flush=True)
    print_table(options.rows, found)


def outcome(folder, engine, n_rows):
    """What one process finds, for comparison."""
    with engine(None) as run:
        run(folder / "rows.parquet", folder / "expected")
    return rows_of(folder / "expected", n_rows)


def rows_of(out, n_rows):
    """Boundaries, objectives and bytes of the texts, by id; whatever order the rows are in. Every row is there once."""
    cuts = np.full((n_rows, M + 1), -1)
    objective, size, times = np.zeros(n_rows), np.zeros(n_rows, np.int64), np.zeros(n_rows, np.int64)
    files = ds.dataset(out, format="parquet", exclude_invalid_files=False)
    for batch in files.to_batches(columns=["id", "boundaries", "objective", "chunks"]):
        ids = batch["id"].to_numpy()
        cuts[ids] = pc.list_flatten(batch["boundaries"]).to_numpy().reshape(-1, M + 1)
        objective[ids] = batch["objective"].to_numpy()
        lengths = pc.binary_length(pc.list_flatten(batch["chunks"])).to_numpy()
        size[ids] = lengths.reshape(-1, M).sum(axis=1)
        np.add.at(times, ids, 1)
    assert (times == 1).all(), f"{(times != 1).sum()} rows are missing or there twice"
    return cuts, objective, size


def measure(name, folder, expected):
    """Seconds and memory of one engine, in a process of its own."""
    command = [sys.executable, __file__, "--work", name, str(folder)]
    shutil.rmtree(folder / "out", ignore_errors=True)
    shutil.rmtree(folder / "warm", ignore_errors=True)
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        told(child, "ready")
        start, before = time.perf_counter(), cpu_of(child.pid)
        watch = Watch(child.pid)
        child.stdin.write("go\n")
        child.stdin.flush()
        told(child, "done")
        seconds, cpu = time.perf_counter() - start, cpu_of(child.pid) - before
        peak, at_start = watch.stop()
        child.stdin.close()
    for mine, theirs in zip(rows_of(folder / "out", len(expected[0])), expected, strict=True):
        assert np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"), name
    return {
        "start": round(start - began, 1),
        "seconds": round(seconds, 2),
        "cpu": round(cpu, 2),
        "mib": round(peak),
        "mib_at_start": round(at_start),
    }


def told(child, word):
    """Waits for a word of the child; engines may print lines of their own."""
    for line in child.stdout:
        if line.strip() == word:
            return
    raise SystemExit(f"the process ended before it was {word}")


def work(name, folder):
    """The child: starts the engine and warms it, says so, works when told to, and says so."""
    _, engine, workers = ENGINES[name]
    with engine(workers) as run:
        run(folder / "warm.parquet", folder / "warm")
        print("ready", flush=True)
        sys.stdin.readline()
        run(folder / "rows.parquet", folder / "out")
        print("done", flush=True)
        sys.stdin.readline()  # until the parent has looked


class Watch:
    """The most memory of a process and all that descend from it, in MiB."""

    def __init__(self, process):
        self.process, self.going = process, True
        self.peak = self.at_start = memory_of(process)
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while self.going:
            self.peak = max(self.peak, memory_of(self.process))
            time.sleep(0.2)

    def stop(self):
        self.going = False
        self.thread.join()
        return self.peak, self.at_start


def family(process):
    """Process ids and the fields of `/proc/PID/stat` from the state on, of a process and all that descend from it."""
    every = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            every[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    found, waiting = {}, [process]
    while waiting:
        parent = waiting.pop()
        found[parent] = every.get(parent, ["Z"] + ["0"] * 50)
        waiting += [child for child, stat in every.items() if int(stat[1]) == parent]
    return found


def cpu_of(process):
    """User and system seconds of a family, with those of children that have ended."""
    return sum(sum(map(int, stat[11:15])) for stat in family(process).values()) / TICKS


def memory_of(process):
    """Private and shared memory of a family in MiB; what several share counts once, mapped files do not count."""
    total = 0
    for member in family(process):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1])
    return total / 1024


def print_table(n_rows, found):
    least = statistics.median(row["cpu"] for row in next(iter(found.values())))
    print(f"{n_rows:,} rows, medians")
    print("| engine | start, s | seconds | CPU seconds | µs CPU per row | times one process | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for name, rounds in found.items():
        start, seconds, cpu, mib = (
            statistics.median(row[key] for row in rounds) for key in ("start", "seconds", "cpu", "mib")
        )
        print(
            f"| {name} | {start:.1f} | {seconds:.2f} | {cpu:.2f} | {cpu / n_rows * 1e6:.2f} "
            f"| {cpu / least:.1f} | {mib:,.0f} |"
        )


if __name__ == "__main__":
    main()
