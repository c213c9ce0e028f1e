"""Chunking of streams: batch by batch, with the same result for every size of batch (method §4)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.chunk_texts import is_list_column, step_offsets, texts_of_lists, texts_of_spans
from skipthink.core.options import Anneal, Method, to_method
from skipthink.core.ragged import Ints, Ragged, arrow_array, check_lengths, is_step_lists, to_ragged
from skipthink.core.search import Chunking, average_boundaries, chunk
from skipthink.core.steps import StepSpans, split_steps_batch
from skipthink.exceptions import InvalidInputError, InvalidTypeError, SkipthinkError
from skipthink.io.tables import BATCH_ROWS, read_batches, split_batch

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("boundaries", "objective", "initial_objective", "searched", "chunks")
"""What chunking adds to a row."""


class Chunker:
    """`skipthink.chunk` with its options, as a function of batches: for `datasets.map`, readers and loops.

    A batch is a `pyarrow.Table` or `RecordBatch`, to which columns are appended, or a mapping of columns, for which
    the new columns are returned (what `Dataset.map(…, batched=True)` wants, with or without format "arrow").
    It can be pickled and hashed by `datasets`; in worker processes of `datasets` it uses one thread.

    Args:
        M: number of chunks.
        eta: as in `chunk`.
        rationale: column of the rationales: texts, or lists of steps. None: boundaries from the losses only.
        losses: column of the losses; None only with method="average".
        n_tokens: column of the tokens per step; None: 1 each.
        end_losses: column of the losses of the end token; None: they do not count.
        init: column of the boundaries to start from; None: average chunks.
        keep: columns that stay in the result of a table; None: all.
        texts: whether to add the column chunks, the M texts of a row.
        method: as in `chunk`.
        rules: as in `chunk`.
        num_threads: as in `chunk`.
        options: further options of `chunk`: objective, min_steps, seed.

    Raises:
        InvalidInputError: options that `chunk` refuses.
    """

    def __init__(
        self,
        M: int,
        eta: float = 0.1,
        *,
        rationale: str | None = "rationale",
        losses: str | None = "losses",
        n_tokens: str | None = None,
        end_losses: str | None = None,
        init: str | None = None,
        keep: Sequence[str] | None = None,
        texts: bool = True,
        method: Method = "greedy",
        rules: str | Sequence[str] = "auto",
        num_threads: int | None = None,
        **options: Any,
    ) -> None:
        if "first_row" in options:
            raise InvalidInputError(
                "first_row is no option of a Chunker: batches say where they stand (indices)"
            )
        if losses is None and (method != "average" or rationale is None):
            raise InvalidInputError(
                'losses may be None only with method="average" and a column of rationales'
            )
        self.M, self.eta = M, eta
        self.rationale, self.losses = rationale, losses
        self.n_tokens, self.end_losses, self.init = n_tokens, end_losses, init
        self.keep = None if keep is None else tuple(keep)
        self.texts = texts and rationale is not None
        self.rules = rules if isinstance(rules, str) else tuple(rules)
        self.num_threads = num_threads
        self.method = to_method(method)
        self.options = dict(sorted(options.items()))
        nothing = (np.empty(0), np.zeros(1, dtype=np.int64))
        # wrong options are refused now
        chunk(None, nothing, M, eta, method=self.method, num_threads=num_threads, **options)
        split_steps_batch([], rules=rules)

    def __repr__(self) -> str:
        return f"Chunker({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @property
    def inputs(self) -> list[str]:
        """The columns that are read."""
        named = (self.rationale, self.losses, self.n_tokens, self.end_losses, self.init)
        return [name for name in named if name is not None]

    @property
    def columns(self) -> list[str] | None:
        """The columns that a source must have: those kept and those read; None: all are kept."""
        return None if self.keep is None else list(dict.fromkeys((*self.keep, *self.inputs)))

    def __call__(self, batch: Any, indices: Sequence[int] | None = None) -> Any:
        """Chunks one batch.

        Args:
            batch: a table, or a mapping of columns.
            indices: numbers of its rows in the whole data set (`with_indices=True`), for messages; method="anneal"
                needs them, in a row, because its moves are drawn by row: they must not depend on the batches.

        Returns:
            The table with columns appended, or a dictionary of the new columns.

        Raises:
            InvalidInputError: what `chunk` refuses, a column that is missing or would be overwritten.
            InvalidTypeError: no batch.
        """
        import pyarrow as pa

        if isinstance(batch, pa.Table | pa.RecordBatch):
            names, n_rows = list(batch.schema.names), batch.num_rows
        elif isinstance(batch, Mapping):
            names = list(batch)
            n_rows = len(batch[names[0]]) if names else 0
        else:
            raise InvalidTypeError(
                f"a batch is a pyarrow table or a mapping of columns, got {type(batch).__name__}"
            )
        self._check_names(names)
        first_row = self._first_row(indices)
        try:
            added = self._columns({name: batch[name] for name in self.inputs}, first_row)
        except SkipthinkError as error:
            raise _placed(error, indices, n_rows) from error
        if isinstance(batch, Mapping):
            return {name: column.to_pylist() for name, column in added.items()}
        kept = [name for name in (names if self.keep is None else self.keep) if name not in added]
        columns = {name: batch[name] for name in kept} | added
        return type(batch).from_arrays(list(columns.values()), names=list(columns))

    def _first_row(self, indices: Sequence[int] | None) -> int:
        """The number that annealing draws a batch's first row by; 0 where nothing is drawn."""
        if not isinstance(self.method, Anneal):
            return 0
        if indices is None:
            raise InvalidInputError(
                'method="anneal" draws its moves by row, so without the rows\' numbers results would depend on the '
                "batches; map with_indices=True, use chunk_batches, or take greedy or optimal"
            )
        first = indices[0] if len(indices) else 0
        if list(indices) != list(range(first, first + len(indices))):
            raise InvalidInputError(
                f'method="anneal" needs batches of rows that follow one another, got the rows {list(indices)!r:.60}'
            )
        return first

    def _check_names(self, names: list[str]) -> None:
        for name in [*self.inputs, *(self.keep or ())]:
            if name not in names:
                raise InvalidInputError(f"the batch has no column {name!r}, it has {', '.join(names)}")
        kept = set(names if self.keep is None else self.keep) - {self.init}
        taken = kept.intersection(COLUMNS if self.texts else COLUMNS[:-1])
        if taken:
            raise InvalidInputError(
                f"the batch has a column {min(taken)!r} already; rename it, or leave it out of keep"
            )

    def _columns(self, given: dict[str, Any], first_row: int) -> dict[str, pa.Array]:
        """The new columns of a batch, from the columns it is read from."""
        import pyarrow as pa

        steps = (
            None
            if self.rationale is None
            else _Rationales(given[self.rationale], self.rules, self._threads())
        )
        found = self._search(given, steps, first_row)
        columns = {
            "boundaries": pa.FixedSizeListArray.from_arrays(pa.array(found.boundaries.ravel()), self.M + 1),
            "objective": pa.array(found.objective),
            "initial_objective": pa.array(found.initial_objective),
            "searched": pa.array(found.searched),
        }
        if self.texts and steps is not None:
            columns["chunks"] = steps.chunks(found.boundaries)
        return columns

    def _search(self, given: dict[str, Any], steps: _Rationales | None, first_row: int) -> Chunking:
        init = None if self.init is None else _boundaries(given[self.init], self.M)
        if self.losses is None:
            assert steps is not None  # noqa: S101 - the constructor has seen to it
            boundaries = average_boundaries(steps.n_steps, self.M) if init is None else init
            nothing = np.full(len(boundaries), np.nan)
            return Chunking(boundaries, nothing, nothing, np.zeros(len(boundaries), dtype=np.bool_))
        losses = to_ragged("losses", given[self.losses])
        if steps is not None:
            check_lengths("losses", losses, steps.n_steps, "its rationale has {expected} steps")
        if self.n_tokens is not None:
            _check_weights(to_ragged("n_tokens", given[self.n_tokens]))
        return chunk(
            None,
            (losses.values, losses.offsets),
            self.M,
            self.eta,
            method=self.method,
            n_tokens=None if self.n_tokens is None else given[self.n_tokens],
            end_losses=None if self.end_losses is None else given[self.end_losses],
            init=init,
            first_row=first_row,
            num_threads=self._threads(),
            **self.options,
        )

    def _threads(self) -> int | None:
        """One thread in a worker process, where the other cores have work of their own."""
        if self.num_threads is not None or "SKIPTHINK_NUM_THREADS" in os.environ:
            return self.num_threads
        pools = (sys.modules.get(name) for name in ("multiprocessing", "multiprocess"))
        return 1 if any(pool is not None and pool.parent_process() is not None for pool in pools) else None


