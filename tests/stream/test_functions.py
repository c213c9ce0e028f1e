"""The contract of batch functions: types before there is a batch, bad rows as nulls, one result for every cut."""

import multiprocessing
import pickle
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink.exceptions import InvalidInputError, InvalidTypeError, RunError
from skipthink.stream import BatchFunction, Checker, Chunker, Splitter, map_batches
from skipthink.stream.threads import in_worker, worker_threads

TEXTS = [
    "One. Two and three.\nFour.",
    "Äpfel kosten 3,50 €. Birnen auch. Ende.",
    "数を足す。答えは 7 だ。",
    "So 2 + 3 = 5.",
    "🙂 eins. 🙂 zwei.\n\nThe answer is 7.",
] * 8
STEPS = [skipthink.split_steps(text) for text in TEXTS]
TABLE = pa.table(
    {
        "id": [f"r{row}" for row in range(len(TEXTS))],
        "rationale": TEXTS,
        "losses": [
            [0.1 + 0.7 * ((row * step) % 5) for step in range(len(steps))] for row, steps in enumerate(STEPS)
        ],
        "n_tokens": [[1 + len(step) // 4 for step in steps] for steps in STEPS],
        "answer": ["7"] * len(TEXTS),
        "weight": pa.array(np.arange(len(TEXTS)), pa.int16()),
    }
).replace_schema_metadata({"source": "made here"})
TABLE = TABLE.cast(
    TABLE.schema.set(5, pa.field("weight", pa.int16(), nullable=False, metadata={"unit": "one"}))
)

FUNCTIONS = {
    "splitter": Splitter(),
    "chunker": Chunker(2, 0.0, n_tokens="n_tokens", method="optimal"),
    "plain lists": Chunker(2, fixed_lists=False, losses=None, method="average"),
    "checker": Checker("number"),
    "nulls": Chunker(3, on_error="null", keep=["id", "weight"]),
}


def lists(table):
    return {name: table[name].to_pylist() for name in table.column_names}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_schema_is_known_before_any_batch(name):
    function = FUNCTIONS[name]
    schema = function.schema(TABLE.schema)
    assert schema.metadata == {b"source": b"made here"}
    assert schema.field("id").equals(TABLE.schema.field("id"))
    if function.keep is None or "weight" in function.keep:
        assert schema.field("weight").equals(TABLE.schema.field("weight"), check_metadata=True)
    for batch in (
        TABLE,
        TABLE.slice(3, 5),
        TABLE.slice(0, 0),
        TABLE.to_batches()[0],
        TABLE.slice(7, 1).to_batches()[0],
    ):
        result = function(batch)
        assert type(result) is type(batch)
        assert result.schema.equals(schema, check_metadata=True)
        result.validate(full=True)
        assert result.num_rows == batch.num_rows
    assert map_batches(TABLE, function).schema.equals(schema)


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, len(TEXTS)), max_size=6), seed=st.integers(0, 99))
def test_neither_cuts_nor_order_change_a_row(name, cuts, seed):
    function = FUNCTIONS[name]
    expected = {row["id"]: row for row in function(TABLE).to_pylist()}
    shuffled = TABLE.take(np.random.default_rng(seed).permutation(len(TEXTS)))
    edges = [0, *sorted(cuts), len(TEXTS)]
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        for row in function(shuffled.slice(start, end - start)).to_pylist():
            assert repr(row) == repr(expected[row["id"]])  # NaN is NaN


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_its_options(name):
    function = FUNCTIONS[name]
    copy = pickle.loads(pickle.dumps(function))
    assert vars(copy) == vars(function)
    assert repr(copy) == repr(function)
    before = repr(vars(function))
    assert repr(copy(TABLE).to_pylist()) == repr(function(TABLE).to_pylist())
    assert repr(vars(function)) == before
    assert len(pickle.dumps(function)) < 1000


