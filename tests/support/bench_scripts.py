"""Scripts of `bench/` as modules, for tests that need what they have made already."""

import importlib
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"


def bench_script(name):
    """The module of a script, which may import its neighbours."""
    sys.path.insert(0, str(BENCH))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCH))
