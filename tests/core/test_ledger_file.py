"""The ledger's file: it survives a kill at any byte, and damage is found, named and never passed over."""

import os
import signal
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_records import read_ledger

import skipthink
from skipthink.exceptions import LedgerError

BOUNDARIES = np.asarray([[0, 1, 1, 3], [0, 1, 2, 3], [0, 2, 3, 5]])


def answer_all(file, ledger, limit=2):
    """Even rows are right throughout, odd ones at chunk 0 only."""
    while not ledger.done:
        rows, chunks = ledger.next_batch(limit)
        file.record(rows, chunks, (rows % 2 == 0) | (chunks == 0), tokens=len(rows))


def opened(path, boundaries=BOUNDARIES, fingerprint="print"):
    ledger = skipthink.SkipLedger(boundaries)
    return skipthink.LedgerFile(path, ledger, fingerprint), ledger


@pytest.fixture
def whole(tmp_path):
    """A finished file: its content, where its records start (and end), and the ledger."""
    file, ledger = opened(tmp_path / "whole.bin")
    with file:
        edges = [file.path.stat().st_size]
        while not ledger.done:
            rows, chunks = ledger.next_batch(2)
            file.record(rows, chunks, (rows % 2 == 0) | (chunks == 0), tokens=len(rows))
            edges.append(file.path.stat().st_size)
        assert file.total("tokens") == ledger.asked
    return file.path.read_bytes(), edges, ledger


def test_a_file_cut_at_any_byte_goes_on(tmp_path, whole, monkeypatch):
    """What is whole counts, what is torn is cut off and asked again, nothing is asked twice."""
    monkeypatch.setattr(
        os, "fsync", lambda _: None
    )  # hundreds of files: what reaches the disk is tested below
    content, edges, expected = whole
    path = tmp_path / "ledger.bin"
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        file, ledger = opened(path)
        with file:
            end = max([edge for edge in edges if edge <= size], default=0)
            assert file.torn_bytes == size - end
            assert path.stat().st_size == max(end, edges[0])
            assert ledger.asked == file.total("tokens")
            answer_all(file, ledger)
        assert ledger.to_bytes() == expected.to_bytes()
        assert path.read_bytes() == content


def test_a_flipped_byte_anywhere_is_damage_with_its_place(tmp_path, whole):
    content, edges, _ = whole
    path = tmp_path / "ledger.bin"
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        record = max([edge for edge in edges if edge <= place], default=0)
        with pytest.raises(
            LedgerError, match=f"record at byte {record} " if record else "head is|not the file|format"
        ):
            opened(path)
        assert path.read_bytes() == damaged, "a damaged file is left as it is"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_file_equals_ledger_and_reads_back(tmp_path_factory, data):
    """Batches of any size and mixture of chunks come back as they were written."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        check_a_file_that_equals_its_ledger(path, data)


def check_a_file_that_equals_its_ledger(path, data):
    n = data.draw(st.integers(0, 40))
    boundaries = np.tile([0, 1, 2, 3], (n, 1))
    file, ledger = opened(path, boundaries)
    written = []
    with file:
        for _ in range(data.draw(st.integers(0, 6))):
            rows, chunks = ledger.next_batch(data.draw(st.integers(1, 20)))
            right = np.asarray(
                data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), dtype=bool
            )
            keep = data.draw(st.integers(0, len(rows)))  # some run ahead of the round, so that chunks mix
            for part in (slice(0, keep), slice(keep, None)):
                file.record(rows[part], chunks[part], right[part], seconds=0.5)
                written.append(
                    (rows[part].tolist(), chunks[part].tolist(), right[part].tolist(), {"seconds": 0.5})
                )
            ahead = [row for row in rows.tolist() if not ledger.done][:3]
            asked = [(row, question) for row in ahead if (question := question_of(ledger, row)) is not None]
            if asked:
                mixed = [np.asarray(part) for part in zip(*asked, strict=True)]
                file.record(*mixed, np.ones(len(asked), dtype=bool))
                written.append((*(part.tolist() for part in mixed), [True] * len(asked), {}))
        assert file.total("seconds") == 0.5 * sum(bool(notes) for *_, notes in written)
    read = [(*(part.tolist() for part in parts), notes) for *parts, notes in read_ledger(path)]
    assert read == written
    file, again = opened(path, boundaries)
    file.close()
    assert again.to_bytes() == ledger.to_bytes()


def question_of(ledger, row):
    """The next question of a row, from its states."""
    table = ledger.to_arrow()
    states = table["states"][row].as_py()
    return {0: 0, 1: states.index(0) + 1 if 0 in states else None, 2: None}[table["base"][row].as_py()]


KILLED = """
import os, signal, sys
import skipthink

path, calls, before = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "before"
ledger = skipthink.SkipLedger([[0, 1, 1, 3], [0, 1, 2, 3], [0, 2, 3, 5]])
file = skipthink.LedgerFile(path, ledger, "print")
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
with file:
    while not ledger.done:
        rows, chunks = ledger.next_batch(2)
        file.record(rows, chunks, (rows % 2 == 0) | (chunks == 0), tokens=len(rows))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are of Unix")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("calls", [1, 3])
def test_a_killed_run_goes_on(tmp_path, whole, calls, moment):
    """Killed while a batch reaches the disk: what is there counts, the rest is asked, nothing twice."""
    content, edges, expected = whole
    path = tmp_path / "killed.bin"
    command = [sys.executable, "-c", KILLED, str(path), str(calls), moment]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == content[: edges[calls]]
    file, ledger = opened(path)
    with file:
        assert ledger.asked == file.total("tokens") > 0
        answer_all(file, ledger)
    assert path.read_bytes() == content
    assert ledger.to_bytes() == expected.to_bytes()


