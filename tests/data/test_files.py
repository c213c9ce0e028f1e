"""Atomic writes: whole or not at all, also when the writer is killed."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skipthink.exceptions import InvalidInputError
from skipthink.io.files import atomic_folder, atomic_path, write_bytes, write_json, write_parquet, write_text


def test_round_trips(tmp_path):
    write_bytes(tmp_path / "new" / "folder" / "a.bin", b"\x00\xff")
    write_text(tmp_path / "a.txt", "é\r\n\n")
    write_json(tmp_path / "a.json", {"é": [1, None, 0.5]})
    write_parquet(tmp_path / "a.parquet", pa.table({"x": [1, 2]}))
    assert (tmp_path / "new" / "folder" / "a.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n\n".encode()
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None, 0.5]}
    assert pq.ParquetFile(tmp_path / "a.parquet").read().to_pydict() == {"x": [1, 2]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.parquet", "a.txt", "new"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"), atomic_path(path) as scratch:
        scratch.write_text("new")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "value", [float("nan"), [float("inf")], {"a": object()}, {(1, 2): 3}, "\ud800"], ids=range(5)
)
def test_values_json_cannot_say(tmp_path, value):
    with pytest.raises(InvalidInputError, match=r"cannot write .*a\.json"):
        write_json(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


def test_lone_surrogates_are_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"lone surrogate '\\ud800' at position 2"):
        write_text(tmp_path / "a.txt", "ab\ud800")


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_files_have_the_rights_of_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_long_names_fit(tmp_path):
    write_text(tmp_path / ("n" * 240), "x")
    assert [len(entry.name) for entry in tmp_path.iterdir()] == [240]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    script = (
        "import sys; from skipthink.io.files import write_text\n"
        "for n in range(10**9): write_text(sys.argv[1], str(n % 10) * 500_000)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)], env=env)
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        writer.kill()
        writer.wait()
        text = path.read_text()
        assert len(text) == 500_000 and len(set(text)) == 1
        path.unlink()


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    place = tmp_path / "deep" / "folder"
    with atomic_folder(place) as scratch:
        (scratch / "one").write_text("1")
        assert not place.exists()
    with pytest.raises(ValueError, match="half"), atomic_folder(place) as scratch:
        (scratch / "two").write_text("2")
        raise ValueError("half")
    assert [path.name for path in place.iterdir()] == ["one"]
    (place.parent / ".folder.tmp").mkdir()  # what a kill leaves
    (place.parent / ".folder.tmp" / "three").write_text("3")
    with atomic_folder(place) as scratch:
        (scratch / "four").write_text("4")
    assert [path.name for path in place.iterdir()] == ["four"]
    assert [path.name for path in place.parent.iterdir()] == ["folder"]