def test_what_is_returned_for_other_frames():
    expected = FUNCTIONS["chunker"](TABLE)
    frames = [
        pl.from_arrow(TABLE),
        TABLE.to_pandas(),
        pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(7)),
    ]
    for frame in frames:
        result = FUNCTIONS["chunker"](frame)
        assert isinstance(result, pa.Table)
        assert lists(result.select(["chunks", "boundaries"])) == lists(
            expected.select(["chunks", "boundaries"])
        )
    assert FUNCTIONS["splitter"](lists(TABLE)) == {"steps": STEPS, "n_steps": [len(steps) for steps in STEPS]}


def test_texts_are_shared_and_of_one_type():
    splitter, chunker = Splitter(), Chunker(2, losses=None, method="average")
    for kind in (pa.string(), pa.large_string()):
        batch = TABLE.set_column(1, "rationale", TABLE["rationale"].cast(kind)).to_batches()[0]
        for column in (splitter(batch)["steps"], chunker(batch)["chunks"]):
            assert column.type == pa.list_(pa.string())
            assert column.values.buffers()[2].address == batch["rationale"].buffers()[2].address


def test_steps_of_texts_without_any():
    texts = pa.array(["  ", "Äh. So.", "", "\n", "b", " "])
    for start in range(6):
        found = Splitter()(pa.table({"rationale": texts.slice(start)}))["steps"].to_pylist()
        assert found == [skipthink.split_steps(text) for text in texts.slice(start).to_pylist()]


def test_steps_are_what_chunks_are_cut_from():
    split = Splitter()(TABLE)
    options = {"n_tokens": "n_tokens", "method": "optimal"}
    from_steps = Chunker(2, rationale="steps", keep=["id"], **options)(split)
    assert from_steps.equals(Chunker(2, keep=["id"], **options)(TABLE))


def test_checker():
    table = pa.table(
        {
            "text": ["It is 7.", "It is 8.", "who knows", "<think>9</think> so 7", "The answer is 7.0"],
            "gold": ["7"] * 5,
        }
    )
    result = Checker("number", text="text", gold="gold", keep=[])(table)
    assert result["verdict"].to_pylist() == ["right", "wrong", "unparsed", "right", "right"]
    assert result["stated"].to_pylist() == ["7", "8", None, "7", "7"]
    bad = table.set_column(1, "gold", pa.array(["7", "7", "none", "7", "7"]))
    with pytest.raises(
        InvalidInputError, match=r"gold of row 2: gold answer 'none' is no answer of the kind"
    ):
        Checker("number", text="text", gold="gold")(bad)


# ---- bad rows ----

NAN = float("nan")


def broken():
    """The table with every kind of bad row, and what is said of each."""
    columns = lists(TABLE)
    columns["losses"][3] = [NAN]
    columns["losses"][7] = None
    columns["losses"][6] = [1.0]
    columns["rationale"][11] = " \n"
    columns["rationale"][12] = None
    columns["losses"][20][0] = None
    columns["n_tokens"][33] = [0] * len(columns["n_tokens"][33])
    said = {
        3: "losses of this row holds NaN",
        7: "losses of this row is null",
        6: "losses has 1 values for this row, but its rationale has",
        11: "rationale of this row has no step",
        12: "rationale of this row is null",
        20: "losses of this row holds a null",
        33: "n_tokens of this row are all 0",
    }
    return columns, said


@pytest.mark.parametrize("form", ["table", "batch", "lists"])
def test_bad_rows_become_null_and_are_told(form):
    columns, said = broken()
    batch = {"table": pa.table, "batch": pa.record_batch, "lists": dict}[form](columns)
    function = Chunker(2, 0.0, n_tokens="n_tokens", method="optimal", on_error="null")
    result = function(batch)
    rows = pa.table(result) if form == "lists" else result
    good = FUNCTIONS["chunker"](TABLE)
    if form == "lists":
        said[7] = said[20] = "losses of this row must hold numbers"
        said[12] = "text of this row is not a str"
    for row, error in enumerate(rows["error"].to_pylist()):
        if row in said:
            assert error.startswith(said[row])
            assert [
                rows[name][row].as_py() for name in ("boundaries", "objective", "searched", "chunks")
            ] == [None] * 4
        else:
            assert error is None
            assert rows["chunks"][row].as_py() == good["chunks"][row].as_py()
    # the same, whatever stands beside a row
    for start in range(0, len(TEXTS), 9):
        part = function(
            pa.table(columns).slice(start, 9)
            if form != "lists"
            else {name: column[start : start + 9] for name, column in columns.items()}
        )
        assert pa.table(part)["error"].to_pylist() == rows["error"].to_pylist()[start : start + 9]


