"""The skip ledger: rounds, what cannot be, and the file that survives a kill."""

import json
import signal
import subprocess
import sys

import numpy as np
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
        assert (core.n_settled, core.done, len(core)) == (oracle.n_settled, oracle.done, len(oracle))
        core = skipthink.SkipLedger.from_bytes(core.to_bytes())
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


def answer_all(file, ledger, limit=2):
    """Even rows are right throughout, odd ones at chunk 0 only."""
    while not ledger.done:
        rows, chunks = ledger.next_batch(limit)
        file.record(rows, chunks, (rows % 2 == 0) | (chunks == 0), tokens=len(rows))


def test_statistics():
    ledger = skipthink.SkipLedger(BOUNDARIES)
    rows, chunks = ledger.next_batch()
    ledger.record(rows, chunks, [True, True, False])
    ledger.record([0, 1], [1, 1], [True, False])
    ledger.record([1], [2], [True])
    ledger.record([0, 1], [3, 3], [False, False])
    assert ledger.stats() == {"rows": 3, "asked": 8, "base_right": 2, "kept": 6, "skipped": 2, "empty": 1,
                              "skip_rate": [0.5, 1.0, 0.0]}  # fmt: skip


def test_file_replays_to_the_same_state(tmp_path):
    path = tmp_path / "ledger.jsonl"
    whole = skipthink.SkipLedger(BOUNDARIES)
    with skipthink.LedgerFile(path, whole, "print") as file:
        answer_all(file, whole)
        assert file.total("tokens") == whole.asked
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(len(lines) + 1):
        for torn in (b"", b'{"rows": [0', lines[min(kept, len(lines) - 1)][:-1]):
            path.write_bytes(b"".join(lines[:kept]) + torn)
            ledger = skipthink.SkipLedger(BOUNDARIES)
            with skipthink.LedgerFile(path, ledger, "print") as file:
                assert file.torn_lines == bool(torn)
                answer_all(file, ledger)
            assert ledger.to_bytes() == whole.to_bytes()
            assert path.read_bytes() == b"".join(lines), "nothing is asked twice"


KILLED = """
import os, signal, sys
import numpy as np
import skipthink

path, calls, before = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "before"
ledger = skipthink.SkipLedger([[0, 1, 1, 3], [0, 1, 2, 3], [0, 2, 3, 5]])
taken, real = 0, os.fsync

def fsync(number):
    global taken
    taken += 1
    if taken == calls and before:
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)
    if taken == calls:
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = fsync
with skipthink.LedgerFile(path, ledger, "print") as file:
    while not ledger.done:
        rows, chunks = ledger.next_batch(2)
        file.record(rows, chunks, (rows % 2 == 0) | (chunks == 0), tokens=len(rows))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are of Unix")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("calls", [1, 2, 4])
def test_a_killed_run_goes_on(tmp_path, calls, moment):
    """Killed while a batch reaches the disk: what is there counts, the rest is asked, nothing twice."""
    whole, path = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    ledger = skipthink.SkipLedger(BOUNDARIES)
    with skipthink.LedgerFile(whole, ledger, "print") as file:
        answer_all(file, ledger)
    command = [sys.executable, "-c", KILLED, str(path), str(calls), moment]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    left = path.read_bytes()
    assert whole.read_bytes().startswith(left)
    assert left != whole.read_bytes()
    resumed = skipthink.SkipLedger(BOUNDARIES)
    with skipthink.LedgerFile(path, resumed, "print") as file:
        assert resumed.asked == sum(len(json.loads(line)["rows"]) for line in left.splitlines()[1:])
        answer_all(file, resumed)
    assert path.read_bytes() == whole.read_bytes()
    assert resumed.to_bytes() == ledger.to_bytes()


def test_another_fingerprint_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    skipthink.LedgerFile(path, skipthink.SkipLedger(BOUNDARIES), "one").close()
    with pytest.raises(LedgerError, match="line 1: it was made with fingerprint 'one', this run has 'two'"):
        skipthink.LedgerFile(path, skipthink.SkipLedger(BOUNDARIES), "two")
    with pytest.raises(LedgerError, match="line 1: it was made with rows 3, this run has 1"):
        skipthink.LedgerFile(path, skipthink.SkipLedger(BOUNDARIES[:1]), "one")


@pytest.mark.parametrize(
    "line",
    [
        {"rows": [0], "chunks": [2], "right": [True]},
        {"rows": [9], "chunks": [0], "right": [True]},
        {"rows": [0, 0], "chunks": [0, 0], "right": [True, True]},
        {"rows": [0]},
        "text",
    ],
)
def test_impossible_lines_are_named(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    skipthink.LedgerFile(path, skipthink.SkipLedger(BOUNDARIES), "print").close()
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(LedgerError, match=r"ledger\.jsonl, line 2: .*move the file away"):
        skipthink.LedgerFile(path, skipthink.SkipLedger(BOUNDARIES), "print")


def test_impossible_answers_reach_neither_disk_nor_state(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = skipthink.SkipLedger(BOUNDARIES)
    with skipthink.LedgerFile(path, ledger, "print") as file:
        before = path.read_bytes(), ledger.to_bytes()
        for rows, chunks, right in (([0], [1], [True]), ([7], [0], [True]), ([0, 1], [0], [True])):
            with pytest.raises(LedgerError):
                file.record(np.asarray(rows), np.asarray(chunks), np.asarray(right))
        assert (path.read_bytes(), ledger.to_bytes()) == before
    with pytest.raises(InvalidTypeError, match="right must hold booleans"):
        ledger.record([0], [0], [1])
