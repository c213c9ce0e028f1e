"""Run folders: fingerprints, locks and refusals."""

import json
import subprocess
import sys

import pytest

from skipthink.exceptions import RunError
from skipthink.run import state
from skipthink.run.folder import RunFolder, fingerprint_of, hash_files
from skipthink.run.recipe import METHOD_NAMES, parse_recipe
from skipthink.run.stages import build_stages

SMALL = """
name: small
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 2}}
chunks: {M: 3}
"""


def stages_of(extra="", changes=()):
    return build_stages(parse_recipe(SMALL + extra, name="r", changes=changes))


def changed(extra="", changes=()):
    """Names of the stages whose fingerprint a change of the recipe changes."""
    before, after = stages_of(), stages_of(extra, changes)
    return {name for name in before if name in after and before[name].fingerprint != after[name].fingerprint}


def test_every_stage_stands_behind_those_it_needs():
    stages = stages_of("seeds: [0, 1]")
    names = list(stages)
    assert len(names) == 1 + 2 * (1 + 4 + 1 + 2) + 1
    for name, stage in stages.items():
        assert all(names.index(need) < names.index(name) for need in stage.needs)


def test_the_longest_chain_starts_first():
    stages = stages_of()
    ranks = {name: stage.rank for name, stage in stages.items()}
    assert (
        max((name for name in ranks if name.startswith("train/")), key=ranks.__getitem__)
        == "train/base+sbc/s0"
    )
    assert ranks["skip-data/s0"] > ranks["train/base/s0"]
    assert ranks["prepare"] == max(ranks.values())


def test_skipping_brings_in_its_judge():
    stages = stages_of("methods: [base, stt]")
    assert "train/base+sbc/s0" in stages
    assert stages["train/stt/s0"].needs == ("prepare", "student/s0", "train/base+sbc/s0", "skip-data/s0")
    assert "train/skip-all/s0" not in stages
    assert "skip-data/s0" not in stages_of("methods: [base, base+ac]")
    dropping_all = stages_of("methods: [base, skip-all]")
    assert "skip-data/s0" not in dropping_all
    assert "train/base+sbc/s0" in dropping_all["train/skip-all/s0"].needs


@pytest.mark.parametrize(
    ("extra", "kinds"),
    [
        ("evaluation: {batch_size: 3}", {"evaluate"}),
        ("skip: {votes: 1, batch_size: 3}", {"skip-data", "train/stt", "evaluate"}),
        ("training: {methods: {base: {epochs: 9}}}", {"train/base", "evaluate"}),
        (
            "student: {num_layers: 1}",
            {"student", "skip-data", "evaluate", *(f"train/{name}" for name in METHOD_NAMES)},
        ),
        ("workers: 2\nthreads: 2", set()),
    ],
)
def test_a_change_touches_what_depends_on_it(extra, kinds):
    assert {name.removesuffix("/s0") for name in changed(extra)} == kinds


SKIPPERS = {"train/stt", "train/skip-all", "evaluate"}
BEHIND_THE_JUDGE = {"train/base+sbc", "skip-data", *SKIPPERS}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("chunks.objective=max", BEHIND_THE_JUDGE),
        ("chunks.research_every=2", BEHIND_THE_JUDGE),
        ("chunks.rules=lines", {*(f"train/{name}" for name in METHOD_NAMES), *BEHIND_THE_JUDGE}),
        ("training.chunk_dropout=0.1", {"train/base+ac", *BEHIND_THE_JUDGE}),
        ("training.methods.base+sbc.chunk_dropout=0.1", BEHIND_THE_JUDGE),
        ("training.thought=collapse", SKIPPERS),
        ("training.truncate=0.3", set()),
    ],
)
def test_a_method_depends_on_what_it_uses_alone(change, kinds):
    assert {name.removesuffix("/s0") for name in changed(changes=[change])} == kinds


