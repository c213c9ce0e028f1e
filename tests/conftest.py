"""What the tests of all wings share: what is trained once, which tests are slow, and that no other test trains."""

import shutil
import sys
from unittest import mock

import pytest
from kept import Kept, fixtures_that_train, trains, trains_for_its_module
from small_run import run_small


@pytest.fixture(scope="session")
def kept(request, tmp_path_factory):
    """Trained folders that all processes of the tests share, from one run of the tests to the next."""
    cache = getattr(request.config, "cache", None)
    return Kept(cache.mkdir("trained") if cache else tmp_path_factory.mktemp("trained"))


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks what asks for a trained student as slow, and lets it run first, so that two processes end together.

    What a module trains for itself alone is trained once: its tests stay in one process.
    """
    for item in items:
        fixtures = fixtures_that_train(item)
        if fixtures:
            item.add_marker(pytest.mark.slow)
        if any(map(trains_for_its_module, fixtures)) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name + "/" + item.path.stem))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Lets no test train that is not marked slow: `make test-quick` stays quick.

    The trainer is loaded where one of the test modules has imported it; a run of a part of them may know none.
    """
    trainer = sys.modules.get("transformers.trainer")
    if trainer is None or item.get_closest_marker("slow"):
        return (yield)
    with mock.patch.object(trainer.Trainer, "train", refuse_to_train):
        return (yield)


def refuse_to_train(*_, **__):
    pytest.fail(
        "a test that trains must be marked slow, or a fixture of it `@trains` (tests/support/kept.py)"
    )
