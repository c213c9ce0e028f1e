"""Tries of a job on a cluster: each works in a folder of its own, and only the process that holds the run moves files.

    tries/train.base.s0/3/                    a try; the one with the highest number is under way
        ticket.json                           allows a process to work here: without it the process ends itself;
                                              it is renamed to withdrawn.json when the try no longer counts
        began.json                            the node on which it works
        train/base/s0/ …                      what becomes the folder of the job
        beside/train/base/s0/model/README.md  what the job changes in the folders of other jobs
        logs/train.base.s0.{log,progress}     its output, and how far it has come

A node that the cluster has given up may still be at work. It cannot spoil anything: it knows its own try alone. A new
try begins with a copy of what the one before had written, and its number is one that no other try has had. When a try
is finished, its folder is renamed to the folder of the job, in one step.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from skipthink.exceptions import DataError, RunError
from skipthink.inspection.layout import DONE_FILE
from skipthink.io.files import atomic_folder, flush, parse_object, remove_folder, write_json
from skipthink.run.folder import RunFolder, link_file
from skipthink.run.jobs import Job

TICKET_FILE, WITHDRAWN_FILE, BEGAN_FILE = "ticket.json", "withdrawn.json", "began.json"
BESIDE = "beside"
COMPLETE_MARK = "skipthink.json"
"""What a checkpoint holds when it is complete (`skipthink.training.checkpoints`); its files do not change any more."""


class TryFolder(RunFolder):
    """A run folder as a try of a job sees it: it reads all of it, and writes in the folder of the try alone.

    Args:
        path: the run folder.
        job: the job.
        root: the folder of the try.
    """

    def __init__(self, path: str | Path, job: Job, root: Path) -> None:
        super().__init__(path)
        self.job, self.root = job, root

    @property
    def ticket(self) -> Path:
        """What allows a process to work on this try."""
        return self.root / TICKET_FILE

    @property
    def began(self) -> Path:
        """Where the process of this try says on which node it is."""
        return self.root / BEGAN_FILE

    def withdraw(self) -> None:
        """Ends the process that works on this try, wherever it is; what it has written stays."""
        with contextlib.suppress(FileNotFoundError):
            self.ticket.replace(self.root / WITHDRAWN_FILE)

    def of(self, job: Job) -> Path:
        """The folder of a job's files; those of this job and of its parts lie in the try."""
        own = self.job.folder
        is_own = job.folder == own or job.folder.startswith(own + "/")
        return self.root / job.folder if is_own else super().of(job)

    def beside(self, job: Job) -> Path:
        """Where this job writes what belongs into the folder of another one."""
        found = self.of(job)
        return self.root / BESIDE / job.folder if found == super().of(job) else found

    def log(self, job: Job) -> Path:
        """What this try printed."""
        return RunFolder(self.root).log(job)

    def progress(self, job: Job) -> Path:
        """How far this try has come."""
        return RunFolder(self.root).progress(job)


