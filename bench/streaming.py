"""Time and memory of streams of 0.1, 1 and 10 million rationales, and of a skip ledger of 10 million rows.

`nice python bench/streaming.py --rows 100000 1000000 10000000` makes each file on the fly (mean 12 steps),
chunks it to Parquet in a process of its own, and removes both. `--ledger 10000000` times the ledger instead.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import skipthink

BLOCK = 100_000
M = 4
SENTENCES = [
    "First we read what is asked.", "There are 12 boxes with 7 pens each.", "So 12 * 7 = 84 pens.",
    "Wait, that is all?", "Half of them are blue, that is 84 / 2 = 42.", "Then 5 more are found.",
    "Now we add them up.", "Hence 42 + 5 = 47.",
    "This is less than before.", "In other words, nothing is left over.", "We check the sum once more.", "It fits.",
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--ledger", type=int, nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="where the files lie while it runs")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(chunk_one(*map(Path, options.work), options.threads)))
        return
    for n_rows in options.ledger:
        time_ledger(n_rows)
    for n_rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            time_stream(n_rows, Path(folder), options.threads)


def time_stream(n_rows, folder, threads):
    source, out = folder / "rows.parquet", folder / "chunks.parquet"
    make(source, n_rows)
    command = [sys.executable, __file__, "--threads", str(threads), "--work", str(source), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    sizes = [path.stat().st_size / 2**20 for path in (source, out)]
    print(
        f"stream {n_rows:>11,} rows  {sizes[0]:6.0f} MiB in  {sizes[1]:6.0f} MiB out"
        f"  {found['seconds']:7.1f} s ({found['cpu']:.1f} s CPU)  {n_rows / found['seconds']:9,.0f} rows/s"
        f"  {found['anonymous_mib']:6.0f} MiB over the mapped input ({found['peak_mib']:.0f} MiB with it)",
        flush=True,
    )


def chunk_one(source, out, threads):
    """Chunks one file; seconds, and the most memory held, less what importing took."""
    list(
        skipthink.chunk_batches([{"rationale": ["One."], "losses": [[1.0]]}], M)
    )  # imports what Arrow imports
    watch = Watch()
    chunker = skipthink.Chunker(M, keep=["id"], n_tokens="n_tokens", num_threads=threads)
    started, cpu = time.perf_counter(), time.process_time()
    report = skipthink.chunk_file(source, out, chunker)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mib": peak,
        "anonymous_mib": watch.stop(),
        "rows": report["rows"],
    }


class Watch:
    """The most anonymous memory of this process: pages of memory-mapped files are the input itself."""

    def __init__(self):
        self.peak, self.going = 0.0, True
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while self.going:
            self.peak = max(self.peak, anonymous())
            time.sleep(0.05)

    def stop(self):
        self.going = False
        self.thread.join()
        return max(self.peak, anonymous())


def anonymous():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def make(path, n_rows):
    """Rationales of 1 … 23 sentences with gamma losses, 100 000 of their own again and again with other losses."""
    random = np.random.default_rng(0)
    writer = None
    for start in range(0, n_rows, BLOCK):
        n = min(BLOCK, n_rows - start)
        steps = random.integers(1, 24, n)
        offsets = np.concatenate([[0], np.cumsum(steps)])
        chosen = random.integers(0, len(SENTENCES), offsets[-1]).tolist()
        texts = [
            " ".join([SENTENCES[index] for index in chosen[first:last]])
            for first, last in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        ]
        lists = pa.array(offsets, type=pa.int32())
        losses = random.gamma(2.0, 0.5, offsets[-1]).astype(np.float32)
        weights = random.integers(3, 12, offsets[-1], dtype=np.int32)
        table = pa.table(
            {
                "id": np.arange(start, start + n),
                "rationale": texts,
                "losses": pa.ListArray.from_arrays(lists, losses),
                "n_tokens": pa.ListArray.from_arrays(lists, weights),
                "gold": ["47"] * n,
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy")
        writer.write_table(table)
    writer.close()


def time_ledger(n_rows, batch=100_000):
    pa.array(np.zeros(1))  # imports what Arrow imports
    random = np.random.default_rng(0)
    boundaries = np.zeros((n_rows, M + 1), dtype=np.int64)
    np.cumsum(random.integers(0, 4, (n_rows, M)), axis=1, out=boundaries[:, 1:])
    before = anonymous()
    ledger = timed("SkipLedger", n_rows, lambda: skipthink.SkipLedger(boundaries))
    print(f"{'':<26}{(anonymous() - before) * 2**20 / n_rows:10.1f} bytes per row")
    first = timed("first small batch, 512", 512, lambda: ledger.next_batch(512))
    timed("record of 512", 512, lambda: ledger.record(*first, np.ones(512, dtype=bool)))
    seconds = [0.0, 0.0]
    slowest = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.bin"
        whole = skipthink.SkipLedger(boundaries)
        written = 0.0
        with skipthink.LedgerFile(path, whole, "bench") as file:
            while not whole.done:
                started = time.perf_counter()
                rows, chunks = whole.next_batch(batch)
                asked = time.perf_counter()
                right = random.random(len(rows)) < 0.7
                drawn = time.perf_counter()
                file.record(rows, chunks, right)
                took = (asked - started, time.perf_counter() - drawn)
                seconds = [total + one for total, one in zip(seconds, took, strict=True)]
                slowest = [max(pair) for pair in zip(slowest, took, strict=True)]
        written = path.stat().st_size / whole.asked
        for name, total, most in zip(("next_batch", "LedgerFile.record"), seconds, slowest, strict=True):
            print(
                f"{name:<26}{total:10.2f} s{whole.asked / total:16,.0f} questions/s, slowest batch {most * 1000:.0f} ms"
            )
        again = skipthink.SkipLedger(boundaries)
        opened = timed("replay of the file", whole.asked, lambda: skipthink.LedgerFile(path, again, "bench"))
        opened.close()
        assert again.to_bytes() == whole.to_bytes()
        print(f"{'file':<26}{written:10.2f} bytes per answer, {whole.asked:,} answers")
    content = timed("to_bytes", n_rows, whole.to_bytes)
    timed("from_bytes", n_rows, lambda: skipthink.SkipLedger.from_bytes(content))
    table = timed("to_arrow", n_rows, whole.to_arrow)
    timed("from_arrow", n_rows, lambda: skipthink.SkipLedger.from_arrow(table))
    timed("stats", n_rows, whole.stats)


def timed(name, count, call):
    started = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - started
    print(f"{name:<26}{seconds:10.4f} s{count / seconds:16,.0f} a second", flush=True)
    return result


if __name__ == "__main__":
    main()
