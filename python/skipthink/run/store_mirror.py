"""A run that is kept in an object store: this process works in a copy, fetches what is there and puts what is new.

What is finished is put whole, a job's `done.json` last. What is under way on nodes goes between them and the store
(`skipthink.run.store_tries`); this process reads what tries say, and gets the files of finished ones.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from skipthink.exceptions import RunError
from skipthink.inspection.layout import DONE_FILE, RECIPE_FILE, TRIES_FOLDER
from skipthink.io.files import write_json
from skipthink.io.places import Place
from skipthink.run.jobs import Graph, Job
from skipthink.run.run_files import NodeFiles, RunFiles
from skipthink.run.store import (
    RENEW_SECONDS,
    STATE_FILE,
    Beat,
    Lease,
    at_once,
    fetch_all,
    fetch_job,
    files_in,
    patience,
    speaking,
    tries_of,
)
from skipthink.run.store_tries import (
    PUT_SECONDS,
    StateWriter,
    StoreFiles,
    cache_of,
    fetch_state,
    is_finished,
    note_of,
    read_state,
    words_of,
)
from skipthink.run.tries import BESIDE, TICKET_FILE, WITHDRAWN_FILE, TryFolder

INDEX_FILE = ".store.json"
"""In the working copy: its id, and which files it has put, by size and time."""


def default_copy(run: Place) -> Path:
    """Where a run is worked on, if its user does not say."""
    return cache_of(run, "runs")


class StoreMirror(RunFiles):
    """A run in an object store.

    Args:
        run: the run in the store.
        copy: the folder in which this process works.
    """

    def __init__(self, run: Place, copy: Path) -> None:
        super().__init__(copy.resolve())
        self.run = run
        self._index = self._read_index()
        self._listed: dict[str, int] = {}
        self._tries: dict[Job, dict[int, str]] = {}
        self._keys: dict[str, Place] = {}
        self._looked: dict[Path, tuple[float, float]] = {}
        self._lease: Lease | None = None
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"{self.run} (worked on in {self.folder.path})"

    def part(self, name: str) -> RunFiles:
        """The files of a run of a study."""
        return StoreMirror(self.run / name, self.folder.path / name)

    @contextlib.contextmanager
    def held(self, say: Callable[[str], None]) -> Iterator[None]:
        """Holds the run in the store, and puts what it says of itself now and then.

        Raises:
            RunError: another process holds it, or it cannot be used.
        """
        self._lease = lease = Lease(self.run, self._index["id"])
        # each on its own: a long log must not keep the run from saying that it lives
        beats = [Beat(lease.renew, RENEW_SECONDS), Beat(self.put_words, RENEW_SECONDS)]
        try:
            with speaking(self.run):
                lease.take(say)
        except BaseException:
            lease.leave()
            raise
        for beat in beats:
            beat.start()
        try:
            yield
        finally:
            for beat in beats:
                beat.end()
            with contextlib.suppress(OSError, RunError):
                self.put_words()
            lease.leave()

    def _read_index(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder.path / INDEX_FILE).read_bytes()))
        except (OSError, ValueError):
            return {"id": secrets.token_hex(8), "sent": {}}

    def _check(self) -> None:
        if self._lease is not None and self._lease.lost:
            raise RunError(f"{self._lease.lost}; this run stops, the other one goes on")

    def fetch_words(self) -> None:
        """Gets the recipe, and the events and logs that are longer than here."""
        with speaking(self.run):
            self._listed = dict(self.run.list(deep=True))
            sent = self._index["sent"]  # what was removed from the store is put again
            self._index["sent"] = {
                name: stat for name, stat in sent.items() if self._listed.get(name) == stat[0]
            }
            names = [name for name in self._listed if "/" not in name or name.startswith("logs/")]
            fetch_all(
                (self.run / name, path)
                for name in names
                if not (path := self.folder.path / name).exists()
                or name == RECIPE_FILE
                or (path.suffix in (".jsonl", ".log") and path.stat().st_size < self._listed[name])
            )

    def fetch(self, graph: Graph) -> None:
        """Gets the finished jobs that are not here yet, and learns of tries.

        Raises:
            RunError: a job was finished or begun with other inputs.
        """
        with speaking(self.run):
            for job in graph:
                fingerprint = graph.fingerprints[job]
                if (self.folder.of(job) / DONE_FILE).exists():
                    continue
                if f"{job.folder}/{DONE_FILE}" in self._listed:
                    note = (self.run / f"{job.folder}/{DONE_FILE}").read_json() or {}
                    if note.get("fingerprint") != fingerprint:
                        raise RunError(self.folder.is_of_others(job, note, "finished", self.run))
                    fetch_job(self.run, job, fingerprint, self.folder.of(job))
                    names = [f"{job.folder}/{name}" for name in files_in(self.folder.of(job))]
                    self._note_sent({name: _stat(self.folder.path / name) for name in names})
                else:
                    self._learn_tries(job, fingerprint)

    def _learn_tries(self, job: Job, fingerprint: str) -> None:
        """Makes the tries known here, without their files; those of a finished one are got."""
        start = f"{TRIES_FOLDER}/{job.name.replace('/', '.')}/"
        held = [name.removeprefix(start).split("/", 1) for name in self._listed if name.startswith(start)]
        for number in sorted({int(number) for number, *_ in held if number.isdigit()}):
            place = self._place(job, number)
            counts = [str(number), TICKET_FILE] in held
            note = (place / (TICKET_FILE if counts else STATE_FILE)).read_json()
            if note is not None and note.get("fingerprint") != fingerprint:
                raise RunError(self.folder.is_of_others(job, note, "begun", self.run))
            self._tries.setdefault(job, {})[number] = fingerprint
            one = TryFolder(self.folder.path, job, self.folder.tries(job) / str(number))
            write_json(one.ticket if counts else one.root / WITHDRAWN_FILE, {"job": job.name, "try": number})
            if counts:
                self._get_finished(one, fingerprint)

    def put_words(self) -> None:
        """Puts what is new of the files that lie in the run folder itself, and of logs; nothing in another's run."""
        if self._lease is not None and self._lease.lost:
            return
        folder = self.folder.path
        paths = [path for path in (*folder.glob("*"), *folder.glob("logs/*")) if path.is_file()]
        with speaking(self.run):
            self._send(
                path.relative_to(folder).as_posix()
                for path in paths
                if not path.name.startswith(".") and path.suffix != ".tmp"
            )

    def put(self, graph: Graph, *, is_over: bool = False) -> None:
        """Puts finished jobs, in the order of the graph, and what is new of all else; removes tries that are done with.

        Args:
            graph: the jobs.
            is_over: the run is finished.

        Raises:
            RunError: the store cannot be used, or another process holds the run.
        """
        self._check()
        with speaking(self.run):
            for job in graph:
                files = self.folder.of(job)
                if not (files / DONE_FILE).exists():
                    continue
                names = [f"{job.folder}/{name}" for name in files_in(files)]
                # a card that evaluation has changed is put before what says that evaluation is done
                done = [name for name in names if Path(name).name == DONE_FILE]
                self._send(name for name in names if name not in done)
                self._send(sorted(done, key=len, reverse=True)[:-1])  # of the parts of evaluation
                self._send([f"{job.folder}/{DONE_FILE}"])
                if self._tries.pop(job, None):
                    tries_of(self.run, job).remove_all()
            self._keys.clear()
            self.put_words()
            if is_over:
                (self.run / TRIES_FOLDER).remove_all()

    def _send(self, names: Iterable[str]) -> None:
        """Puts files that have changed since they were put."""
        stats = {name: _stat(self.folder.path / name) for name in names}
        new = {name: stat for name, stat in stats.items() if stat != self._index["sent"].get(name)}
        if new:
            at_once(self._send_one, new)
            self._note_sent(new)

    def _send_one(self, name: str) -> None:
        """Puts a file; what a try has put into the store is copied there."""
        key = self._keys.pop(name, None)
        if key is not None:
            with contextlib.suppress(OSError):
                key.copy_to(self.run / name)
                return
        (self.run / name).send(self.folder.path / name)

    def _note_sent(self, stats: Mapping[str, list[int]]) -> None:
        with self._lock:  # two threads put files
            self._index["sent"].update(stats)
            write_json(self.folder.path / INDEX_FILE, self._index)

    def take_back(self, job: Job) -> None:
        """Gets what the newest try of a job has left, for this machine to go on from."""
        if self.folder.of(job).exists():
            return
        known = self._tries.get(job, {})
        with speaking(self.run):
            for number in known:
                (self._place(job, number) / TICKET_FILE).remove()
            for number in sorted(known, reverse=True):
                root = self.folder.tries(job) / str(max(known))
                if fetch_state(self._place(job, number), known[number], root):
                    return

    def begin(self, made: TryFolder, graph: Graph) -> NodeFiles:
        """Puts the ticket of a new try, after the tickets before it were removed."""
        self._check()
        job, number = made.job, int(made.root.name)
        fingerprint, place = graph.fingerprints[job], self._place(job, number)
        known = self._tries.setdefault(job, {})
        with speaking(self.run):
            for before in known:
                (self._place(job, before) / TICKET_FILE).remove()
            if made.of(job).exists():  # what a run on this machine has left
                StateWriter(made.root, place, job, fingerprint).put(is_over=True)
            (place / TICKET_FILE).write_json(note_of(job, fingerprint))
        known[number] = fingerprint
        return StoreFiles(self.run, job, number, _needed(graph, job))

    def look(self, one: TryFolder) -> None:
        """Gets what a try says of itself, every few seconds."""
        self._check()
        now = time.monotonic()
        born, last = self._looked.setdefault(one.root, (now, 0.0))
        if now - last < patience(now - born, PUT_SECONDS):
            return
        self._looked[one.root] = (born, now)
        place, (began, progress, _) = self._place(one.job, one.root.name), words_of(one.job)
        for name in (progress,) if one.began.exists() else (began, progress):
            with contextlib.suppress(OSError):  # it has said nothing yet, or the next look is luckier
                (place / name).fetch(one.root / name)

    def collect(self, one: TryFolder) -> None:
        """Gets what a try printed, and its files where it is finished."""
        place = self._place(one.job, one.root.name)
        with speaking(self.run):
            for name in words_of(one.job):
                with contextlib.suppress(FileNotFoundError):  # it ended before it said anything
                    (place / name).fetch(one.root / name)
            self._get_finished(one, self._tries[one.job][int(one.root.name)])

    def _get_finished(self, one: TryFolder, fingerprint: str) -> None:
        place = self._place(one.job, one.root.name)
        state = read_state(place, fingerprint)
        if state is not None and is_finished(state, one.job):
            fetch_state(place, fingerprint, one.root)
            start = f"{BESIDE}/"
            self._keys |= {name.removeprefix(start): place / key for name, key in state.items()}

    def withdraw(self, one: TryFolder) -> None:
        """Removes the ticket of a try."""
        with contextlib.suppress(OSError):  # nodes of a cluster end by themselves where the driver is gone
            (self._place(one.job, one.root.name) / TICKET_FILE).remove()

    def _place(self, job: Job, number: int | str) -> Place:
        return tries_of(self.run, job) / str(number)


def _needed(graph: Graph, job: Job) -> dict[Job, str]:
    """The fingerprints of a job and of all jobs that it stands behind: the files of any of them may be read."""
    found = {job}
    for other in reversed(list(graph)):  # jobs stand behind those they need
        if other in found:
            found.update(graph.needs[other])
    return {other: graph.fingerprints[other] for other in graph if other in found}


def _stat(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
