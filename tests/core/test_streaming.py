"""Streams: the same chunks for every batch size and every form, rows named by their place in the stream."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink.exceptions import DataError, InvalidInputError, InvalidTypeError, SkipthinkError
from skipthink.stream.chunker import COLUMNS

WORDS = ["Eins.", "Two and two.", "Ägypten ist schön.", "数を足す。", "So 3.5 > 2.", "🙂 done."]


def made(n, seed=0, M=None, empty=False):
    """Rationales with their losses, in many scripts."""
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(n)]
    if empty:
        texts[::7] = [" "] * len(texts[::7])
    lengths = skipthink.split_steps_batch(texts).n_steps
    losses = [random.gamma(2.0, 0.5, (k,) if M is None else (k, M)).tolist() for k in lengths]
    weights = [random.integers(1, 9, k).tolist() for k in lengths]
    table = {"id": [f"r{row}" for row in range(n)], "rationale": texts, "losses": losses, "n_tokens": weights}
    if M is not None:
        table["end_losses"] = [random.gamma(2.0, 0.5, (k + 1, M)).tolist() for k in lengths]
    return pa.table(table)


TABLE = made(500)


def whole(table=TABLE, M=3, **options):
    """What one call of `chunk` gives for all rows, as columns."""
    lists = {name: table[name].to_pylist() for name in table.column_names}
    found = skipthink.chunk(lists["rationale"], lists["losses"], M, n_tokens=lists["n_tokens"], **options)
    return {
        "boundaries": found.boundaries.tolist(),
        "objective": found.objective.tolist(),
        "initial_objective": found.initial_objective.tolist(),
        "searched": found.searched.tolist(),
        "chunks": [found[row] for row in range(len(found))],
    }


def added(result):
    return {name: result[name].to_pylist() for name in COLUMNS}


@pytest.mark.parametrize("method", ["average", "greedy", "anneal", "optimal"])
@pytest.mark.parametrize("batch_rows", [1, 7, 64, 500, 1000])
def test_every_batch_size_gives_what_one_call_gives(method, batch_rows):
    stream = skipthink.chunk_batches(TABLE, 3, n_tokens="n_tokens", batch_rows=batch_rows, method=method)
    batches = list(stream)
    assert max(batch.num_rows for batch in batches) <= batch_rows
    result = pa.Table.from_batches(batches)
    assert result.column_names == [*TABLE.column_names, *COLUMNS]
    assert result.select(TABLE.column_names).equals(TABLE)
    assert added(result) == whole(method=method)


def test_annealing_goes_by_the_row_of_the_stream():
    """A part of the rows, told where it stands, is annealed as within the whole; told nothing, it is not."""
    options = {"n_tokens": "n_tokens", "method": skipthink.Anneal(moves=40), "eta": 0.0}
    every = skipthink.chunk_batches(TABLE, 3, **options).read_all()["boundaries"].to_pylist()
    tail = TABLE.slice(200)
    for first_row, is_same in ((200, True), (0, False)):
        found = skipthink.chunk_batches(tail, 3, first_row=first_row, batch_rows=60, **options).read_all()
        assert (found["boundaries"].to_pylist() == every[200:]) == is_same
    lists = [tail[name].to_pylist() for name in ("losses", "n_tokens")]
    called = {name: value for name, value in options.items() if name != "n_tokens"}
    alone = skipthink.chunk(None, lists[0], 3, n_tokens=lists[1], first_row=200, **called)
    assert alone.boundaries.tolist() == every[200:]


def test_every_source_gives_the_same(tmp_path):
    pq.write_table(TABLE, tmp_path / "rows.parquet", row_group_size=90)
    with pa.ipc.new_file(str(tmp_path / "rows.arrow"), TABLE.schema) as file:
        file.write_table(TABLE, max_chunksize=70)
    with pa.ipc.new_stream(str(tmp_path / "stream.arrow"), TABLE.schema) as file:
        file.write_table(TABLE)
    pl.from_arrow(TABLE).write_ndjson(tmp_path / "rows.jsonl")
    batches = TABLE.to_batches(max_chunksize=33)
    sources = {
        "reader": pa.RecordBatchReader.from_batches(TABLE.schema, batches),
        "batches": iter(batches),
        "tables": (pa.Table.from_batches([batch]) for batch in batches),
        "mappings": (batch.to_pydict() for batch in batches),
        "polars": pl.from_arrow(TABLE),
        "pandas": TABLE.to_pandas(),
        "parquet": tmp_path / "rows.parquet",
        "IPC file": str(tmp_path / "rows.arrow"),
        "IPC stream": tmp_path / "stream.arrow",
        "JSONL": tmp_path / "rows.jsonl",
        "slices": pa.concat_tables([TABLE.slice(0, 123), TABLE.slice(123)]),
        "large strings": TABLE.set_column(1, "rationale", TABLE["rationale"].cast(pa.large_string())),
        "dictionary": TABLE.set_column(1, "rationale", TABLE["rationale"].dictionary_encode()),
    }
    expected = whole()
    for name, source in sources.items():
        result = skipthink.chunk_batches(
            source, 3, n_tokens="n_tokens", keep=["id"], batch_rows=50
        ).read_all()
        assert added(result) == expected, name
        assert result["id"].to_pylist() == TABLE["id"].to_pylist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 40), st.booleans())
def test_texts_tile_in_every_script(seed, M, batch_rows, as_lists):
    """Chunks share the bytes of the rationales, and join to them, whatever is sliced off in front."""
    table = made(30, seed)
    if as_lists:
        steps = [skipthink.split_steps(text) for text in table["rationale"].to_pylist()]
        table = table.set_column(1, "rationale", pa.array(steps))
    start = seed % 11
    result = skipthink.chunk_batches(table.slice(start, 15), M, batch_rows=batch_rows).read_all()
    rows = table.slice(start, 15)["rationale"].to_pylist()
    found = skipthink.chunk(rows, table.slice(start, 15)["losses"].to_pylist(), M)
    assert result["chunks"].to_pylist() == [found[row] for row in range(15)]
    assert ["".join(row) for row in result["chunks"].to_pylist()] == ["".join(row) for row in rows]
    result.validate(full=True)


def test_texts_are_not_copied():
    batch = TABLE.to_batches()[0]
    chunks = next(iter(skipthink.chunk_batches(batch, 3)))["chunks"]
    assert chunks.values.buffers()[2].address == batch["rationale"].buffers()[2].address


def test_stage_conditioned_losses_ends_and_boundaries_to_start_from():
    table = made(80, M=4)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    first = skipthink.chunk(columns["rationale"], columns["losses"], 4, method="average")
    table = table.append_column("boundaries", pa.array(first.boundaries.tolist()))
    names = {"n_tokens": "n_tokens", "end_losses": "end_losses", "init": "boundaries"}
    result = skipthink.chunk_batches(
        table, 4, 0.0, **names, batch_rows=9, method="greedy", texts=False
    ).read_all()
    expected = skipthink.chunk(
        None, columns["losses"], 4, 0.0, n_tokens=columns["n_tokens"], end_losses=columns["end_losses"],
        init=first.boundaries,
    )  # fmt: skip
    assert result["boundaries"].to_pylist() == expected.boundaries.tolist()
    assert result["objective"].to_pylist() == expected.objective.tolist()
    assert result.column_names.count("boundaries") == 1


def test_average_chunks_need_no_losses_and_losses_no_text():
    result = skipthink.chunk_batches(TABLE, 3, losses=None, method="average").read_all()
    steps = skipthink.split_steps_batch(TABLE["rationale"]).n_steps
    assert result["boundaries"].to_pylist() == skipthink.average_boundaries(steps, 3).tolist()
    assert np.isnan(result["objective"].to_numpy()).all()
    bare = skipthink.chunk_batches(TABLE.select(["losses"]), 3, rationale=None).read_all()
    assert (
        bare["boundaries"].to_pylist()
        == skipthink.chunk(None, TABLE["losses"].to_pylist(), 3).boundaries.tolist()
    )
    assert "chunks" not in bare.column_names


def test_a_stream_of_no_row_has_its_columns():
    reader = skipthink.chunk_batches(pa.RecordBatchReader.from_batches(TABLE.schema, []), 3)
    assert reader.schema.names == [*TABLE.column_names, *COLUMNS]
    assert reader.read_all().num_rows == 0
    with pytest.raises(InvalidInputError, match="holds no batch"):
        skipthink.chunk_batches([], 3)


def test_a_stream_is_read_as_it_is_asked_for():
    taken = []

    def source():
        for batch in TABLE.to_batches(max_chunksize=50):
            taken.append(batch.num_rows)
            yield batch

    reader = skipthink.chunk_batches(source(), 3)
    assert len(taken) == 1
    reader.read_next_batch()
    reader.read_next_batch()
    assert len(taken) == 2


# ---- errors name the row of the stream ----


def broken(name, value, row=321):
    values = TABLE[name].to_pylist()
    values[row] = value
    return TABLE.set_column(TABLE.column_names.index(name), name, pa.array(values))


ROW_ERRORS = {
    "NaN": (broken("losses", [float("nan")] * len(TABLE["losses"][321])), "losses of row 321{id} holds NaN"),
    "too few losses": (broken("losses", [1.0]), "losses has 1 values for row 321{id}, but its rationale has"),
    "no losses": (broken("losses", None), "losses of row 321{id} is null"),
    "white space": (broken("rationale", " \n"), "rationale of row 321{id} has no step"),
    "no text": (broken("rationale", None), "of row 321{id} is null"),
    "negative weight": (
        broken("n_tokens", [-1] * len(TABLE["losses"][321])),
        "n_tokens of row 321{id} holds -1",
    ),
    "too few weights": (broken("n_tokens", [1]), "n_tokens has 1 values for row 321{id}"),
}


@pytest.mark.parametrize("case", ROW_ERRORS)
@pytest.mark.parametrize("batch_rows", [1, 10, 300, 500])
def test_errors_name_the_row_of_the_stream(case, batch_rows):
    table, message = ROW_ERRORS[case]
    if case == "too few losses" and len(TABLE["losses"][321]) == 1:
        pytest.skip("the row has one step")
    options = {"n_tokens": "n_tokens", "batch_rows": batch_rows}
    message = message.replace("{id}", r" \(id 'r000'\)")
    moved = message.replace("321", "5321").replace("000", "321")
    message = message.replace("000", "321")
    with pytest.raises(SkipthinkError, match=message):
        skipthink.chunk_batches(table, 3, **options).read_all()
    with pytest.raises(SkipthinkError, match=moved):
        skipthink.chunk_batches(table, 3, **options, first_row=5000).read_all()


def test_step_lists_with_nulls_name_the_row():
    rows = pa.array([["a ", "b"], ["c"], ["d ", None], None])
    for part, message in (
        (rows.slice(0, 3), "rationale of row 2 has a step that is null"),
        (rows.slice(1, 2), "rationale of row 1 has a step that is null"),
        (rows, "rationale of row 3 is null"),
        (rows.slice(2), "rationale of row 1 is null"),
    ):
        batch = pa.table({"rationale": part, "losses": [[1.0, 1.0]] * len(part)})
        with pytest.raises(InvalidInputError, match=message):
            skipthink.chunk_batches(batch, 2)


BAD_CALLS = [
    (lambda: skipthink.chunk_batches(TABLE, 0), InvalidInputError, "M must be at least 1"),
    (lambda: skipthink.chunk_batches(TABLE, 3, -1.0), InvalidInputError, "eta must be"),
    (lambda: skipthink.Chunker(3, method="best"), InvalidInputError, "method must be"),
    (lambda: skipthink.Chunker(3, sweeps=3), TypeError, "sweeps"),
    (lambda: skipthink.Chunker(3, rules=["a", ""]), InvalidInputError, "separator strings, none empty"),
    (lambda: skipthink.Chunker(3, method="anneal")(TABLE), InvalidInputError, "results would depend on the batches; map with_i"),
    (lambda: skipthink.Chunker(3, method="anneal")(TABLE[:3], [0, 2, 1]), InvalidInputError, r"follow one another, got the rows \[0, 2, 1\]"),
    (lambda: skipthink.Chunker(3, first_row=2), InvalidInputError, "first_row is no option of a Chunker"),
    (lambda: skipthink.Chunker(3, losses=None), InvalidInputError, "losses may be None only with"),
    (lambda: skipthink.chunk_batches(TABLE, 3, batch_rows=0), InvalidInputError, "batch_rows must be at least 1"),
    (lambda: skipthink.chunk_batches(TABLE, 3, losses="loss"), InvalidInputError, "no column 'loss', it has id, rat"),
    (lambda: skipthink.chunk_batches(TABLE, 3, keep=["ID"]), InvalidInputError, "no column 'ID'"),
    (lambda: skipthink.chunk_batches(TABLE.rename_columns(["chunks", "rationale", "losses", "n_tokens"]), 3),
     InvalidInputError, "has a column 'chunks' already"),
    (lambda: skipthink.chunk_batches(3, 3), InvalidTypeError, "source must be a path, an Arrow stream"),
    (lambda: skipthink.chunk_batches({"rationale": ["a"]}, 3), InvalidTypeError, "iterable of batches, got dict"),
    (lambda: skipthink.chunk_batches([["a"]], 3), InvalidTypeError, "a batch is a pyarrow table or a mapping"),
    (lambda: skipthink.Chunker(3)("a"), InvalidTypeError, "a batch is a pyarrow table or a mapping"),
    (lambda: skipthink.chunk_batches("rows.csv", 3), DataError, r"has the ending '\.csv'; name a \.parquet"),
    (lambda: skipthink.chunk_batches("absent.parquet", 3), DataError, "cannot read absent.parquet"),
    (lambda: skipthink.chunk_batches(broken("rationale", "a").set_column(1, "rationale", pa.array([[1]] * 500)), 3),
     InvalidTypeError, "rationale must hold texts or lists of texts"),
    (lambda: skipthink.chunk_batches(TABLE, 3, init="losses"), InvalidInputError, "init has . values for row"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD_CALLS, ids=range(len(BAD_CALLS)))
def test_bad_calls(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_a_batch_of_other_columns_is_named_by_its_row():
    batches = [TABLE.slice(0, 5), TABLE.slice(5, 5).drop_columns("id"), TABLE.slice(10, 5)]
    with pytest.raises(InvalidInputError, match="the batch that starts at row 5 has other columns"):
        skipthink.chunk_batches(batches, 3).read_all()


# ---- mappings: datasets.map, pandas ----


def test_chunker_on_mappings_of_every_form():
    columns = {name: TABLE[name].to_pylist() for name in TABLE.column_names}
    chunker = skipthink.Chunker(3, n_tokens="n_tokens")
    expected = whole()
    assert chunker(columns) == expected
    arrays = columns | {"losses": [np.asarray(row, np.float64) for row in columns["losses"]]}
    assert chunker(arrays) == expected
    frame = pd.DataFrame(columns)
    assert added(chunker(frame)) == expected
    with pytest.raises(InvalidTypeError, match='batch_format="pyarrow"'):
        chunker({name: frame[name].to_numpy() for name in frame})
    steps = columns | {"rationale": [skipthink.split_steps(text) for text in columns["rationale"]]}
    assert chunker(steps) == expected
    steps["rationale"][4] = "text"
    with pytest.raises(InvalidTypeError, match=r"rationale of row 1004 \(id 'r4'\) must be a list of str.*"):
        chunker(steps, range(1000, 1500))
    columns["losses"][4] = [float("nan")] * len(columns["losses"][4])
    with pytest.raises(
        InvalidInputError,
        match=r"losses of row 4 \(id 'r4'\) holds NaN.*rows of a batch of 500; map with_indices",
    ):
        chunker(columns)


def test_untrusted_text_in_a_message_is_no_row_number():
    rows = {"rationale": [["a"], "row 3 of 7"], "losses": [[1.0], [1.0]]}
    with pytest.raises(
        InvalidTypeError,
        match=re.escape("row 11 must be a list of str like the rows before, got 'row 3 of 7'"),
    ):
        skipthink.Chunker(2)(rows, [10, 11])


datasets = pytest.importorskip("datasets", reason="needs datasets")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set on disk, so that it is memory-mapped and can be hashed."""
    folder = tmp_path_factory.mktemp("data")
    datasets.Dataset(TABLE).save_to_disk(str(folder))
    return datasets.load_from_disk(str(folder))


