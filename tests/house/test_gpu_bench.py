"""The parts of the GPU runs that need none: recipes that compare fairly, the table, what is packed, wrong calls."""

import importlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from skipthink.run.recipe import load_recipe
from skipthink.training.methods import own_methods

GPU = Path(__file__).parents[2] / "bench" / "gpu"
TASKS = ("arith", "last_letter_concatenation", "tracking_shuffled_objects")


@pytest.fixture(scope="module")
def study():
    sys.path.insert(0, str(GPU))
    yield importlib.import_module("study")
    sys.path.remove(str(GPU))


@pytest.mark.parametrize("task", TASKS)
def test_a_step_holds_as_many_samples_in_every_method(task, tmp_path):
    recipe = load_recipe(GPU / f"{task}.yaml", data=tmp_path / "rows.jsonl", changes=["student.path=folder"])
    items = {"base+ac": recipe.chunks.M + 1, "base+sbc": recipe.chunks.M + 1, "stt": recipe.chunks.M + 2}
    for name in recipe.methods:
        values = recipe.options_of(own_methods()[name])
        n_items = values.batch_size * values.gradient_accumulation_steps
        assert n_items == 16 * items.get(name, 1), name
        assert (values.epochs, values.learning_rate, values.bf16) == (recipe.training.epochs, 2e-4, True)
    assert recipe.task_name == task


def evaluated(folder, method, seed, right, tokens):
    """What a run leaves of one method, as far as the study reads it."""
    part = folder / "evaluate" / method / f"s{seed}"
    trained = folder / "train" / method / f"s{seed}"
    for path in (part, trained / "model"):
        path.mkdir(parents=True)
    result = {"n": 100, "right": right, "accuracy": right / 100, "tokens_per_answer": tokens,
              "seconds_per_answer": 0.01, "unended": 1}  # fmt: skip
    (part / "done.json").write_text(json.dumps({"result": result}))
    (trained / "train.json").write_text(json.dumps({"train_target_tokens": 5000, "seconds": 30.0}))
    (trained / "model" / "model.safetensors").write_bytes(b"weights")


def test_the_table_is_of_what_is_evaluated(study, tmp_path):
    """Seeds are pooled for the interval, and speed-ups are of the same seed; a method without Base has none."""
    runs = tmp_path / "root" / "runs"
    for seed, right, tokens in ((0, 40, 60.0), (1, 50, 80.0)):
        evaluated(runs / f"arith-plain-s{seed}", "base", seed, right, tokens)
        evaluated(runs / f"arith-judged-s{seed}", "stt", seed, right, tokens / 2)
    evaluated(runs / "arith-stt-soft-s0", "stt", 0, 60, 15.0)
    evaluated(runs / "arith-tokens-s0", "base", 0, 45, 50.0)
    evaluated(runs / "arith-tokens-judged-s0", "stt", 0, 44, 20.0)
    evaluated(runs / "last_letter_concatenation-chunkers-s0", "base+ac", 0, 10, 20.0)
    (tmp_path / "out").mkdir()
    options = SimpleNamespace(root=tmp_path / "root", out=tmp_path / "out")
    study.report(options, {"arith-plain-s0": 61.23})
    rows = (tmp_path / "out" / "study.md").read_text().splitlines()[4:]
    assert rows == [
        "| arith | base | 0, 1 | 45.0 ± 7.1 % | 38.3–51.9 % | 70.0 ± 14.1 | 1.00 ± 0.00x | 0.0100 ± 0.0000 "
        "| 2 of 200 | 5000 ± 0 | 30 ± 0 |",
        "| arith | stt | 0, 1 | 45.0 ± 7.1 % | 38.3–51.9 % | 35.0 ± 7.1 | 2.00 ± 0.00x | 0.0100 ± 0.0000 "
        "| 2 of 200 | 5000 ± 0 | 30 ± 0 |",
        "| arith | base (equal target tokens) | 0 | 45.0 % | 35.6–54.8 % | 50.0 | 1.00x | 0.0100 | 1 of 100 | 5000 | 30 |",
        "| arith | stt (equal target tokens) | 0 | 44.0 % | 34.7–53.8 % | 20.0 | 2.50x | 0.0100 | 1 of 100 | 5000 | 30 |",
        "| arith | stt (soft) | 0 | 60.0 % | 50.2–69.1 % | 15.0 | 4.00x | 0.0100 | 1 of 100 | 5000 | 30 |",
        "| last_letter_concatenation | base+ac | 0 | 10.0 % | 5.5–17.4 % | 20.0 | – | 0.0100 | 1 of 100 | 5000 | 30 |",
    ]
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert len(found["rows"]) == 8
    assert {row["part"] for row in found["rows"]} == {
        "plain",
        "judged",
        "stt-soft",
        "tokens",
        "tokens-judged",
        "chunkers",
    }
    assert found["seconds"] == {"arith-plain-s0": 61.2}
    study.pack(options)
    with tarfile.open(tmp_path / "out" / "runs.tar.gz") as archive:
        names = archive.getnames()
    assert "runs/arith-judged-s0/train/stt/s0/train.json" in names
    assert not [name for name in names if name.endswith(".safetensors")]
    study.drop_weights(runs / "arith-judged-s0")
    assert len(list(runs.rglob("*.safetensors"))) == 7


