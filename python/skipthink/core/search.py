"""Chunking: boundaries of M chunks by search over cached losses (method §4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink import _core
from skipthink.core.options import Method, to_method
from skipthink.core.ragged import (
    AnyFloats,
    AnyInts,
    Floats,
    Ints,
    Ragged,
    check_lengths,
    is_step_lists,
    to_ints,
    to_ragged,
)
from skipthink.core.steps import StepSpans, split_steps_batch
from skipthink.exceptions import InvalidInputError, InvalidTypeError
from skipthink.io import markup

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS = 5
"""Rows that a notebook shows of a chunking; `show` shows any."""


@dataclass(frozen=True)
class Chunking:
    """Chunks of n samples.

    Attributes:
        boundaries: int64 (n, M + 1); chunk m of a row r is its steps
            `boundaries[r, m - 1]` … `boundaries[r, m] - 1`.
        objective: J of the boundaries, float64 (n,); NaN without losses.
        initial_objective: J of the boundaries the search started from, float64 (n,).
        searched: bool (n,); False for rows with fewer than M · min_steps steps, which keep their start.
    """

    boundaries: Ints
    objective: Floats
    initial_objective: Floats
    searched: npt.NDArray[np.bool_]
    _steps: _Steps | None = field(default=None, repr=False)

    @property
    def n_unsearched(self) -> int:
        """Rows too short to be searched."""
        return int((~self.searched).sum())

    def __len__(self) -> int:
        return len(self.boundaries)

    def __getitem__(self, row: int) -> list[str]:
        """The M chunks of one row as texts, "" for an empty chunk.

        Raises:
            InvalidInputError: the call was given no rationales.
            IndexError: no such row.
        """
        if self._steps is None:
            raise InvalidInputError("this chunking has no text: chunk was called with rationales=None")
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} is outside the {len(self)} rows")
        row %= len(self)
        return self._steps.chunks(row, self.boundaries[row].tolist())

    def show(self, row: int = 0) -> None:
        """Shows the chunks of one row: in colours in a notebook, as numbered lines elsewhere.

        Raises:
            InvalidInputError: the call was given no rationales.
            IndexError: no such row.
        """
        text = f"{self._title(row)}\n{markup.chunks_text(self[row])}"
        markup.show(markup.framed(*self._row_html(row)), lambda: print(text))  # noqa: T201 - what it is for

    def _repr_html_(self) -> str:
        """The first rows, in a notebook."""
        shown = range(min(len(self), SHOWN_ROWS))
        parts = [f"<p>{len(self):,} rows in {self.boundaries.shape[1] - 1} chunks</p>"]
        for row in shown:
            parts += [f"<p>{self._title(row)}</p>"] if self._steps is None else self._row_html(row)
        if len(self) > len(shown):
            parts.append(f"<p>… and {len(self) - len(shown):,} more rows: <code>.show(row)</code></p>")
        return markup.framed(*parts)

    def _row_html(self, row: int) -> list[str]:
        return [f"<p><b>{self._title(row)}</b></p>", markup.chunks_html(self[row])]

    def _title(self, row: int) -> str:
        cuts = ", ".join(map(str, self.boundaries[row].tolist()))
        found, before = float(self.objective[row]), float(self.initial_objective[row])
        gain = "" if np.isnan(found) else f", J = {found:.4g}"
        if found < before:
            gain += f" (before the search {before:.4g})"
        return f"row {row % len(self)}: boundaries {cuts}{gain}"

    def to_arrow(self) -> pa.Table:
        """A table with the columns boundaries, objective, initial_objective, searched and, with text, chunks."""
        import pyarrow as pa

        width = self.boundaries.shape[1]
        columns: dict[str, Any] = {
            "boundaries": pa.FixedSizeListArray.from_arrays(pa.array(self.boundaries.ravel()), width),
            "objective": self.objective,
            "initial_objective": self.initial_objective,
            "searched": self.searched,
        }
        if self._steps is not None:
            columns["chunks"] = pa.array([self[row] for row in range(len(self))], type=pa.list_(pa.string()))
        return pa.table(columns)


class _Steps:
    """The steps of rationales: texts with spans, or lists of steps."""

    def __init__(self, rationales: Any, rules: str | Sequence[str], num_threads: int | None) -> None:
        self.rows: Any = rationales
        self.spans: StepSpans | None = None
        if is_step_lists(rationales):
            self.n_steps = _count_steps(rationales)
        else:
            self.spans = split_steps_batch(rationales, rules=rules, num_threads=num_threads)
            self.n_steps = self.spans.n_steps
        empty = np.flatnonzero(self.n_steps == 0)
        if len(empty):
            raise InvalidInputError(
                f"rationale of row {empty[0]} has no step: it is empty or white space; drop the row"
            )

    def chunks(self, row: int, cuts: list[int]) -> list[str]:
        pairs = list(zip(cuts[:-1], cuts[1:], strict=True))
        if self.spans is None:
            return ["".join(self.rows[row][start:end]) for start, end in pairs]
        item = self.rows[row]
        text: str = item if isinstance(item, str) else item.as_py()
        edges = [0, *(end for _, end in self.spans[row])]
        return [text[edges[start] : edges[end]] for start, end in pairs]


def average_boundaries(n_steps: Any, M: int) -> Ints:
    """Average chunking: steps divided evenly (paper; the remainder is ours, method §4).

    Args:
        n_steps: K a row, integers (n,).
        M: number of chunks.

    Returns:
        int64 (n, M + 1). The first `K mod M` chunks get one step more; with K < M the last chunks are empty.

    Raises:
        InvalidInputError: M < 1 or a negative K.
    """
    return _core.average_boundaries(to_ints("n_steps", n_steps), check_positive("M", M))


def chunk(
    rationales: Any,
    losses: Any,
    M: int,
    eta: float = 0.1,
    *,
    method: Method = "greedy",
    objective: str = "mean",
    balance: float = 0.0,
    n_tokens: Any = None,
    end_losses: Any = None,
    min_steps: int = 1,
    init: Any = None,
    rules: str | Sequence[str] = "auto",
    seed: int = 0,
    first_row: int = 0,
    num_threads: int | None = None,
) -> Chunking:
    """Cuts rationales into M chunks by search on the student's losses (paper §3.1; method §4).

    The cost of a chunk is its mean token loss, `Σ losses · n_tokens / Σ n_tokens`; with `end_losses` the end token
    counts as one more token. J is the sum of the M costs ("mean"), the worst of them ("max"), the sum of the
    token-weighted squared deviations of step losses inside chunks ("variance"), or the sum of the squared deviations of
    the chunks' summed losses from an even share, as parts of that share ("mass"). The end token is no step, so
    `end_losses` do not enter the last two. With `balance` λ, a chunk of n of the K steps costs λ · (n · M / K − 1)²
    more.

    Args:
        rationales: n texts, or n lists of steps; None: boundaries only.
        losses: ragged, one mean loss (nats per token) per step, or (steps, M) stage-conditioned. Forms: list of lists,
            (values, offsets), Arrow list arrays, list of numpy arrays, 2-D and 3-D arrays. None only with
            method="average"; J is then NaN.
        M: number of chunks, the same for all rows.
        eta: a result replaces the boundaries it started from only if it lowers J by more than eta, nats (greedy:
            each accepted move does).
        method: "average", "greedy", "anneal" or "optimal" (the global optimum of J; ties: the largest start of
            each chunk, from the last chunk backwards). `Greedy(scope=…, max_sweeps=…)` and `Anneal(moves=…, width=…,
            start=…, end=…)` set the options of these two methods.
        objective: "mean", "variance", "max" or "mass".
        balance: λ of the penalty on uneven chunks, not negative; 0: none.
        n_tokens: ragged, tokens per step: weights, not negative. None: 1 each. A chunk whose steps all weigh 0 costs
            0, so a row of such steps keeps its start; streams and files with such a row are refused.
        end_losses: ragged (steps + 1, M), nats: loss of the end token under stage m after k steps.
        min_steps: smallest number of steps per chunk; rows with fewer than M · min_steps steps keep their start.
        init: boundaries to start from, integers (n, M + 1); None: average chunks.
        rules: step rules for texts, as in `split_steps`.
        seed: seeds annealing; each row has a generator of its own.
        first_row: number of the first row. Annealing's generators depend on it, so that a batch of a stream gives the
            same result as the whole.
        num_threads: threads; None: `SKIPTHINK_NUM_THREADS`, else all cores. Results do not depend on it.

    Returns:
        Boundaries and objectives of all rows, in their order.

    Raises:
        InvalidInputError: wrong values, lengths or options; names the row.
        InvalidTypeError: arguments of a wrong type.
    """
    M, search = check_positive("M", M), to_method(method)
    steps = None if rationales is None else _Steps(_sized(rationales), rules, num_threads)
    if losses is None:
        if search != "average" or steps is None:
            raise InvalidInputError(
                'losses may be None only with method="average" and rationales; score the rationales'
            )
        return _average(steps, M, init)
    ragged = to_ragged("losses", losses)
    n_steps = ragged.lengths if steps is None else steps.n_steps
    if steps is not None:
        check_lengths("losses", ragged, n_steps, "its rationale has {expected} steps")
    weights = None if n_tokens is None else align_weights("n_tokens", n_tokens, ragged, n_steps)
    ends = None if end_losses is None else align_ends(end_losses, n_steps, M)
    boundaries, found, initial, searched = _core.find_boundaries(
        ragged.values.ravel(),
        ragged.width or 1,
        ragged.offsets,
        weights,
        ends,
        M,
        None if init is None else align_init(init, len(n_steps), M).ravel(),
        method=search,
        objective=objective,
        balance=check_number("balance", balance),
        eta=check_number("eta", eta),
        min_steps=check_count("min_steps", min_steps),
        seed=check_count("seed", seed),
        first_row=check_count("first_row", first_row),
        num_threads=num_threads,
    )
    return Chunking(boundaries, found, initial, searched, steps)


def _average(steps: _Steps, M: int, init: Any) -> Chunking:
    """Average chunks (or the given start), without losses and so without J."""
    n = len(steps.n_steps)
    boundaries = average_boundaries(steps.n_steps, M) if init is None else align_init(init, n, M)
    nothing = np.full(n, np.nan)
    return Chunking(boundaries, nothing, nothing.copy(), np.zeros(n, dtype=np.bool_), steps)


def align_weights(name: str, data: Any, losses: Ragged, n_steps: Ints) -> AnyFloats:
    """Weights in the order of the losses' values, also where the two have different offsets."""
    ragged = to_ragged(name, data)
    if ragged.width is not None:
        raise InvalidInputError(f"{name} must hold one number per step, got {ragged.width}")
    check_lengths(name, ragged, n_steps, "it has {expected} steps")
    if np.array_equal(ragged.offsets, losses.offsets):
        return ragged.values
    values = np.zeros(len(losses.values))
    values[losses.offsets[0] : losses.offsets[-1]] = ragged.values[ragged.offsets[0] : ragged.offsets[-1]]
    return values


