"""What a row costs on its way from file to file, in CPU µs: reading, computing, writing, and all of it together.

`nice python bench/stream_cost.py --rows 200000` makes a Parquet file (mean 12 steps), reads its batches, maps them in
memory and writes the results, and then has `process_files` do all three. The least of `--repeats` counts. The ratio
is what matters: what `process_files` takes beside the sum of the three. Bytes per row are those of the columns that
are read, in memory, and of the file that is written.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import pyarrow as pa

import skipthink
from skipthink.io.files import atomic_path
from skipthink.io.tables import read_batches
from skipthink.io.writer import BatchWriter
from skipthink.stream.checker import Checker
from skipthink.stream.files import process_files, tally_chunks
from skipthink.stream.splitter import Splitter
from streaming import M, make

GROUP = 131_072


def functions():
    """Name, batch function, and what its results are counted by."""
    options = {"keep": ["id"], "n_tokens": "n_tokens", "num_threads": 1}
    yield "split", Splitter(keep=["id"], num_threads=1), None
    yield "chunk, optimal", skipthink.Chunker(M, method="optimal", **options), tally_chunks
    yield "chunk, greedy", skipthink.Chunker(M, method="greedy", **options), tally_chunks
    yield "check, number", Checker("number", text="rationale", gold="gold", keep=["id"]), None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="names that begin so")
    parser.add_argument("--folder", type=Path, default=None, help="where the files lie while it runs")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        make(folder / "rows.parquet", options.rows)
        print(f"{options.rows:,} rows, CPU µs per row")
        columns = "function, read, compute, write, sum, to a file, to a folder, ratio, bytes in, bytes out"
        print(f"| {columns.replace(', ', ' | ')} |\n{'|---' * 10}|")
        for title, function, tally in functions():
            if title.startswith(options.only):
                print_costs(title, function, tally, folder, options)


def print_costs(title, function, tally, folder, options):
    rounds = [costs(function, tally, folder, options.rows) for _ in range(options.repeats)]
    read, compute, write, file, parts = (min(column) for column in zip(*rounds, strict=True))
    core = read + compute + write
    batches = read_batches(folder / "rows.parquet", function.columns)
    taken = sum(batch.nbytes for batch in batches) / options.rows
    given = (folder / "out.parquet").stat().st_size / options.rows
    print(
        f"| {title} | {read:.2f} | {compute:.2f} | {write:.2f} | {core:.2f} | {file:.2f} | {parts:.2f} "
        f"| {file / core:.2f}, {parts / core:.2f} | {taken:.0f} | {given:.0f} |",
        flush=True,
    )


def costs(function, tally, folder, rows):
    source, out, parts = folder / "rows.parquet", folder / "out.parquet", folder / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    core = core_costs(function, source, out)
    file, _ = timed(lambda: process_files(source, out, function, tally=tally))
    whole, _ = timed(lambda: process_files(source, f"{parts}/", function, tally=tally))
    return [seconds / rows * 1e6 for seconds in (*core, file, whole)]


def core_costs(function, source, out):
    read, batches = timed(lambda: list(read_batches(source, function.columns)))
    compute, results = timed(lambda: list(map(function, batches)))
    table = pa.Table.from_batches(results)
    write, _ = timed(lambda: write_table(table, out))
    return read, compute, write


def write_table(table, out):
    with atomic_path(out) as scratch, BatchWriter(scratch, table.schema, ".parquet", quick=True) as writer:
        for start in range(0, table.num_rows, GROUP):
            writer.write(table.slice(start, GROUP))


def timed(call):
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


if __name__ == "__main__":
    main()
