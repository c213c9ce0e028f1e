"""Engines as functions: an Arrow table in, through the engine and a batch function, an Arrow table out."""

import pyarrow as pa

from skipthink.stream import map_batches


def through_pyarrow(table, function):
    return function(table)


def through_daft(table, function):
    import daft

    given = daft.from_arrow(table)
    if given.schema()["rationale"].dtype.is_python():
        raise NotImplementedError("Daft would hold the column as Python objects")
    return daft.from_arrow(map_batches(given.to_arrow_iter(), function).read_all()).to_arrow()


def through_polars(table, function):
    import polars as pl

    rows = pl.from_arrow(table).lazy()
    schema = pl.DataFrame(function(rows.head(0).collect())).schema
    return rows.map_batches(lambda frame: pl.DataFrame(function(frame)), schema=schema).collect().to_arrow()


def through_duckdb(table, function):
    import duckdb

    given = table  # noqa: F841 - the query names it; `table` is a word of SQL
    rows = duckdb.connect().sql("select * from given").to_arrow_reader()
    chunks = map_batches(rows, function)  # noqa: F841 - the query names it
    return duckdb.connect().sql("select * from chunks").to_arrow_table()


def through_datasets(table, function):
    import datasets

    rows = datasets.Dataset(table).with_format("arrow")
    features = datasets.Features.from_arrow_schema(function.schema(rows.features.arrow_schema))
    mapped = rows.map(
        function, batched=True, batch_size=5, features=features, remove_columns=rows.column_names
    )
    return mapped.data.table


def through_pandas(table, function):
    return pa.Table.from_pandas(function(table.to_pandas()).to_pandas())


ENGINES = {
    "pyarrow": ("pyarrow", through_pyarrow),
    "Daft": ("daft", through_daft),
    "Polars": ("polars", through_polars),
    "DuckDB": ("duckdb", through_duckdb),
    "datasets": ("datasets", through_datasets),
    "pandas": ("pandas", through_pandas),
}
"""Name of an engine to its module and its function."""
