"""Columns of every layout through every batch function: one schema, one result, or a refusal that says what to do."""

from pathlib import Path

import pyarrow as pa
import pytest

import skipthink
from skipthink.exceptions import InvalidTypeError
from skipthink.skipping import SkipOptions
from skipthink.stream import (
    Checker,
    Chunker,
    Generator,
    ItemPlanner,
    LocalGenerator,
    Scorer,
    SkipJudge,
    Splitter,
)
from skipthink.student.inference import MODES
from skipthink.student.models import make_student, save_student
from skipthink.teacher.options import LocalOptions, SamplingOptions

SMALL = str(Path(skipthink.__file__).parent / "testbed" / "students" / "S")
ROW = {
    "question": "Ann has 3 pens and buys 4. How many pens has Ann?",
    "rationale": "Ann has 3 pens. She buys 4. 3 + 4 = 7. The answer is 7.",
    "answer": "7",
}
TABLE = pa.table({name: [text] for name, text in ROW.items()}).append_column(
    "losses", pa.array([[0.1, 0.2, 2.0, 0.3]])
)
TABLE = TABLE.append_column("boundaries", pa.array([[0, 2, 4]])).append_column(
    "skipped", pa.array([[True, False]])
)
TEXTS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}
LISTS = {
    "list": lambda kind, size: pa.list_(kind),
    "large_list": lambda kind, size: pa.large_list(kind),
    "fixed-size list": pa.list_,
    "list_view": lambda kind, size: pa.list_view(kind),
    "large_list_view": lambda kind, size: pa.large_list_view(kind),
}
"""Names of layouts to what makes one, of values and their number."""

OPTIONS = {"keep": [], "on_error": "null", "num_threads": 1}
MAKE = {
    "Splitter": lambda student: Splitter(**OPTIONS),
    "Checker": lambda student: Checker("number", keep=[], on_error="null"),
    "Chunker": lambda student: Chunker(2, method="optimal", **OPTIONS),
    "Scorer": lambda student: Scorer(SMALL, n_chunks=2, **OPTIONS),
    "ItemPlanner": lambda student: ItemPlanner(SMALL, "skip", n_chunks=2, **OPTIONS),
    "SkipJudge": lambda student: SkipJudge(
        student, kind="number", judging=SkipOptions(gate="answer"), **OPTIONS
    ),
    "Generator": lambda student: Generator(student, **OPTIONS),
    "LocalGenerator": lambda student: LocalGenerator(
        LocalOptions(path=SMALL), kind="number", sampling=SamplingOptions(max_tokens=4), **OPTIONS
    ),
}


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A student of random weights that answers in every mode, in a few tokens."""
    made = make_student(
        list(ROW.values()), n_chunks=2, seed=0, hidden_size=16, num_layers=1, num_heads=2, vocab_size=300
    )
    limits = {str(stage): 6 for stage in (*MODES.values(), 1, 2)}
    about = {"mode": "full", "n_chunks": 2, "max_target_tokens": limits, "empty_stages": []}
    folder = tmp_path_factory.mktemp("student") / "small"
    save_student(*made, folder, about=about)
    return str(folder)


def of_types(names, kind):
    """The table with some columns of a type."""
    table = TABLE
    for name in names:
        values = pa.nulls(1) if pa.types.is_null(kind) else pa.array(table[name].to_pylist(), kind)
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def read_by(function, *kinds):
    return [name for name, kind in function.reads.items() if kind in kinds]


@pytest.mark.parametrize("name", MAKE)
def test_every_layout_of_texts_through_every_function(name, student):
    function = MAKE[name](student)
    texts = read_by(function, "texts", "texts or lists of texts")
    expected = function(TABLE)
    assert expected["error"].to_pylist() == [None]
    for layout, kind in TEXTS.items():
        table = of_types(texts, kind)
        assert function.schema(table.schema).equals(expected.schema), layout
        assert function(table).equals(expected), layout
    nothing = function(of_types(texts, pa.null()))
    assert nothing.schema.equals(expected.schema)
    assert nothing["error"][0].as_py().startswith(f"{texts[0]} of this row is null")
    assert all(nothing[column][0].as_py() is None for column in nothing.column_names if column != "error")


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("layout", LISTS)
def test_lists_of_steps_are_for_a_chunker(name, layout, student):
    function = MAKE[name](student)
    steps = pa.array([skipthink.split_steps(ROW["rationale"])], LISTS[layout](pa.string(), 4))
    column = "rationale" if "rationale" in function.reads else "question"
    table = TABLE.set_column(TABLE.column_names.index(column), column, steps)
    if name == "Chunker":
        assert function(table).equals(function(TABLE))
        return
    for call in (lambda: function.schema(table.schema), lambda: function(table)):
        with pytest.raises(
            InvalidTypeError, match=rf"{column} must hold texts, got .*; join each list to one text$"
        ):
            call()


@pytest.mark.parametrize("layout", LISTS)
@pytest.mark.parametrize("name", ["Chunker", "ItemPlanner", "SkipJudge"])
def test_every_layout_of_lists_through_every_function(name, layout, student):
    function = MAKE[name](student)
    expected = function(TABLE)
    table = TABLE
    for column, inner, size in (
        ("losses", pa.float64(), 4),
        ("boundaries", pa.int32(), 3),
        ("skipped", pa.bool_(), 2),
    ):
        if column in function.reads:
            kind = LISTS[layout](inner, size)
            table = table.set_column(
                table.column_names.index(column), column, pa.array(table[column].to_pylist(), kind)
            )
    assert function.schema(table.schema).equals(expected.schema)
    assert function(table).equals(expected)
