"""Engines: the blocks of their page are run, and its table of types is made here.

`SKIPTHINK_WRITE_TABLES=1` writes the columns of the table again whose engines are installed. Spark is installed by
`make test-spark`.
"""

import os
import re
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import ENGINES, marks, start, stop_all
from pytest_examples import CodeExample, find_examples

import skipthink
from skipthink.stream.threads import POOL_VARIABLES, worker_threads

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "engines.md"
EXAMPLES = [example for example in find_examples(PAGE) if example.prefix.split()[:1] == ["python"]]

TEXTS = [
    "One. Two and three.\nFour.",
    "Äpfel kosten 3,50 €. Birnen auch. Ende.",
    "So 2 + 3 = 5. Also gut.",
] * 4
STEPS = [skipthink.split_steps(text) for text in TEXTS]
LOSSES = [[0.1 + 0.7 * ((row * step) % 5) for step in range(len(steps))] for row, steps in enumerate(STEPS)]
TABLE = pa.table(
    {
        "id": [f"r{row}" for row in range(len(TEXTS))],
        "question": ["How much?"] * len(TEXTS),
        "rationale": TEXTS,
        "losses": LOSSES,
        "answer": ["5"] * len(TEXTS),
    }
)
CHUNKER = skipthink.Chunker(2, 0.0, method="optimal", keep=["id"], on_error="null")
TYPES = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "list": pa.list_(pa.string()),
    "large_list": pa.large_list(pa.large_string()),
    "fixed-size list": pa.list_(pa.string(), 2),
    "list_view": pa.list_view(pa.string()),
    "list of string_view": pa.list_(pa.string_view()),
    "null": pa.null(),
}


def section(example):
    """The heading that a block of the page stands under."""
    above = PAGE.read_text(encoding="utf-8").splitlines()[: example.start_line]
    return next(line.removeprefix("## ") for line in reversed(above) if line.startswith("## "))


@pytest.fixture(scope="module", autouse=True)
def _stopped():
    yield
    stop_all()


@pytest.fixture
def rationales(tmp_path, monkeypatch):
    pq.write_table(TABLE, tmp_path / "rationales.parquet")
    monkeypatch.chdir(tmp_path)


quiet = pytest.mark.filterwarnings("ignore")  # what engines and their libraries warn of is theirs


@quiet
@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, marks=marks(section(example)), id=f"{section(example)}:{example.start_line}")
        for example in EXAMPLES
    ],
)
def test_blocks_of_the_page(example: CodeExample, rationales):
    """Runs a block as a script with a `print` of its own: engines print too, and Ray does so thousands of times."""
    start(section(example))
    printed = []
    names = {"__name__": "__main__", "print": lambda *words: printed.append(" ".join(map(str, words)))}
    exec(compile(example.source, f"{PAGE.name}:{example.start_line}", "exec"), names)
    expected = re.findall(r"^ *#> (.*)$", example.source, re.MULTILINE)
    assert expected
    assert printed == expected


def values_of(name):
    if name == "null":
        return None
    if name == "fixed-size list":
        return [[steps[0], "".join(steps[1:])] for steps in STEPS]
    return STEPS if "list" in name else TEXTS


def table_of(name):
    """The table with rationales of a type, and what is to come out."""
    values = values_of(name)
    column = pa.nulls(len(TEXTS)) if values is None else pa.array(values, TYPES[name])
    table = TABLE.select(["id"]).append_column("rationale", column)
    losses = [row[:2] for row in LOSSES] if name == "fixed-size list" else LOSSES
    plain = pa.nulls(len(TEXTS), pa.string()) if values is None else pa.array(values)
    expected = CHUNKER(
        TABLE.select(["id"]).append_column("rationale", plain).append_column("losses", pa.array(losses))
    )
    return table.append_column("losses", pa.array(losses)), expected


def cell(engine, name):
    """ "yes", or "no" where the engine does not take the type; a wrong result is an error."""
    table, expected = table_of(name)
    try:
        result = ENGINES[engine][1](table, CHUNKER)
    except (skipthink.SkipthinkError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # some engines panic
        if "skipthink" in str(error).lower():
            raise
        print(engine, name, type(error).__name__, str(error)[:300])
        return "no"
    result, expected = result.sort_by("id"), expected.sort_by("id")
    for column in ("id", "chunks", "boundaries", "error"):
        assert [plain(value) for value in result[column].to_pylist()] == expected[column].to_pylist(), (
            engine,
            name,
            column,
        )
    return "yes"


def plain(value):
    """A value of pandas as that of Arrow."""
    return list(value) if hasattr(value, "tolist") else value


def written():
    """The table of the page: (type, engine) to its cell."""
    rows = re.findall(
        r"^\| (.+) \|$", PAGE.read_text(encoding="utf-8").partition("## What comes in")[2], re.MULTILINE
    )
    head, *body = [row.split(" | ") for row in rows]
    return {(row[0], name): found for row in body for name, found in zip(head[1:], row[1:], strict=True)}


def write(cells):
    """Writes the table anew."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.index("| type | ")
    lines = [f"| type | {' | '.join(ENGINES)} |", "|" + "---|" * (len(ENGINES) + 1)]
    lines += [
        f"| {name} | {' | '.join(cells.get((name, engine), '?') for engine in ENGINES)} |" for name in TYPES
    ]
    PAGE.write_text(text[:start] + "\n".join(lines) + "\n", encoding="utf-8")


@quiet
@pytest.mark.parametrize("engine", [pytest.param(engine, marks=marks(engine)) for engine in ENGINES])
def test_types_through_engines(engine):
    start(engine)
    found = {(name, engine): cell(engine, name) for name in TYPES}
    if os.environ.get("SKIPTHINK_WRITE_TABLES"):
        write(written() | found)
    assert {place: written().get(place) for place in found} == found


@quiet
def test_a_process_of_daft_uses_one_thread(monkeypatch):
    """It is a bare subprocess, whose batches come on its main thread."""
    start("Daft")
    import daft

    for name in ("SKIPTHINK_NUM_THREADS", *POOL_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    kind = daft.DataType.list(daft.DataType.int64())

    @daft.func.batch(return_dtype=kind, use_process=True)
    def threads(rows: daft.Series) -> daft.Series:
        assert threading.current_thread() is threading.main_thread()
        return daft.Series.from_pylist([[worker_threads(), os.getpid()]] * len(rows))

    rows = daft.from_pydict({"row": [0, 1]}).select(threads(daft.col("row")).alias("found"))
    for count, process in rows.to_pydict()["found"]:
        assert count == 1
        assert process != os.getpid()
