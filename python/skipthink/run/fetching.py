"""A run in an object store, copied to a folder of this machine: for all commands that read runs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from skipthink.exceptions import DataError
from skipthink.inspection.layout import DONE_FILE, RECIPE_FILE, STUDY_FILE, TRIES_FOLDER
from skipthink.io.places import Place
from skipthink.run.folder import RunFolder
from skipthink.run.store import fetch_all, speaking

WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt")


def fetch_run(run: Place, folder: Path, *, with_weights: bool = True) -> int:
    """Copies a run, or a study, to an ordinary folder; files of the same size that are not older are left.

    Args:
        run: the run in the store.
        folder: where it is copied to.
        with_weights: False: files of weights are left out.

    Returns:
        How many files were copied.

    Raises:
        DataError: there is no run.
        RunError: the store cannot be used, or a run works in the folder.
    """
    with RunFolder(folder).locked(), speaking(run):
        states = run.states(deep=True)
        wanted = [
            name
            for name in _kept(states)
            if (with_weights or Path(name).suffix not in WEIGHTS) and _is_new(folder / name, *states[name])
        ]
        if not any(Path(name).name in (RECIPE_FILE, STUDY_FILE) for name in states):
            raise DataError(f"cannot read {run}: it holds no {RECIPE_FILE}; name the address of a run")
        # what says that a job is finished comes after its files
        for last in (False, True):
            fetch_all(
                (run / name, folder / name) for name in wanted if (Path(name).name == DONE_FILE) == last
            )
    return len(wanted)


def _kept(names: Collection[str]) -> list[str]:
    """The files of finished jobs, and those that lie in a run folder itself or in its logs."""
    marks = (RECIPE_FILE, STUDY_FILE)
    runs = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in marks}
    folders = runs | {f"{run}/logs".removeprefix("/") for run in runs}
    names = [name for name in names if f"/{TRIES_FOLDER}/" not in f"/{name}"]
    jobs = tuple(name.removesuffix(DONE_FILE) for name in names if name.endswith(f"/{DONE_FILE}"))
    return [name for name in names if name.rpartition("/")[0] in folders or name.startswith(jobs)]


def _is_new(path: Path, size: int, changed_ns: int) -> bool:
    if not path.exists():
        return True
    here = path.stat()
    return here.st_size != size or changed_ns > here.st_mtime_ns