def test_content_of_the_data_counts_not_their_place(tmp_path):
    def prepare(file):
        recipe = parse_recipe(f"name: a\nanswer: number\ndata: {{file: {file}}}\nchunks: {{M: 2}}", name="r")
        return build_stages(recipe)["prepare"].fingerprint

    (tmp_path / "a.jsonl").write_text("1")
    (tmp_path / "b.jsonl").write_text("1")
    (tmp_path / "c.jsonl").write_text("2")
    assert prepare(tmp_path / "a.jsonl") == prepare(tmp_path / "b.jsonl") != prepare(tmp_path / "c.jsonl")
    with pytest.raises(RunError, match=r"cannot read the data: .*absent\.jsonl.*give --data FILE"):
        prepare(tmp_path / "absent.jsonl")


def test_a_folder_is_hashed_with_its_names(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "a").write_text("x")
    (tmp_path / "two" / "b").write_text("x")
    assert hash_files(tmp_path / "one") != hash_files(tmp_path / "two")


def test_fingerprints_tell_types_apart():
    assert fingerprint_of("1") != fingerprint_of(1)
    assert fingerprint_of({"a": 1, "b": 2}) == fingerprint_of({"b": 2, "a": 1})


def test_a_finished_stage_is_found_and_refused_with_other_inputs(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.done("train/base/s0", "abc") is None
    folder.finish("train/base/s0", "abc", {"train_steps": 3}, 1.0)
    assert folder.done("train/base/s0", "abc")["result"] == {"train_steps": 3}
    with pytest.raises(RunError, match=r"stage train/base/s0 in .* was finished with other inputs than now"):
        folder.done("train/base/s0", "abd")


def test_a_stage_of_another_run_is_taken_over_where_it_is_the_same(tmp_path):
    other, folder = RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    name = "train/base/s0"
    assert not folder.take_over(name, "abc", other)
    (other.stage(name) / "model").mkdir(parents=True)
    (other.stage(name) / "model" / "weights").write_text("1")
    assert not folder.take_over(name, "abc", other)  # not finished
    other.finish(name, "abc", {"train_steps": 3}, 1.0)
    assert not folder.take_over(name, "abd", other)
    assert folder.done(name, "abc") is None
    (folder.stage(name) / "model").mkdir(parents=True)
    (folder.stage(name) / "model" / "weights").write_text("half")  # a kill in the midst of copying
    assert folder.take_over(name, "abc", other)
    assert folder.done(name, "abc") == other.done(name, "abc")
    assert (folder.stage(name) / "model" / "weights").read_text() == "1"


def test_what_cannot_be_taken_over_is_named(tmp_path):
    other, folder = RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    other.finish("prepare", "abc", {}, 1.0)
    (other.stage("prepare") / "done.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot take .*data over: .*leave out --reuse"):
        folder.take_over("prepare", "abc", other)


def test_a_damaged_note_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.finish("prepare", "abc", {}, 1.0)
    (tmp_path / "data" / "done.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot read .*done\.json.*delete it to run the stage again"):
        folder.done("prepare", "abc")


def test_a_folder_keeps_to_its_recipe(tmp_path):
    folder = RunFolder(tmp_path)
    folder.adopt(parse_recipe(SMALL, name="r"))
    folder.adopt(parse_recipe(SMALL + "workers: 2", name="r"))
    assert folder.recipe().workers == 2
    with pytest.raises(
        RunError, match=r"made with another recipe: training\.batch_size is 32 there and 16 now; choose"
    ):
        folder.adopt(parse_recipe(SMALL + "training: {batch_size: 16}", name="r"))


HOLD = """
import sys, time
from skipthink.run.folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "LOCK_WAIT_SECONDS", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(RunError, match=rf"in use by another run \(process {holder.pid}\)"),
                RunFolder(tmp_path).locked(),
            ):
                pass
        finally:
            holder.kill()
    with RunFolder(tmp_path).locked():  # a killed run leaves no lock behind
        pass


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match=r"cannot use .*file as a run folder"),
        RunFolder(tmp_path / "file").locked(),
    ):
        pass


def test_notes_are_plain_json(tmp_path):
    RunFolder(tmp_path).finish("student/s0", "abc", {"parameters": 5}, 1.23456)
    content = json.loads((tmp_path / "student" / "s0" / "done.json").read_text())
    assert content == {
        "schema": 1,
        "stage": "student/s0",
        "fingerprint": "abc",
        "seconds": 1.235,
        "result": {"parameters": 5},
    }
