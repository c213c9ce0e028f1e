"""Samples of tasks as data sets of the library `datasets`: of any size, reproducible from the arguments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from skipthink import tasks
from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import Row

if TYPE_CHECKING:
    import datasets  # type: ignore[import-untyped]

_TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "task", "question", "rationale", "answer", "split")),
        ("steps", _TEXTS),
        ("roles", _TEXTS),
        ("correct", pa.bool_()),
    ]
)
"""Columns of a task's samples."""
_BATCH_ROWS = 10_000


def dataset(name: str, /, *, split: str, n: int, seed: int = 0, **task_options: object) -> datasets.Dataset:
    """The first `n` samples of a task's split, in memory.

    Args:
        name: a task, as in `skipthink.tasks.make`.
        split: "train", "validation" or "test".
        n: how many samples; about 2 kB each.
        seed: seeds the draws. A larger data set of the same seed begins with the same samples.
        **task_options: options of the task.

    Returns:
        A data set with the columns of `SCHEMA`.

    Raises:
        InvalidInputError: no such task or split, a wrong size, seed or option, or too few different problems.
    """
    from datasets import Dataset

    if n is None:
        raise InvalidInputError("a data set in memory has an end: give n, or take stream(…)")
    rows = tasks.rows(name, split=split, n=n, seed=seed, **task_options)
    # in batches: as columns the rows take a fraction of what they take as dicts
    in_batches = iter(lambda: list(itertools.islice(rows, _BATCH_ROWS)), [])
    batches = [pa.RecordBatch.from_pylist(batch, schema=SCHEMA) for batch in in_batches]
    return Dataset(pa.Table.from_batches(batches, schema=SCHEMA))


def stream(
    name: str, /, *, split: str, n: int | None = None, seed: int = 0, **task_options: object
) -> datasets.IterableDataset:
    """The samples of a task's split one after the other, made as they are read; without end where `n` is None.

    It begins with the samples that `dataset` holds, and takes about 100 bytes of memory for each one read.

    Args:
        name: a task, as in `skipthink.tasks.make`.
        split: "train", "validation" or "test".
        n: how many samples; None: as many as are read.
        seed: seeds the draws.
        **task_options: options of the task.

    Returns:
        An iterable data set with the columns of `SCHEMA`; `shuffle`, `map`, `skip` and `state_dict` are its own.

    Raises:
        InvalidInputError: as `dataset`; where a stream has used up all problems, while it is read.
    """
    from datasets import Features, IterableDataset

    tasks.rows(
        name, split=split, n=n, seed=seed, **task_options
    )  # a mistake shows now, not when reading begins
    return IterableDataset.from_generator(
        _generate,
        features=Features.from_arrow_schema(SCHEMA),
        gen_kwargs={"name": name, "split": split, "n": n, "seed": seed, "task_options": task_options},
    )


def _generate(name: str, split: str, n: int | None, seed: int, task_options: dict[str, Any]) -> Iterator[Row]:
    yield from tasks.rows(name, split=split, n=n, seed=seed, **task_options)