class _Rationales:
    """A batch of rationales and their steps."""

    def __init__(self, rows: Any, rules: str | Sequence[str], num_threads: int | None) -> None:
        import pyarrow as pa

        is_arrow = hasattr(rows, "__arrow_c_array__") or hasattr(rows, "__arrow_c_stream__")
        if is_arrow:
            self.rows = arrow_array("rationale", rows)
        elif is_step_lists(rows):
            self.rows = _step_lists(rows)
        else:
            self.rows = None
        self.spans: StepSpans | None = None
        if self.rows is not None and is_list_column(self.rows):
            self.n_steps = np.diff(step_offsets(self.rows))
        else:
            texts = rows if self.rows is None else self.rows
            self.spans = split_steps_batch(texts, rules=rules, num_threads=num_threads)
            self.n_steps = self.spans.n_steps
        if self.rows is None:
            self.rows = pa.array(
                list(rows), type=pa.string()
            )  # all are good strings: splitting has seen them
        empty = np.flatnonzero(self.n_steps == 0)
        if len(empty):
            raise InvalidInputError(
                f"rationale of row {empty[0]} has no step: it is empty or white space; drop the row"
            )

    def chunks(self, boundaries: Ints) -> pa.Array:
        if self.spans is None:
            return texts_of_lists(self.rows, boundaries)
        return texts_of_spans(self.rows, self.spans, boundaries)


