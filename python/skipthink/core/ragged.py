"""Ragged arrays in: every accepted form becomes (values, offsets), without a copy where the layout allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skipthink.core.arrow_columns import arrow_array, is_list_type
from skipthink.exceptions import InvalidInputError, InvalidTypeError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
AnyInts = npt.NDArray[np.int32] | npt.NDArray[np.int64]
AnyFloats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ragged:
    """Rows of numbers.

    Attributes:
        values: float32 or float64 (total,) or, with S values a position, (total, S); C-contiguous.
        offsets: int32 or int64 (n + 1,); row r is `values[offsets[r]:offsets[r + 1]]`. May start above 0.
    """

    values: AnyFloats
    offsets: AnyInts

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Positions per row, int64 (n,)."""
        return np.diff(self.offsets).astype(np.int64, copy=False)

    @property
    def width(self) -> int | None:
        """S, or None where a position holds one number."""
        return self.values.shape[1] if self.values.ndim == 2 else None


def to_ragged(name: str, data: Any) -> Ragged:
    """Reads ragged numbers.

    Args:
        name: name of the argument, for messages.
        data: a tuple (values, offsets); an Arrow list array or anything that exports one (pyarrow, polars,
            pandas, a column of `datasets`); a 2-D or 3-D array; a list of lists or of arrays. Positions hold
            one number each, or all the same count of them.

    Raises:
        InvalidTypeError: no ragged form, or values that are no numbers.
        InvalidInputError: rows that do not fit together, nulls, offsets that do not describe rows.
    """
    if isinstance(data, tuple) and len(data) == 2 and _dimensions(data[1]) == 1:
        return _from_pair(name, data[0], data[1])
    if hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__"):
        return _from_arrow(name, data)
    if _dimensions(data) >= 2:
        values = to_floats(name, data)
        if values.ndim not in (2, 3):
            raise InvalidTypeError(f"{name} must have 2 or 3 dimensions as one array, got {values.ndim}")
        n, k = values.shape[:2]
        return Ragged(values.reshape(n * k, *values.shape[2:]), np.arange(n + 1, dtype=np.int64) * k)
    if isinstance(data, str) or not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise InvalidTypeError(
            f"{name} must be rows of numbers (lists, arrays, (values, offsets) or an Arrow list array), "
            f"got {type(data).__name__}"
        )
    return _from_rows(name, list(data))


def to_floats(name: str, values: Any) -> AnyFloats:
    """Numbers as a C-contiguous float32 or float64 array; no copy where they are one already."""
    array = _to_array(name, values, "numbers", "fiu")
    # narrower floats and all integers fit into 64 bits; single floats are widened a row at a time, in the core
    if array.dtype == np.float32:
        return np.ascontiguousarray(array, dtype=np.float32)
    return np.ascontiguousarray(array, dtype=np.float64)


def to_ints(name: str, values: Any, *, ndim: int = 1) -> Ints:
    """Integers as a C-contiguous int64 array; no copy where they are one already."""
    return np.ascontiguousarray(to_offsets(name, values, ndim=ndim), dtype=np.int64)


def to_offsets(name: str, values: Any, *, ndim: int = 1) -> AnyInts:
    """Integers as a C-contiguous int32 or int64 array; no copy where they are one already."""
    array = _to_array(name, values, "integers", "iu")
    if array.ndim != ndim:
        raise InvalidInputError(f"{name} must have {ndim} dimension{'s'[: ndim - 1]}, got {array.ndim}")
    if array.dtype == np.int32:
        return np.ascontiguousarray(array, dtype=np.int32)
    return np.ascontiguousarray(array, dtype=np.int64)


