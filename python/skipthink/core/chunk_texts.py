"""The texts of chunks as Arrow arrays that share the rationales' bytes (method §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints, text_rows
from skipthink.core.steps import StepSpans
from skipthink.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    import pyarrow as pa

Bytes = npt.NDArray[np.uint8]


def is_list_column(column: Any) -> bool:
    """Whether an Arrow column holds lists: steps already split."""
    import pyarrow as pa

    return isinstance(column.type, pa.ListType | pa.LargeListType | pa.FixedSizeListType)


def step_offsets(column: Any) -> Ints:
    """Offsets of the rows of an Arrow column of step lists without null rows, into its values, int64 (n + 1,).

    Raises:
        InvalidInputError: a step that is null.
        InvalidTypeError: steps that are no strings.
    """
    import pyarrow as pa

    offsets = _list_offsets(column)
    if column.values.type not in (pa.string(), pa.large_string()):
        raise InvalidTypeError(f"rationale must hold texts or lists of texts, got {column.type}")
    if column.values.null_count:
        nulls = np.flatnonzero(column.values.is_null().to_numpy(zero_copy_only=False))
        nulls = nulls[(nulls >= offsets[0]) & (nulls < offsets[-1])]
        if len(nulls):
            row = int(np.searchsorted(offsets, nulls[0], side="right")) - 1
            raise InvalidInputError(f"rationale of row {row} has a step that is null; drop the row")
    return offsets


def texts_of_lists(column: Any, boundaries: Ints) -> pa.Array:
    """Chunks of step lists, lists of M strings."""
    data, offsets = _text_buffers(column.values)
    steps = _list_offsets(column)
    return _lists(column.values.type, data, offsets[steps[:-1, None] + boundaries])


def texts_of_spans(texts: Any, spans: StepSpans, boundaries: Ints) -> pa.Array:
    """Chunks of texts whose steps are known, lists of M strings.

    Args:
        texts: n strings, Arrow.
        spans: their steps.
        boundaries: int64 (n, M + 1).
    """
    import pyarrow as pa

    data, offsets = _text_buffers(texts)
    # the end of chunk m is the end of its last step; a boundary of 0 is the beginning of the text
    last = np.maximum(spans.offsets[:-1, None] + boundaries - 1, 0)
    edges = np.where(boundaries > 0, spans.ends[last], 0) if len(spans.ends) else np.zeros_like(boundaries)
    kind = texts.type if texts.type == pa.string() else pa.large_string()
    return _lists(kind, data, _byte_edges(data, offsets, edges))


def _text_buffers(texts: Any) -> tuple[Bytes, Ints]:
    data, offsets = text_rows("rationale", texts)
    return np.asarray(data), np.asarray(offsets, dtype=np.int64)


def _byte_edges(data: Bytes, offsets: Ints, edges: Ints) -> Ints:
    """Places in the bytes, from places in code points, for each text."""
    start, end = int(offsets[0]), int(offsets[-1])
    used = data[start:end]
    if not (used & 0x80).any():
        moved: Ints = offsets[:-1, None] + edges
        return moved
    points = np.flatnonzero((used & 0xC0) != 0x80) + start
    first = np.searchsorted(points, offsets[:-1])
    found: Ints = np.append(points, end)[first[:, None] + edges]
    return found


def _lists(kind: Any, data: Bytes, edges: Ints) -> pa.Array:
    """Rows of M strings that tile the bytes: only offsets are new."""
    import pyarrow as pa

    n, m = edges.shape[0], edges.shape[1] - 1
    cuts = np.append(edges[:, :-1].ravel(), edges[-1:, -1] if n else 0)
    dtype, array = (np.int32, pa.StringArray) if kind == pa.string() else (np.int64, pa.LargeStringArray)
    texts = array.from_buffers(n * m, pa.py_buffer(cuts.astype(dtype)), pa.py_buffer(data))
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * m, texts)


def _list_offsets(column: Any) -> Ints:
    import pyarrow as pa

    if isinstance(column.type, pa.FixedSizeListType):
        size: int = column.type.list_size
        rows: Ints = np.arange(len(column) + 1, dtype=np.int64) + column.offset
        return np.asarray(rows * size, dtype=np.int64)
    offsets: Ints = np.asarray(column.offsets).astype(np.int64, copy=False)
    return offsets