@pytest.mark.parametrize("form", [None, "arrow"])
@pytest.mark.parametrize("num_proc", [None, 2])
def test_datasets_map(data, form, num_proc):
    chunker = skipthink.Chunker(3, n_tokens="n_tokens")
    mapped = data.with_format(form).map(
        chunker, batched=True, batch_size=37, num_proc=num_proc, load_from_cache_file=False
    )
    assert set(mapped.column_names) == {*TABLE.column_names, *COLUMNS}
    mapped = mapped.with_format(None)
    assert {name: list(mapped[name]) for name in COLUMNS} == whole()


def test_numpy_batches_of_datasets_are_refused(data):
    """The library hands floats over in 32 bits, and texts as arrays of characters."""
    with pytest.raises(InvalidTypeError, match=r'with_format\("arrow"\) in datasets'):
        data.with_format("numpy").map(skipthink.Chunker(3), batched=True, load_from_cache_file=False)


def test_datasets_map_anneals_by_the_rows_of_the_data_set(data):
    chunker = skipthink.Chunker(3, n_tokens="n_tokens", method="anneal", seed=3)
    common = {"batched": True, "batch_size": 37, "load_from_cache_file": False}
    mapped = data.map(chunker, with_indices=True, num_proc=2, **common)
    assert {name: list(mapped[name]) for name in COLUMNS} == whole(method="anneal", seed=3)
    with pytest.raises(InvalidInputError, match="map with_indices=True"):
        data.map(chunker, **common)


