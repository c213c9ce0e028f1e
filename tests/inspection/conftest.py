"""The run that the tests of inspection look at."""

import shutil

import pytest
from kept import trains
from small_run import run_small


@pytest.fixture(scope="session")
@trains
def whole_run(kept, tmp_path_factory):
    """A finished run, not to be changed: its folder, with what it printed beside it in `printed.txt`."""
    folder = tmp_path_factory.mktemp("small")
    returned = kept.fill(folder, run_small)
    (folder / "printed.txt").write_text(returned["printed"])
    return folder / "run"


@pytest.fixture
def run_copy(whole_run, tmp_path):
    """A copy of the finished run that a test may damage."""
    shutil.copytree(whole_run, tmp_path / "run")
    return tmp_path / "run"
