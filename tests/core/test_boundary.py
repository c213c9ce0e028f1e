"""The edge between Rust and Python: the GIL, threads, forks, stubs, the light import."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import skipthink

RANDOM = np.random.default_rng(0)
LONG = RANDOM.random((40, 500))


def search(**options):
    return skipthink.chunk(None, LONG, 8, 0.0, method="optimal", **options).boundaries


def test_the_gil_is_released():
    """Another thread goes on counting while the core computes."""
    ticks, done = [], threading.Event()

    def count():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    started = time.perf_counter()
    while time.perf_counter() - started < 0.3:
        search(num_threads=1)
    ended = time.perf_counter()
    done.set()
    counter.join()
    assert sum(started < tick < ended for tick in ticks) > 30


def test_many_threads_at_once():
    expected = search(num_threads=1)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda threads: search(num_threads=threads), [1, 2, 3, None] * 4):
            assert np.array_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of Unix")
def test_a_forked_child_has_its_own_threads():
    code = """
import os, numpy as np, skipthink
losses = np.random.default_rng(0).random((300, 60))
run = lambda: skipthink.chunk(None, losses, 4, 0.0, method="optimal", num_threads=2).boundaries
expected = run()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(run(), expected) else 1)
_, status = os.waitpid(child, 0)
assert np.array_equal(run(), expected)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_import_needs_numpy_alone():
    code = "import sys, skipthink; print([m for m in ('torch', 'pyarrow', 'pydantic', 'transformers', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_debug_build_warns_at_import():
    """The binary at hand is made to say that it is one; CI builds a real one too."""
    code = """
import importlib.util, sys
binary = importlib.util.spec_from_file_location("skipthink._core", sys.argv[1])
sys.modules["skipthink._core"] = core = importlib.util.module_from_spec(binary)
binary.loader.exec_module(core)
core.DEBUG_BUILD = True
import skipthink
"""
    from skipthink import _core

    command = [sys.executable, "-c", code, _core.__file__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        "UserWarning: skipthink's core is a debug build, many times slower; build it with --release"
        in done.stderr
    )
    quiet = subprocess.run([sys.executable, "-W", "error", "-c", "import skipthink"], check=False)
    assert quiet.returncode == 0 or _core.DEBUG_BUILD


def test_build_info_says_what_runs(monkeypatch):
    import re

    info = skipthink.build_info()
    assert info["version"] == skipthink.__version__
    assert info["profile"] == ("debug" if skipthink._core.DEBUG_BUILD else "release")
    assert re.fullmatch(r"\w+-\w+-\w+(-\w+)?", info["target"])
    assert re.match(r"rustc 1\.\d+\.\d+", info["rustc"])
    assert info["vector_unit"] in ("AVX-512", "AVX2", "NEON", "scalar")
    monkeypatch.setenv("SKIPTHINK_NUM_THREADS", "3")
    assert skipthink.build_info()["threads"] == 3


def test_stubs_fit_the_binary(tmp_path):
    pytest.importorskip("mypy")
    # all that the package imports, torch among it, is not asked for and takes a minute to read
    followed = "[mypy-numpy.*,skipthink._core,skipthink._core.*]\nfollow_imports = normal\n"
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nfollow_imports = skip\n" + followed)
    command = [sys.executable, "-m", "mypy.stubtest", "skipthink._core", "--ignore-missing-stub"]
    command += ["--mypy-config-file", str(config)]
    folder = Path(skipthink.__file__).parents[1]
    # mypy finds what is installed by itself, and would take site-packages for a folder of the user's own modules
    env = dict(os.environ) if folder.name == "site-packages" else {**os.environ, "MYPYPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert done.returncode == 0, done.stdout
