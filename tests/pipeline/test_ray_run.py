"""A run on a real Ray cluster of three nodes, one of which is killed, and then its command: it ends like one in one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call_cli

BENCH = Path(__file__).parents[2] / "bench"
JUDGE = "train/base+sbc/s0"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]


def test_a_run_that_loses_a_node_or_its_command_ends_like_one_in_one_process(tmp_path):
    pytest.importorskip("ray")
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
        str(tmp_path),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told, of_command = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert (of_command["problem"], of_command["differences"], of_command["again"]) == (None, [], [])
    assert of_command["kept"][JUDGE] >= 2, "the training goes on from a checkpoint, under another command"
    assert (told["problem"], told["differences"]) == (None, [])
    assert JUDGE in told["killed_in"]
    assert JUDGE in told["lost"]
    assert told["kept"][JUDGE] >= 2, "the training goes on from a checkpoint, on another node"
    events = [json.loads(line) for line in (tmp_path / "round-0/events.jsonl").read_text().splitlines()]
    names = [event["job"] for event in events if event["event"] == "start"]
    repeated = {name for name in names if names.count(name) > 1}
    assert repeated == set(told["lost"]), "jobs of the lost node alone are repeated"
    assert all(event["node"] for event in events if event["event"] == "start")
    said = call_cli("status", tmp_path / "round-0").stdout
    assert said.splitlines()[0].endswith(": finished; 7 done")
    logs = (tmp_path / "round-0/logs" / f"{JUDGE.replace('/', '.')}.log").read_text()
    assert "Traceback" not in logs