def test_zeros_that_a_power_cut_left_are_torn_not_damage(tmp_path, whole):
    content, edges, _ = whole
    path = tmp_path / "ledger.bin"
    path.write_bytes(content[: edges[2]] + bytes(100))
    file, _ = opened(path)
    file.close()
    assert file.torn_bytes == 100
    assert path.read_bytes() == content[: edges[2]]


def test_a_failed_write_closes_the_file_and_loses_nothing(tmp_path, monkeypatch, whole):
    """A full disk leaves a torn record; nothing may be written behind it."""
    content, edges, _ = whole
    path = tmp_path / "ledger.bin"
    file, ledger = opened(path)
    answers = ledger.next_batch(2)
    before = ledger.to_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            LedgerError,
            match=r"ledger\.bin: .*No space left on device; those written before are kept: make room",
        ):
            file.record(*answers, [True, True])
    assert ledger.to_bytes() == before
    with pytest.raises(LedgerError, match="open it anew"):
        file.record(*answers, [True, True])
    path.write_bytes(path.read_bytes()[: edges[0] + 5])
    file, ledger = opened(path)
    with file:
        assert file.torn_bytes == 5
        answer_all(file, ledger)
    assert path.read_bytes() == content


def test_an_interruption_after_the_write_does_not_count_a_batch_twice(tmp_path, monkeypatch, whole):
    """The disk is ahead of the state then: nothing may be written behind it but by a ledger that knows."""
    content, edges, _ = whole
    path = tmp_path / "ledger.bin"
    file, ledger = opened(path)
    answers = ledger.next_batch(2)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            file.record(*answers, [True, True], tokens=2)
    with pytest.raises(LedgerError, match="open it anew"):
        file.record(*answers, [True, True], tokens=2)
    assert path.read_bytes() == content[: edges[1]]
    file, ledger = opened(path)
    with file:
        answer_all(file, ledger)
    assert path.read_bytes() == content


def test_a_file_of_other_data_is_refused(tmp_path):
    path = tmp_path / "ledger.bin"
    opened(path, fingerprint="one")[0].close()
    with pytest.raises(LedgerError, match="it was made with fingerprint 'one', this run has 'two'"):
        opened(path, fingerprint="two")
    with pytest.raises(LedgerError, match="it was made with rows 3, this run has 1"):
        opened(path, BOUNDARIES[:1], fingerprint="one")
    moved = BOUNDARIES + np.asarray([0, 0, 0, 1])  # the same chunks have a step, but other ones
    with pytest.raises(LedgerError, match="it was made with boundaries '"):
        opened(path, moved, fingerprint="one")
    text = tmp_path / "ledger.jsonl"
    text.write_text('{"format": 1}\n')
    with pytest.raises(LedgerError, match="not the file of a skip ledger"):
        opened(text)


def test_a_ledger_with_answers_is_refused(tmp_path):
    ledger = skipthink.SkipLedger(BOUNDARIES)
    ledger.record([0], [0], [True])
    with pytest.raises(LedgerError, match="holds 1 answers already"):
        skipthink.LedgerFile(tmp_path / "ledger.bin", ledger, "print")


def body_of(rows, chunks, right, text=b"", width=4):
    rows, chunks = np.asarray(rows, f"<u{width}"), np.asarray(chunks, "<u4")
    bits = np.packbits(np.asarray(right, bool), bitorder="little").tobytes()
    head = struct.pack("<IIII", len(rows), width, len(chunks), len(text))
    return head + rows.tobytes() + chunks.tobytes() + bits + text


@pytest.mark.parametrize(
    "body",
    [
        body_of([0], [2], [True]),
        body_of([9], [0], [True]),
        body_of([0, 0], [0], [True, True]),
        body_of([0], [0], [True], b"{"),
        body_of([0], [0], [True], width=8)[:-1],
        b"ab",
    ],
)
def test_impossible_records_are_named(tmp_path, body):
    """Records with the right checksums that no ledger writes."""
    path = tmp_path / "ledger.bin"
    opened(path)[0].close()
    end = path.stat().st_size
    length = struct.pack("<I", len(body))
    with path.open("ab") as file:
        file.write(
            length + struct.pack("<I", zlib.crc32(length)) + body + struct.pack("<I", zlib.crc32(body))
        )
    with pytest.raises(LedgerError, match=rf"ledger\.bin, record at byte {end}: .*move the file away"):
        opened(path)


def test_impossible_answers_reach_neither_disk_nor_state(tmp_path):
    path = tmp_path / "ledger.bin"
    file, ledger = opened(path)
    with file:
        before = path.read_bytes(), ledger.to_bytes()
        for rows, chunks, right in (([0], [1], [True]), ([7], [0], [True]), ([0, 1], [0], [True])):
            with pytest.raises(LedgerError):
                file.record(rows, chunks, right)
        assert (path.read_bytes(), ledger.to_bytes()) == before


def test_many_threads_write_one_file(tmp_path):
    n = 200
    boundaries = np.tile([0, 1, 2], (n, 1))
    file, ledger = opened(tmp_path / "ledger.bin", boundaries)

    def answer(part):
        for chunk in range(3):
            file.record(range(part, n, 4), [chunk] * len(range(part, n, 4)), [True] * len(range(part, n, 4)))

    threads = [threading.Thread(target=answer, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    again, replayed = opened(file.path, boundaries)
    again.close()
    assert replayed.to_bytes() == ledger.to_bytes()
    assert replayed.done
