"""Nodes of a cluster must have the same code: what is compared, by a real second copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skipthink
from skipthink.cluster.ray_cluster import code_version, wrong_version

ASK = "from skipthink.cluster.ray_cluster import wrong_version; print(wrong_version('10.0.0.7', {!r}))"


@pytest.fixture
def other(tmp_path):
    """A copy of the package, and what it says of work that was handed out by this one."""
    copy = tmp_path / "skipthink"
    shutil.copytree(Path(skipthink.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def refusal():
        command = [sys.executable, "-c", ASK.format(code_version())]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    return copy, refusal


def test_a_node_with_the_same_code_works(other):
    _, refusal = other
    assert wrong_version("here", code_version()) is None
    assert refusal() == "None"
    assert refusal() == "None", "what was compiled meanwhile is no other code"


def test_a_node_with_other_code_of_the_same_version_is_refused(other):
    copy, refusal = other
    with (copy / "training" / "steps.py").open("a") as file:
        file.write("# changed\n")
    said = re.fullmatch(
        r"node 10\.0\.0\.7 has skipthink (\S+) \((\w{8})\), the work was started with (\S+) \((\w{8})\): "
        "install the same on all nodes",
        refusal(),
    )
    assert said[1] == said[3] == skipthink.__version__
    assert said[2] != said[4]
