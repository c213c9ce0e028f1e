"""Batch functions in Spark: `mapInArrow` with the schema that the function knows (docs/how-to/engines.md)."""

from __future__ import annotations

from typing import Any

from skipthink.stream.function import ERROR, BatchFunction


def map_in_arrow(frame: Any, function: BatchFunction, **options: Any) -> Any:
    """Maps a Spark frame through a batch function by `DataFrame.mapInArrow`.

    Only the columns that are kept or read go to the Python workers. Spark has no lists of fixed size, so those of the
    result are plain lists.

    Args:
        frame: a `pyspark.sql.DataFrame`.
        function: the function; every executor must have skipthink, and be able to read the student it names.
        options: further arguments of `mapInArrow`: barrier, profile.

    Returns:
        A frame with the function's columns appended; nothing is computed yet.

    Raises:
        InvalidInputError: a column is missing, or would be overwritten.
        InvalidTypeError: a column of another type than is read.
    """
    from pyspark.sql.types import StructType

    plain = function.with_plain_lists()
    schema = StructType(_fields(frame.schema, plain))
    if plain.columns is not None:
        frame = frame.select(*plain.columns)
    return frame.mapInArrow(plain.over, schema, **options)


def _fields(given: Any, function: BatchFunction) -> list[Any]:
    """Fields of the result: those that are kept as the frame has them, those that are new as Spark writes them."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StructType

    read = set(function.inputs)
    # what only travels may be of a type that Arrow has only in Spark's hands
    known = [
        to_arrow_schema(StructType([field])).field(0)
        if field.name in read
        else pa.field(field.name, pa.null())
        for field in given
    ]
    result = function.schema(pa.schema(known))
    new = {field.name for field in function.added()} | ({ERROR} if function.on_error == "null" else set())
    appended = from_arrow_schema(pa.schema([field for field in result if field.name in new]))
    return [*(given[name] for name in result.names if name not in new), *appended]
