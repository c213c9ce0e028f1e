"""Works on files on a Ray cluster of three nodes and kills a node in mid-job: the result must be that of one process.

    python bench/chaos_files.py --times 20 --seed 0
    python bench/chaos_files.py --times 20 --only split check generate

Every round draws a moment and a node and kills it (SIGKILL to all its processes); a new node takes its place. Compared
are the names and the bytes of all parts, and the counts of the report; parts that were done at the moment of the kill
must not be done again. The first round is not disturbed: it goes on from a half that one process has done. Needs the
package ray.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import skipthink
from chaos_run import ThreeNodes
from skipthink.stream.files import process_files, tally_chunks, tally_verdicts
from skipthink.stream.function import BatchFunction
from skipthink.stream.shards import Share

COUNTED = ("rows_in", "rows_out", "bad", "parts", "tally", "bytes_in", "bytes_out")
"""Of the report, what must be as without a kill."""
WIDER = 20.0
"""How much wider than usual the weights of a student are drawn."""


@dataclass
class Work:
    """What a round does.

    Attributes:
        source: what is read.
        function: the batch function.
        options: of `process_files`.
        report: of one process.
    """

    source: Path
    function: BatchFunction
    options: dict[str, Any]
    report: dict[str, Any] = field(default_factory=dict)

    def do(self, out: Path, **options: Any) -> dict[str, Any]:
        """The work, to a folder; returns the report."""
        return process_files(self.source, f"{out}/", self.function, **self.options, **options)


def chunk_work(folder: Path, n_parts: int) -> Work:
    """Chunking of four files of rows with drawn losses, some of which are bad."""
    draw = np.random.default_rng(0)
    rows = 200 * n_parts // 4
    source = folder / "rows"
    source.mkdir()
    for shard in range(4):
        lengths = draw.integers(1, 12, rows)
        losses = [draw.gamma(2.0, 0.5, k) for k in lengths]
        losses[shard][0] = np.nan
        table = pa.table(
            {
                "id": np.arange(shard * rows, (shard + 1) * rows),
                "rationale": [" ".join(f"Then {step} is added." for step in range(k)) for k in lengths],
                "losses": losses,
            }
        )
        pq.write_table(table, source / f"{shard}.parquet", row_group_size=200)
    chunker = skipthink.Chunker(3, keep=["id"], on_error="null", num_threads=1)
    return Work(source, chunker, {"part_rows": 200, "tally": tally_chunks})


def word_problems(folder: Path, n_parts: int, rows: int) -> Path:
    """A file of questions with rationales and answers, `rows` of them in each part."""
    from skipthink import tasks

    samples = tasks.make("multi_step_arithmetic", train=n_parts * rows, validation=0, test=0, seed=1)["train"]
    source = folder / "rows.parquet"
    columns = ["id", "question", "rationale", "answer"]
    pq.write_table(pa.Table.from_pylist(samples).select(columns), source, row_group_size=rows)
    return source


def split_work(folder: Path, n_parts: int) -> Work:
    """Splitting of rationales into steps."""
    from skipthink.stream import Splitter

    return Work(word_problems(folder, n_parts, 100), Splitter(keep=["id"]), {"part_rows": 100})


def check_work(folder: Path, n_parts: int) -> Work:
    """Checking of the answers that rationales end in."""
    from skipthink.stream import Checker

    checker = Checker("number", keep=["id"])
    options = {"part_rows": 100, "tally": tally_verdicts}
    return Work(word_problems(folder, n_parts, 100), checker, options)


def random_student(source: Path, folder: Path) -> Path:
    """A student of random weights, with the words of a file, that answers in at most 24 tokens."""
    from skipthink.student.inference import MODES
    from skipthink.student.models import make_student, save_student

    read = pq.read_table(source)
    texts = [text for name in ("question", "rationale", "answer") for text in read[name].to_pylist()]
    model, tokenizer = make_student(
        texts, n_chunks=2, seed=0, hidden_size=32, num_layers=2, num_heads=2, vocab_size=300
    )
    for weights in model.parameters():  # wide, so that what is written depends on what is asked
        if weights.dim() > 1:
            weights.data.mul_(WIDER)
    about = {"mode": "base", "n_chunks": 2, "max_target_tokens": {str(MODES["base"]): 24}, "empty_stages": []}
    save_student(model, tokenizer, folder / "student", about=about)
    return folder / "student"


def score_work(folder: Path, n_parts: int) -> Work:
    """Scoring of a file with a student of random weights."""
    from skipthink.stream import Scorer

    source = word_problems(folder, n_parts, 20)
    student = random_student(source, folder)
    scorer = Scorer(student, n_chunks=2, keep=["id"], device="cpu", num_threads=1)
    return Work(source, scorer, {"part_rows": 20})


def generate_work(folder: Path, n_parts: int) -> Work:
    """Answering of the questions of a file, with a student of random weights."""
    from skipthink.stream import Generator

    source = word_problems(folder, n_parts, 20)
    generator = Generator(random_student(source, folder), keep=["id"], device="cpu", num_threads=1)
    return Work(source, generator, {"part_rows": 20})


WORKS = {
    "chunk": chunk_work,
    "score": score_work,
    "split": split_work,
    "check": check_work,
    "generate": generate_work,
}


def done_parts(out: Path) -> dict[str, int]:
    """Parts that are done, with the time at which it was noted."""
    found = {}
    for path in (out / "_skipthink" / "parts").glob("*.json"):
        found[path.stem] = path.stat().st_mtime_ns
    return found


class Killer(threading.Thread):
    """Kills a node `delay` seconds after the first part is done that was not done before.

    Args:
        out: the folder of the result.
        nodes: the cluster.
        delay: seconds.
        draw: draws the node.
    """

    def __init__(self, out: Path, nodes: ThreeNodes, delay: float, draw: random.Random) -> None:
        super().__init__(daemon=True)
        self.out, self.nodes, self.delay, self.draw = out, nodes, delay, draw
        self.over, self.began, self.done = threading.Event(), None, None
        self.before = len(done_parts(out))

    def run(self) -> None:
        while not self.over.wait(0.01):
            if self.began is None and len(done_parts(self.out)) > self.before:
                self.began = time.monotonic()
            if self.began is not None and time.monotonic() - self.began >= self.delay:
                node = self.draw.choice(self.nodes.workers)
                self.done = done_parts(self.out)
                self.nodes.kill(node.node_id)
                return


def differences(work: Work, expected: Path, out: Path, report: dict[str, Any]) -> list[str]:
    """What differs from the result of one process."""
    names, found = ({path.name for path in folder.glob("part-*")} for folder in (expected, out))
    wrong = [f"{name} is missing" for name in sorted(names - found)]
    wrong += [f"{name} is one too many" for name in sorted(found - names)]
    wrong += [
        f"{name} differs"
        for name in sorted(names & found)
        if (expected / name).read_bytes() != (out / name).read_bytes()
    ]
    wrong += [f"{path.name} is left" for path in out.glob(".*")]
    return wrong + [
        f"{key}: {report[key]}, not {work.report[key]}" for key in COUNTED if report[key] != work.report[key]
    ]


def disturbed(work: Work, out: Path, nodes: ThreeNodes, delay: float, draw: random.Random) -> dict[str, Any]:
    """Work on the cluster, one node of which is killed meanwhile; what happened."""
    killer = Killer(out, nodes, delay, draw)
    killer.start()
    started = time.monotonic()
    report = work.do(out, engine="ray", address=nodes.cluster.address)
    ended = time.monotonic()
    killer.over.set()
    killer.join()
    now = done_parts(out)
    again = [name for name, when in (killer.done or {}).items() if now.get(name) != when]
    return {
        "report": report,
        "killed": killer.done is not None,
        "at": None if killer.done is None else round(killer.delay, 2),
        "done_before": None if killer.done is None else len(killer.done),
        "done_again": len(again),
        "seconds": round(ended - started, 1),
        "worked": round(ended - (killer.began or started), 1),
    }


def rounds(name: str, folder: Path, n_parts: int, times: int, nodes: ThreeNodes, draw: random.Random) -> int:
    """All rounds of one work, each told in a line; returns how many failed."""
    work, expected = WORKS[name](folder, n_parts), folder / "expected"
    work.report = work.do(expected)
    out, failed = folder / "out", 0

    def tell(number: int | str, found: dict[str, Any]) -> None:
        nonlocal failed
        report = found.pop("report")
        found["differences"] = differences(work, expected, out, report)
        failed += bool(found["differences"] or found["done_again"])
        told = {
            "work": name,
            "round": number,
            **found,
            "parts": report["parts"],
            "resumed": report["resumed"],
        }
        print(json.dumps(told), flush=True)

    work.do(out, share=Share(1, 2))
    half = work.do(out, share=Share(1, 2))["rows_in"]
    calm = disturbed(work, out, nodes, float("inf"), draw)
    is_resumed = calm["report"]["resumed"] == half
    tell("undisturbed", {**calm, "goes_on": is_resumed})
    failed += not is_resumed
    shutil.rmtree(out)
    length = 2 * calm["worked"]  # half of the work was done before
    for number in range(times):
        found: dict[str, Any] = {"killed": False}
        while not found["killed"]:  # a moment that came too late says nothing
            shutil.rmtree(out, ignore_errors=True)
            nodes.refill()
            found = disturbed(work, out, nodes, draw.uniform(0, 0.9 * length), draw)
            length = length if found["killed"] else found["worked"]
        tell(number, found)
    shutil.rmtree(out, ignore_errors=True)
    nodes.refill()
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the drawn moments and nodes")
    parser.add_argument("--parts", type=int, default=120, help="of each work")
    parser.add_argument("--only", choices=WORKS, nargs="+", default=["chunk", "score"])
    options = parser.parse_args()
    draw, failed = random.Random(options.seed), 0
    with ThreeNodes() as nodes:
        for name in options.only:
            with tempfile.TemporaryDirectory() as folder:
                failed += rounds(name, Path(folder), options.parts, options.times, nodes, draw)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
