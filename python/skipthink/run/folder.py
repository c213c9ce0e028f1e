"""What a run folder remembers: its recipe, what is finished, and who is at work in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, RecipeError, RunError
from skipthink.io.files import parse_object, write_bytes, write_json, write_text
from skipthink.io.sections import first_difference
from skipthink.run.recipe import Recipe, parse_recipe

if TYPE_CHECKING:
    import pyarrow as pa

DONE_FILE = "done.json"
LOCK_FILE = ".lock"
LOCK_WAIT_SECONDS = 5.0
"""Children of a killed run hold its lock until they have ended too, which takes a moment."""


class RunFolder:
    """The folder of a run.

    Args:
        path: the folder; made where it is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def stage(self, name: str) -> Path:
        """Folder of a stage: `prepare` keeps its files in `data/`, all others in a folder of their name."""
        return self.path / ("data" if name == "prepare" else name)

    def log(self, name: str) -> Path:
        """What a stage printed, over all its tries."""
        return self.path / "logs" / f"{name.replace('/', '.')}.log"

    def progress(self, name: str) -> Path:
        """How far a running stage has come."""
        return self.path / "logs" / f"{name.replace('/', '.')}.progress"

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Keeps other runs out; yields the lock's descriptor, which children inherit.

        A child that outlives a killed parent thereby keeps the folder locked, so that the next run cannot
        write beside it.

        Raises:
            RunError: another run holds the folder, or it cannot be made.
        """
        import fcntl

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "logs").mkdir(exist_ok=True)
            descriptor = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RunError(f"cannot use {self.path} as a run folder: {error}") from error
        try:
            give_up = time.monotonic() + LOCK_WAIT_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                        raise RunError(
                            f"{self.path} is in use by another run (process {owner or 'unknown'}); "
                            "wait for it, stop it, or choose another --out"
                        ) from None
                    time.sleep(0.1)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def adopt(self, recipe: Recipe) -> None:
        """Writes the resolved recipe, or checks that the folder was made with the same one.

        Raises:
            RunError: the folder belongs to another recipe; names the first key that differs.
        """
        path = self.path / "recipe.yaml"
        if path.exists():
            difference = first_difference(self.recipe(), recipe)
            if difference is not None:
                key, old, new = difference
                raise RunError(
                    f"{self.path} was made with another recipe: {key} is {old!r} there and {new!r} now; "
                    "choose another --out, or delete the folder to start anew"
                )
        write_text(path, recipe.to_yaml())

    def recipe(self) -> Recipe:
        """The resolved recipe of the folder.

        Raises:
            RunError: it is missing or damaged.
        """
        path = self.path / "recipe.yaml"
        try:
            return parse_recipe(path.read_text(encoding="utf-8"), name=str(path))
        except (OSError, UnicodeDecodeError, RecipeError) as error:
            raise RunError(
                f"{path} is no recipe of this version ({error}); choose another --out, or delete the folder"
            ) from error

    def done(self, name: str, fingerprint: str) -> dict[str, Any] | None:
        """What a finished stage noted, or None where it is not finished.

        Raises:
            RunError: it was finished with other inputs.
        """
        path = self.stage(name) / DONE_FILE
        try:
            content = parse_object(path.read_bytes(), "it")
        except FileNotFoundError:
            return None
        except (OSError, DataError) as error:
            raise RunError(f"cannot read {path}: {error}; delete it to run the stage again") from error
        if content.get("fingerprint") != fingerprint:
            what = "data" if name == "prepare" else "inputs"
            raise RunError(
                f"stage {name} in {self.path} was finished with other {what} than now; "
                "choose another --out, or delete the folder to start anew"
            )
        return content

    def take_over(self, name: str, fingerprint: str, other: RunFolder) -> bool:
        """Copies a stage that another run has finished with the same inputs; False where that has none.

        What says that it is finished is copied last: after a kill in between it is copied again.

        Raises:
            RunError: its files cannot be copied.
        """
        source, target = other.stage(name), self.stage(name)
        try:
            done = (source / DONE_FILE).read_bytes()
            if parse_object(done, "it").get("fingerprint") != fingerprint:
                return False
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE_FILE))
            write_bytes(target / DONE_FILE, done)
        except FileNotFoundError:
            return False
        except (OSError, DataError) as error:
            raise RunError(f"cannot take {source} over: {error}; leave out --reuse") from error
        return True

    def finish(self, name: str, fingerprint: str, result: dict[str, Any], seconds: float) -> None:
        """Notes that a stage is finished; its files must be complete by now."""
        folder = self.stage(name)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / DONE_FILE,
            {
                "schema": 1,
                "stage": name,
                "fingerprint": fingerprint,
                "seconds": round(seconds, 3),
                "result": result,
            },
        )


def read_stage_table(path: Path) -> pa.Table:
    """A Parquet file that a finished stage has written.

    Raises:
        RunError: it is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_stage_json(path: Path) -> dict[str, Any]:
    """An object of JSON that a finished stage has written.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return parse_object(path.read_bytes(), "it")
    except (OSError, DataError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> RunError:
    return RunError(
        f"cannot read {path}: {error}; delete the folder {path.parent} and give the same command again, which makes "
        "it anew"
    )


def fingerprint_of(*parts: Any) -> str:
    """A hash of plain data."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def hash_files(path: Path) -> str:
    """A hash of the content of a file, or of all files of a folder with their names.

    Raises:
        RunError: something cannot be read.
    """
    digest = hashlib.sha256()
    try:
        files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise RunError(
            f"cannot read the data: {error}; check data.file or data.task of the recipe, or give --data FILE"
        ) from error
    return digest.hexdigest()
