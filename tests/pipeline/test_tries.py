"""Tries of jobs on a cluster: whatever a node does that was given up, only the try that counts makes a job's files."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_jobs import PLAIN

from skipthink.exceptions import RunError
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import EVALUATE, PREPARE, Job, Kind, build_graph
from skipthink.run.process import REFUSED
from skipthink.run.recipe import parse_recipe
from skipthink.run.tries import Tries, TryFolder, copy_state
from skipthink.run.work import run_job

BASE = Job(Kind.TRAIN, "base", 0)


@pytest.fixture
def begun(tmp_path):
    """A run that has begun: its folder and its graph."""
    folder = RunFolder(tmp_path / "run")
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(parse_recipe(PLAIN, name="r"))
    graph = build_graph(folder.recipe())
    folder.begin(graph)
    return folder, graph


def work_on(folder, graph, job=PREPARE):
    run_job(folder, graph, job, lambda done, total: None)


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tree(folder):
    """Every file with its bytes and its time."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


def test_a_try_writes_in_its_own_folder_until_it_is_finished(begun):
    folder, graph = begun
    before = tree(folder.path)
    one = Tries(folder, PREPARE).begin()
    work_on(one, graph)
    assert {
        path: content for path, content in tree(folder.path).items() if one.root not in path.parents
    } == before
    assert Tries(folder, PREPARE).commit(graph.fingerprints[PREPARE])
    assert folder.done(PREPARE, graph.fingerprints[PREPARE]) is not None
    assert {path.name for path in folder.of(PREPARE).iterdir()} == {
        "train.parquet", "validation.parquet", "test.parquet", "report.json", "done.json",
    }  # fmt: skip
    assert not (folder.path / "tries").exists()


def test_a_node_that_was_given_up_overwrites_nothing(begun):
    """It works on while the job is repeated, ends before, between and after the repetition, and is never counted."""
    folder, graph = begun
    tries, fingerprint = Tries(folder, PREPARE), graph.fingerprints[PREPARE]
    lost = tries.begin()
    write(lost.of(PREPARE) / "train.parquet", "half of it")
    again = tries.begin()
    assert (again.of(PREPARE) / "train.parquet").read_text() == "half of it", (
        "what it had written is gone on from"
    )
    work_on(lost, graph)  # finishes although it does not count any more
    assert (lost.of(PREPARE) / "done.json").exists()
    assert not tries.commit(fingerprint)
    assert tries.begin().root.name == "3"
    again = TryFolder(folder.path, PREPARE, tries.path / "3")
    work_on(again, graph)
    assert tries.commit(fingerprint)
    committed = tree(folder.of(PREPARE))
    work_on(lost, graph)
    lost.of(PREPARE).joinpath("train.parquet").write_text("late")
    assert tree(folder.of(PREPARE)) == committed
    assert tries.commit(fingerprint), "the next run asks once more"
    assert tree(folder.of(PREPARE)) == committed
    assert not (folder.path / "tries").exists()


def test_what_an_old_try_leaves_behind_is_never_gone_on_from(begun):
    """The job is to be run again after its folder was deleted: half of a finished try must not pass for its files."""
    folder, graph = begun
    tries = Tries(folder, PREPARE)
    write(
        tries.path / "1" / PREPARE.folder / "done.json",
        json.dumps({"fingerprint": graph.fingerprints[PREPARE]}),
    )
    assert not tries.commit(graph.fingerprints[PREPARE])
    made = tries.begin()
    assert made.root.name == "2", "no number is given twice"
    assert not made.of(PREPARE).exists()


def test_a_run_killed_before_a_finished_try_was_moved_moves_it_later(begun):
    folder, graph = begun
    one = Tries(folder, PREPARE).begin()
    work_on(one, graph)
    assert Tries(RunFolder(folder.path), PREPARE).commit(graph.fingerprints[PREPARE])
    assert folder.done(PREPARE, graph.fingerprints[PREPARE]) is not None


def test_a_finished_try_of_other_inputs_is_not_moved(begun):
    folder, graph = begun
    work_on(Tries(folder, PREPARE).begin(), graph)
    assert not Tries(folder, PREPARE).commit("another fingerprint")


def test_files_of_another_run_are_not_replaced(begun):
    folder, graph = begun
    tries = Tries(folder, PREPARE)
    work_on(tries.begin(), graph)
    write(folder.of(PREPARE) / "train.parquet")
    with pytest.raises(RunError, match="if another run works in this folder, stop one of them"):
        tries.commit(graph.fingerprints[PREPARE])


def training_files(folder):
    """What a training has written that is under way: two whole checkpoints and one that is being written."""
    for step in (2, 4):
        for name in ("model.safetensors", "trainer_state.json", "skipthink.json"):
            write(folder / f"checkpoints/checkpoint-{step}/{name}", f"{name} {step}")
    write(folder / "checkpoints/checkpoint-6/model.safetensors", "half")
    write(folder / "checkpoints/log.jsonl", "{}\n")
    write(folder / "checkpoints/.epoch-0001.npz.1.ab.tmp", "half")
    return folder


