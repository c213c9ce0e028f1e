"""A run folder: its recipe, its finished jobs, and the lock of the run that uses it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, RecipeError, RunError
from skipthink.inspection.layout import (
    DONE_FILE,
    JOBS_FILE,
    JOBS_SCHEMA,
    LOCK_FILE,
    RECIPE_FILE,
    TRIES_FOLDER,
    log_file,
    progress_file,
)
from skipthink.io.files import parse_object, write_bytes, write_json, write_text
from skipthink.options import first_difference
from skipthink.run.fingerprints import Kind, maker
from skipthink.run.jobs import PREPARE, Graph, Job, build_graph, evaluations
from skipthink.run.recipe import Recipe, parse_recipe

if TYPE_CHECKING:
    import pyarrow as pa

RESUMED = (Kind.TRAIN, Kind.SKIP_DATA, Kind.OWN_ANSWERS)
"""Jobs that go on from what a killed process has left; the others start anew."""
LOCK_WAIT_SECONDS = 5.0
"""Children of a killed run hold its lock until they have ended too, which takes a moment."""


class RunFolder:
    """The folder of a run.

    Args:
        path: the folder; made where it is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def of(self, job: Job) -> Path:
        """The folder of a job's files."""
        return self.path / job.folder

    def beside(self, job: Job) -> Path:
        """Where another job writes what belongs into the folder of a finished one."""
        return self.of(job)

    def tries(self, job: Job) -> Path:
        """Where a cluster works on a job."""
        return self.path / TRIES_FOLDER / job.name.replace("/", ".")

    def log(self, job: Job) -> Path:
        """What a job printed, over all its tries."""
        return self.path / log_file(job.name)

    def progress(self, job: Job) -> Path:
        """How far a running job has come."""
        return self.path / progress_file(job.name)

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
        path = self.path / RECIPE_FILE
        if path.exists():
            difference = first_difference(self.recipe(), recipe)
            if difference is not None:
                key, old, new = difference
                raise RunError(
                    f"{self.path} was made with another recipe: {key} is {old!r} there and {new!r} now; "
                    "choose another --out, or delete the folder to start over"
                )
        write_text(path, recipe.to_yaml())

    def recipe(self) -> Recipe:
        """The resolved recipe of the folder.

        Raises:
            RunError: it is missing or damaged.
        """
        path = self.path / RECIPE_FILE
        try:
            return parse_recipe(path.read_text(encoding="utf-8"), name=str(path))
        except (OSError, UnicodeDecodeError, RecipeError) as error:
            raise RunError(
                f"{path} is no recipe of this version ({error}); choose another --out, or delete the folder"
            ) from error

    def begin(self, graph: Graph) -> None:
        """Records the jobs of a run that begins or resumes, so that its processes need not read data and student again.

        Raises:
            RunError: a job was begun, but not finished, with other inputs or by another skipthink: what is left of it
                cannot be gone on with.
        """
        known = self._jobs().get("jobs", {})
        for job in graph:
            before = known.get(job.name)
            if (
                job.kind in RESUMED
                and self._is_begun(job)
                and before is not None
                and before["fingerprint"] != graph.fingerprints[job]
            ):
                raise RunError(self.is_of_others(job, before, "begun"))
        jobs = {
            job.name: {"fingerprint": graph.fingerprints[job], **maker(job.kind), **_described(job)}
            for job in graph
        }
        parts = {part.name: _described(part) for part, _ in evaluations(graph.recipe)}
        write_json(
            self.path / JOBS_FILE,
            {
                "schema": JOBS_SCHEMA,
                "data": graph.data,
                "student": graph.student,
                "jobs": jobs,
                "evaluations": parts,
            },
        )

    def _is_begun(self, job: Job) -> bool:
        has_files = self.of(job).exists() or self.tries(job).exists()
        return has_files and not (self.of(job) / DONE_FILE).exists()

    def graph(self) -> Graph:
        """The jobs of the run that has begun in this folder; neither data nor student are read again.

        Raises:
            RunError: the recipe, or code of the user's own, is not what the run has begun with.
        """
        noted = self._jobs()
        graph = build_graph(self.recipe(), data=noted.get("data"), student=noted.get("student"))
        for job in graph:
            known = noted.get("jobs", {}).get(job.name)
            if known is not None and known["fingerprint"] != graph.fingerprints[job]:
                raise RunError(
                    f"the inputs of job {job.name} have changed since the run began, such as the code of a task or "
                    "method; start the run again"
                )
        return graph

    def _jobs(self) -> dict[str, Any]:
        """What `begin` has noted; empty before."""
        path = self.path / JOBS_FILE
        try:
            return parse_object(path.read_bytes(), "it")
        except FileNotFoundError:
            return {}
        except (OSError, DataError) as error:
            raise RunError(f"cannot read {path}: {error}; delete it and start the run again") from error

    def done(self, job: Job, fingerprint: str) -> dict[str, Any] | None:
        """The notes of a finished job, or None if it is not finished.

        Raises:
            RunError: it was finished with other inputs, or by another skipthink.
        """
        path = self.of(job) / DONE_FILE
        try:
            content = parse_object(path.read_bytes(), "it")
        except FileNotFoundError:
            return None
        except (OSError, DataError) as error:
            raise RunError(f"cannot read {path}: {error}; delete it to run the job again") from error
        if content.get("fingerprint") != fingerprint:
            raise RunError(self.is_of_others(job, content, "finished"))
        return content

    def is_of_others(self, job: Job, note: dict[str, Any], what: str, where: object = None) -> str:
        """Says why a job's files are not those that it would make now.

        Args:
            job: the job.
            note: what was noted with its files.
            what: "begun" or "finished".
            where: they lie; in this folder by default.
        """
        where, now = where or self.path, maker(job.kind)
        then = {key: note.get(key) for key in now}
        if then != now:
            return (
                f"job {job.name} in {where} was {what} by {_named(then)}, and this is {_named(now)}, which may "
                "make other results; choose another --out, delete the folder to start over, or use the version "
                "it was made with"
            )
        inputs = "data" if job == PREPARE else "inputs"
        return (
            f"job {job.name} in {where} was {what} with other {inputs} than now; "
            "choose another --out, or delete the folder to start over"
        )

    def take_over(self, job: Job, fingerprint: str, other: RunFolder) -> bool:
        """Copies a job that another run has finished with the same inputs; False if there is none.

        Files are linked where the file system can: finished jobs replace files, and never write into them. What says
        that it is finished is copied last: after a kill in between it is copied again.

        Raises:
            RunError: its files cannot be copied.
        """
        source, target = other.of(job), self.of(job)
        try:
            done = (source / DONE_FILE).read_bytes()
            if parse_object(done, "it").get("fingerprint") != fingerprint:
                return False
            shutil.rmtree(target, ignore_errors=True)  # what a kill has left of an earlier copy
            shutil.copytree(source, target, copy_function=link_file, ignore=shutil.ignore_patterns(DONE_FILE))
            write_bytes(target / DONE_FILE, done)
        except FileNotFoundError:
            return False
        except (OSError, DataError) as error:
            raise RunError(f"cannot take {source} over: {error}; leave out --reuse") from error
        return True

    def finish(self, job: Job, fingerprint: str, result: dict[str, Any], seconds: float) -> None:
        """Records that a job is finished; its files must be complete."""
        folder = self.of(job)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / DONE_FILE,
            {
                "schema": 2,
                "job": job.name,
                **maker(job.kind),
                "fingerprint": fingerprint,
                "seconds": round(seconds, 3),
                "result": result,
            },
        )


def _described(job: Job) -> dict[str, Any]:
    """A job for readers of the folder, who know no recipe."""
    return {
        "kind": job.kind.value,
        "method": job.method,
        "seed": job.seed,
        "fold": job.fold,
        "round": job.round,
        "folder": job.folder,
    }


def link_file(source: str, target: str) -> str:
    """Links a file, or copies it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _named(made_by: dict[str, Any]) -> str:
    """What made a job's files, in words."""
    if made_by["skipthink"] is None:
        return "an older skipthink"
    return f"skipthink {made_by['skipthink']} (format {made_by['format']})"


def read_job_table(path: Path) -> pa.Table:
    """A Parquet file that a finished job has written.

    Raises:
        RunError: it is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_job_json(path: Path) -> dict[str, Any]:
    """An object of JSON that a finished job has written.

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
