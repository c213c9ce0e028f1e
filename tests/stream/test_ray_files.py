"""Files on a real Ray cluster of three nodes, one of which is killed: the result is that of one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]


def test_work_that_loses_a_node_ends_like_that_of_one_process():
    pytest.importorskip("ray")
    words = [sys.executable, str(BENCH / "chaos_files.py"), "--times", "1", "--parts", "40"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(line["work"], line["round"]) for line in told] == [
        ("chunk", "undisturbed"), ("chunk", 0), ("score", "undisturbed"), ("score", 0),
    ]  # fmt: skip
    assert all(line["differences"] == [] and line["done_again"] == 0 for line in told)
    assert all(line["goes_on"] for line in told[::2]), "what one process has done is not done again on Ray"
    assert all(line["killed"] and 0 < line["done_before"] < line["parts"] for line in told[1::2])