def test_columns_of_nulls_have_the_types_of_others():
    function = Chunker(2, n_tokens="n_tokens", on_error="null")
    for column in (pa.nulls(3), pa.nulls(3, pa.list_(pa.float64()))):
        table = pa.table({"rationale": ["a", "b", "c"], "losses": column, "n_tokens": pa.nulls(3)})
        result = function(table)
        assert result.schema.field("chunks").type == pa.list_(pa.string())
        assert result["error"].to_pylist() == ["losses of this row is null; drop the row or fill it in"] * 3
        assert function(table.slice(0, 0)).schema.equals(result.schema)
        with pytest.raises(InvalidInputError, match="losses of row 0 is null"):
            Chunker(2)(table)


def test_faults_of_the_job_are_raised_whatever_on_error_says():
    function = Chunker(2, on_error="null")
    with pytest.raises(InvalidInputError, match="no column 'losses'"):
        function(TABLE.drop_columns("losses"))
    with pytest.raises(InvalidTypeError, match="losses must hold lists of numbers"):
        function(TABLE.set_column(2, "losses", TABLE["rationale"]))

    class Hungry(Splitter):
        def compute(self, given, first_row):
            raise self.fault

    for fault in (MemoryError("no room"), RunError("out of memory on a sample alone"), OSError("lost")):
        hungry = Hungry(on_error="null")
        hungry.fault = fault
        with pytest.raises(type(fault)):
            hungry(TABLE)


