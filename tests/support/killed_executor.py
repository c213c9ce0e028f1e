"""A Spark job with two executors in processes of their own, one of which is killed: `killed_executor.py FOLDER`.

Reads FOLDER/rows.parquet and writes FOLDER/chunks. Every batch leaves a file in FOLDER/seen. When there are some, and not
all, the executor of the first of them is killed with SIGKILL, and FOLDER/killed says which and when.
"""

import json
import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path

from engines import spark

import skipthink
from skipthink.stream import map_in_arrow

PARTITIONS = 20
FIRST = 4
"""Batches that are seen before an executor is killed."""


class Slow(skipthink.Chunker):
    """A chunker that takes its time, and notes the executor of each batch."""

    seen: Path

    def over(self, batches):
        for batch in batches:
            time.sleep(0.5)
            yield self(batch)
            executor = executor_of(os.getpid())
            (self.seen / uuid.uuid4().hex).write_text(str(executor), encoding="utf-8")


def executor_of(process):
    """The process id of the executor that a Python worker belongs to: the Java process above it."""
    proc = Path("/proc")
    while b"CoarseGrainedExecutorBackend" not in (proc / str(process) / "cmdline").read_bytes():
        stat = (proc / str(process) / "stat").read_text(encoding="utf-8")
        process = int(stat.rpartition(")")[2].split()[1])
    return process


def notes_of(seen):
    """Executors of the batches that were seen, in their order."""
    paths = sorted(seen.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [text for path in paths if (text := path.read_text(encoding="utf-8"))]


def kill_one(folder):
    while len(notes_of(folder / "seen")) < FIRST:
        time.sleep(0.05)
    found = notes_of(folder / "seen")
    if len(found) < PARTITIONS:
        os.kill(int(found[0]), signal.SIGKILL)
        note = {"executor": int(found[0]), "batches": len(found)}
        (folder / "killed").write_text(json.dumps(note), encoding="utf-8")


def main(folder):
    seen = folder / "seen"
    seen.mkdir()
    os.environ["SKIPTHINK_SPARK"] = "local-cluster[2,1,1024]"
    chunker = Slow(3, method="optimal", keep=["id"], on_error="null")
    chunker.seen = seen
    session = spark()
    rows = session.read.parquet(str(folder / "rows.parquet")).repartition(PARTITIONS)
    threading.Thread(target=kill_one, args=[folder], daemon=True).start()
    map_in_arrow(rows, chunker).write.parquet(str(folder / "chunks"))
    session.stop()
    notes = notes_of(seen)
    (folder / "ran.json").write_text(json.dumps(notes), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
