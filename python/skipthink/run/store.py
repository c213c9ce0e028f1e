"""A run in an object store: what lies where, and who holds it.

    OUT/recipe.yaml, jobs.json, events.jsonl, logs/…, results.json, …    as in a run folder
    OUT/train/base/s0/…             a finished job; its done.json is put last: half an upload does not count
    OUT/tries/train.base.s0/3/      a try
        ticket.json                 allows its node to work on it
        began.json, logs/…          what it says of itself
        state.json                  which objects make what it has written; put last, in one step
        files/KEY/…                 these objects; none is ever written a second time
    OUT/drivers/ID.json             a process that holds the run, or waits for it; put again every few seconds

Nothing is appended to, renamed or locked. A folder that is copied from OUT is an ordinary run folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from skipthink.exceptions import RunError
from skipthink.inspection.layout import TRIES_FOLDER
from skipthink.io.files import remove_folder
from skipthink.io.places import Place
from skipthink.run.jobs import Job
from skipthink.run.tries import fingerprint_in

LOG = logging.getLogger(__name__)
T = TypeVar("T")
STATE_FILE = "state.json"
DRIVERS_FOLDER = "drivers"
AT_ONCE = 8
"""Files on their way at the same time."""
RENEW_SECONDS = 15.0
LEASE_SECONDS = 60.0
"""How long after its last sign of life a process still counts as the one that holds a run."""


@contextlib.contextmanager
def speaking(place: Place) -> Iterator[None]:
    """Makes of what a store raises a sentence.

    Raises:
        RunError: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot use {place}: {' '.join(str(error).split())[:500]}; its keys come from the environment; what was "
            "finished before is kept, the same command goes on from there"
        ) from error


def tries_of(run: Place, job: Job) -> Place:
    """Where the tries of a job lie, each under its number."""
    return run / TRIES_FOLDER / job.name.replace("/", ".")


def at_once(work: Callable[[T], None], things: Iterable[T]) -> None:
    """Calls a function for each of several things, a few at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(work, things))


def fetch_all(pairs: Iterable[tuple[Place, Path]]) -> None:
    """Gets files from a store."""
    at_once(lambda pair: pair[0].fetch(pair[1]), pairs)


def fetch_job(run: Place, job: Job, fingerprint: str, target: Path) -> None:
    """Gets a finished job, unless it is here: whole, in one step.

    Args:
        run: the run in the store.
        job: the job.
        fingerprint: of what its result depends on.
        target: the folder of the job here.

    Raises:
        OSError: the store cannot be read.
        RunError: it holds no such job.
    """
    if fingerprint_in(target) == fingerprint:
        return
    source = run / job.folder
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        fetch_all((source / name, scratch / name) for name, _ in source.list(deep=True))
        if fingerprint_in(scratch) != fingerprint:
            raise RunError(f"{source} does not hold the finished job {job.name} of this run")
        if target.exists() and fingerprint_in(target) != fingerprint:
            remove_folder(target)
        with contextlib.suppress(OSError):  # another job of this node has been faster
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def files_in(folder: Path) -> Iterator[str]:
    """The files in a folder, by their names within it; none that is being written."""
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not any(piece.endswith(".tmp") for piece in inner.parts) and path.is_file():
            yield inner.as_posix()


class Lease:
    """Says in a store who holds a run, since stores have no locks: each process puts an object of its own.

    A process first puts its object and then looks for others, so of two that begin at the same time at least one sees
    the other. One that was not renewed for `LEASE_SECONDS`, by the clock of the store, is of a process that has ended.

    Args:
        run: the run in the store.
        owner: of this working copy, whose lock this process holds: an object of it is of an earlier process.
    """

    def __init__(self, run: Place, owner: str) -> None:
        self.run, self.place = run, run / DRIVERS_FOLDER / f"{owner}.json"
        self.renewed = 0.0
        self.lost: str | None = None
        self._note = {"host": socket.gethostname(), "process": os.getpid()}

    def take(self, say: Callable[[str], None]) -> None:
        """Waits until nobody else holds the run.

        Args:
            say: told why it waits.

        Raises:
            RunError: another process does, and it lives.
        """
        self.renew()
        first = self.others()
        if first:
            say(
                f"{self.run} was in use by {_named(first)} a moment ago; waiting up to {LEASE_SECONDS:.0f} s for a "
                "sign of life"
            )
        give_up = time.monotonic() + LEASE_SECONDS
        while first and time.monotonic() < give_up:
            time.sleep(min(1.0, RENEW_SECONDS / 4))
            if time.time() - self.renewed > RENEW_SECONDS:
                self.renew()
            now = self.others()
            if alive := {name: now[name] for name in now if now[name] != first.get(name)}:
                self.leave()
                raise RunError(
                    f"{self.run} is in use by another run ({_named(alive)}); wait for it, stop it, or choose another "
                    "--out"
                )
            first = now
        live = self.others().keys() - first.keys()
        for name, _ in (self.run / DRIVERS_FOLDER).list():
            place = self.run / DRIVERS_FOLDER / name
            if place != self.place and place not in live:
                place.remove()

    def others(self) -> dict[Place, int]:
        """The objects of other processes that may live, and when they were renewed."""
        times = {
            name: time for name, (_, time) in (self.run / DRIVERS_FOLDER).states().items() if "/" not in name
        }
        own = times.pop(self.place.name, 0)
        return {
            self.run / DRIVERS_FOLDER / name: time
            for name, time in times.items()
            if own - time < LEASE_SECONDS * 1e9
        }

    def renew(self) -> None:
        """Says that this process lives; notes as `lost` that another one has taken over while it did not."""
        if self.renewed and time.time() - self.renewed > LEASE_SECONDS and (others := self.others()):
            self.lost = (
                f"this process was out of reach of {self.run} for more than {LEASE_SECONDS:.0f} s, and another run "
                f"has taken over ({_named(others)})"
            )
            return
        self.place.write_json(self._note)
        self.renewed = time.time()

    def leave(self) -> None:
        """Says that this process no longer holds the run."""
        with contextlib.suppress(OSError):
            self.place.remove()


def _named(others: Iterable[Place]) -> str:
    notes = [place.read_json() or {} for place in others]
    return ", ".join(f"process {note.get('process')} on {note.get('host')}" for note in notes)


def patience(age: float, most: float) -> float:
    """Seconds to wait for news of what is so many seconds old: few at first, since much is short."""
    return min(most, max(0.3, age / 10))


class Beat(threading.Thread):
    """Calls a function again and again, whatever it raises.

    Args:
        work: what is called.
        seconds: the most between two calls, unless a call takes long: they take a fifth of the time at most.
    """

    def __init__(self, work: Callable[[], None], seconds: float) -> None:
        super().__init__(daemon=True)
        self.work, self.seconds, self.over = work, seconds, threading.Event()

    def run(self) -> None:
        """Calls until it is over."""
        took, born = 0.0, time.monotonic()
        while not self.over.wait(max(patience(time.monotonic() - born, self.seconds), 4 * took)):
            began = time.monotonic()
            try:
                self.work()
            except Exception as error:
                LOG.warning("%s; it is tried again", " ".join(str(error).split()))
            took = time.monotonic() - began

    def end(self) -> None:
        """Waits for the call that is under way, and ends."""
        self.over.set()
        self.join()
