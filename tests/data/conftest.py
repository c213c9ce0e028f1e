"""Real rationales, where the checkout has them beside it."""

import json
from pathlib import Path

import pytest

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real_file():
    """Path of a real file by its stem; skips where it is absent."""

    def find(stem):
        path = REAL / f"{stem}.jsonl"
        if not path.is_file():
            pytest.skip(f"needs the real rationales at {REAL}")
        return path

    return find


@pytest.fixture
def real_rows(real_file):
    def read(stem):
        # some texts hold U+2028, at which `splitlines` would cut
        return [json.loads(line) for line in real_file(stem).read_text(encoding="utf-8").split("\n") if line]

    return read
