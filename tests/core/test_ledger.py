"""The skip ledger: rounds, what cannot be, statistics, and its state as bytes and as a table."""

import threading

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink import reference
from skipthink.exceptions import InvalidTypeError, LedgerError

BOUNDARIES = np.asarray([[0, 1, 1, 3], [0, 1, 2, 3], [0, 2, 3, 5]])


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_core_equals_reference(data):
    M = data.draw(st.integers(1, 4))
    sizes = data.draw(st.lists(st.lists(st.integers(0, 2), min_size=M, max_size=M), min_size=1, max_size=8))
    boundaries = [[0, *np.cumsum(row).tolist()] for row in sizes]
    core, oracle = skipthink.SkipLedger(boundaries), reference.SkipLedger(boundaries)
    while not oracle.done:
        limit = data.draw(st.integers(1, 5))
        rows, chunks = core.next_batch(limit)
        assert (rows.tolist(), chunks.tolist()) == oracle.next_batch(limit)
        right = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
        core.record(rows, chunks, right)
        oracle.record(rows.tolist(), chunks.tolist(), right)
        assert core.skipped.tolist() == oracle.skipped
        assert core.stats() == oracle.stats()
        assert (core.states().tolist(), core.base().tolist()) == (oracle.states(), oracle.base())
        some = data.draw(st.lists(st.integers(0, len(sizes) - 1)))
        assert core.states(some).tolist() == oracle.states(some) == core.states()[some].tolist()
        assert core.base(some).tolist() == oracle.base(some)
        assert (core.n_settled, core.done, len(core)) == (oracle.n_settled, oracle.done, len(oracle))
        core = skipthink.SkipLedger.from_bytes(core.to_bytes(), boundaries=boundaries)
        core = skipthink.SkipLedger.from_arrow(core.to_arrow(), boundaries=boundaries)
    assert core.done
    assert core.asked == oracle.asked
    assert core.n_settled == len(core)
    assert core.next_batch()[0].tolist() == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_core_and_reference_refuse_the_same_answers(data):
    """Any answers, possible or not, in any order: both take them or both refuse them and stay as they were."""
    boundaries = [[0, 1, 1, 3], [0, 1, 2, 3], [0, 0, 0, 1]]
    core, oracle = skipthink.SkipLedger(boundaries), reference.SkipLedger(boundaries)
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):  # a question that is open, so that the walk gets on
            row = data.draw(st.integers(0, 2))
            rows, chunks, right = [row], [oracle.question(row) or 0], [data.draw(st.booleans())]
        else:
            rows = data.draw(st.lists(st.integers(-1, 3), min_size=1, max_size=3))
            chunks = data.draw(st.lists(st.integers(-1, 4), min_size=len(rows), max_size=len(rows)))
            right = data.draw(st.lists(st.booleans(), min_size=1, max_size=3))
        before = core.to_bytes()
        try:
            oracle.record(rows, chunks, right)
        except LedgerError:
            with pytest.raises(LedgerError):
                core.record(rows, chunks, right)
            assert core.to_bytes() == before
        else:
            core.record(rows, chunks, right)
        rows, chunks = core.next_batch()
        assert (rows.tolist(), chunks.tolist()) == oracle.next_batch()
        assert core.stats() == oracle.stats()


@pytest.mark.parametrize("kind", [skipthink.SkipLedger, reference.SkipLedger], ids=["core", "reference"])
def test_states_of_rows_that_are_none(kind):
    ledger = kind(BOUNDARIES)
    for row in (-1, 3):
        for read in (ledger.states, ledger.base):
            with pytest.raises(LedgerError, match=f"row {row} is not one of the ledger's 3 rows"):
                read([0, row])
    assert np.asarray(ledger.states([])).reshape(-1, 3).shape == (0, 3)


def test_statistics():
    ledger = skipthink.SkipLedger([*BOUNDARIES.tolist(), [0, 0, 0, 2]])
    rows, chunks = ledger.next_batch(3)
    ledger.record(rows, chunks, [True, True, False])
    ledger.record([0, 1], [1, 1], [True, False])
    ledger.record([1], [2], [True])
    ledger.record([0], [3], [False])
    assert ledger.stats() == {
        "rows": 4, "asked": 7, "base_open": 1, "base_right": 2, "base_wrong": 1,
        "open": 2, "kept": 5, "skipped": 2, "empty": 3, "skip_rate": [0.5, 1.0, 0.0],
        "rows_by_n_chunks": [0, 1, 1, 2], "skip_rate_by_n_chunks": [None, None, 0.5, 0.5],
    }  # fmt: skip


