"""Training and the jobs of a run under kills, full disks and damaged files: what is said, and that nothing is lost."""

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from kept import trains
from ledger_records import read_ledger
from safetensors.torch import load_file
from small_jobs import SMALL, run_jobs
from training_calls import train_by_name

from skipthink.exceptions import DataError, LedgerError, RunError
from skipthink.io.files import describe_full_disk
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.process import NO_ROOM, REFUSED, work
from skipthink.run.recipe import load_recipe
from skipthink.run.work import run_job

N_KILLS = 10
SETTINGS = {
    "batch_size": 8,
    "learning_rate": 1e-3,
    "epochs": 4,
    "save_strategy": "steps",
    "save_steps": 3,
    "chunk_dropout": 0.2,
}
RECIPE = """
name: tiny
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 8, validation: 2, test: 3}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 512}
chunks: {M: 2, method: greedy}
training: {epochs: 2, batch_size: 8, save_steps: 2, skip_weight: null, thought: per-chunk}
skip: {gate: answer, batch_size: 4}
evaluation: {batch_size: 4, alone_questions: 0, stage_questions: 0}
methods: [base+sbc, stt]
"""


# ---- kills ----


@pytest.mark.slow
@pytest.mark.parametrize("method", ["base+sbc", "stt"])
def test_training_killed_at_ten_random_moments(method, student_dir, samples, encoded, tmp_path, in_child):
    """SIGKILL in loading, search, steps, saving and the last writes: bits, losses, chunks and counts are the same."""
    extras = {}
    if method == "stt":
        ends = encoded.n_steps[:, None] * np.arange(4) // 3
        extras = {"boundaries": ends, "skipped": np.random.default_rng(1).random((24, 3)) < 0.4}

    def train(out, progress=None):
        return train_by_name(
            method, student=student_dir, samples=samples, out=out, n_chunks=3, seed=5, settings=SETTINGS,
            progress=progress, **extras,
        )  # fmt: skip

    whole, seen, seed = tmp_path / "whole", tmp_path / "seen", 11
    print("seed of the kills:", seed)
    draw = random.Random(seed)
    started = time.monotonic()
    expected = train(whole)
    step_seconds = (time.monotonic() - started) / expected["train_steps"]

    def note(step, total):
        seen.write_text(f"{step}")

    out, kills = tmp_path / "killed", 0
    while kills < N_KILLS:
        seen.unlink(missing_ok=True)
        child = in_child(lambda: train(out, note) and None)
        # before the first step, or some steps on, and a little later: the last kill in the last writes
        n_more = draw.choice([0, 1, 2, 3, 4]) if kills < N_KILLS - 1 else expected["train_steps"]
        wait_for(child, seen, n_more, expected["train_steps"])
        time.sleep(draw.uniform(0, step_seconds) if n_more else draw.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or kills == N_KILLS - 1, "it ended before it was killed"
        kills += 1
    found = train(out)
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}  # with the loss of every window of steps
    assert_same_training(out, whole)


@pytest.mark.slow
def test_a_training_killed_while_it_removes_its_checkpoints(student_dir, samples, tmp_path, in_child):
    """The last files are written, the newest checkpoint is half removed: it is not taken for a whole one."""

    def train(out):
        return train_by_name(
            "base", student=student_dir, samples=samples, out=out, n_chunks=3, settings=SETTINGS
        )

    def train_until_cut_off():
        remove = shutil.rmtree

        def cut_off(folder, **options):
            found = Path(folder).glob("checkpoint-*")
            newest = max(found, default=None, key=lambda path: int(path.name.split("-")[1]))
            if newest is None:
                return remove(folder, **options)
            min(path for path in newest.iterdir() if path.name != "skipthink.json").unlink()
            return os.kill(os.getpid(), signal.SIGKILL)

        shutil.rmtree = cut_off
        train(tmp_path / "out")

    child = in_child(train_until_cut_off)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and (tmp_path / "out" / "train.json").exists()
    expected, found = train(tmp_path / "whole"), train(tmp_path / "out")
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_a_job_killed_after_its_training_repeats_no_step(tmp_path, monkeypatch):
    """Between the last step and the note that the job is finished, its card is written."""

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("skipthink.run.work._dress", die)
        with pytest.raises(KeyboardInterrupt):
            run_jobs(tmp_path, SMALL + "name: r\nchunks: {M: 2}\ntraining: {epochs: 1}\nmethods: [base]\n")
    folder = RunFolder(tmp_path)
    graph = folder.graph()
    job = graph.named("train/base/s0")
    left = (folder.of(job) / "model" / "model.safetensors").read_bytes()
    monkeypatch.setattr("skipthink.training.trainer.ItemTrainer.training_step", die)
    run_job(folder, graph, job, lambda done, total: None)
    assert (folder.of(job) / "model" / "model.safetensors").read_bytes() == left
    assert folder.done(job, graph.fingerprints[job])["result"]["train_steps"] > 0
    assert not (folder.of(job) / "checkpoints").exists()