def align_ends(data: Any, n_steps: Ints, M: int) -> tuple[AnyFloats, AnyInts]:
    """Losses of the end token, M per position, and the offsets of their rows; one position more than steps."""
    ragged = to_ragged("end_losses", data)
    if (ragged.width or 1) != M:
        raise InvalidInputError(f"end_losses must hold M = {M} numbers a position, got {ragged.width or 1}")
    check_lengths("end_losses", ragged, n_steps + 1, "it needs {expected}, one more than its steps")
    return ragged.values.ravel(), ragged.offsets


def align_init(init: Any, n: int, M: int) -> Ints:
    """Boundaries of the right shape; the search checks whether they fit the steps."""
    boundaries = to_ints("init", init, ndim=2)
    if boundaries.shape != (n, M + 1):
        raise InvalidInputError(f"init must have the shape (n, M + 1) = {(n, M + 1)}, got {boundaries.shape}")
    return boundaries


def _sized(rationales: Any) -> Any:
    if isinstance(rationales, str) or not hasattr(rationales, "__len__"):
        raise InvalidTypeError(
            f"rationales must be a sequence of texts or of step lists, got {type(rationales).__name__}; "
            "put one text into a list"
        )
    return rationales


def _count_steps(rationales: Any) -> Ints:
    for row, steps in enumerate(rationales):
        if not isinstance(steps, list | tuple) or not all(isinstance(step, str) for step in steps):
            raise InvalidTypeError(
                f"rationale of row {row} must be a list of str like the rows before, got {steps!r:.60}"
            )
    return np.asarray([len(steps) for steps in rationales], dtype=np.int64)


def check_positive(name: str, value: object) -> int:
    """A whole number of at least 1, as M is."""
    number = _whole(name, value)
    if not 1 <= number < 2**31:
        raise InvalidInputError(f"{name} must be at least 1 and below 2**31, got {value}")
    return number


def check_count(name: str, value: object) -> int:
    """A whole number that is not negative."""
    number = _whole(name, value)
    if not 0 <= number < 2**63:
        raise InvalidInputError(f"{name} must not be negative, got {value}")
    return number


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidTypeError(f"{name} must be a whole number, got {value!r}")
    return int(value)


def check_number(name: str, value: object) -> float:
    """A number; the search checks its range."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidTypeError(f"{name} must be a number, got {value!r}")
    return float(value)