def test_record_wants_booleans():
    ledger = skipthink.SkipLedger(BOUNDARIES)
    with pytest.raises(InvalidTypeError, match="right must hold booleans"):
        ledger.record([0], [0], [1])


def half_done():
    ledger = skipthink.SkipLedger(BOUNDARIES)
    ledger.record([0, 1, 2], [0, 0, 0], [True, True, False])
    ledger.record([0], [1], [True])
    return ledger


def test_every_flipped_byte_of_the_bytes_is_found():
    content = half_done().to_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 4
        with pytest.raises(LedgerError):
            skipthink.SkipLedger.from_bytes(bytes(damaged))
        with pytest.raises(LedgerError):
            skipthink.SkipLedger.from_bytes(content[:place])
    with pytest.raises(LedgerError, match="length or checksum"):
        skipthink.SkipLedger.from_bytes(content + b"x")


def test_other_boundaries_are_refused():
    ledger = half_done()
    others = BOUNDARIES + np.asarray([0, 0, 0, 1])
    with pytest.raises(LedgerError, match="other boundaries"):
        skipthink.SkipLedger.from_bytes(ledger.to_bytes(), boundaries=others)
    with pytest.raises(LedgerError, match="other boundaries"):
        skipthink.SkipLedger.from_arrow(ledger.to_arrow(), boundaries=BOUNDARIES[:2])
    assert skipthink.SkipLedger(others).digest != ledger.digest


def test_table_goes_through_parquet_and_any_order(tmp_path):
    ledger = half_done()
    table = ledger.to_arrow()
    assert table.drop_columns("states").to_pydict() == {
        "row": [0, 1, 2],
        "n_chunks": [2, 3, 3],
        "base": [1, 1, 2],
    }
    assert table["states"].to_pylist() == [[2, 3, 0], [0, 0, 0], [1, 1, 1]]
    pq.write_table(table, tmp_path / "ledger.parquet")
    shuffled = pa.concat_tables([table.slice(2), table.slice(0, 2)])
    for again in (pq.read_table(tmp_path / "ledger.parquet"), shuffled):
        assert skipthink.SkipLedger.from_arrow(again).to_bytes() == ledger.to_bytes()
    bare = pl.from_arrow(table).to_arrow()
    assert skipthink.SkipLedger.from_arrow(bare, boundaries=BOUNDARIES).to_bytes() == ledger.to_bytes()
    with pytest.raises(LedgerError, match="give boundaries"):
        skipthink.SkipLedger.from_arrow(bare)


def replaced(table, name, column):
    return table.set_column(table.column_names.index(name), name, column)


def test_tables_that_are_no_ledger_are_refused():
    table = half_done().to_arrow()
    states = table["states"].combine_chunks()
    for wrong, message in [
        (table.drop_columns("base"), "no column 'base'"),
        (replaced(table, "row", pa.array([0, 1, 1])), "each of the rows 0 … 2 once"),
        (replaced(table, "row", pa.array([0, 1, None])), "has nulls"),
        (replaced(table, "n_chunks", pa.array([2, 2, 3])), "row 1 of the table"),
        (replaced(table, "base", pa.array([0, 1, 2], pa.uint8())), "row 0 is in state 0"),
        (replaced(table, "states", states.cast(pa.list_(pa.uint8()))), "not fixed-size lists of uint8"),
    ]:
        with pytest.raises(LedgerError, match=message):
            skipthink.SkipLedger.from_arrow(wrong)


def test_many_threads_answer_one_ledger():
    n = 4000
    ledger = skipthink.SkipLedger(np.tile([0, 1, 2], (n, 1)))

    def answer(part):
        for chunk in range(3):
            for row in range(part, n, 8):
                ledger.record([row], [chunk], [True])
                ledger.next_batch(5)

    threads = [threading.Thread(target=answer, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.done
    assert ledger.skipped.all()
    assert ledger.asked == 3 * n