def test_errors_name_row_and_id():
    columns = lists(TABLE)
    columns["losses"][7] = None
    table = pa.table(columns).slice(2)
    with pytest.raises(
        InvalidInputError, match=r"losses of row 5 \(id 'r7'\) is null.*rows of a batch of 38"
    ):
        Chunker(2)(table)
    with pytest.raises(
        InvalidInputError, match=r"losses of row 107 \(id 'r7'\) is null; drop the row or fill it in$"
    ):
        Chunker(2)(table, range(102, 140))
    named = table.rename_columns(["key", *table.column_names[1:]])
    with pytest.raises(InvalidInputError, match=r"losses of row 5 is null"):
        Chunker(2)(named)
    with pytest.raises(InvalidInputError, match=r"losses of row 5 \(id 'r7'\) is null"):
        Chunker(2, id_column="key")(named)
    assert Chunker(2, id_column="key", keep=["weight"]).columns == ["weight", "rationale", "losses", "key"]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Splitter(on_error="skip"), InvalidInputError, 'on_error must be "raise" or "null"'),
        (lambda: Splitter(keep="id"), InvalidTypeError, r"keep must be a list of columns, got 'id'"),
        (lambda: Splitter(rules="words"), InvalidInputError, "rules"),
        (lambda: Checker("colour"), InvalidInputError, "no answer kind 'colour'"),
        (lambda: Checker("date", tolerance=-1), InvalidInputError, "tolerance must be"),
        (lambda: Splitter()(pa.table({"rationale": [1]})), InvalidTypeError, "rationale must hold texts, got int64"),
        (lambda: Splitter()(Splitter()(TABLE)), InvalidInputError, "a column 'n_steps' already"),
        (lambda: Splitter(on_error="null")(pa.table({"rationale": ["a"], "error": ["b"]})), InvalidInputError,
         "a column 'error' already"),
        (lambda: Splitter()(pa.table([["a"], ["b"]], names=["rationale", "rationale"])), InvalidInputError,
         "several columns 'rationale'"),
        (lambda: Splitter()({"rationale": ["a", 7]}), InvalidTypeError, "rationale of row 1 must be a str, got int"),
        (lambda: Splitter()({"rationale": ["a", "\ud800"], "id": [1, 2]}), InvalidInputError,
         r"rationale of row 1 \(id 2\) holds a lone surrogate"),
        (lambda: Splitter()({"rationale": np.array(["a"]), "id": np.array([1])}), InvalidTypeError,
         'batch_format="pyarrow"'),
        (lambda: Splitter()(pd.Series(["a"])), InvalidTypeError, "a batch is a table, got Series"),
        (lambda: Splitter()(["a"]), InvalidTypeError, "a batch is a pyarrow table or a mapping"),
    ],
)  # fmt: skip
def test_bad_calls(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# ---- layouts of Arrow columns ----


def as_type(values, kind):
    if kind == pa.dictionary(pa.uint32(), pa.string_view()):  # what a categorical of polars is
        found = pa.array(values, pa.dictionary(pa.uint32(), pa.string()))
        return pa.DictionaryArray.from_arrays(found.indices, found.dictionary.cast(pa.string_view()))
    return pa.array(values, kind)


TEXT_LAYOUTS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of string_view": pa.dictionary(pa.uint32(), pa.string_view()),
    "list": pa.list_(pa.string()),
    "large_list": pa.large_list(pa.large_string()),
    "list_view": pa.list_view(pa.string()),
    "large_list_view": pa.large_list_view(pa.string()),
    "list of string_view": pa.list_(pa.string_view()),
    "list_view of string_view": pa.list_view(pa.string_view()),
    "list of dictionary": pa.list_(pa.dictionary(pa.int8(), pa.string())),
}
NUMBER_LAYOUTS = {
    "list": pa.list_(pa.float64()),
    "large_list": pa.large_list(pa.float32()),
    "list_view": pa.list_view(pa.float64()),
    "large_list_view": pa.large_list_view(pa.float64()),
    "list of lists": pa.list_(pa.list_(pa.float64())),
    "list of fixed-size lists": pa.list_(pa.list_(pa.float64(), 1)),
    "list_view of list_view": pa.list_view(pa.list_view(pa.float64())),
    "list_view of fixed-size lists": pa.list_view(pa.list_(pa.float64(), 1)),
}


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("layout", TEXT_LAYOUTS)
def test_every_layout_of_texts(layout, start):
    kind = TEXT_LAYOUTS[layout]
    values = TEXTS if not pa.types.is_nested(kind) else STEPS
    table = TABLE.set_column(1, "rationale", as_type(values, kind))
    expected = FUNCTIONS["chunker"](TABLE).slice(start, 9)
    result = FUNCTIONS["chunker"](table.slice(start, 9))
    assert result["chunks"].equals(expected["chunks"])
    assert result["boundaries"].equals(expected["boundaries"])
    # with a null in front, and behind
    holed = pa.concat_arrays([as_type([None], kind), as_type(values, kind), as_type([None], kind)])
    rows = TABLE.take([0, *range(len(TEXTS)), 0]).set_column(1, "rationale", holed)
    chunks = Chunker(2, 0.0, n_tokens="n_tokens", method="optimal", on_error="null")(rows)[
        "chunks"
    ].to_pylist()
    assert chunks == [None, *FUNCTIONS["chunker"](TABLE)["chunks"].to_pylist(), None]


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("layout", NUMBER_LAYOUTS)
def test_every_layout_of_numbers(layout, start):
    kind = NUMBER_LAYOUTS[layout]
    is_nested = pa.types.is_nested(kind.value_type)
    losses = [
        [[float(np.float32(loss))] if is_nested else float(np.float32(loss)) for loss in row]
        for row in TABLE["losses"].to_pylist()
    ]
    plain = TABLE.set_column(2, "losses", pa.array(losses))
    table = TABLE.set_column(2, "losses", as_type(losses, kind))
    function = Chunker(1 if is_nested else 2, 0.0, method="optimal")
    assert (
        function(table.slice(start, 9))
        .column("objective")
        .equals(function(plain).slice(start, 9)["objective"])
    )


