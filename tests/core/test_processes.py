"""The core among signals, threads and forks. Each test runs a program of its own, so that none disturbs the others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and signals as here are of Unix")


def run(tmp_path, program, *arguments, **environment):
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import skipthink

kind, threads = sys.argv[1], int(sys.argv[2])
random = np.random.default_rng(0)
few = random.random((100, 30))
text = "\\n".join(f"Line {line} says {'so much ' * 60}." for line in range(200))


def work(size):
    # a call that takes long, and twice as long with twice the size
    if kind == "split":
        return lambda: skipthink.split_steps_batch([text] * 60_000 * size, num_threads=threads)
    if kind == "row":
        row = random.random((1, 150_000 * size))
        return lambda: skipthink.chunk(None, row, 8, method="optimal", num_threads=threads)
    rows = random.random((5_000 * size, 4096), dtype=np.float32)
    method = skipthink.Anneal(moves=1_000_000) if kind == "anneal" else kind
    return lambda: skipthink.chunk(None, rows, 8, 0.0, method=method, num_threads=threads)


short = lambda: skipthink.chunk(None, few, 4, method="optimal", num_threads=threads).boundaries.tolist()
expected = short()


def delay(long):
    # seconds from the signal to the end of the call, None where the call ended first
    sent = []

    def send():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    ended = False
    try:
        long()
        ended = True
        sender.join()
        time.sleep(1)
        sys.exit("the signal came to nothing")
    except KeyboardInterrupt:
        late = None if ended else time.perf_counter() - sent[0]
    sender.join()
    assert short() == expected, "the call after an interrupted one"
    return late


# the best of a few: what else runs on the machine may hold one of them up
delays, size = [], 1
long = work(size)
while len(delays) < 5 and min(delays, default=1) > 0.2:
    late = delay(long)
    if late is None:  # a fast machine
        size *= 2
        long = work(size)
    else:
        delays.append(late)
print(min(delays))
"""


@UNIX
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("kind", ["optimal", "row", "anneal", "split"])
def test_an_interrupt_ends_long_work_within_a_fifth_of_a_second(kind, threads, tmp_path):
    assert float(run(tmp_path, INTERRUPTED, kind, threads)) <= 0.2


HANDLER = """
import os, signal, threading, time
import numpy as np
import skipthink

class Stop(Exception):
    pass

def handler(number, frame):
    calls.append(number)
    if len(calls) == 2:
        raise Stop

calls = []
signal.signal(signal.SIGUSR1, handler)
losses = np.random.default_rng(0).random((5_000, 4096), dtype=np.float32)

def send():
    for _ in range(2):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGUSR1)

threading.Thread(target=send).start()
try:
    skipthink.chunk(None, losses, 8, 0.0, method="optimal", num_threads=2)
except Stop:
    print("stopped by the second signal" if len(calls) == 2 else calls)
"""


@UNIX
def test_the_handler_of_a_signal_runs_and_its_exception_comes_out(tmp_path):
    assert run(tmp_path, HANDLER) == "stopped by the second signal\n"


FORKS = """
import os, threading
import numpy as np
import skipthink

losses = np.random.default_rng(0).random((300, 60))
def run(threads):
    return skipthink.chunk(None, losses, 4, 0.0, method="optimal", num_threads=threads).boundaries

expected = run(2)
done = threading.Event()

def keep_busy():
    threads = 2
    while not done.is_set():
        # another number of threads makes another pool: forks meet pools in the making
        run(2 + threads % 30)
        threads += 1

worker = threading.Thread(target=keep_busy)
worker.start()
failed = 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(run(2), expected) and np.array_equal(run(3), expected) else 1)
    failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
done.set()
worker.join()
assert np.array_equal(run(2), expected)
raise SystemExit(failed)
"""


@UNIX
def test_forks_from_a_busy_process(tmp_path):
    run(tmp_path, FORKS)


MULTIPROCESSING = """
import multiprocessing, sys
import numpy as np
import skipthink

losses = np.random.default_rng(0).random((300, 60))
texts = [f"One is {n}. Two is {n + 1}." for n in range(500)]

def run(threads):
    boundaries = skipthink.chunk(None, losses, 4, 0.0, method="optimal", num_threads=threads).boundaries
    return boundaries.tolist(), skipthink.split_steps_batch(texts, num_threads=threads).ends.tolist()

if __name__ == "__main__":
    expected = run(2)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(run, [1, 2, 3, None]) == [expected] * 4
"""


@UNIX
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_multiprocessing(start, tmp_path):
    run(tmp_path, MULTIPROCESSING, start)


COUNTED = """
import os, sys, time
from pathlib import Path
import numpy as np
import skipthink

def count():
    names = [Path("/proc/self/task", task, "comm").read_text() for task in os.listdir("/proc/self/task")]
    return sum(name.startswith("skipthink-") for name in names)

losses = np.random.default_rng(0).random((2000, 20))
skipthink.chunk(None, losses, 4, 0.0, method="optimal")
# a thread gives itself its name, when it gets to it
until = time.monotonic() + 5
while count() < int(sys.argv[1]) and time.monotonic() < until:
    time.sleep(0.01)
print(count())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux lists them")
@pytest.mark.parametrize(("asked", "made"), [("1", 0), ("3", 3)])
def test_the_environment_sets_the_number_of_threads(asked, made, tmp_path):
    assert int(run(tmp_path, COUNTED, str(made), SKIPTHINK_NUM_THREADS=asked)) == made
