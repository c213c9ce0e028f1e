"""Runs a recipe on a Ray cluster of three nodes and kills a node in mid-run: the result must be that of one process.

    python bench/chaos_run.py --times 20 --seed 0 --out /tmp/chaos

Every round draws a moment and kills a node that has work at that moment (SIGKILL to all its processes); a new node
takes its place. In the rounds of --commands the command is killed instead, and given again. With --store a further run
is kept in an object store, and its nodes share no folder; with --store-jobs its command is killed, given again with an
empty working copy, and then a node is killed. Compared are all tables (chunks, items, skip data, answers), the weights
bit by bit, and the results less what a clock has measured. Needs the package ray.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq

RECIPE = """
name: chaos
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 12, validation: 2, test: 6}
  task_options: {n_operations: 1, max_value: 20, max_number: 9}
student: {vocab_size: 400, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 512}
chunks: {M: 2, method: greedy}
training: {epochs: EPOCHS, batch_size: 8, save_steps: 2, chunk_dropout: 0.2, skip_weight: null, thought: per-chunk}
skip: {gate: answer, batch_size: 4}
evaluation: {batch_size: 8}
methods: [base, stt]
"""
SYSTEM = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
"""So that the death of a node is noticed within seconds."""
LISTEN_PORT = "dashboard_agent_listen_port"
AGENT_PORTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", LISTEN_PORT)
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


@contextlib.contextmanager
def patient_node() -> Iterator[dict[str, int]]:
    """Options of a node that waits for its agents however long they take to start on a busy machine.

    A node waits 15 s for its agents to say which ports they have found, and then ends. So it is told the ports, one of
    them by an argument that Ray does not pass on.
    """
    from ray._private import services

    with contextlib.ExitStack() as stack:
        ports = {}
        for name in AGENT_PORTS:
            place = stack.enter_context(socket.socket())
            place.bind(("127.0.0.1", 0))
            ports[name] = place.getsockname()[1]
    start = services.start_ray_process

    def started(command: list[str], process_type: str, *words: object, **named: object) -> object:
        if process_type == "raylet":
            command = [*command, f"--{LISTEN_PORT}={ports[LISTEN_PORT]}"]
        return start(command, process_type, *words, **named)

    with mock.patch.object(services, "start_ray_process", started):
        yield ports


class ThreeNodes:
    """A head without CPUs, where this process is the driver, and two nodes that work."""

    def __init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_agent_register_timeout_ms", "300000")
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
        from ray.cluster_utils import Cluster

        self.cluster = Cluster()
        self._add(num_cpus=0, include_dashboard=False, no_monitor=True, _system_config=SYSTEM)
        self.workers = [self._work(), self._work()]

    def _add(self, *, num_cpus: int = 1, **options: object):
        """A node; on a machine that is busy Ray may find that it takes too long, and it is tried again."""
        for patience in range(4, -1, -1):
            try:
                with patient_node() as ports:
                    return self.cluster.add_node(
                        num_cpus=num_cpus,
                        object_store_memory=80 * 2**20,
                        include_log_monitor=False,
                        **ports,
                        **options,
                    )
            except Exception:
                if not patience:
                    raise
        raise AssertionError

    def _work(self):
        """A node that works; it says that it has a GPU, so that jobs with a student are handed out by GPUs."""
        return self._add(num_gpus=1)

    def kill(self, node_id: str) -> None:
        """Kills a node, by its id, without letting it say good-bye."""
        node = next(node for node in self.workers if node.node_id == node_id)
        self.workers.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def refill(self) -> None:
        """Two nodes that work again."""
        while len(self.workers) < 2:
            self.workers.append(self._work())

    def __enter__(self):
        import ray

        # one driver for all rounds: nodes that live keep what they have loaded
        ray.init(address=self.cluster.address, log_to_driver=False, logging_level="WARNING")
        return self

    def __exit__(self, *error: object) -> None:
        import ray

        ray.shutdown()
        self.cluster.shutdown()


def address_of(store: str, name: str) -> str:
    """The address of a run in a store, whose own address may end in options."""
    base, mark, options = store.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{options}"


def has_checkpoint(store: str, job: str) -> bool:
    """Whether the try of a training that counts has put a complete checkpoint into a store."""
    from skipthink.io.places import Place

    tries = Place.of(store) / f"tries/{job.replace('/', '.')}"
    for name in [name for name, _ in tries.list(deep=True) if name.endswith("/ticket.json")]:
        state = (tries / name.replace("ticket", "state")).read_json() or {"files": {}}
        if any(f"{job}/checkpoints/checkpoint-" in file for file in state["files"]):
            return True
    return False


def begun(recipe: Path, out: Path | str, nodes: ThreeNodes, *more: object) -> subprocess.Popen[bytes]:
    """The command of a run on the cluster, in a process of its own."""
    words = ["run", recipe, "--out", out, "--engine", "ray", "--address", nodes.cluster.address, *more]
    return subprocess.Popen([sys.executable, "-m", "skipthink", *map(str, words)], stdout=sys.stderr)


def run_until_killed(recipe: Path, store: str, copy: Path, nodes: ThreeNodes, job: str) -> None:
    """A run by a process that is killed once a training has put a checkpoint into the store, which it holds no more."""
    from skipthink.io.places import Place

    with begun(recipe, store, nodes, "--copy", copy) as driver:
        while not has_checkpoint(store, job):
            if driver.poll() is not None:
                raise RuntimeError(
                    f"the run ended (exit code {driver.returncode}) before it was to be killed"
                )
            time.sleep(0.2)
        driver.kill()
    drivers = Place.of(store) / "drivers"
    for name, _ in drivers.list():  # else the next one would wait for a minute whether it lives
        (drivers / name).remove()


def working_nodes(out: Path) -> dict[str, str]:
    """Jobs under way → the id of the node that works on each."""
    found = {}
    for path in out.glob("tries/*/*/began.json"):
        with contextlib.suppress(OSError, ValueError):
            job = json.loads((path.parent / "ticket.json").read_text())["job"]
            found[job] = json.loads(path.read_text())["node_id"]
    return found


class Killer(threading.Thread):
    """Kills a node that works, `delay` seconds after the first job of a run has begun, or in mid-training.

    Args:
        out: the run folder.
        nodes: the cluster.
        delay: seconds.
        draw: draws among the nodes that work.
        job: a training, after whose first checkpoint its node is killed; None: after the seconds.
        command: the command of the run, which is killed instead of a node; None: a node.
        store: the address of the run in an object store; None: nodes share the folder.
    """

    def __init__(
        self,
        out: Path,
        nodes: ThreeNodes,
        delay: float,
        draw: random.Random,
        job: str | None = None,
        command: subprocess.Popen[bytes] | None = None,
        store: str | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.out, self.nodes, self.delay, self.draw, self.job = out, nodes, delay, draw, job
        self.command, self.store = command, store
        self.over, self.killed, self.moment, self.began = threading.Event(), [], None, None

    def run(self) -> None:
        while not self.killed and not self.over.wait(0.05):
            known = {node.node_id for node in self.nodes.workers}
            working = {job: node for job, node in working_nodes(self.out).items() if node in known}
            if self.began is None and working:
                self.began = time.monotonic()
            if self.is_time(working):
                self.moment = round(time.monotonic() - self.began, 2)
                self.kill(working)

    def kill(self, working: dict[str, str]) -> None:
        """Kills the command, or a node that works; notes the jobs that were under way there."""
        if self.command is not None:
            self.killed = sorted(working)
            self.command.kill()
            return
        node = working.get(self.job) or self.draw.choice(sorted(set(working.values())))
        self.killed = sorted(job for job, where in working.items() if where == node)
        self.nodes.kill(node)

    def is_time(self, working: dict[str, str]) -> bool:
        """Whether a node is to be killed now."""
        if self.job is None:
            return bool(working) and time.monotonic() - self.began >= self.delay
        if self.store is not None:
            return self.job in working and has_checkpoint(self.store, self.job)
        place = f"tries/{self.job.replace('/', '.')}/*/{self.job}/checkpoints/checkpoint-*/skipthink.json"
        return self.job in working and any(self.out.glob(place))


def run_and_kill(
    recipe: Path,
    out: Path,
    nodes: ThreeNodes,
    delay: float,
    draw: random.Random,
    job: str | None = None,
    store: str | None = None,
) -> dict:
    """A run on the cluster, one node of which is killed meanwhile; what happened."""
    from skipthink.io.progress import Display
    from skipthink.run.ray_pool import RayEngine
    from skipthink.run.recipe import load_recipe
    from skipthink.run.runner import run_recipe

    started, problem = time.monotonic(), None
    killer = Killer(out, nodes, delay, draw, job, store=store)
    where = {"out": out} if store is None else {"out": store, "copy": out}
    killer.start()
    try:
        with RayEngine(nodes.cluster.address) as engine:
            run_recipe(load_recipe(recipe), **where, engine=engine, display=Display(sys.stderr))
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    ended = time.monotonic()
    killer.over.set()
    killer.join()
    events = events_of(out)
    return {
        "problem": problem,
        "killed_in": killer.killed,
        "at": killer.moment,
        "lost": (lost := [event["job"] for event in events if event["event"] == "lost"]),
        "kept": {name: kept_steps(out, name) for name in lost},
        "starts": sum(event["event"] == "start" for event in events),
        "seconds": round(ended - started, 1),
        "worked": round(ended - (killer.began or started), 1),
    }


def kill_and_go_on(
    recipe: Path, out: Path, nodes: ThreeNodes, delay: float, draw: random.Random, job: str | None = None
) -> dict:
    """A run on the cluster whose command is killed, and given again; what happened."""
    command = begun(recipe, out, nodes)
    killer = Killer(out, nodes, delay, draw, job, command)
    killer.start()
    command.wait()
    killer.over.set()
    killer.join()
    finished = [event["job"] for event in events_of(out) if event["event"] == "done"]
    found = run_and_kill(recipe, out, nodes, float("inf"), draw)
    starts = [event["job"] for event in events_of(out) if event["event"] == "start"]
    return found | {
        "killed": "the command",
        "killed_in": killer.killed,
        "at": killer.moment,
        "kept": {name: kept_steps(out, name) for name in killer.killed},
        "again": [name for name in finished if starts.count(name) > 1],
    }


def events_of(out: Path) -> list[dict]:
    """The events of a run."""
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


def kept_steps(out: Path, job: str) -> int:
    """What the last try of a job has gone on from: steps of a training, samples of skip data."""
    try:
        return json.loads((out / "logs" / f"{job.replace('/', '.')}.progress").read_text())["kept"]
    except FileNotFoundError:
        return 0  # a job that says nothing of itself


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


def round_in_store(
    recipe: Path,
    out: Path,
    nodes: ThreeNodes,
    delay: float,
    draw: random.Random,
    options: argparse.Namespace,
) -> dict:
    """A round of a run in an object store, whose command is killed first where jobs are named; what happened."""
    store, job = address_of(options.store, out.name), None
    if options.store_jobs is not None:
        first, job = options.store_jobs
        run_until_killed(recipe, store, options.out / "killed", nodes, first)
    return run_and_kill(recipe, out, nodes, delay, draw, job, store)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the drawn moments")
    parser.add_argument("--epochs", type=int, default=4, help="of each training: how long a round takes")
    parser.add_argument("--length", type=float, default=None, help="seconds among which the moment is drawn")
    parser.add_argument("--job", help="kill the node of this training after its first checkpoint instead")
    parser.add_argument(
        "--commands", type=int, default=0, help="further rounds, in which the command is killed"
    )
    parser.add_argument("--store", help="an address in an object store, where a further run is kept")
    parser.add_argument(
        "--store-jobs",
        nargs=2,
        metavar="JOB",
        help="trainings after whose first checkpoint the command of that run, and then a node, is killed",
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = options.out / "chaos.yaml"
    recipe.write_text(RECIPE.replace("EPOCHS", str(options.epochs)))
    expected = options.out / "one-process"
    run_in_one_process(recipe, expected)
    draw, failed, length = random.Random(options.seed), 0, options.length
    with ThreeNodes() as nodes:
        if length is None and options.job is None:  # how long a run takes here that nobody disturbs
            shutil.rmtree(options.out / "undisturbed", ignore_errors=True)
            whole = run_and_kill(recipe, options.out / "undisturbed", nodes, float("inf"), draw)
            whole["differences"] = differences(expected, options.out / "undisturbed")
            print(json.dumps({"round": "undisturbed", **whole}), flush=True)
            failed += bool(whole["problem"] or whole["differences"])
            length = whole["worked"]
        for number in range(options.times + options.commands + (options.store is not None)):
            out = options.out / f"round-{number}"
            found: dict = {"killed_in": [], "problem": None}
            while not (found["killed_in"] or found["problem"]):  # a moment that came too late says nothing
                shutil.rmtree(out, ignore_errors=True)
                nodes.refill()
                delay = draw.uniform(0, 0.9 * (length or 0))
                if number < options.times:
                    found = run_and_kill(recipe, out, nodes, delay, draw, options.job)
                    length = length if found["killed_in"] else found["worked"]
                elif number < options.times + options.commands:
                    found = kill_and_go_on(recipe, out, nodes, delay, draw, options.job)
                else:
                    found = round_in_store(recipe, out, nodes, delay, draw, options)
                    break
            failed += bool(found.get("again"))
            found["differences"] = differences(expected, out)
            failed += bool(found["problem"] or found["differences"])
            print(json.dumps({"round": number, **found}), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
