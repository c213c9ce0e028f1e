"""What columns of batches hold, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skipthink.core.arrow_columns import is_list_type, plain_type
from skipthink.core.ragged import Ints, check_lengths, to_ragged
from skipthink.exceptions import InvalidInputError, InvalidTypeError


def is_text(kind: Any) -> bool:
    """Whether values of an Arrow type are texts; a column of nulls counts as one."""
    import pyarrow as pa

    return plain_type(kind) in (pa.string(), pa.large_string(), pa.null())


def is_texts(kind: Any) -> bool:
    """Whether they are texts, or lists of texts."""
    plain = plain_type(kind)
    return is_text(plain.value_type) if is_list_type(plain) else is_text(plain)


def is_numbers(kind: Any) -> bool:
    """Whether they are lists of numbers."""
    import pyarrow as pa

    plain = plain_type(kind)
    return _is_list_of_numbers(plain) if is_list_type(plain) else bool(pa.types.is_null(plain))


def is_numbers_or_lists(kind: Any) -> bool:
    """Whether they are lists of numbers, or lists of lists of them."""
    plain = plain_type(kind)
    return is_numbers(plain) or (is_list_type(plain) and is_numbers(plain.value_type))


def _is_list_of_numbers(plain: Any) -> bool:
    import pyarrow as pa

    inner = plain.value_type
    # lists without a value have the type null inside
    return bool(pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_null(inner))


def is_flags(kind: Any) -> bool:
    """Whether they are lists of booleans."""
    import pyarrow as pa

    plain = plain_type(kind)
    if is_list_type(plain):
        return plain.value_type in (pa.bool_(), pa.null())
    return bool(pa.types.is_null(plain))


KINDS: dict[str, Callable[[Any], bool]] = {
    "texts": is_text,
    "texts or lists of texts": is_texts,
    "lists of numbers": is_numbers,
    "lists of numbers, or of lists of them": is_numbers_or_lists,
    "lists of booleans": is_flags,
}
"""What a column may hold, in words, to whether a type is that."""


def text_column(name: str, rows: Any) -> Any:
    """A column of texts as an Arrow array.

    Raises:
        InvalidTypeError: a value that is neither str nor None, with its row.
        InvalidInputError: a lone surrogate, with its row.
    """
    import pyarrow as pa

    if hasattr(rows, "__arrow_c_array__") or hasattr(rows, "__arrow_c_stream__"):
        return rows
    values = list(rows)
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise InvalidTypeError(f"{name} of row {row} must be a str, got {type(value).__name__}")
    try:
        return pa.array(values, type=pa.string())
    except UnicodeEncodeError:
        row = next(row for row, value in enumerate(values) if value is not None and not _is_unicode(value))
        raise InvalidInputError(
            f"{name} of row {row} holds a lone surrogate: {values[row]!r:.60}; remove or replace it"
        ) from None


def boundary_rows(name: str, column: Any, M: int, n_steps: Ints | None = None) -> Ints:
    """A column of boundaries.

    Args:
        name: its name, for messages.
        column: n lists of M + 1 whole numbers.
        M: number of chunks.
        n_steps: steps of each row, int64 (n,), which boundaries must fit; None: that is seen elsewhere.

    Returns:
        int64 (n, M + 1).

    Raises:
        InvalidInputError: numbers that are no boundaries of M chunks, with their row.
    """
    ragged = to_ragged(name, column)
    check_lengths(name, ragged, np.full(len(ragged), M + 1), "M chunks have {expected} boundaries")
    values = ragged.values[ragged.offsets[0] : ragged.offsets[-1]]
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        row = int(np.flatnonzero(whole != values)[0]) // (M + 1)
        raise InvalidInputError(f"{name} of row {row} holds numbers that are no whole ones")
    cuts: Ints = whole.reshape(-1, M + 1)
    if n_steps is not None:
        good = (cuts[:, 0] == 0) & (cuts[:, -1] == n_steps) & (np.diff(cuts, axis=1) >= 0).all(axis=1)
        if not good.all():
            row = int(np.argmin(good))
            raise InvalidInputError(
                f"{name} of row {row} are {cuts[row].tolist()}, which are no chunks of its {n_steps[row]} steps; chunk "
                "and judge with the same rules"
            )
    return cuts


def empty_batch(schema: Any) -> Any:
    """A record batch of no row."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def slice_rows(column: Any, start: int, end: int) -> Any:
    """Rows `start` … `end - 1` of a column."""
    return column.slice(start, end - start) if hasattr(column, "slice") else column[start:end]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