def wait_for(child, seen, n_more, n_steps):
    """Waits until a child has gone so many steps on, or to the last one."""
    first = None
    while n_more and not is_over(child):
        text = seen.read_text() if seen.exists() else ""
        if text:
            first = int(text) if first is None else first
            if int(text) >= min(first + n_more - 1, n_steps):
                return
        time.sleep(0.001)


def is_over(child):
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def assert_same_training(left, right):
    weights = [load_file(out / "model" / "model.safetensors") for out in (left, right)]
    assert weights[0].keys() == weights[1].keys()
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])
    for name in ("chunks.parquet", "items.parquet"):
        assert pq.read_table(left / name) == pq.read_table(right / name)
    assert not list(left.glob("checkpoints*"))


# ---- full disks ----


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.bin"), "No space left on device: 'a.bin'"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded"),
        (Exception("I/O error: No space left on device (os error 28)"), "No space left on device"),
        (
            RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
            "failed writing file",
        ),
        (OSError(errno.EACCES, "Permission denied"), None),
        (Exception("os error 2"), None),
    ],
)
def test_a_full_disk_is_known_by_its_error(error, message):
    found = describe_full_disk(error)
    if message is None:
        assert found is None
    else:
        assert found.startswith("no room to write: ")
        assert message in found
        assert found.endswith("; make room and give the same command again: what was finished before is kept")
    outer = RuntimeError("a save failed")
    outer.__cause__ = error
    assert describe_full_disk(outer) == found


@pytest.fixture(scope="module")
@trains
def finished(tmp_path_factory):
    """A run of all jobs that nothing disturbed."""
    folder = make_run(tmp_path_factory.mktemp("finished"))
    for job in (graph := build_graph(folder.recipe())):
        run_job(folder, graph, job, lambda done, total: None)
    return folder


def make_run(out):
    (out / "tiny.yaml").write_text(RECIPE)
    folder = RunFolder(out / "run")
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(load_recipe(out / "tiny.yaml"))
    return folder


def run_limited(in_child, folder, job, n_bytes):
    """Runs a job as its process does, no file of which may grow beyond so many bytes; (exit code, last line)."""
    reader, writer = os.pipe()  # the log, on another disk

    def limited():
        sys.stderr = os.fdopen(writer, "w", buffering=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        return work(folder.path, job.name, 1)

    child = in_child(limited)
    os.close(writer)
    with os.fdopen(reader) as log:
        lines = log.read().splitlines()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), (lines or [""])[-1]


def contents(folder):
    """All files of finished jobs, less model cards: evaluation puts its figures into them."""
    jobs = [path.parent for path in folder.path.rglob("done.json")]
    return {
        path: path.read_bytes()
        for job in jobs
        for path in job.rglob("*")
        if path.is_file() and path.name != "README.md"
    }


def test_a_full_disk_in_every_job(finished, tmp_path, in_child):
    """At several sizes, so that each kind of file meets it: a clear error, nothing lost, and the run goes on."""
    folder, graph = make_run(tmp_path), build_graph(finished.recipe())
    for job in graph:
        failures = []
        for n_bytes in (60, 1500, 5000, 30_000, 70_000):
            before = contents(folder)
            code, said = run_limited(in_child, folder, job, n_bytes)
            assert before.items() <= contents(folder).items()
            if code == 0:
                break
            assert code in (NO_ROOM, REFUSED), said
            assert (
                "make room, and the same call goes on" in said
                or "make room and give the same command" in said
            )
            assert folder.done(job, graph.fingerprints[job]) is None
            failures.append(said)
        assert len(failures) >= 2, job.name
        assert run_limited(in_child, folder, job, resource.RLIM_INFINITY)[0] == 0
    assert_same_run(folder, finished)


def assert_same_run(left, right):
    for method in ("base+sbc", "stt"):
        assert_same_training(*(folder.path / f"train/{method}/s0" for folder in (left, right)))
    for name in ("skip-data/s0/skip.parquet", "evaluate/stt/s0/predictions.parquet"):
        assert pq.read_table(left.path / name) == pq.read_table(right.path / name)
    batches = [
        [
            [part.tolist() for part in parts]
            for *parts, _ in read_ledger(folder.path / "skip-data/s0/ledger.bin")
        ]
        for folder in (left, right)
    ]
    assert batches[0] == batches[1]