class Tries:
    """The tries of a job, for the one process that holds the lock of the run folder.

    Args:
        folder: the run folder.
        job: the job.
    """

    def __init__(self, folder: RunFolder, job: Job) -> None:
        self.folder, self.job = folder, job
        self.path = folder.tries(job)

    def numbers(self) -> list[int]:
        """The tries there are, ascending."""
        try:
            return sorted(int(path.name) for path in self.path.iterdir() if path.name.isdigit())
        except FileNotFoundError:
            return []

    def begin(self) -> TryFolder:
        """A new try that goes on from the newest one, or from what a run on one machine has left.

        Processes that still work on earlier tries lose their ticket, and their folders.
        """
        self._adopt_files()
        before, source = self.numbers(), self._withdraw_all()
        number = max(before, default=0) + 1
        # made under a name that no try has, so that a kill leaves nothing half copied behind
        made = TryFolder(self.folder.path, self.job, self.path / f".{number}.tmp")
        shutil.rmtree(made.root, ignore_errors=True)
        made.log(self.job).parent.mkdir(parents=True)
        if source is not None:
            copy_state(source / self.job.folder, made.of(self.job))
            copy_state(source / BESIDE, made.root / BESIDE)
        write_json(made.ticket, {"job": self.job.name, "try": number})
        made.root.rename(self._root(number))
        flush(self.path)
        for old in before:
            shutil.rmtree(self._root(old), ignore_errors=True)
        return TryFolder(self.folder.path, self.job, self._root(number))

    def commit(self, fingerprint: str) -> bool:
        """Makes the files of a finished try those of the job, in one step; False where no try is finished.

        Tries that were withdrawn do not count. Killed in between, it is done again by the next run.

        Raises:
            RunError: another process has made the folder of the job meanwhile.
        """
        if fingerprint_in(self.folder.of(self.job)) == fingerprint:
            self.clear()
            return True
        for number in reversed(self.numbers()):
            root = self._root(number)
            is_finished = fingerprint_in(root / self.job.folder) == fingerprint
            if not is_finished or not (root / TICKET_FILE).exists():
                continue
            self._move_beside(root)
            target = self.folder.of(self.job)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                (root / self.job.folder).rename(target)
            except OSError as error:
                raise RunError(
                    f"cannot move {root / self.job.folder} to {target}: {error}; if another run works in this folder, "
                    "stop one of them, then give the same command again"
                ) from error
            flush(target.parent)
            self.clear()
            return True
        return False

    def take_back(self) -> None:
        """Gives a run on one machine what the newest try has left, in the folder of the job."""
        source, target = self._withdraw_all(), self.folder.of(self.job)
        if source is not None and not target.exists():
            with atomic_folder(target) as scratch:
                copy_state(source / self.job.folder, scratch)
            self._move_beside(source)
        self.clear()

    def clear(self) -> None:
        """Removes all tries; processes that still work on one end themselves."""
        remove_folder(self.path)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()  # stays as long as there are others

    def _move_beside(self, root: Path) -> None:
        """Gives what a try has changed in the folders of other jobs its place there."""
        for path in sorted((root / BESIDE).rglob("*")):
            if path.is_file():
                path.replace(self.folder.path / path.relative_to(root / BESIDE))

    def _adopt_files(self) -> None:
        """Makes a try of what a run on one machine has left in the folder of the job, where that is not finished."""
        files = self.folder.of(self.job)
        if files.exists():
            self._withdraw_all()
            root = self._root(max(self.numbers(), default=0) + 1)
            write_json(root / WITHDRAWN_FILE, {"job": self.job.name, "try": int(root.name)})
            (root / self.job.folder).parent.mkdir(parents=True, exist_ok=True)
            files.rename(root / self.job.folder)

    def _withdraw_all(self) -> Path | None:
        """Ends the work on all tries; the newest one, to go on from.

        A process that has not noticed yet may make the folder of an old try anew: that has no ticket, and is no try.
        """
        for number in self.numbers():
            TryFolder(self.folder.path, self.job, self._root(number)).withdraw()
        found = [self._root(number) for number in self.numbers()]
        return next((root for root in reversed(found) if (root / WITHDRAWN_FILE).exists()), None)

    def _root(self, number: int) -> Path:
        return self.path / str(number)


def copy_state(source: Path, target: Path) -> None:
    """Copies what an unfinished job has written, while a process may still be writing it.

    The copy is such as a kill at this moment would have left. Complete checkpoints come first, since what they need was
    written before them; they are linked where the file system can, since nobody writes into them. The rest is copied
    by name, which has a ledger copied before the transcript that is written ahead of it. What is removed meanwhile is
    left out, as are files that are being written.

    Args:
        source: the folder; it may be missing.
        target: made, with what the source holds by now.
    """
    target.mkdir(parents=True, exist_ok=True)
    files = sorted(Path(folder) / name for folder, _, names in os.walk(source) for name in names)
    for checkpoint in [path.parent for path in files if path.match(f"checkpoint-*/{COMPLETE_MARK}")]:
        copied = target / checkpoint.relative_to(source)
        try:
            shutil.copytree(checkpoint, copied, copy_function=link_file)
        except (FileNotFoundError, shutil.Error):
            shutil.rmtree(copied, ignore_errors=True)  # another process has made room for a newer one
    for path in files:
        inner = path.relative_to(source)
        is_of_checkpoint = any(folder.match("checkpoints/checkpoint-*") for folder in inner.parents)
        if not is_of_checkpoint and not path.name.endswith(".tmp"):
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path, target / inner)


def fingerprint_in(folder: Path) -> str | None:
    """The fingerprint of a finished job; None where the folder holds none."""
    try:
        return str(parse_object((folder / DONE_FILE).read_bytes(), "it").get("fingerprint"))
    except (OSError, DataError):
        return None