def test_no_row_of_any_layout():
    for kind in [*TEXT_LAYOUTS.values(), pa.null()]:
        table = TABLE.slice(0, 0).set_column(1, "rationale", pa.nulls(0, kind))
        for batch in (
            table,
            pa.table(table, schema=table.schema),
            pa.RecordBatchReader.from_batches(table.schema, []),
        ):
            assert FUNCTIONS["chunker"](batch).schema == FUNCTIONS["chunker"].schema(table.schema)
        assert map_batches(table, FUNCTIONS["chunker"]).read_all().num_rows == 0


def test_fixed_size_lists():
    steps = [["a ", "b"], ["c ", "d"], ["e ", "f"]]
    for inner in (pa.string(), pa.string_view()):
        table = pa.table(
            {
                "rationale": pa.array(steps, pa.list_(inner, 2)),
                "losses": pa.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]], pa.list_(pa.float32(), 2)),
            }
        )
        for start in (0, 1):
            found = Chunker(1)(table.slice(start))
            assert found["chunks"].to_pylist() == [["".join(row)] for row in steps[start:]]
            assert found["objective"].to_pylist() == [0.5, 0.5, 2.0][start:]


def test_a_batch_of_many_pieces_is_read_whole():
    pieces = pa.concat_tables([TABLE.slice(row, 1) for row in range(len(TEXTS))])
    assert FUNCTIONS["chunker"](pieces).equals(FUNCTIONS["chunker"](TABLE))


def test_a_large_batch_is_worked_on_in_parts(monkeypatch):
    columns, _ = broken()
    table = pa.table(columns)
    function = Chunker(2, on_error="null")
    expected = function(table)
    monkeypatch.setattr("skipthink.stream.function.PART_BYTES", 500)
    assert repr(function(table).to_pylist()) == repr(expected.to_pylist())
    assert repr(function(table.to_batches()[0]).to_pylist()) == repr(expected.to_pylist())
    columns = lists(TABLE)
    columns["losses"][31] = [NAN] * 3
    table = pa.table(columns)
    with pytest.raises(InvalidInputError, match=r"losses of row 31 \(id 'r31'\) holds NaN"):
        Chunker(2)(table)
    with pytest.raises(InvalidInputError, match=r"losses of row 131 \(id 'r31'\) holds NaN"):
        Chunker(2)(table, range(100, 140))
    annealed = Chunker(2, 0.0, method="anneal", seed=1)
    parts = annealed(TABLE, range(40))
    monkeypatch.undo()
    assert parts.equals(annealed(TABLE, range(40)))


# ---- threads ----


def test_threads(monkeypatch):
    for name in ("SKIPTHINK_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert worker_threads() is None
    assert worker_threads(3) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert worker_threads() == 4
    monkeypatch.setenv("RAYON_NUM_THREADS", "2")
    assert worker_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert worker_threads() == 2
    monkeypatch.setenv("SKIPTHINK_NUM_THREADS", "8")
    assert worker_threads() is None
    assert worker_threads(1) == 1


def test_one_thread_in_a_thread_of_a_pool_and_in_a_child(monkeypatch):
    for name in ("SKIPTHINK_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    found = []
    thread = threading.Thread(target=lambda: found.append(worker_threads()))
    thread.start()
    thread.join()
    assert found == [1]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(worker_threads) == 1


def test_one_thread_in_a_task_of_spark(monkeypatch):
    task = SimpleNamespace(get=lambda: None)
    monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(TaskContext=task))
    assert not in_worker(), "its driver has no task"
    task.get = object
    assert in_worker()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_works_after_its_parent_has():
    function = Chunker(2, 0.0, n_tokens="n_tokens", method="optimal", num_threads=2)
    expected = function(TABLE)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(result.equals(expected) for result in pool.map(function, [TABLE] * 4))


def test_one_contract():
    for function in FUNCTIONS.values():
        assert isinstance(function, BatchFunction)
        assert all(not name.startswith("_") for name in vars(function))
