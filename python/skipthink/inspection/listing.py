"""Lists of samples: those that a method got wrong, on which two disagree, of so many chunks, with a text in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import InvalidInputError
from skipthink.inspection.record import RunRecord

if TYPE_CHECKING:
    import pyarrow as pa

Flags = npt.NDArray[np.bool_]
TEXT_COLUMNS = ("id", "question", "rationale", "answer")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which samples are wanted; what is None says nothing.

    Attributes:
        split: of this split; None: the evaluated one, and with `chunks` the training split.
        wrong: methods whose answer is not right, all of them.
        disagree: two methods, of which one is right and the other is not.
        chunks: samples with so many chunks that hold a step.
        grep: a text that id, question, rationale, answer or an output holds, upper and lower case alike.
        seed: of the students; None: the first of the run.
    """

    split: str | None = None
    wrong: Sequence[str] = ()
    disagree: tuple[str, str] | None = None
    chunks: int | None = None
    grep: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Listing:
    """Samples of a split.

    Attributes:
        split: the split.
        seed: of the students whose verdicts are shown.
        rows: rows of the split, int64.
        total: samples of the split.
        methods: the methods that were evaluated on the split, in order.
    """

    split: str
    seed: int
    rows: npt.NDArray[np.int64]
    total: int
    methods: list[str]


def select(record: RunRecord, wanted: Wanted) -> Listing:
    """Finds samples.

    Raises:
        InvalidInputError: an unknown method, seed or split, what is not evaluated yet, or a question of one split
            about another.
    """
    split = wanted.split or ("train" if wanted.chunks is not None else record.evaluated_split)
    seed = _seed(record, wanted.seed)
    samples = record.samples(split)
    if samples is None:
        raise InvalidInputError(f"data/{split}.parquet of {record.path} is not there or cannot be read")
    chosen = np.ones(samples.num_rows, dtype=bool)
    for method in wanted.wrong:
        chosen &= ~is_right(record, method, seed, split)
    if wanted.disagree is not None:
        first, second = (is_right(record, method, seed, split) for method in wanted.disagree)
        chosen &= first != second
    if wanted.chunks is not None:
        chosen &= _n_chunks(record, seed, samples, split) == wanted.chunks
    evaluated = record.methods if split == record.evaluated_split else []
    methods = [method for method in evaluated if record.predictions(method, seed) is not None]
    if wanted.grep is not None:
        chosen &= _holds(record, samples, methods, seed, wanted.grep)
    return Listing(split, seed, np.flatnonzero(chosen), samples.num_rows, methods)


def summaries(record: RunRecord, listing: Listing, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A line per sample: id, question, answer, verdicts (method → verdict) and tokens (method → count)."""
    samples = record.samples(listing.split)
    assert samples is not None  # noqa: S101 - a listing was made of it
    index = np.asarray(rows, dtype=np.int64)
    outputs = {
        method: table.select(["verdict", "tokens"]).take(index).to_pylist()
        for method in listing.methods
        if (table := record.predictions(method, listing.seed)) is not None
    }
    for place, row in enumerate(samples.select(["id", "question", "answer"]).take(index).to_pylist()):
        yield {
            **row,
            "verdicts": {method: found[place]["verdict"] for method, found in outputs.items()},
            "tokens": {method: found[place]["tokens"] for method, found in outputs.items()},
        }


def is_right(record: RunRecord, method: str, seed: int, split: str) -> Flags:
    """Whether a method answered right, bool, one per sample of the split.

    Raises:
        InvalidInputError: the run has no such method, or it is not evaluated on the split.
    """
    import pyarrow.compute as pc

    if method not in record.methods:
        raise InvalidInputError(
            f"the run compares no method {method!r}; it compares {', '.join(record.methods) or 'none yet'}"
        )
    if split != record.evaluated_split:
        raise InvalidInputError(
            f"the methods of this run answered the questions of the split {record.evaluated_split}, not of {split}"
        )
    table = record.predictions(method, seed)
    if table is None:
        raise InvalidInputError(f"{method} with seed {seed} is not evaluated yet in {record.path}")
    right: Flags = pc.equal(table["verdict"], "right").to_numpy(zero_copy_only=False)
    return right


def _seed(record: RunRecord, seed: int | None) -> int:
    if seed is None:
        return record.seeds[0] if record.seeds else 0
    if seed not in record.seeds:
        raise InvalidInputError(f"the run has no seed {seed}; it has {', '.join(map(str, record.seeds))}")
    return seed


def _n_chunks(record: RunRecord, seed: int, samples: pa.Table, split: str) -> npt.NDArray[np.int64]:
    """Chunks that hold a step, of each sample: those of the first method that has its own."""
    trained = [one for one in record.trainings() if one.job.seed == seed and one.chunks is not None]
    searched = [one for one in trained if one.epochs is not None]
    if split != "train" or not trained:
        raise InvalidInputError(
            f"there are no chunks yet in {record.path}"
            if split == "train"
            else "only training samples have chunks"
        )
    table = (searched or trained)[0].chunks
    assert table is not None  # noqa: S101 - looked at above
    lengths = np.diff(np.asarray(table["boundaries"].to_pylist(), dtype=np.int64), axis=1)
    counts = dict(zip(table["id"].to_pylist(), (lengths > 0).sum(axis=1).tolist(), strict=True))
    return np.asarray([counts.get(name, 0) for name in samples["id"].to_pylist()], dtype=np.int64)


def _holds(record: RunRecord, samples: pa.Table, methods: Sequence[str], seed: int, text: str) -> Flags:
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = [(samples, [name for name in TEXT_COLUMNS if name in samples.column_names])]
    tables += [
        (table, ["chain", "answer"])
        for method in methods
        if (table := record.predictions(method, seed)) is not None
    ]
    found = np.zeros(samples.num_rows, dtype=bool)
    for table, columns in tables:
        for name in columns:
            if pa.types.is_null(table[name].type):  # nobody has one
                continue
            holds = pc.match_substring(table[name], text, ignore_case=True)
            found |= pc.fill_null(holds, fill_value=False).to_numpy(zero_copy_only=False)
    return found
