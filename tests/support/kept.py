"""What is trained for tests is kept on disk: several processes, and later runs of the tests, share it."""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
LIBRARIES = ("accelerate", "numpy", "peft", "pyarrow", "tokenizers", "torch", "transformers")


def trains(fixture):
    """Marks a fixture that trains a student: every test that asks for it is marked `slow`."""
    fixture.trains = True
    return fixture


def fixtures_that_train(item):
    """Fixtures of a test, asked for directly or not, that train."""
    found = getattr(item, "_fixtureinfo", None)
    definitions = found.name2fixturedefs.values() if found else ()
    return [one for made in definitions for one in made if getattr(one.func, "trains", False)]


def trains_for_its_module(fixture):
    """Whether a fixture trains once for a module, and keeps nothing on disk for other processes."""
    return fixture.scope == "module" and "kept" not in fixture.argnames


def digest_files(*folders):
    """SHA-256 of the names and bytes of all files below some folders, less compiled Python."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def digest_code():
    """Digest of what decides what comes out of training beside its arguments: the package, our helpers, the libraries."""
    package = Path(importlib.util.find_spec("skipthink").submodule_search_locations[0])
    versions = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    told = [
        digest_files(package, TESTS / "support"),
        platform.python_version(),
        platform.machine(),
        platform.node(),
        *versions,
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def as_key(value):
    """JSON of an argument: tables and arrays by content, folders by the bytes in them."""
    if isinstance(value, Path):
        return digest_files(value)
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    return value.tolist()


DAY = 24 * 60 * 60


class Kept:
    """A folder of trained folders; those of another state of the code are deleted a day after their last use."""

    def __init__(self, root):
        self.root = root / digest_code()
        self.root.mkdir(parents=True, exist_ok=True)
        os.utime(self.root)
        for other in root.iterdir():
            if time.time() - other.stat().st_mtime > DAY:
                shutil.rmtree(other, ignore_errors=True)

    def fill(self, out, make, **arguments):
        """Fills `out` by `make(out=folder, **arguments)`, or with what the same arguments made before; gives what it returned.

        `out` is a copy: a test may write into it. What is returned must be JSON.
        """
        from filelock import FileLock

        key = json.dumps([make.__qualname__, arguments], default=as_key, sort_keys=True)
        place = self.root / hashlib.sha256(key.encode()).hexdigest()[:16]
        with FileLock(f"{place}.lock"):
            if not place.exists():
                half = place.with_suffix(".half")
                shutil.rmtree(half, ignore_errors=True)
                (half / "files").mkdir(parents=True)
                returned = make(out=half / "files", **arguments)
                (half / "returned.json").write_text(json.dumps(returned))
                half.rename(place)
        shutil.copytree(place / "files", out, dirs_exist_ok=True)
        return json.loads((place / "returned.json").read_text())
