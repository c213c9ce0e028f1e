"""Runs on a real Ray cluster of three nodes, one of which is killed, or the command: they end like one in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call_cli
from engines import start, stop_all
from object_store import object_store

from skipthink.io.places import Place

BENCH = Path(__file__).parents[2] / "bench"
JUDGE = "train/base+sbc/s0"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Runs on one cluster, two in a shared folder and one in an object store; what was told, and what the store has."""
    pytest.importorskip("ray")
    out = tmp_path_factory.mktemp("chaos")
    words = [
        sys.executable,
        str(BENCH / "chaos_run.py"),
        "--times",
        "1",
        "--commands",
        "1",
        "--epochs",
        "16",  # long enough not to end before its node is dead
        "--job",
        JUDGE,
        "--out",
        str(out),
    ]
    with object_store() as uri:
        environment = {**os.environ, "SKIPTHINK_CACHE": str(out / "cache")}
        done = subprocess.run(
            [*words, "--store", uri("chaos")], capture_output=True, text=True, check=False, env=environment
        )
        left = [name for name, _ in Place.of(uri("chaos/round-2")).list(deep=True)]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(told) == 3, done.stdout + done.stderr
    return out, told, left


def events_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_run_that_loses_a_node_or_its_command_ends_like_one_in_one_process(rounds):
    tmp_path, (told, of_command, _), _ = rounds
    assert (of_command["problem"], of_command["differences"], of_command["again"]) == (None, [], [])
    assert of_command["kept"][JUDGE] >= 2, "the training goes on from a checkpoint, under another command"
    assert (told["problem"], told["differences"]) == (None, [])
    assert JUDGE in told["killed_in"]
    assert JUDGE in told["lost"]
    assert told["kept"][JUDGE] >= 2, "the training goes on from a checkpoint, on another node"
    events = events_of(tmp_path / "round-0")
    names = [event["job"] for event in events if event["event"] == "start"]
    repeated = {name for name in names if names.count(name) > 1}
    assert repeated == set(told["lost"]), "jobs of the lost node alone are repeated"
    assert all(event["node"] for event in events if event["event"] == "start")
    said = call_cli("status", tmp_path / "round-0").stdout
    assert said.splitlines()[0].endswith(": finished; 7 done")
    logs = (tmp_path / "round-0/logs" / f"{JUDGE.replace('/', '.')}.log").read_text()
    assert "Traceback" not in logs


def test_a_run_in_an_object_store_that_loses_a_node_ends_so_too(rounds):
    """Nodes share no folder; the node is killed in the first job, whose length is of no matter."""
    out, (_, _, told), left = rounds
    assert (told["problem"], told["differences"]) == (None, [])
    assert told["killed_in"] == told["lost"] == ["prepare"]
    nodes = list((out / "cache/nodes").glob("*/*"))
    assert len(nodes) >= 2, "each node has a folder of its own"
    assert all((node / "data/train.parquet").exists() for node in nodes if (node / "train").exists())
    assert not [name for name in left if name.startswith(("tries/", "drivers/"))]
    assert "train/stt/s0/model/model.safetensors" in left


STUDY = """
name: tiny
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 8, validation: 2, test: 2}
  task_options: {n_operations: 1, max_value: 20, max_number: 9}
student: {hidden_size: 16, num_layers: 1, num_heads: 2, vocab_size: 300}
chunks: {M: 2, method: average}
methods: [base]
training: {max_steps: 2, batch_size: 8, save_steps: 50}
evaluation: {alone_questions: 0, stage_questions: 0}
study: {rates: [1.0e-3, 4.0e-3], factors: [1.0], seeds: [0], tuned_with: [base]}
"""


@pytest.mark.filterwarnings("ignore")  # what Ray warns of is its own
def test_a_study_by_the_command_runs_on_ray(tmp_path):
    (tmp_path / "tiny.yaml").write_text(STUDY)
    start("Ray Data")
    import ray

    try:
        on_ray = ["--engine", "ray", "--address", ray.get_runtime_context().gcs_address]
        said = call_cli("study", tmp_path / "tiny.yaml", "--out", tmp_path / "study", *on_ray).stdout
    finally:
        stop_all()
    found = json.loads((tmp_path / "study/study.json").read_text())
    assert [row["rate"] for row in found["tune"]] == [0.001, 0.004]
    assert found["rates"] == {"base": found["tuned_rate"]}
    assert said.count("start  train/base/s0") == 2, "the student of the better rate is not trained again"
    assert said.count("taken  train/base/s0") == 1
    for run in ("tune-0.001", "tune-0.004", "test-s0"):
        starts = [event for event in events_of(tmp_path / "study" / run) if event["event"] == "start"]
        assert starts
        assert all(event["node"] for event in starts)