SMALL_DISK = """
mount -t tmpfs -o size=$1k none "$2" || exit 77
cp "$3" "$2/tiny.yaml"
"$4" -m skipthink run "$2/tiny.yaml" --out "$2/run"; echo "exit code $?"
find "$2/run" -name done.json
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a file system of its own")
def test_a_run_on_a_disk_that_is_full(tmp_path):
    """The whole command, its log on the same disk: one line of error, and what was finished is kept."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh", "400", tmp_path / "disk",
         tmp_path / "tiny.yaml", sys.executable],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("file systems cannot be mounted here")
    assert "exit code 2" in done.stdout, done.stdout + done.stderr
    (error,) = done.stderr.splitlines()
    assert error.startswith("error: job train/base+sbc/s0: no room to write")
    assert "make room and give the same command again" in error
    assert [f"/run/{name}/done.json" in done.stdout for name in ("data", "student/s0")] == [True, True]


# ---- damaged files ----


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)


def replace(text):
    return lambda path: path.write_text(text)


@pytest.fixture
def damaged(finished, tmp_path):
    """A finished run, to be damaged."""
    shutil.copytree(finished.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


DAMAGES = [
    # file, damage, job that reads it, what is deleted, what is said
    ("data/train.parquet", cut, "train/stt/s0", "data", r"cannot read .*train\.parquet: .*; delete the folder .*data and"),
    ("train/base+sbc/s0/chunks.parquet", flip, "skip-data/s0", "train/base+sbc/s0", r"chunks\.parquet: .*; delete the folder"),
    ("train/base+sbc/s0/model/model.safetensors", cut, "skip-data/s0", "train/base+sbc/s0",
     "cannot load a student from .*: its weights are damaged .*delete its stage's folder"),
    ("train/base+sbc/s0/model/skipthink.json", cut, "skip-data/s0", "train/base+sbc/s0", r"cannot read .*skipthink\.json"),
    ("skip-data/s0/skip.parquet", replace(""), "train/stt/s0", "skip-data/s0", r"skip\.parquet: .*; delete the folder"),
    ("data/done.json", cut, "prepare", "data/done.json", r"cannot read .*data/done\.json: .*; delete it to run"),
    ("train/stt/s0/done.json", replace("[]"), "train/stt/s0", "train/stt/s0/done.json", r"stt/s0/done\.json: .*; delete it"),
    ("skip-data/s0/ledger.bin", flip, "skip-data/s0", "skip-data/s0/ledger.bin", r"ledger\.bin: .*; (move|restore)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "damage", "job", "remedy", "message"),
    DAMAGES,
    ids=[f"{row[0]} {n}" for n, row in enumerate(DAMAGES)],
)
def test_a_damaged_file_is_named_and_mended_as_it_says(
    damaged, finished, in_child, file, damage, job, remedy, message
):
    """The job that needs it says which file and what to do; that done, the run ends like the one before."""
    damage(damaged.path / file)
    if not file.endswith("done.json"):
        (damaged.path / job / "done.json").unlink(missing_ok=True)
    graph = build_graph(damaged.recipe())
    with pytest.raises((RunError, DataError, LedgerError), match=message):
        run_job(damaged, graph, graph.named(job), lambda done, total: None)
    path = damaged.path / remedy
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for one in graph:
        run_job(damaged, graph, one, lambda done, total: None)
    assert_same_run(damaged, finished)


def test_a_cut_off_checkpoint_is_refused_and_the_one_before_goes_on(finished, tmp_path):
    """Also boundaries: what is damaged is named; deleted as it says, training ends with the same bits."""
    folder = make_run(tmp_path)
    graph = build_graph(folder.recipe())
    for name in ("prepare", "student/s0"):
        run_job(folder, graph, graph.named(name), lambda done, total: None)

    class StoppedError(Exception):
        pass

    def stop(step, total):
        if step == total - 1:
            raise StoppedError

    job = graph.named("train/base+sbc/s0")
    checkpoints = folder.of(job) / "checkpoints"
    with pytest.raises(StoppedError):
        run_job(folder, graph, job, stop)
    before, newest = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))[-2:]
    cut(newest / "optimizer.pt")
    with pytest.raises(
        DataError, match=r"cannot go on from .*: optimizer\.pt holds \d+ bytes, \d+ were written; delete it"
    ):
        run_job(folder, graph, job, lambda done, total: None)
    assert before.is_dir()
    shutil.rmtree(newest)
    flip(checkpoints / "boundaries" / "epoch-0001.npz")
    with pytest.raises(
        DataError, match=r"cannot read .*epoch-0001\.npz: .*; delete .*checkpoints to train anew"
    ):
        run_job(folder, graph, job, lambda done, total: None)
    (checkpoints / "boundaries" / "epoch-0001.npz").unlink()
    run_job(folder, graph, job, lambda done, total: None)
    assert_same_training(folder.of(job), finished.of(job))
