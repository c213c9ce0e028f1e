"""Runs a recipe on a Ray cluster of three nodes and kills a node in mid-run: the result must be that of one process.

    python bench/chaos_run.py --times 20 --seed 0 --out /tmp/chaos

Every round draws a moment and kills a node that has work at that moment (SIGKILL to all its processes); a new node takes
its place. Compared are all tables (chunks, items, skip data, answers), the weights bit by bit, and the results less what a
clock has measured. Needs the package ray.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

RECIPE = """
name: chaos
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 24, validation: 4, test: 8}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 1024}
chunks: {M: 2}
training: {epochs: EPOCHS, batch_size: 8, save_steps: 2, chunk_dropout: 0.2}
skip: {batch_size: 8}
evaluation: {batch_size: 4, alone_questions: 2, stage_questions: 4}
methods: [base, stt]
"""
SYSTEM = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""So that the death of a node is noticed within seconds."""
WITH_CLOCK = ("seconds", "torn_bytes", "runtime", "per_second")
"""Parts of names of what differs from run to run, or tells of a kill."""


def run_in_one_process(recipe: Path, out: Path) -> None:
    """All jobs one after the other, in this process."""
    from skipthink.run.folder import RunFolder
    from skipthink.run.jobs import build_graph
    from skipthink.run.process import job_environment, set_threads
    from skipthink.run.recipe import load_recipe
    from skipthink.run.report import write_report
    from skipthink.run.work import run_job

    os.environ.update(job_environment(1))
    loaded, folder = load_recipe(recipe), RunFolder(out)
    with folder.locked():
        folder.adopt(loaded)
        graph = build_graph(loaded)
        folder.begin(graph)
        for job in graph:
            set_threads(1, job)
            run_job(folder, graph, job, lambda done, total: None)
        write_report(folder, graph)


class ThreeNodes:
    """A head without CPUs, where the driver is, and two nodes that work."""

    def __init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "_system_config": SYSTEM, "object_store_memory": 80 * 2**20},
        )
        self.workers = [self._add(), self._add()]

    def _add(self):
        return self.cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    def kill(self, node_id: str) -> None:
        """Kills a node, by its id, without letting it say good-bye."""
        node = next(node for node in self.workers if node.node_id == node_id)
        self.workers.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def refill(self) -> None:
        """Two nodes that work again."""
        while len(self.workers) < 2:
            self.workers.append(self._add())

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.cluster.shutdown()


def working_nodes(out: Path) -> dict[str, str]:
    """Jobs under way → the id of the node that works on each."""
    found = {}
    for path in out.glob("tries/*/*/began.json"):
        with contextlib.suppress(OSError, ValueError):
            job = json.loads((path.parent / "ticket.json").read_text())["job"]
            found[job] = json.loads(path.read_text())["node_id"]
    return found


def run_and_kill(recipe: Path, out: Path, nodes: ThreeNodes, delay: float, draw: random.Random) -> dict:
    """A run on the cluster, one node of which is killed `delay` seconds after the first job has begun."""
    words = [sys.executable, "-m", "skipthink", "run", str(recipe), "--out", str(out), "--engine", "ray"]
    words += ["--address", nodes.cluster.address, "--display", "plain"]
    killed, began, started = [], None, time.monotonic()
    with (out.parent / f"{out.name}.txt").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                working = working_nodes(out)
                began = began or (time.monotonic() if working else None)
                if began and not killed and working and time.monotonic() - began >= delay:
                    node = draw.choice(sorted(set(working.values())))
                    killed = sorted(job for job, where in working.items() if where == node)
                    nodes.kill(node)
                time.sleep(0.05)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    return {
        "code": process.returncode,
        "delay": round(delay, 2),
        "killed_in": killed,
        "lost": [event["job"] for event in events if event["event"] == "lost"],
        "starts": sum(event["event"] == "start" for event in events),
        "seconds": round(time.monotonic() - started, 1),
        "worked": round(time.monotonic() - (began or started), 1),
    }


def differences(expected: Path, found: Path) -> list[str]:
    """Files of a finished run that differ from another one, in what no clock has measured."""
    names = {
        path.relative_to(expected)
        for pattern in ("*.parquet", "*.safetensors", "train.json", "done.json", "results.json")
        for path in expected.rglob(pattern)
    }
    wrong = [f"{name} is missing" for name in sorted(names) if not (found / name).exists()]
    wrong += [f"{path.relative_to(found)} is left" for path in sorted(found.glob("tries/*"))]
    for name in sorted(name for name in names if (found / name).exists()):
        left, right = expected / name, found / name
        if name.suffix == ".parquet":
            same = pq.read_table(left).equals(pq.read_table(right))
        elif name.suffix == ".json":
            same = _timeless(json.loads(left.read_text())) == _timeless(json.loads(right.read_text()))
        else:
            same = left.read_bytes() == right.read_bytes()
        wrong += [] if same else [f"{name} differs"]
    return wrong


def _timeless(value):
    if isinstance(value, dict):
        return {
            key: _timeless(part) for key, part in value.items() if not any(word in key for word in WITH_CLOCK)
        }
    if isinstance(value, list):
        return [_timeless(part) for part in value]
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the drawn moments")
    parser.add_argument("--epochs", type=int, default=4, help="of each training: how long a round takes")
    parser.add_argument("--length", type=float, default=None, help="seconds among which the moment is drawn")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = options.out / "chaos.yaml"
    recipe.write_text(RECIPE.replace("EPOCHS", str(options.epochs)))
    expected = options.out / "one-process"
    shutil.rmtree(expected, ignore_errors=True)
    run_in_one_process(recipe, expected)
    draw, failed, length = random.Random(options.seed), 0, options.length
    with ThreeNodes() as nodes:
        if length is None:  # how long a run takes here that nobody disturbs
            shutil.rmtree(options.out / "undisturbed", ignore_errors=True)
            whole = run_and_kill(recipe, options.out / "undisturbed", nodes, float("inf"), draw)
            whole["differences"] = differences(expected, options.out / "undisturbed")
            print(json.dumps({"round": "undisturbed", **whole}), flush=True)
            failed += bool(whole["code"] or whole["differences"])
            length = whole["worked"]
        for number in range(options.times):
            out = options.out / f"round-{number}"
            shutil.rmtree(out, ignore_errors=True)
            found = run_and_kill(recipe, out, nodes, draw.uniform(0, 0.9 * length), draw)
            found["differences"] = differences(expected, out)
            failed += bool(found["code"] or found["differences"])
            print(json.dumps({"round": number, **found}), flush=True)
            nodes.refill()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
