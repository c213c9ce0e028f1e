"""Students of batch functions: loaded at first use in the worker, one per process, used by one thread at a time."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.core.arrow_columns import arrow_array
from skipthink.exceptions import InvalidTypeError, RunError, SkipthinkError
from skipthink.stream.function import BatchFunction, OnError
from skipthink.stream.threads import worker_threads

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.student.student import Student


class StudentFunction(BatchFunction):
    """A batch function that asks a student, which it knows by its folder or name.

    Args:
        student: folder or name of the student, which every worker must be able to read.
        n_chunks: M; None: that of the student.
        device: as in `Student.load`.
        dtype: as in `Student.load`.
        keep: as in `BatchFunction`.
        id_column: as in `BatchFunction`.
        on_error: as in `BatchFunction`.
        num_threads: threads of torch on a CPU, which are set when the student is loaded; None: torch's own choice, but
            one in a worker (`skipthink.stream.threads.worker_threads`).

    Raises:
        InvalidTypeError: the student is no folder or name.
    """

    is_costly = True

    def __init__(
        self,
        student: str | Path,
        *,
        n_chunks: int | None = None,
        device: str | None = None,
        dtype: str = "float32",
        keep: Sequence[str] | None = None,
        id_column: str | None = None,
        on_error: OnError = "raise",
        num_threads: int | None = None,
    ) -> None:
        if not isinstance(student, str | Path):
            raise InvalidTypeError(
                f"student must be a folder or a name, got {type(student).__name__}: workers load it themselves; "
                "save it where all of them can read it (student.save(folder)) and give the folder"
            )
        super().__init__(keep=keep, id_column=id_column, on_error=on_error, num_threads=num_threads)
        # workers may have another current folder
        self.student = str(Path(student).absolute() if Path(student).exists() else student)
        self.n_chunks, self.device, self.dtype = n_chunks, device, dtype

    @property
    def model_path(self) -> str:
        """See `BatchFunction.model_path`."""
        return self.student

    def compute(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        """See `BatchFunction.compute`."""
        rows = {name: self.column(name, column) for name, column in given.items()}
        with loaded_model(self._key, self._load) as student:
            return self.ask(student, rows)

    def column(self, name: str, column: Any) -> Any:
        """A column without nulls, as an Arrow array."""
        return arrow_array(name, column)

    @abstractmethod
    def ask(self, student: Student, rows: dict[str, Any]) -> dict[str, Any]:
        """The new columns of some rows, at least one; see `BatchFunction.compute`."""

    def check(self, student: Student) -> None:
        """Raises what is wrong with a student that was loaded."""

    @property
    def _key(self) -> tuple[Any, ...]:
        return (self.student, self.n_chunks, self.device, self.dtype, files_of(self.student))

    def _load(self) -> Student:
        from skipthink.student.student import Student

        set_torch_threads(self.num_threads)
        try:
            student = Student.load(self.student, n_chunks=self.n_chunks, device=self.device, dtype=self.dtype)
            self.check(student)
        except SkipthinkError as error:  # no row is at fault
            raise RunError(f"{type(self).__name__} cannot use the student {self.student}: {error}") from error
        return student


def samples_of(rows: dict[str, Any], **columns: str) -> pa.Table:
    """Samples as `Student.encode` takes them; their ids are their rows ("row 3"), for messages.

    Args:
        rows: Arrow arrays by column.
        columns: question, rationale and answer to their columns; an answer that is not given is empty.
    """
    import pyarrow as pa

    n_rows = len(next(iter(rows.values())))
    named = {name: rows[column].cast(pa.large_string()) for name, column in columns.items()}
    if "answer" not in named:
        named["answer"] = pa.array([""] * n_rows, pa.large_string())
    return pa.table({"id": [f"row {row}" for row in range(n_rows)], **named})


_models: dict[int, tuple[Any, Any]] = {}
_locks: dict[int, threading.RLock] = {}
"""Of this process alone, by its id: after a fork the child neither uses its parent's model nor waits for its lock."""


@contextmanager
def loaded_model(key: tuple[Any, ...], load: Any) -> Iterator[Any]:
    """The model of a key: that of the call before in this process, or loaded now. Only the last one is kept.

    While it is used, other threads wait: a forward pass sets hooks in the model.

    Args:
        key: all that the model depends on.
        load: loads it.
    """
    process = os.getpid()
    with _locks.setdefault(process, threading.RLock()):
        if _models.get(process, (None, None))[0] != key:
            _models.clear()  # the one before makes room first
            _models[process] = (key, load())
        yield _models[process][1]


def files_of(folder: str) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files of a folder: a student that was saved anew is loaded anew."""
    place = Path(folder)
    found = [place] if place.is_file() else sorted(place.iterdir()) if place.is_dir() else []
    states = ((path.name, path.stat()) for path in found)
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)


def set_torch_threads(num_threads: int | None) -> None:
    """Sets the threads of torch in this process where `worker_threads` says how many.

    With one thread torch is safe in a process that was forked after its parent had used several.
    """
    import torch

    count = worker_threads(num_threads)
    if count is not None and count != torch.get_num_threads():
        torch.set_num_threads(count)
