"""A run while it works, killed, and gone on with: its events, its display, and `skipthink status` from outside."""

import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from command_line import call_cli
from small_run import write_small_recipe

from skipthink.io.progress import Display
from skipthink.run.events import Events
from skipthink.run.status import read_status

pytestmark = pytest.mark.xdist_group("status")


def events_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def until(happens, process, seconds=500):
    give_up = time.monotonic() + seconds
    while not happens():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < give_up, "it takes too long"
        time.sleep(0.05)


def read_to_the_end(parent):
    sent = b""
    while select.select([parent], [], [], 500)[0]:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        sent += piece
    return sent.decode()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_run_is_watched_killed_and_gone_on_with(tmp_path):
    recipe, out = write_small_recipe(tmp_path / "source"), tmp_path / "run"
    words = [sys.executable, "-m", "skipthink", "run", str(recipe), "--out", str(out), "--display", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        log = out / "train/base+sbc/s0/checkpoints/log.jsonl"
        until(log.exists, process)
        watched = json.loads(call_cli("status", out, "--json").stdout)
        assert (watched["is_running"], watched["process"], watched["command"]) == (True, process.pid, None)
        states = {job["name"]: job["state"] for job in watched["jobs"]}
        assert states["prepare"] == "done"
        assert states["train/base+sbc/s0"] == "under way"
        assert states["evaluate"] == "waiting"
        assert "running (process" in call_cli("status", out).stdout
        os.kill(process.pid, signal.SIGKILL)
        printed = [json.loads(line) for line in process.stdout]
    names = [entry["event"] for entry in printed if entry["event"] != "progress"]
    assert names[:3] == ["run", "start", "done"]
    assert printed[0]["command"][:2] == ["skipthink", "run"]
    said = call_cli("status", out).stdout
    assert "not running, not finished" in said
    assert "\nstopped    train/base+sbc/s0" in said
    assert said.splitlines()[-1] == f"to go on: skipthink run {out}/recipe.yaml --out {out}"
    assert call_cli("inspect", out, "--split", "train").stdout.endswith(
        "32 of 32 samples of the split train\n"
    )

    # the command that status names goes on, on a terminal with bars
    command = shlex.split(said.splitlines()[-1].removeprefix("to go on: "))
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"}
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=child, stderr=child, stdin=child, env=environment
    )
    os.close(child)
    sent = read_to_the_end(parent)
    os.close(parent)
    assert process.wait() == 0, sent
    assert "kept   prepare  (finished before)" in sent
    assert "jobs are finished" in sent
    assert "━" in sent
    assert "stt" in sent.rpartition("method")[2]
    said = call_cli("status", out).stdout
    assert said.splitlines()[0].endswith("finished; 7 done")
    assert "to go on" not in said
    events = events_of(out)
    assert [entry["event"] for entry in events].count("run") == 2
    assert events[-1]["event"] == "finished"
    # a job may end in the moment of the kill, before its end is said
    done = {entry["job"] for entry in events if entry["event"] in ("done", "kept")}
    assert done == {job["name"] for job in watched["jobs"]}
    items = [entry["text"] for entry in events if entry["event"] == "note" and entry["job"] == "train/stt/s0"]
    assert "[skip]" in items[0]
    assert "<end>»" in items[0]


@pytest.mark.slow
def test_a_failed_job_is_said_with_its_error(run_copy):
    (run_copy / "train/stt/s0/done.json").unlink()
    shutil.rmtree(run_copy / "evaluate")
    (run_copy / "results.json").unlink()
    error = "job train/stt/s0 crashed (exit code 1)\n  | \x1b[31mValueError\x1b[0m"
    with (run_copy / "events.jsonl").open("a") as stream:
        for event in ({"event": "start"}, {"event": "failed", "error": error}):
            stream.write(
                json.dumps({"time": "2026-11-28T07:00:00+00:00", "job": "train/stt/s0", **event}) + "\n"
            )
        stream.write('{"time": "2026-11-28T07:0')  # torn by a kill
    status = read_status(run_copy)
    assert status.counts() == {"done": 5, "failed": 1, "waiting": 1}
    printed = call_cli("status", run_copy).stdout
    assert "failed     train/stt/s0" in printed
    assert "ValueError" in printed
    assert "\x1b" not in printed
    assert printed.splitlines()[-1].startswith("to go on: skipthink run ")


def test_status_of_what_is_no_run_is_refused(tmp_path):
    assert "is no run folder" in call_cli("status", tmp_path, check=2).stderr


def test_a_run_without_jobs_yet_can_be_asked(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "name: x\nchunks: {M: 2, method: greedy}\nskip: {}\nevaluation: {split: test}\n"
    )
    assert "no job is noted yet" in call_cli("status", tmp_path).stdout


@pytest.mark.parametrize("mode", ["plain", "json", "none"])
def test_events_are_in_the_file_however_they_are_shown(tmp_path, capsys, mode):
    events = Events(tmp_path, Display(mode=mode))
    events.say("start", "start  a", job="a")
    events.say("stopped")
    assert [entry["event"] for entry in events_of(tmp_path)] == ["start", "stopped"]
    printed = capsys.readouterr().out
    if mode == "json":
        assert [json.loads(line)["event"] for line in printed.splitlines()] == ["start", "stopped"]
    else:
        assert printed == {"plain": "start  a\n", "none": ""}[mode]


def test_an_unknown_display_is_refused(tmp_path):
    said = call_cli("run", tmp_path / "x.yaml", "--display", "loud", check=2).stderr
    assert "is one of auto, plain, json, none, got 'loud'" in said
