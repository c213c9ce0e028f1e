"""Arrow columns in: every layout of texts and lists becomes one of a few that the core reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError, InvalidTypeError, RunError

if TYPE_CHECKING:
    pass


def plain_type(kind: Any) -> Any:
    """The type that a column of a type is read as.

    Views and dictionaries of texts become large_string, list views become lists, whatever is inside. Other types, the
    null type among them, stay what they are.
    """
    import pyarrow as pa

    if isinstance(kind, pa.DictionaryType):
        return plain_type(kind.value_type)
    if kind == pa.string_view():
        return pa.large_string()
    if isinstance(kind, pa.ListType | pa.ListViewType):
        return pa.list_(plain_type(kind.value_type))
    if isinstance(kind, pa.LargeListType | pa.LargeListViewType):
        return pa.large_list(plain_type(kind.value_type))
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    return kind


def is_list_type(kind: Any) -> bool:
    """Whether a plain type is a list, of any layout."""
    import pyarrow as pa

    return isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)


def plain_array(array: Any) -> Any:
    """A `pyarrow.Array` in its plain type; no copy where it has that type already.

    Raises:
        RunError: pyarrow cannot convert it; no row is at fault.
    """
    import pyarrow as pa

    kind = plain_type(array.type)
    if same_layout(kind, array.type):
        return array
    try:
        return _plain(array, kind)
    except pa.ArrowException as error:
        raise RunError(
            f"pyarrow cannot convert a column of the type {array.type}: {error}; cast it to strings or lists"
        ) from error


def same_layout(left: Any, right: Any) -> bool:
    """Whether two types are the same apart from the names and flags of list fields."""
    if is_list_type(left) and type(left) is type(right):
        sized = getattr(left, "list_size", None) == getattr(right, "list_size", None)
        return sized and same_layout(left.value_type, right.value_type)
    return bool(left == right)


def _plain(array: Any, kind: Any) -> Any:
    """An array in a plain type, list by list: pyarrow casts no list whose values change from a view."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.DictionaryArray):
        return plain_array(array.dictionary).take(array.indices)  # decoding knows no views
    if not is_list_type(kind):
        return array.cast(kind)
    mask = array.is_null() if array.null_count else None
    if isinstance(kind, pa.FixedSizeListType):
        # `values` begin where those of the whole array do, which a slice is cut from
        values = array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size)
        return pa.FixedSizeListArray.from_arrays(plain_array(values), kind.list_size, mask=mask)
    is_large = isinstance(kind, pa.LargeListType)
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int64 if is_large else np.int32)
    built = pa.LargeListArray if is_large else pa.ListArray
    return built.from_arrays(pa.array(offsets), plain_array(array.flatten()), mask=mask)


def arrow_array(name: str, data: Any) -> Any:
    """What exports Arrow data as one `pyarrow.Array` of a plain type, without nulls.

    Args:
        name: name of the argument, for messages.
        data: a `pyarrow` array, or anything that exports one.

    Raises:
        InvalidTypeError: pyarrow is missing or cannot read it.
        InvalidInputError: a null, with its row.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InvalidTypeError(
            f"{name} is Arrow data, which needs pyarrow: pip install skipthink[cli]"
        ) from error
    try:
        if not isinstance(data, pa.Array | pa.ChunkedArray):
            data = pa.chunked_array(data) if hasattr(data, "__arrow_c_stream__") else pa.array(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidTypeError(f"{name} exports no Arrow array: {error}") from error
    array = data
    if isinstance(data, pa.ChunkedArray):
        # combining copies, even a single chunk
        array = data.chunk(0) if data.num_chunks == 1 else data.combine_chunks()
    if array.null_count:
        row = array.is_null().to_numpy(zero_copy_only=False).argmax()
        raise InvalidInputError(f"{name} of row {row} is null; drop the row or fill it in")
    return plain_array(array)