def test_a_training_goes_on_from_whole_checkpoints_which_are_linked(tmp_path):
    source, target = training_files(tmp_path / "source"), tmp_path / "target"
    copy_state(source, target)
    names = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    whole = [
        f"checkpoints/checkpoint-{step}/{name}"
        for step in (2, 4)
        for name in ("model.safetensors", "skipthink.json", "trainer_state.json")
    ]
    assert names == sorted([*whole, "checkpoints/log.jsonl"])
    assert all((source / name).samefile(target / name) for name in whole)
    # what is appended to is a file of its own
    assert not (source / "checkpoints/log.jsonl").samefile(target / "checkpoints/log.jsonl")


def test_a_checkpoint_that_is_removed_meanwhile_is_left_out(tmp_path, monkeypatch):
    source, target = training_files(tmp_path / "source"), tmp_path / "target"
    linked = os.link

    def link(old, new):
        if "checkpoint-2" in str(old):
            Path(old).unlink()  # the process that was given up makes room
        linked(old, new)

    monkeypatch.setattr(os, "link", link)
    copy_state(source, target)
    assert [path.name for path in (target / "checkpoints").glob("checkpoint-*")] == ["checkpoint-4"]


def test_a_run_changes_between_one_machine_and_a_cluster(begun):
    folder, _ = begun
    training_files(folder.of(BASE))
    tries = Tries(folder, BASE)
    made = tries.begin()
    assert not folder.of(BASE).exists()
    assert (made.of(BASE) / "checkpoints/checkpoint-4/skipthink.json").exists()
    write(made.of(BASE) / "checkpoints/checkpoint-8/skipthink.json")
    tries.take_back()
    assert (folder.of(BASE) / "checkpoints/checkpoint-8/skipthink.json").exists()
    assert not made.ticket.exists()
    assert not (folder.path / "tries").exists()
    tries.take_back()
    assert (folder.of(BASE) / "checkpoints/checkpoint-8/skipthink.json").exists()


def test_a_try_of_other_inputs_is_refused_like_files_of_them(begun):
    folder, graph = begun
    Tries(folder, BASE).begin()
    jobs = json.loads((folder.path / "jobs.json").read_text())
    jobs["jobs"][BASE.name]["fingerprint"] = "another"
    (folder.path / "jobs.json").write_text(json.dumps(jobs))
    with pytest.raises(RunError, match="was begun with other inputs than now"):
        folder.begin(graph)


def test_what_a_job_changes_in_other_folders_comes_with_its_own(begun):
    folder, graph = begun
    card = write(folder.of(BASE) / "model" / "README.md", "not measured")
    one = Tries(folder, EVALUATE).begin()
    assert one.of(BASE) == folder.of(BASE)
    part = Job(Kind.EVALUATE, "base", 0)
    assert one.of(part) == one.root / "evaluate/base/s0"
    write(one.beside(BASE) / "model" / "README.md", "measured")
    one = Tries(folder, EVALUATE).begin()  # its node was lost
    assert card.read_text() == "not measured"
    write(one.of(EVALUATE) / "done.json", json.dumps({"fingerprint": graph.fingerprints[EVALUATE]}))
    assert Tries(folder, EVALUATE).commit(graph.fingerprints[EVALUATE])
    assert card.read_text() == "measured"
    assert RunFolder(folder.path).beside(BASE) == folder.of(BASE)


def test_what_a_try_changed_in_other_folders_is_taken_back_too(begun):
    folder, _ = begun
    card = write(folder.of(BASE) / "model" / "README.md", "not measured")
    one = Tries(folder, EVALUATE).begin()
    write(one.beside(BASE) / "model" / "README.md", "measured")
    Tries(folder, EVALUATE).take_back()
    assert card.read_text() == "measured"


def test_a_process_ends_with_its_ticket(begun):
    folder, _ = begun
    one = Tries(folder, PREPARE).begin()
    code = (
        "import sys, time; from pathlib import Path; from skipthink.run import process; process.TICKET_SECONDS = 0.1\n"
        "process._end_with_ticket(Path(sys.argv[1])); print('works', flush=True); time.sleep(120)"
    )
    words = [sys.executable, "-c", code, str(one.ticket)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "works\n"
        time.sleep(0.3)
        assert process.poll() is None
        Tries(folder, PREPARE).begin()
        assert process.wait(timeout=60) == 1


def work_in_a_process(folder, one, job, seen_seconds=60):
    """What a node does, in a process of its own: it ends with its ticket."""
    code = (
        "import sys; from pathlib import Path; from skipthink.run import process; a = sys.argv\n"
        "process.SEEN_SECONDS = float(a[4]); sys.exit(process.work(Path(a[1]), a[2], 1, Path(a[3])))"
    )
    words = [sys.executable, "-c", code, str(folder.path), job.name, str(one.root), str(seen_seconds)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_node_works_in_its_try(begun):
    folder, graph = begun
    one = Tries(folder, PREPARE).begin()
    assert work_in_a_process(folder, one, PREPARE).returncode == 0
    assert not folder.of(PREPARE).exists()
    assert one.progress(PREPARE).exists()
    assert not folder.progress(PREPARE).exists()
    assert Tries(folder, PREPARE).commit(graph.fingerprints[PREPARE])


def test_a_job_whose_needs_are_not_seen_says_so(begun):
    folder, graph = begun
    student = graph.named("student/s0")
    done = work_in_a_process(folder, Tries(folder, student).begin(), student, seen_seconds=0.1)
    assert done.returncode == REFUSED
    said = done.stderr.splitlines()[-1]
    assert said.startswith("ERROR: prepare is finished, but its files cannot be seen here: ")
    assert said.endswith(" must lie in a file system that all nodes share")
