"""The precision of the trainings of a run: decided once, with the first student; a warning where it is not the same."""

import itertools
import json
import shutil

import pytest
from command_line import call_cli
from small_jobs import PLAIN, SMALL, run_jobs

from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.precision_report import warn_of_precisions
from skipthink.run.recipe import parse_recipe
from skipthink.run.report import write_report
from skipthink.training import precision

RECIPE = (
    SMALL
    + """
name: precise
chunks: {M: 3, method: greedy}
seeds: [0, 1]
training: {epochs: 1, batch_size: 8, skip_weight: 1, thought: per-chunk, methods: {base: {bf16: false}}}
skip: {gate: trial, roles: 2, trial_epochs: 0.5, batch_size: 8}
methods: [answer-only, base, stt]
"""
)


def test_the_student_of_the_first_seed_stands_in_front_of_the_others():
    """Its precision is no input of theirs: they are the same students in a run of other seeds."""
    graph = build_graph(parse_recipe(PLAIN + "seeds: [3, 1, 2]\n", name="r"))
    needs = {job.name: [need.name for need in graph.needs[job]] for job in graph}
    assert needs["student/s3"] == ["prepare"]
    assert needs["student/s1"] == needs["student/s2"] == ["prepare", "student/s3"]
    alone = build_graph(parse_recipe(PLAIN + "seeds: [1]\n", name="r"))
    assert all(graph.fingerprints[job] == alone.fingerprints[job] for job in alone if job.seed == 1)


@pytest.mark.slow
def test_all_trainings_of_a_run_take_one_decision(tmp_path, monkeypatch):
    """Methods, trials and seeds alike, whatever is measured later; what a method says itself holds."""
    found = itertools.chain([True], itertools.repeat(False))
    monkeypatch.setattr(precision, "gains_by_bf16", lambda device: next(found))
    monkeypatch.setattr(precision, "BF16_WEIGHTS", 0)
    folder, _ = run_jobs(tmp_path, RECIPE, leave_out=("evaluate",))
    trained = {
        path.parent.relative_to(folder.path): json.loads(path.read_text())["precision"]
        for path in folder.path.rglob("train.json")
    }
    own = {path: found for path, found in trained.items() if "base" in path.parts}
    others = {path: found for path, found in trained.items() if path not in own}
    assert set(own.values()) == {"float32"} and set(others.values()) == {"bfloat16"}
    assert {path.parts[0] for path in others} == {"train", "skip-data"}
    assert len(own) == 2 and len(others) > 6
    noted = [json.loads((folder.path / "student" / f"s{seed}" / "done.json").read_text()) for seed in (0, 1)]
    assert [note["result"]["auto_precision"] for note in noted] == ["bfloat16"] * 2


def test_trainings_in_different_precisions_are_named():
    assert warn_of_precisions({"base seed 0": "float32", "stt seed 0": "float32", "old": None}) is None
    many = {f"base seed {seed}": "float32" for seed in range(8)}
    assert warn_of_precisions({**many, "stt seed 0": "bfloat16"}) == (
        "trained in different precisions: stt seed 0 in bfloat16; base seed 0, base seed 1, base seed 2, base seed 3, "
        "base seed 4, base seed 5 and 2 more in float32; some of their difference may come from that: train all of them "
        "anew with the same training.bf16, true or false"
    )


def change(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def test_the_table_and_compare_warn_of_them(run_copy):
    same = call_cli("compare", run_copy)
    assert "precision" not in same.stdout + same.stderr
    train = run_copy / "train" / "stt" / "s0"
    summary = json.loads((train / "train.json").read_text()) | {"precision": "bfloat16"}
    shutil.copy(train / "train.json", train / "copy.json")  # files of a finished run may be links
    (train / "train.json").unlink()
    (train / "train.json").write_text(json.dumps(summary))
    done = call_cli("compare", run_copy)
    assert done.stdout == same.stdout
    assert (
        "warning: trained in different precisions: stt seed 0 in bfloat16; base seed 0, base+sbc seed 0 in float32;"
    ) in done.stderr
    change(train / "done.json", result=summary)
    folder = RunFolder(run_copy)
    results, table = write_report(folder, folder.graph())
    assert "warning: trained in different precisions: train/stt/s0 in bfloat16; train/base/s0, " in table
    assert [row["precision"] for row in results["methods"]] == ["float32", "float32", "bfloat16"]