def test_parts_begin_with_what_needs_no_judge(study, tmp_path):
    parts = study.plan(2)
    assert [part.run for part in parts[:3]] == [
        "arith-plain-s0",
        "arith-stt-trial-s0",
        "arith-judged-s0",
    ]
    assert len(parts) == len({part.run for part in parts}) == 16
    for part in parts:
        recipe = load_recipe(
            GPU / f"{part.task}.yaml",
            data=tmp_path / "rows.jsonl",
            changes=["student.path=folder", *part.changes],
        )
        assert set(part.methods) <= set(recipe.methods)
        if recipe.skip.gate == "trial":
            assert recipe.data.sizes.validation >= recipe.skip.trial_questions
            stt = recipe.options_of(own_methods()["stt"])
            assert (stt.batch_size * stt.gradient_accumulation_steps, stt.skip_weight) == (16, 1)


@pytest.mark.parametrize("rehearse", [False, True])
def test_budgets_are_equal_for_all_methods(study, tmp_path, rehearse):
    """Of target tokens in all and per step, or of seconds; the judge that is taken over was trained as it is there."""
    parts = {part.name: part for part in study.plan(1, rehearse=rehearse)}
    common = [
        "student.path=folder",
        *(f"{key}={value}" for key, value in study.REHEARSAL.items() if rehearse),
    ]

    def options_of(part, method):
        recipe = load_recipe(
            GPU / f"{part.task}.yaml", data=tmp_path / "rows.jsonl", changes=[*common, *part.changes]
        )
        return recipe.options_of(own_methods()[method])

    tokens, step, seconds = (
        study.REHEARSED_BUDGET
        if rehearse
        else (study.TARGET_TOKENS, study.STEP_TARGET_TOKENS, study.TRAINING_SECONDS)
    )
    for name in ("tokens", "tokens-judged"):
        for method in parts[name].methods:
            values = options_of(parts[name], method)
            assert (values.budget.target_tokens, values.step_target_tokens) == (tokens, step), method
    for method in parts["seconds"].methods:
        assert options_of(parts["seconds"], method).budget.seconds == seconds
    judged = parts["judged"]
    assert parts["tokens-judged"].of == judged.run
    assert options_of(parts["tokens-judged"], "base+sbc") == options_of(judged, "base+sbc")


def test_parts_wait_for_their_judge_and_for_an_idle_device(study):
    parts = {part.name: part for part in study.plan(1)}
    judged, after, alone = parts["judged"], parts["tokens-judged"], parts["seconds"]
    assert study.next_part([after, alone], [], set()) is alone
    assert study.next_part([after, alone], [], {judged.run}) is after
    busy = [SimpleNamespace(part=parts["plain"])]
    assert study.next_part([alone, parts["tokens"]], busy, set()) is None
    assert study.next_part([parts["tokens"]], [SimpleNamespace(part=alone)], set()) is None
    assert study.next_part([after], busy, set()) is None
    assert study.next_part([], [], set()) is None


def test_a_variant_takes_over_the_judge(study, tmp_path, monkeypatch):
    plain, _, judged = study.plan(1)[:3]
    texts = ["teacher skip.continuation=teacher skip.max_growth=null"]
    assert study.variants_of(plain, texts) == []
    (variant,) = study.variants_of(judged, texts)
    assert (variant.run, variant.methods, variant.of) == ("arith-stt-teacher-s0", ("stt",), "arith-judged-s0")
    called = []
    monkeypatch.setattr(study.subprocess, "Popen", lambda command, **_: called.append(command))
    study.start(variant, tmp_path / "student", SimpleNamespace(root=tmp_path, rehearse=False))
    (words,) = called
    assert words[words.index("--reuse") + 1] == str(tmp_path / "runs" / "arith-judged-s0")
    changes = [word for before, word in zip(words, words[1:], strict=False) if before == "--set"]
    recipe = load_recipe(GPU / "arith.yaml", data=tmp_path / "rows.jsonl", changes=changes)
    assert (recipe.methods, recipe.seeds, recipe.skip.continuation) == (("stt",), (0,), "teacher")
    # the judge's weights stay until it is done
    folder = tmp_path / "runs" / "arith-judged-s0"
    for method in ("base+sbc", "stt"):
        (folder / "train" / method / "s0" / "model").mkdir(parents=True)
        (folder / "train" / method / "s0" / "model" / "model.safetensors").write_bytes(b"weights")
    study.drop_weights(folder, judges=True)
    assert [path.parts[-4] for path in folder.rglob("*.safetensors")] == ["base+sbc"]


@pytest.mark.skipif(sys.platform != "linux", reason="the scripts are for Linux")
def test_wrong_calls_are_named(tmp_path):
    environment = {
        **os.environ,
        "ROOT": str(tmp_path / "root"),
        "LOADS": str(tmp_path),
        "PYTHON": sys.executable,
    }
    environment.pop("OUT", None)

    def run(*steps, **more):
        return subprocess.run(
            ["bash", str(GPU / "run.sh"), *steps], env={**environment, **more}, capture_output=True, text=True, check=False
        )  # fmt: skip

    assert "name the folder of the results: OUT=FOLDER" in run("probe").stderr
    (tmp_path / "root" / "wheels").mkdir(parents=True)
    (tmp_path / "root" / "site").mkdir()
    (tmp_path / "root" / "site" / ".complete").touch()
    wrong = run("prob", OUT=str(tmp_path / "out"))
    assert (
        wrong.returncode,
        "no step prob: probe, tests, speed, testbed, student, study, gather" in wrong.stdout,
    ) == (
        2,
        True,
    )
    late = run("probe", OUT=str(tmp_path / "out"), LIMIT="3")
    assert (late.returncode, "probe: no time is left" in late.stdout) == (1, True)
    incomplete = run("student", OUT=str(tmp_path / "out"))
    assert incomplete.returncode == 1
    assert "student: FAILED" in incomplete.stdout