def chunk_batches(
    source: Any,
    M: int,
    eta: float = 0.1,
    *,
    first_row: int = 0,
    batch_rows: int = BATCH_ROWS,
    **options: Any,
) -> pa.RecordBatchReader:
    """Chunks a stream of rows in bounded memory; the result is the same for every size of batch.

    Args:
        source: a path (.parquet, .arrow, .feather, .ipc, .jsonl, .ndjson), a `pyarrow.RecordBatchReader` or any object
            that exports an Arrow stream (tables, polars and pandas frames, …), or an iterable of tables, record batches
            or mappings of columns.
        M: number of chunks.
        eta: as in `chunk`.
        first_row: number of the first row, for messages and as in `chunk`.
        batch_rows: most rows of a batch of the result.
        options: columns and options, as in `Chunker`.

    Returns:
        A reader of record batches: the rows of the source, in order, with the columns boundaries, objective,
        initial_objective, searched and, unless texts=False, chunks appended. Nothing beyond its first batch is read
        before it is asked for.

    Raises:
        InvalidInputError: what `chunk` refuses; names the row of the stream.
    """
    return stream(source, Chunker(M, eta, **options), first_row=first_row, batch_rows=batch_rows)


def stream(
    source: Any, chunker: Chunker, *, first_row: int = 0, batch_rows: int = BATCH_ROWS
) -> pa.RecordBatchReader:
    """`chunk_batches` with a chunker made before."""
    import pyarrow as pa

    if batch_rows < 1:
        raise InvalidInputError(f"batch_rows must be at least 1, got {batch_rows}")
    batches = _chunked(source, chunker, first_row, batch_rows)
    first = next(batches, None)
    if first is None:
        raise InvalidInputError("the stream holds no batch, so that its columns are not known")

    def typed() -> Iterator[pa.RecordBatch]:
        row = first_row
        for batch in chain([first], batches):
            yield _cast(batch, first.schema, row)
            row += batch.num_rows

    return pa.RecordBatchReader.from_batches(first.schema, typed())


