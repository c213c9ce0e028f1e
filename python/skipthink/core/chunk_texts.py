"""The texts of steps and chunks as Arrow arrays that share the rationales' bytes (method §4).

They are of the type string whatever comes in, so that a column has one type in all batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.core.arrow_columns import is_list_type
from skipthink.core.ragged import Ints, first_null_row, text_rows
from skipthink.core.steps import StepSpans
from skipthink.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    import pyarrow as pa

Bytes = npt.NDArray[np.uint8]

MOST_BYTES = 2**31 - 1
"""Bytes that the texts of one array of the type string may hold."""


def is_list_column(column: Any) -> bool:
    """Whether an Arrow column of a plain type holds lists: steps already split."""
    return is_list_type(column.type)


def step_offsets(column: Any) -> Ints:
    """Offsets of the rows of an Arrow column of step lists without null rows, into its values, int64 (n + 1,).

    Raises:
        InvalidInputError: a step that is null.
        InvalidTypeError: steps that are no strings.
    """
    import pyarrow as pa

    offsets = _list_offsets(column)
    if column.values.null_count:
        row = first_null_row(column.values, offsets)
        if row is not None:
            raise InvalidInputError(f"rationale of row {row} has a step that is null; drop the row")
    if column.values.type not in (pa.string(), pa.large_string(), pa.null()):
        raise InvalidTypeError(f"rationale must hold texts or lists of texts, got {column.type}")
    return offsets


def texts_of_lists(column: Any, boundaries: Ints) -> pa.Array:
    """Chunks of step lists, lists of M strings."""
    data, offsets = _text_buffers(column.values)
    steps = _list_offsets(column)
    return _lists(data, offsets[steps[:-1, None] + boundaries])


def texts_of_spans(texts: Any, spans: StepSpans, boundaries: Ints) -> pa.Array:
    """Chunks of texts whose steps are known, lists of M strings.

    Args:
        texts: n strings, Arrow.
        spans: their steps.
        boundaries: int64 (n, M + 1).
    """
    data, offsets = _text_buffers(texts)
    # the end of chunk m is the end of its last step; a boundary of 0 is the beginning of the text
    last = np.maximum(spans.offsets[:-1, None] + boundaries - 1, 0)
    edges = np.where(boundaries > 0, spans.ends[last], 0) if len(spans.ends) else np.zeros_like(boundaries)
    rows = np.arange(len(spans))[:, None]
    return _lists(data, _byte_edges(data, offsets, rows, edges))


def steps_of_spans(texts: Any, spans: StepSpans) -> pa.Array:
    """Steps of texts, lists of strings.

    Args:
        texts: n strings, Arrow.
        spans: their steps; none where a text is white space.
    """
    import pyarrow as pa

    data, offsets = _text_buffers(texts)
    rows = np.repeat(np.arange(len(spans)), spans.n_steps)
    ends = _byte_edges(data, offsets, rows, spans.ends)
    # a text without a step is one piece here, so that pieces tile the bytes, and is left out below
    n_pieces = np.maximum(spans.n_steps, 1)
    is_step = np.repeat(spans.n_steps > 0, n_pieces)
    cuts = np.repeat(offsets[1:], n_pieces)
    cuts[is_step] = ends
    pieces = _strings(data, np.concatenate([offsets[:1], cuts]))
    if not is_step.all():
        pieces = pieces.filter(pa.array(is_step))
    return pa.ListArray.from_arrays(pa.array(spans.offsets.astype(np.int32)), pieces)


def _text_buffers(texts: Any) -> tuple[Bytes, Ints]:
    data, offsets = text_rows("rationale", texts)
    return np.asarray(data), np.asarray(offsets, dtype=np.int64)


def _byte_edges(data: Bytes, offsets: Ints, rows: Ints, edges: Ints) -> Ints:
    """Places in the bytes, from places in code points within the texts of `rows`."""
    start, end = int(offsets[0]), int(offsets[-1])
    used = data[start:end]
    if not (used & 0x80).any():
        moved: Ints = offsets[rows] + edges
        return moved
    points = np.flatnonzero((used & 0xC0) != 0x80) + start
    first = np.searchsorted(points, offsets[:-1])
    found: Ints = np.append(points, end)[first[rows] + edges]
    return found


def _lists(data: Bytes, edges: Ints) -> pa.Array:
    """Rows of M strings that tile the bytes: only offsets are new."""
    import pyarrow as pa

    n, m = edges.shape[0], edges.shape[1] - 1
    cuts = np.append(edges[:, :-1].ravel(), edges[-1:, -1] if n else 0)
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * m, _strings(data, cuts))


def _strings(data: Bytes, cuts: Ints) -> pa.Array:
    """Strings that tile the bytes, string i from `cuts[i]` to `cuts[i + 1]`."""
    import pyarrow as pa

    first = 0 if cuts[-1] <= MOST_BYTES else int(cuts[0])
    if cuts[-1] - first > MOST_BYTES:
        raise InvalidInputError(
            f"the texts of a batch of {len(cuts) - 1} pieces hold more than 2 GiB; use smaller batches"
        )
    buffers = (pa.py_buffer((cuts - first).astype(np.int32)), pa.py_buffer(data[first:]))
    return pa.StringArray.from_buffers(len(cuts) - 1, *buffers)


def _list_offsets(column: Any) -> Ints:
    import pyarrow as pa

    if isinstance(column.type, pa.FixedSizeListType):
        size: int = column.type.list_size
        rows: Ints = np.arange(len(column) + 1, dtype=np.int64) + column.offset
        return np.asarray(rows * size, dtype=np.int64)
    offsets: Ints = np.asarray(column.offsets).astype(np.int64, copy=False)
    return offsets
