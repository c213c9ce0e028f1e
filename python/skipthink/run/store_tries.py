"""Tries of jobs whose run is kept in an object store: a node works in a folder of its own, and puts there what it has.

What a try has written is put as a state: objects that are never written again, and `state.json`, which names them and
is put last. So whoever reads a state gets what a kill at one moment would have left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skipthink.exceptions import RunError
from skipthink.inspection.layout import DONE_FILE, JOBS_FILE, RECIPE_FILE
from skipthink.io.files import write_json
from skipthink.io.places import Place
from skipthink.run.fingerprints import maker
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Job
from skipthink.run.store import (
    STATE_FILE,
    Beat,
    at_once,
    fetch_all,
    fetch_job,
    files_in,
    speaking,
    tries_of,
)
from skipthink.run.tries import BEGAN_FILE, BESIDE, TICKET_FILE, TryFolder, copy_state

CACHE_VARIABLE = "SKIPTHINK_CACHE"
"""Names the folder for working copies of runs in object stores, and for what nodes hold of them."""
PUT_SECONDS = 5.0
"""The most between two looks of a node at what there is to put, and of the run at what tries say."""
LAST_PUTS = 5
"""How often a node tries to put what a try has left at its end."""
RACY_NS = 10**9
"""A file that was changed so shortly before it was looked at may change again within the same tick of the clock."""


def cache_of(run: Place, kind: str) -> Path:
    """The folder in the user's cache for a run in an object store.

    Args:
        run: the run.
        kind: "runs", or "nodes".
    """
    default = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    base = os.environ.get(CACHE_VARIABLE) or f"{default}/skipthink"
    which = f"{run} {run.root.partition('?')[2]}"
    key = hashlib.sha256(which.encode()).hexdigest()[:8]
    return Path(base).expanduser().resolve() / kind / f"{run.name}-{key}"


def words_of(job: Job) -> tuple[str, ...]:
    """What a try says of itself, within its folder."""
    seen = RunFolder("")
    return (BEGAN_FILE, seen.progress(job).as_posix(), seen.log(job).as_posix())


def note_of(job: Job, fingerprint: str, **more: Any) -> dict[str, Any]:
    """What is noted in a store with a try: with which inputs, and by what, it was begun."""
    return {"job": job.name, "fingerprint": fingerprint, **maker(job.kind), **more}


class StateWriter:
    """Puts what a try has written, and what it says of itself.

    Args:
        root: the folder of the try.
        place: where it is put.
        job: the job.
        fingerprint: of what the job's result depends on.
    """

    def __init__(self, root: Path, place: Place, job: Job, fingerprint: str) -> None:
        self.root, self.place, self.job, self.fingerprint = root, place, job, fingerprint
        self.key, self.n_puts = secrets.token_hex(4), 0  # no other writer has the same
        self.seen: dict[str, tuple[int, int]] = {}
        self.sent: dict[str, str] = {}
        self.said: dict[str, tuple[int, int]] = {}

    def put_words(self) -> None:
        """Puts what is new of what the try says of itself."""
        for name in words_of(self.job):
            stat = _stat(self.root / name)
            if stat is not None and stat != self.said.get(name):
                (self.place / name).send(self.root / name)
                self.said[name] = stat

    def put(self, *, is_over: bool = False) -> None:
        """Puts a state, where something has changed since the last one.

        Args:
            is_over: nobody writes any more.
        """
        now = time.time_ns()
        found = {name: stat for name in self._names(self.root) if (stat := _stat(self.root / name))}
        if found == self.seen:
            return
        with self._still(is_over=is_over) as source:
            names = list(self._names(source))
            new = [name for name in names if name not in self.sent or found.get(name) != self.seen.get(name)]
            self.n_puts += 1
            folder = f"files/{self.key}-{self.n_puts}"
            at_once(lambda name: (self.place / f"{folder}/{name}").send(source / name), new)
        sent = {name: self.sent[name] for name in names if name not in new}
        sent |= {name: f"{folder}/{name}" for name in new}
        (self.place / STATE_FILE).write_json(note_of(self.job, self.fingerprint, files=sent))
        old = set(self.sent.values()) - set(sent.values())
        self.sent = sent
        self.seen = {name: stat for name, stat in found.items() if now - stat[1] > RACY_NS}
        for key in old:
            (self.place / key).remove()

    @contextmanager
    def _still(self, *, is_over: bool) -> Iterator[Path]:
        """The files as they are at one moment; of complete checkpoints nothing is copied."""
        if is_over:
            yield self.root
            return
        copied = self.root / ".state.tmp"
        shutil.rmtree(copied, ignore_errors=True)
        try:
            for name in (self.job.folder, BESIDE):
                copy_state(self.root / name, copied / name)
            yield copied
        finally:
            shutil.rmtree(copied, ignore_errors=True)

    def _names(self, root: Path) -> Iterator[str]:
        for name in (self.job.folder, BESIDE):
            yield from (f"{name}/{inner}" for inner in files_in(root / name))


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def read_state(place: Place, fingerprint: str) -> dict[str, str] | None:
    """Which objects make what a try has written: names to keys; None where there is nothing of these inputs."""
    note: Any = (place / STATE_FILE).read_json()
    if not isinstance(note, dict) or note.get("fingerprint") != fingerprint:
        return None
    return dict(note["files"])


def is_finished(state: dict[str, str] | None, job: Job) -> bool:
    """Whether a state is that of a finished job."""
    return state is not None and f"{job.folder}/{DONE_FILE}" in state


def fetch_state(place: Place, fingerprint: str, root: Path) -> bool:
    """Gets what a try has written; False where there is nothing.

    Its node may still be at work and remove what a newer state does not need: then that one is got.

    Args:
        place: the try in the store.
        fingerprint: of the inputs that it must have.
        root: the folder of a try here.

    Raises:
        OSError: the store cannot be read.
    """
    scratch = root.with_name(f".{root.name}.fetched.tmp")
    for left in range(9, -1, -1):
        state = read_state(place, fingerprint)
        if state is None:
            return False
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            fetch_all((place / key, scratch / name) for name, key in state.items())
            break
        except FileNotFoundError:
            if not left:
                raise
            time.sleep(0.2)
    root.mkdir(parents=True, exist_ok=True)
    for path in sorted(scratch.glob("*")):  # beside comes first: the files of the job say that it is finished
        shutil.rmtree(root / path.name, ignore_errors=True)
        path.rename(root / path.name)
    shutil.rmtree(scratch, ignore_errors=True)
    return True


@dataclass(frozen=True)
class StoreFiles:
    """What a node is told of a try that is kept in a store.

    Attributes:
        run: the run in the store; the node opens it with the keys of its own environment.
        job: the job.
        number: of the try.
        fingerprints: of the job, and of all jobs that it stands behind.
    """

    run: Place
    job: Job
    number: int
    fingerprints: dict[Job, str]

    @contextmanager
    def here(self, node: str, node_id: str) -> Iterator[tuple[Path, Path]]:
        """A folder of this node with what the job needs; what is written there is put into the store meanwhile.

        Raises:
            RunError: the store cannot be used from here.
        """
        run_dir = cache_of(self.run, "nodes") / node_id
        folder = RunFolder(run_dir)
        one = TryFolder(run_dir, self.job, folder.tries(self.job) / str(self.number))
        place = tries_of(self.run, self.job) / str(self.number)
        writer = StateWriter(one.root, place, self.job, self.fingerprints[self.job])
        try:
            with _at(node), speaking(self.run):
                self._fetch(folder, one)
            beat = Beat(lambda: _keep(writer, one), PUT_SECONDS)
            beat.start()
            try:
                yield run_dir, one.root
            finally:
                beat.end()
            if one.ticket.exists():
                with _at(node), speaking(self.run):
                    _put_last(writer)
        finally:
            shutil.rmtree(one.root, ignore_errors=True)

    def _fetch(self, folder: RunFolder, one: TryFolder) -> None:
        for old in folder.tries(self.job).glob("*"):  # of a process that was killed here
            shutil.rmtree(old, ignore_errors=True)
        for name in (RECIPE_FILE, JOBS_FILE):
            (self.run / name).fetch(folder.path / name)
        for job, fingerprint in self.fingerprints.items():
            if job != self.job:
                fetch_job(self.run, job, fingerprint, folder.of(job))
        for number in range(self.number, 0, -1):
            place = tries_of(self.run, self.job) / str(number)
            if fetch_state(place, self.fingerprints[self.job], one.root):
                break
        one.log(self.job).parent.mkdir(parents=True, exist_ok=True)
        write_json(one.ticket, {"job": self.job.name, "try": self.number})


@contextmanager
def _at(node: str) -> Iterator[None]:
    """Says of what goes wrong at which node it does."""
    try:
        yield
    except RunError as error:
        raise RunError(f"node {node}: {error}") from error


def _keep(writer: StateWriter, one: TryFolder) -> None:
    """Puts what is new; ends the work on a try that no longer counts."""
    if not (writer.place / TICKET_FILE).exists():
        with contextlib.suppress(FileNotFoundError):
            one.ticket.unlink()
        return
    writer.put_words()
    writer.put()


def _put_last(writer: StateWriter) -> None:
    for left in range(LAST_PUTS - 1, -1, -1):
        try:
            writer.put(is_over=True)
            writer.put_words()
            return
        except OSError:
            if not left:
                raise
            time.sleep(5.0)