def _chunked(source: Any, chunker: Chunker, row: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
    for batch in _batches(source, chunker, batch_rows):
        for part in split_batch(batch, batch_rows):
            yield chunker(part, range(row, row + part.num_rows))
            row += part.num_rows


def _batches(source: Any, chunker: Chunker, batch_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(source, str | Path):
        yield from read_batches(source, chunker.columns, batch_rows=batch_rows)
    elif hasattr(source, "__arrow_c_stream__"):
        reader = (
            source if isinstance(source, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(source)
        )
        batch = None
        for batch in reader:
            yield batch
        if batch is None:  # a batch of no row says which columns there are
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
    elif isinstance(source, pa.RecordBatch):
        yield source
    elif isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise InvalidTypeError(
            f"source must be a path, an Arrow stream or an iterable of batches, got {type(source).__name__}"
        )
    else:
        for item in source:
            yield from _as_batches(item)


def _as_batches(item: Any) -> list[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(item, pa.RecordBatch):
        return [item]
    if isinstance(item, Mapping):
        item = pa.table(dict(item))
    if isinstance(item, pa.Table):
        return list(item.to_batches())
    raise InvalidTypeError(f"a batch is a pyarrow table or a mapping of columns, got {type(item).__name__}")


def _cast(batch: pa.RecordBatch, schema: pa.Schema, row: int) -> pa.RecordBatch:
    """The batch in the types of the first one."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InvalidInputError(
            f"the batch that starts at row {row} has other columns than the first one: {error}; give all batches "
            "the same schema"
        ) from error


def _step_lists(rows: Any) -> pa.Array:
    import pyarrow as pa

    for row, steps in enumerate(rows):
        if not isinstance(steps, list | tuple) or not all(isinstance(step, str) for step in steps):
            raise InvalidTypeError(
                f"rationale of row {row} must be a list of str like the rows before, got {steps!r:.60}"
            )
    try:
        return pa.array([list(steps) for steps in rows], type=pa.list_(pa.string()))
    except UnicodeEncodeError as error:
        found = repr(error.object[:60])
        raise InvalidInputError(f"rationale holds a lone surrogate: {found}; remove or replace it") from error


def _check_weights(weights: Ragged) -> None:
    """Refuses rows whose steps all weigh 0: whatever the losses are, all of their chunks cost nothing."""
    weighty = np.append(0, np.cumsum(weights.values.reshape(len(weights.values), -1).any(axis=1)))
    starts, ends = weights.offsets[:-1], weights.offsets[1:]
    empty = np.flatnonzero((weighty[ends] == weighty[starts]) & (ends > starts))
    if len(empty):
        raise InvalidInputError(
            f"n_tokens of row {empty[0]} are all 0, so that no chunk of it costs anything; write the tokens of each "
            "step, or drop the row"
        )


def _boundaries(column: Any, M: int) -> Ints:
    """A column of boundaries as int64 (n, M + 1); whether they fit the steps is seen by the search."""
    ragged = to_ragged("init", column)
    check_lengths("init", ragged, np.full(len(ragged), M + 1), "M chunks have {expected} boundaries")
    values = ragged.values[ragged.offsets[0] : ragged.offsets[-1]]
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        row = int(np.flatnonzero(whole != values)[0]) // (M + 1)
        raise InvalidInputError(f"init of row {row} holds numbers that are no whole ones")
    return whole.reshape(-1, M + 1)


def _placed(error: SkipthinkError, indices: Sequence[int] | None, n_rows: int) -> SkipthinkError:
    """The error with the row's number in the stream in place of the one in the batch.

    Messages of the package say "row N" where they speak of a row, and say it first.
    """
    text = str(error)
    found = re.search(r"\brow (\d+)", text)
    if found is None or int(found[1]) >= n_rows:
        return error
    if indices is None:
        return type(error)(
            f"{text} (rows of a batch of {n_rows}; map with_indices=True to have those of the data set)"
        )
    return type(error)(f"{text[: found.start(1)]}{indices[int(found[1])]}{text[found.end(1) :]}")