def _to_array(name: str, values: Any, what: str, kinds: str) -> npt.NDArray[Any]:
    """An array of the given kinds of dtype; an empty one may have any."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InvalidTypeError(f"{name} is no rectangular array of {what}: {error}") from error
    if array.dtype.kind not in kinds and array.size:
        raise InvalidTypeError(f"{name} must hold {what}, got dtype {array.dtype}")
    return array


def to_boundaries(boundaries: Any) -> Ints:
    """Boundaries of chunks, int64 (n, M + 1) with M at least 1.

    Raises:
        InvalidTypeError: no integers.
        InvalidInputError: another shape.
    """
    cuts = to_ints("boundaries", boundaries, ndim=2)
    if cuts.shape[1] < 2:
        raise InvalidInputError(f"boundaries must have M + 1 columns with M at least 1, got {cuts.shape[1]}")
    return cuts


def check_lengths(name: str, ragged: Ragged, expected: Ints, because: str) -> None:
    """Every row must have the expected number of positions.

    Args:
        name: name of the argument.
        ragged: its rows.
        expected: positions per row, int64 (n,).
        because: what the row has instead, with {expected}: "its rationale has {expected} steps".

    Raises:
        InvalidInputError: naming the first row that differs.
    """
    if len(ragged) != len(expected):
        raise InvalidInputError(
            f"{name} has {len(ragged)} rows, but there are {len(expected)} rationales; give one per row"
        )
    wrong = np.flatnonzero(ragged.lengths != expected)
    if len(wrong):
        row = int(wrong[0])
        raise InvalidInputError(
            f"{name} has {ragged.lengths[row]} values for row {row}, but {because.format(expected=expected[row])}; "
            "score the rationale with the same rules it is split with"
        )


def check_offsets(name: str, offsets: AnyInts, n_values: int) -> None:
    """Offsets must describe rows of the values: start at 0 or later, never decrease, end within the values."""
    if len(offsets) == 0:
        raise InvalidInputError(f"{name} offsets are empty; n rows have n + 1 offsets")
    falling = np.flatnonzero(np.diff(offsets) < 0)
    if len(falling):
        row = int(falling[0])
        raise InvalidInputError(f"{name} offsets decrease at row {row}: {offsets[row]} to {offsets[row + 1]}")
    if offsets[0] < 0 or offsets[-1] > n_values:
        raise InvalidInputError(
            f"{name} offsets reach from {offsets[0]} to {offsets[-1]}, but there are {n_values} values"
        )


def _dimensions(data: Any) -> int:
    """Dimensions of an array-like; 0 for what is none. A plain list counts as one dimension."""
    if isinstance(data, list):
        return 1
    return int(getattr(data, "ndim", 0))


def _from_pair(name: str, values: Any, offsets: Any) -> Ragged:
    array = to_floats(name, values)
    if array.ndim not in (1, 2):
        raise InvalidInputError(f"{name} values must have 1 or 2 dimensions, got {array.ndim}")
    cuts = to_offsets(f"{name} offsets", offsets)
    check_offsets(name, cuts, len(array))
    return Ragged(array, cuts)


def _from_rows(name: str, rows: list[Any]) -> Ragged:
    arrays = []
    for row, values in enumerate(rows):
        array = to_floats(f"{name} of row {row}", values)
        if array.ndim not in (1, 2) or not hasattr(values, "__len__"):
            raise InvalidTypeError(f"{name} of row {row} must be a list of numbers, got {values!r:.60}")
        arrays.append(array)
    filled = [array for array in arrays if len(array)]
    widths = {array.shape[1:] for array in filled}
    if len(widths) > 1:
        row = next(
            row for row, array in enumerate(arrays) if len(array) and array.shape[1:] != filled[0].shape[1:]
        )
        raise InvalidInputError(
            f"{name} of row {row} has the shape {arrays[row].shape}, but rows before hold positions of shape "
            f"{filled[0].shape[1:]}; give the same number of values a position in every row"
        )
    offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    values = np.concatenate(filled) if filled else np.empty(0)
    return Ragged(np.ascontiguousarray(values), offsets)


def _from_arrow(name: str, data: Any) -> Ragged:
    import pyarrow as pa

    array = arrow_array(name, data)
    if pa.types.is_null(array.type):  # of no row: a null in a row has been refused
        return Ragged(np.empty(0), np.zeros(1, np.int64))
    values, offsets = _list_parts(name, array)
    if not is_list_type(values.type):
        return Ragged(_arrow_numbers(name, values, offsets), offsets)
    inner, cuts = _list_parts(name, values)
    used = np.diff(cuts[offsets[0] : offsets[-1] + 1])
    if len(used) and (used != used[0]).any():
        position = int(np.flatnonzero(used != used[0])[0]) + int(offsets[0])
        row = int(np.searchsorted(offsets, position, side="right")) - 1
        raise InvalidInputError(
            f"{name} of row {row} holds {cuts[position + 1] - cuts[position]} values at a position, "
            f"rows before hold {used[0]}; give the same number everywhere"
        )
    width = int(used[0]) if len(used) else 1
    numbers = _arrow_numbers(name, inner, cuts[offsets])[cuts[offsets[0]] : cuts[offsets[-1]]]
    return Ragged(numbers.reshape(-1, width), offsets - offsets[0])


def _list_parts(name: str, array: Any) -> tuple[Any, AnyInts]:
    """The child values of an Arrow list array and the offsets of its rows into them (a slice's start above 0)."""
    import pyarrow as pa

    if isinstance(array.type, pa.FixedSizeListType):
        start, size = array.offset, array.type.list_size
        return array.values, (np.arange(len(array) + 1, dtype=np.int64) + start) * size
    if not is_list_type(array.type):
        raise InvalidTypeError(f"{name} must be an Arrow list array, got {array.type}")
    return array.values, np.asarray(array.offsets)


def _arrow_numbers(name: str, values: Any, offsets: AnyInts) -> AnyFloats:
    """All child values of lists, of which those of the rows must be numbers."""
    if values.null_count:
        row = first_null_row(values, offsets)
        if row is not None:
            raise InvalidInputError(f"{name} of row {row} holds a null; fill it in or drop the row")
    return to_floats(name, values.to_numpy(zero_copy_only=False))


def first_null_row(values: Any, offsets: AnyInts) -> int | None:
    """The first row of lists that holds a null value; None where there is none.

    Args:
        values: child values, Arrow; those of no row count for nothing.
        offsets: offsets of the rows into them, integers (n + 1,).
    """
    nulls = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
    nulls = nulls[(nulls >= offsets[0]) & (nulls < offsets[-1])]
    return int(np.searchsorted(offsets, nulls[0], side="right")) - 1 if len(nulls) else None


def text_rows(name: str, data: Any) -> list[str] | tuple[npt.NDArray[np.uint8], Ints]:
    """Texts as a list of str, or Arrow strings as their bytes and offsets (no copy of the text).

    Raises:
        InvalidTypeError: no texts.
        InvalidInputError: nulls.
    """
    if isinstance(data, str) or not hasattr(data, "__len__"):
        raise InvalidTypeError(
            f"{name} must be a sequence of str, got {type(data).__name__}; put one text into a list"
        )
    if hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__"):
        return _arrow_texts(name, data)
    return list(data)


def _arrow_texts(name: str, data: Any) -> tuple[npt.NDArray[np.uint8], Ints]:
    import pyarrow as pa

    array = arrow_array(name, data)
    if pa.types.is_null(array.type):  # of no row
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    if array.type not in (pa.string(), pa.large_string()):
        raise InvalidTypeError(f"{name} must be an Arrow string array, got {array.type}")
    dtype: npt.DTypeLike = np.int32 if array.type == pa.string() else np.int64
    _, offsets, content = array.buffers()
    if offsets is None or not len(array):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    cuts = np.frombuffer(offsets, dtype=dtype)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(content or b"", dtype=np.uint8), cuts.astype(np.int64, copy=False)


def is_step_lists(data: Sequence[Any] | Any) -> bool:
    """Whether rationales come as lists of steps already split."""
    return len(data) > 0 and isinstance(data[0], list | tuple)
