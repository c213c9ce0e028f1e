"""What a row costs the batch functions that ask a student, from file to file: CPU ms, bytes in and out.

    python bench/model_cost.py runs/demo --method base+sbc --rows 512

The rationales and the student (which must be trained chunk-wise: it judges) are those of a finished run. One function
reads what another one has written: rationales are scored and chunked, then judged and planned as training items; the
student answers the questions. The model is loaded before the clock starts. As in `stream_cost.py`, reading, computing
and writing are timed apart, then `process_files` does all three; the least of `--repeats` counts. One thread.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

import skipthink
from skipthink.stream import Generator, ItemPlanner, Scorer, SkipJudge
from skipthink.stream.files import process_files
from skipthink.student.student import Student
from stream_cost import core_costs, timed

WARM_ROWS = 8


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--method", default="base+sbc", help="whose student is asked")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    torch.set_num_threads(1)
    model = options.run / "train" / options.method / "s0" / "model"
    student = Student.load(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = pq.read_table(options.run / "data" / "train.parquet").slice(0, options.rows)
        pq.write_table(table.select(["id", "question", "rationale", "answer"]), folder / "rows.parquet")
        n_parameters = sum(weights.numel() for weights in student.model.parameters())
        print(f"{table.num_rows:,} rows, {n_parameters:,} parameters; per row: CPU ms and bytes")
        print("| function | compute | read, compute, write | to a folder | ratio | bytes in | bytes out |")
        print("|---|---|---|---|---|---|---|")
        for title, source, function, result in functions(str(model), student.n_chunks, folder):
            print_costs(title, folder / source, function, folder / result, options.repeats)


def functions(model, n_chunks, folder):
    """Name, file that is read, batch function, and the file that its result is kept in for the ones behind it."""
    options = {"num_threads": 1}
    yield "score, free", "rows.parquet", Scorer(model, passes="free", **options), "free.parquet"
    yield "score, conditioned", "rows.parquet", Scorer(model, **options), "scored.parquet"
    chunker = skipthink.Chunker(n_chunks, n_tokens="n_tokens", end_losses="end_losses", **options)
    yield "chunk", "scored.parquet", chunker, "chunked.parquet"
    yield "plan items", "chunked.parquet", ItemPlanner(model, **options), "items.parquet"
    judge = SkipJudge(model, kind="number", **options)
    yield "judge", "chunked.parquet", judge, "judged.parquet"
    yield "generate", "rows.parquet", Generator(model, **options), "answers.parquet"


def print_costs(title, source, function, result, repeats):
    n_rows = pq.read_metadata(source).num_rows
    few = pq.ParquetFile(source).iter_batches(WARM_ROWS, columns=function.columns)
    function(next(few))  # loads the model
    parts = result.with_suffix("")
    rounds = [costs(function, source, result, parts) for _ in range(repeats)]
    read, compute, write, whole = (min(column) / n_rows * 1e3 for column in zip(*rounds, strict=True))
    core = read + compute + write
    size_in, size_out = (size(path) / n_rows for path in (source, parts))
    print(
        f"| {title} | {compute:.3f} | {core:.3f} | {whole:.3f} | {whole / core:.2f} | {size_in:.0f} | {size_out:.0f} |",
        flush=True,
    )


def costs(function, source, result, parts):
    shutil.rmtree(parts, ignore_errors=True)
    core = core_costs(function, source, result)
    whole, _ = timed(lambda: process_files(source, f"{parts}/", function))
    return *core, whole


def size(path):
    files = [path] if path.is_file() else path.rglob("part-*")
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
