"""Sums to ask, the endpoint that answers them, and how to start it."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
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


class RunningEndpoint:
    def __init__(self, folder, options):
        self.log = folder / "requests.jsonl"
        self.port_file = folder / "port"
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), str(self.port_file), str(self.log), json.dumps(options)],
            stdin=subprocess.PIPE,
        )
        give_up = time.monotonic() + 60
        while not self.port_file.exists():
            assert self.process.poll() is None and time.monotonic() < give_up
            time.sleep(0.02)
        self.base_url = f"http://127.0.0.1:{self.port_file.read_text()}/v1"

    def requests(self):
        """What the endpoint was asked, in order."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def endpoint(tmp_path_factory):
    """Starts endpoints; they end with the test."""
    running = []

    def start(**options):
        one = RunningEndpoint(tmp_path_factory.mktemp("endpoint"), options)
        running.append(one)
        return one

    yield start
    for one in running:
        one.stop()


@contextmanager
def running_endpoint(folder, **options):
    """One endpoint, as a context manager."""
    one = RunningEndpoint(folder, options)
    try:
        yield one
    finally:
        one.stop()


def sums(n, n_test=0):
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


def options_for(base_url, *, n=1, keep=None, sampling=None, **endpoint):
    """Options of a teacher at an endpoint, asked by the shortest prompt."""
    values = {"model": "teacher", "concurrency": 8, "timeout": 2.0, "max_wait": 2.0, **endpoint}
    return TeacherOptions(
        endpoint=EndpointOptions(base_url=base_url, **values),
        prompt=PromptOptions(name="concise"),
        sampling=sampling or SamplingOptions(n=n, temperature=0.0 if n == 1 else 0.7, max_tokens=64),
        filter=keep or FilterOptions(),
    )
