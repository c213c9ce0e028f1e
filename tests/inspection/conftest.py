"""A browser, and a report opened in it; what `report` is says the module."""

import chromium
import pytest


@pytest.fixture(scope="module")
def browser():
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def page(browser, report):
    """The report of the module, which must stay quiet in whatever a test does with it."""
    watched = chromium.Watched(browser, viewport={"width": 1280, "height": 900}).open(report)
    yield watched
    assert watched.is_quiet()
    watched.context.close()
