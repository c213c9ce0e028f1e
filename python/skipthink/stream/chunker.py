"""Chunking of batches: boundaries and texts of chunks as columns, the same for every size of batch (method §4)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.arrow_columns import arrow_array
from skipthink.core.chunk_texts import is_list_column, step_offsets, texts_of_lists, texts_of_spans
from skipthink.core.options import Anneal, Method, to_method
from skipthink.core.ragged import Ints, Ragged, check_lengths, is_step_lists, to_ragged
from skipthink.core.search import Chunking, average_boundaries, chunk
from skipthink.core.steps import StepSpans, split_steps_batch
from skipthink.exceptions import InvalidInputError, InvalidTypeError
from skipthink.stream.columns import boundary_rows
from skipthink.stream.function import BatchFunction, OnError
from skipthink.stream.threads import worker_threads

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("boundaries", "objective", "initial_objective", "searched", "chunks")
"""What chunking adds to a row."""


class Chunker(BatchFunction):
    """`skipthink.chunk` with its options, as a function of batches: for `datasets.map`, readers, engines and loops.

    See `skipthink.stream.function.BatchFunction` for what a batch is and how it is called.

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
        fixed_lists: whether boundaries are lists of the fixed size M + 1; False: plain lists.
        method: as in `chunk`.
        rules: as in `chunk`.
        id_column: as in `BatchFunction`.
        on_error: as in `BatchFunction`.
        num_threads: as in `BatchFunction`.
        options: further options of `chunk`: objective, balance, min_steps, seed.

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
        fixed_lists: bool = True,
        method: Method = "greedy",
        rules: str | Sequence[str] = "auto",
        id_column: str | None = None,
        on_error: OnError = "raise",
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
        super().__init__(keep=keep, id_column=id_column, on_error=on_error, num_threads=num_threads)
        self.M, self.eta = M, eta
        self.rationale, self.losses = rationale, losses
        self.n_tokens, self.end_losses, self.init = n_tokens, end_losses, init
        self.texts = texts and rationale is not None
        self.fixed_lists = fixed_lists
        self.rules = rules if isinstance(rules, str) else tuple(rules)
        self.method = to_method(method)
        self.options = dict(sorted(options.items()))
        nothing = (np.empty(0), np.zeros(1, dtype=np.int64))
        # wrong options are refused now
        chunk(None, nothing, M, eta, method=self.method, num_threads=num_threads, **options)
        split_steps_batch([], rules=rules)

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        kinds = {
            self.rationale: "texts or lists of texts",
            self.losses: "lists of numbers, or of lists of them",
            self.n_tokens: "lists of numbers",
            self.end_losses: "lists of numbers, or of lists of them",
            self.init: "lists of numbers",
        }
        return {name: kind for name, kind in kinds.items() if name is not None}

    @property
    def replaced(self) -> set[str]:
        """See `BatchFunction.replaced`: boundaries to start from give way to those found."""
        return set() if self.init is None else {self.init}

    def with_plain_lists(self) -> Chunker:
        """See `BatchFunction.with_plain_lists`."""
        plain = copy(self)
        plain.fixed_lists = False
        return plain

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        numbers = pa.list_(pa.int64(), self.M + 1) if self.fixed_lists else pa.list_(pa.int64())
        types = (numbers, pa.float64(), pa.float64(), pa.bool_(), pa.list_(pa.string()))
        fields = [pa.field(name, kind) for name, kind in zip(COLUMNS, types, strict=True)]
        return fields if self.texts else fields[:-1]

    def first_row(self, indices: Sequence[int] | None) -> int:
        """The number that annealing draws a batch's first row by; 0 where nothing is drawn.

        Raises:
            InvalidInputError: annealing without the rows' numbers, or with rows that do not follow one another.
        """
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

    def compute(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        """See `BatchFunction.compute`."""
        import pyarrow as pa

        num_threads = worker_threads(self.num_threads)
        steps = None
        if self.rationale is not None:
            steps = _Rationales(given[self.rationale], self.rules, num_threads)
        found = self._search(given, steps, first_row, num_threads)
        cuts = pa.FixedSizeListArray.from_arrays(pa.array(found.boundaries.ravel()), self.M + 1)
        columns = {
            "boundaries": cuts if self.fixed_lists else cuts.cast(pa.list_(pa.int64())),
            "objective": pa.array(found.objective),
            "initial_objective": pa.array(found.initial_objective),
            "searched": pa.array(found.searched),
        }
        if self.texts and steps is not None:
            columns["chunks"] = steps.chunks(found.boundaries)
        return columns

    def _search(
        self, given: dict[str, Any], steps: _Rationales | None, first_row: int, num_threads: int | None
    ) -> Chunking:
        init = None if self.init is None else boundary_rows("init", given[self.init], self.M)
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
            num_threads=num_threads,
            **self.options,
        )


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
    weighs = weights.values != 0 if weights.width is None else (weights.values != 0).any(axis=1)
    weighty = np.append(0, np.cumsum(weighs))
    starts, ends = weights.offsets[:-1], weights.offsets[1:]
    empty = np.flatnonzero((weighty[ends] == weighty[starts]) & (ends > starts))
    if len(empty):
        raise InvalidInputError(
            f"n_tokens of row {empty[0]} are all 0, so that no chunk of it costs anything; write the tokens of each "
            "step, or drop the row"
        )
