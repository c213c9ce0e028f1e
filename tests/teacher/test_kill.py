"""kill -9 at drawn moments, Ctrl-C, several processes on one store: nothing is asked twice but what was under way."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

CHILD = """
import sys
sys.path.insert(0, {folder!r})
from conftest import make_options, make_sums
from skipthink.teacher.teaching import teach
options = make_options({url!r}, concurrency={concurrency}, timeout=60.0, n={n}, **{more!r})
taught = teach(make_sums({questions}), options.replace(store={store!r}), {out!r}, kind="number")
print("ended", taught.report["answers"]["asked"]["answers"], taught.report["kept"], flush=True)
"""


def start(url, folder, *, questions, concurrency=8, n=1, out="out", **more):
    code = CHILD.format(folder=str(Path(__file__).parent), url=url, questions=questions, concurrency=concurrency, n=n,
                        store=str(folder / "store"), out=str(folder / out), more=more)  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(endpoint, n_requests, process):
    give_up = time.monotonic() + 120
    while len(endpoint.requests()) < n_requests:
        assert process.poll() is None and time.monotonic() < give_up, process.communicate()
        time.sleep(0.01)


@pytest.mark.slow
def test_ten_kills_at_drawn_moments(endpoint, tmp_path):
    draw = random.Random(7)
    server = endpoint(delay=0.05)
    concurrency, questions = 8, 400
    for _ in range(10):
        process = start(server.base_url, tmp_path, questions=questions, concurrency=concurrency)
        wait_for(server, len(server.requests()) + draw.randrange(1, 30), process)
        time.sleep(draw.random() * 0.1)
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    process = start(server.base_url, tmp_path, questions=questions, concurrency=concurrency)
    said, problems = process.communicate(timeout=200)
    assert said.endswith(f"{questions}\n"), problems
    asked = Counter(entry["question"] for entry in server.requests())
    assert len(asked) == questions
    assert asked.total() - questions <= 10 * concurrency
    # what was answered before a kill was not asked for again
    assert int(said.split()[1]) < questions - 10


def test_one_kill_and_the_rest(endpoint, tmp_path):
    server = endpoint(delay=0.02)
    process = start(server.base_url, tmp_path, questions=60, concurrency=4)
    wait_for(server, 20, process)
    process.kill()
    process.communicate()
    said, problems = start(server.base_url, tmp_path, questions=60, concurrency=4).communicate(timeout=120)
    assert said.endswith(" 60\n"), problems
    asked = Counter(entry["question"] for entry in server.requests())
    assert (len(asked), asked.total() <= 64) == (60, True)


def test_two_processes_share_the_work(endpoint, tmp_path):
    server = endpoint(delay=0.05)
    both = [start(server.base_url, tmp_path, questions=80, concurrency=4, out=f"out-{name}") for name in "ab"]
    ends = [process.communicate(timeout=120) for process in both]
    assert [said.split()[2] for said, _ in ends] == ["80", "80"], ends
    asked = Counter(entry["question"] for entry in server.requests())
    assert set(asked.values()) == {1}
    assert len(asked) == 80
    assert sum(int(said.split()[1]) for said, _ in ends) == 80
    assert all(int(said.split()[1]) > 0 for said, _ in ends)


def test_what_a_killed_process_had_under_way_is_taken_over(endpoint, tmp_path):
    """A process that waits for another one's requests asks them itself once that one is dead."""
    server = endpoint(delay=1.5)
    first = start(server.base_url, tmp_path, questions=4, concurrency=4, out="out-a")
    wait_for(server, 4, first)
    second = start(server.base_url, tmp_path, questions=4, concurrency=4, out="out-b")
    first.kill()
    first.communicate()
    said, problems = second.communicate(timeout=120)
    assert said.endswith(" 4\n"), problems
    assert len(server.requests()) <= 8


def test_ctrl_c_ends_within_seconds_and_says_how_to_go_on(endpoint, tmp_path):
    file = tmp_path / "sums.jsonl"
    file.write_text(
        "".join(f'{{"question": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(1, 200))
    )
    server = endpoint(delay=0.2)
    command = [sys.executable, "-m", "skipthink", "teach", str(file), "--answer", "number", "--prompt", "concise",
               "--base-url", server.base_url, "--model", "m", "--out", str(tmp_path / "out"),
               "--set", "endpoint.concurrency=4"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(server, 12, process)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    said, problems = process.communicate(timeout=60)
    assert time.monotonic() - started < 15
    assert process.returncode == 130, problems
    assert "stopped; " in problems
    assert "answers are kept, the same command goes on from there" in problems
    assert "Traceback" not in problems
    assert "not asked yet" in said
    # what was under way had seconds to finish, and did
    kept = int(problems.partition("stopped; ")[2].split()[0])
    assert kept == len(server.requests())


def test_ctrl_c_does_not_wait_for_what_hangs(endpoint, tmp_path):
    server = endpoint(faults={"hang": 1.0})
    process = start(server.base_url, tmp_path, questions=20, concurrency=4)
    wait_for(server, 4, process)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    said, problems = process.communicate(timeout=60)
    assert 4 < time.monotonic() - started < 20
    assert said == "ended 0 0\n", problems
