"""Sums to ask, the endpoint that answers them, and how to start it."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest

from skipthink.teacher.options import (
    EndpointOptions,
    FilterOptions,
    PromptOptions,
    SamplingOptions,
    TeacherOptions,
)

SERVER = Path(__file__).with_name("endpoint_server.py")


class Endpoint:
    """An endpoint of the server: its address, and what it was asked."""

    def __init__(self, server, log, options):
        self.log = log
        body = json.dumps({"log": str(log), **options}).encode()
        made = urllib.request.Request(f"{server}/new", body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(made, timeout=30) as response:
            self.base_url = server + response.read().decode()

    def requests(self):
        """What the endpoint was asked, in order."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="session")
def endpoint_server(tmp_path_factory):
    """A process of its own for the endpoints: what is killed is the client alone."""
    port_file = tmp_path_factory.mktemp("server") / "port"
    process = subprocess.Popen([sys.executable, str(SERVER), str(port_file)], stdin=subprocess.PIPE)
    give_up = time.monotonic() + 120
    while not port_file.exists():
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port_file.read_text()}"
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def endpoint(endpoint_server, tmp_path_factory):
    """Makes endpoints."""
    return lambda **options: Endpoint(endpoint_server, tmp_path_factory.mktemp("endpoint") / "log", options)


def make_sums(n, n_test=0):
    """Questions of sums, no two alike; the last ones are of the test split."""
    rows = [
        (f"What is {number} + {3 * number + 1}?", str(4 * number + 1)) for number in range(1, n + n_test + 1)
    ]
    columns = {
        "id": [f"sum-{number}" for number in range(len(rows))],
        "question": [question for question, _ in rows],
        "answer": [answer for _, answer in rows],
    }
    if n_test:
        columns["split"] = ["train"] * n + ["test"] * n_test
    return pa.table(columns)


def make_options(base_url, *, n=1, keep=None, sampling=None, **endpoint):
    """Options of a teacher at an endpoint, asked by the shortest prompt."""
    values = {"model": "teacher", "concurrency": 8, "timeout": 2.0, "max_wait": 2.0, **endpoint}
    return TeacherOptions(
        endpoint=EndpointOptions(base_url=base_url, **values),
        prompt=PromptOptions(name="concise"),
        sampling=sampling or SamplingOptions(n=n, temperature=0.0 if n == 1 else 0.7, max_tokens=64),
        filter=keep or FilterOptions(),
    )


@pytest.fixture
def sums():
    return make_sums


@pytest.fixture
def options_for():
    return make_options


@pytest.fixture
def ask(tmp_path):
    """Calls `teach`; what it says is in `ask.said`."""
    from skipthink.teacher.teaching import teach

    def call(table, options, folder=None, kind="number"):
        call.said = []
        return teach(table, options, folder or tmp_path / "out", kind=kind, say=call.said.append)

    return call


@pytest.fixture
def rows_of():
    """Rows of a table that `teach` has written."""
    import pyarrow.parquet as pq

    return lambda folder, name: pq.read_table(folder / f"{name}.parquet").to_pylist()
