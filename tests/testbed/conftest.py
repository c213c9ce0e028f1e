"""What the tests of the test bed share."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def load_bench():
    """Imports a script of `bench/` by its name; the folder is no package."""

    def load(name):
        path = Path(__file__).parents[2] / "bench" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