def test_datasets_cache_knows_a_chunker_by_its_settings(data):
    fingerprint = datasets.fingerprint.Hasher.hash
    chunker = skipthink.Chunker(3, method="optimal", min_steps=1)
    same = pickle.loads(pickle.dumps(skipthink.Chunker(3, min_steps=1, method="optimal")))
    assert vars(same) == vars(chunker)
    assert fingerprint(same) == fingerprint(chunker)
    assert fingerprint(skipthink.Chunker(4, method="optimal", min_steps=1)) != fingerprint(chunker)


def test_datasets_map_names_rows_of_the_data_set(data):
    losses = [
        [float("nan")] * len(row) if number == 401 else row for number, row in enumerate(data["losses"])
    ]
    bad = datasets.Dataset(TABLE.set_column(2, "losses", pa.array(losses)))
    with pytest.raises(InvalidInputError, match=r"losses of row 401 \(id 'r401'\) holds NaN"):
        bad.map(
            skipthink.Chunker(3), batched=True, batch_size=50, with_indices=True, load_from_cache_file=False
        )


def test_iterable_datasets(data):
    stream = data.to_iterable_dataset().with_format("arrow").iter(batch_size=41)
    result = skipthink.chunk_batches(stream, 3, n_tokens="n_tokens").read_all()
    assert added(result) == whole()
