"""`skipthink study` and `skipthink compare`: from a recipe to tuned rates, paired differences and a plot."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import call_cli
from kept import trains

from skipthink.exceptions import RecipeError
from skipthink.run.comparing import compare_runs
from skipthink.run.recipe import parse_recipe
from skipthink.run.study import best_rate, final_recipe, refuse_own_rates, tuning_recipe

RECIPE = """
name: tiny
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 16, validation: 6, test: 8}}
student: {hidden_size: 16, num_layers: 1, num_heads: 2, vocab_size: 300}
chunks: {M: 2, method: average}
methods: [answer-only, base, base+ac]
seeds: [0, 1]
training: {max_steps: 2, batch_size: 8, save_steps: 50}
evaluation: {alone_questions: 0, stage_questions: 0}
study: {rates: [1.0e-3, 4.0e-3], factors: [1.0, 2.0]}
"""


def test_a_tie_goes_to_the_nearest_rate_then_to_the_lowest():
    assert best_rate({1e-4: 0.4, 2e-4: 0.5, 4e-4: 0.5}) == 2e-4
    assert best_rate({1e-4: 0.5, 2e-4: 0.5, 4e-4: 0.5}, near=2e-4) == 2e-4
    assert best_rate({1e-4: 0.5, 2e-4: 0.4, 4e-4: 0.5}, near=2e-4) == 1e-4


def test_the_recipes_of_a_study():
    recipe = parse_recipe(RECIPE, name="r", changes=["training.methods.base.epochs=9"])
    tuning = tuning_recipe(recipe, 4e-3, recipe.study.tuned_with)
    assert (tuning.methods, tuning.seeds, tuning.evaluation.split) == (
        ("answer-only", "base"),
        (0,),
        "validation",
    )
    assert {tuning.options_of(method).learning_rate for method in tuning.chosen} == {4e-3}
    final = final_recipe(recipe, {"answer-only": 1e-3, "base": 2e-3, "base+ac": 4e-3}, 2e-3, 1)
    rates = {method.name: final.options_of(method).learning_rate for method in final.chosen}
    assert rates == {"answer-only": 1e-3, "base": 2e-3, "base+ac": 4e-3}
    assert final.options_of(final.method("base")).epochs == 9
    assert final.options_of(final.method("base+sbc")).learning_rate == 2e-3  # a judge that is not compared
    assert (final.seeds, final.evaluation.split) == ((1,), "test")


@pytest.mark.parametrize(("study", "message"), [
    ("{rates: [1.0e-3, 1.0e-3]}", "study.rates names 0.001 twice"),
    ("{rates: [-1.0]}", r"study.rates must be above 0, got -1.0"),
    ("{factors: []}", "study.factors must have at least 1 entry"),
    ("{seeds: [-2]}", "study.seeds has the negative seed -2"),
    ("{rate: [1.0]}", "unknown key study.rate; did you mean study.rates"),
])  # fmt: skip
def test_wrong_studies_are_named(study, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(
            RECIPE.replace("study: {rates: [1.0e-3, 4.0e-3], factors: [1.0, 2.0]}", f"study: {study}"),
            name="r",
        )


def test_a_rate_of_one_method_is_refused(tmp_path):
    recipe = parse_recipe(RECIPE, name="r", changes=["training.methods.base.learning_rate=0.1"])
    with pytest.raises(RecipeError, match=r"training.methods.base sets learning_rate, which the study finds"):
        refuse_own_rates(recipe)


def test_the_plan_runs_nothing(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    done = call_cli("study", "tiny.yaml", "--plan", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "tune   answer-only, base at rates 0.001, 0.004, seeds 0",
        "sweep  answer-only, base, base+ac at 1, 2 times the tuned rate, seeds 0",
        "test   answer-only, base, base+ac at the best rate of each, seeds 0, 1",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    "name",
    sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml") if "student-" not in path.name),
)
def test_a_study_of_every_recipe_can_be_planned(name, tmp_path):
    """With a source of data where a recipe leaves that to the user."""
    (data := tmp_path / "rows.jsonl").touch()
    call_cli("study", RECIPES / name, "--data", data, "--plan", "--out", tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_runs_that_tune_choose_no_student():
    recipe = parse_recipe(RECIPE + "choose: {within: 2}", name="r")
    assert tuning_recipe(recipe, 4e-3, recipe.methods).choose is None
    assert final_recipe(recipe, {}, 4e-3, 1).choose == recipe.choose


@pytest.mark.parametrize(("change", "message"), [
    ("study.tuned_with=[answer-only, nothing]", "the study's runs tune-… cannot be made: methods"),
    ("data.sizes.validation=0", "a study finds rates on the validation split, which is empty: data.sizes.validation"),
    ("training.methods.base.learning_rate=0.1", "training.methods.base sets learning_rate"),
])  # fmt: skip
def test_a_plan_names_what_a_run_could_not_have(tmp_path, change, message):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    done = call_cli("study", "tiny.yaml", "--plan", "--set", change, cwd=tmp_path, check=2)
    assert message in done.stderr


def test_a_study_that_tests_nothing_yet_is_no_comparison(tmp_path):
    (tmp_path / "study.json").write_text('{"schema": 1}')
    done = call_cli("compare", tmp_path, check=2)
    assert "tests nothing yet: its rates are being tuned" in done.stderr


@pytest.fixture(scope="module")
@trains
def study(kept, tmp_path_factory):
    """A study by the command line, kept for all tests of the module."""
    out = tmp_path_factory.mktemp("study")
    kept.fill(out, run_study, recipe=RECIPE)
    return out


def run_study(*, out, recipe):
    (out / "tiny.yaml").write_text(recipe)
    said = call_cli("study", out / "tiny.yaml", "--out", out / "study").stdout
    (out / "said.txt").write_text(said)
    return {}


def test_a_study_tunes_sweeps_and_tests(study):
    found = json.loads((study / "study" / "study.json").read_text())
    assert [row["rate"] for row in found["tune"]] == [0.001, 0.004]
    assert {name for row in found["tune"] for name in row["accuracy"]} == {"answer-only", "base"}
    assert found["tuned_rate"] in (0.001, 0.004)
    assert [row["rate"] for row in found["sweep"]] == [found["tuned_rate"], 2 * found["tuned_rate"]]
    assert set(found["rates"]) == {"answer-only", "base", "base+ac"}
    assert {path.name for path in (study / "study").glob("test-s*")} == {"test-s0", "test-s1"}
    for seed in (0, 1):
        recipe = (study / "study" / f"test-s{seed}" / "recipe.yaml").read_text()
        assert "split: test" in recipe
    comparison = found["comparison"]
    assert [row["seeds"] for row in comparison["methods"]] == [[0, 1]] * 3
    assert comparison["n_questions"] == 8
    assert (study / "study" / "comparison.txt").read_text().startswith("8 questions\n")


def test_nothing_is_trained_twice(study):
    """What tuning trained is taken over where rate and seed are the same, without a second copy on the disk."""
    found = json.loads((study / "study" / "study.json").read_text())
    rate = found["rates"]["base"]
    first, last = (
        study / "study" / name / "train" / "base" / "s0" for name in (f"sweep-{rate:g}", "test-s0")
    )
    assert (first / "done.json").read_bytes() == (last / "done.json").read_bytes()
    said = (study / "said.txt").read_text()
    assert "taken  student/s0" in said
    assert said.count("start  train/base+ac/s0") == 2  # once per rate of the sweep
    assert said.count("start  train/base+ac/s1") == 1


def test_the_same_command_keeps_all_of_it(study, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (study / "study").rglob("model.safetensors")}
    said = call_cli("study", study / "tiny.yaml", "--out", study / "study").stdout
    assert "start  train" not in said
    assert {path: path.stat().st_mtime_ns for path in (study / "study").rglob("model.safetensors")} == before


def test_compare_reads_what_the_runs_have_answered(study):
    found = json.loads(call_cli("compare", study / "study", "--json").stdout)
    tables = {
        (method, seed): pq.read_table(study / "study" / f"test-s{seed}" / "evaluate" / method / f"s{seed}" / "predictions.parquet")
        for method in ("base", "base+ac") for seed in (0, 1)
    }  # fmt: skip
    right = {key: np.asarray(table["verdict"].to_pylist()) == "right" for key, table in tables.items()}
    pair = next(row for row in found["pairs"] if row["method"] == "base+ac")
    assert pair["against"] == "base"
    assert pair["difference"] == pytest.approx(
        np.mean([right["base+ac", seed].mean() - right["base", seed].mean() for seed in (0, 1)])
    )
    row = next(row for row in found["methods"] if row["method"] == "base")
    assert row["tokens_per_answer"] == pytest.approx(
        np.mean([np.mean(tables["base", seed]["tokens"].to_pylist()) for seed in (0, 1)])
    )
    assert found["unfinished"] == []
    assert len(found["runs"]) == 2


def test_what_a_study_has_not_evaluated_is_named(study, tmp_path):
    """Half of a study: a run on the test split that stopped, and one that has not begun."""
    shutil.copytree(study / "study", half := tmp_path / "half")
    shutil.rmtree(half / "test-s1")
    shutil.rmtree(half / "test-s0" / "evaluate" / "base+ac")
    done = call_cli("compare", half)
    begun, waiting = half / "test-s0", half / "test-s1"
    assert done.stderr.splitlines() == [
        f"not evaluated yet: base+ac seed 0 of {begun}",
        *(f"not evaluated yet: {name} seed 1 of {waiting}" for name in ("answer-only", "base", "base+ac")),
    ]
    (half / "study.json").write_text("{")
    assert "study.json: " in call_cli("compare", half, check=2).stderr


def test_a_killed_study_ends_as_one_that_was_not(study, tmp_path):
    """SIGKILL in the middle of the sweep, then the same command again."""
    out = tmp_path / "study"
    words = [sys.executable, "-m", "skipthink", "study", str(study / "tiny.yaml"), "--out", str(out)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        while process.poll() is None and not any(out.glob("sweep-*/train/base/s0/done.json")):
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
    killed = json.loads((out / "study.json").read_text())
    assert ("sweep" in killed, killed["seeds"]) == (False, [0, 1])
    said = call_cli("study", study / "tiny.yaml", "--out", out).stdout
    assert "kept   train/base/s0" in said
    assert facts(out) == facts(study / "study")


def facts(out):
    """What a study found, less what a clock has measured and where it lies."""
    found = json.loads((out / "study.json").read_text())
    found["comparison"] |= {"runs": [Path(run).name for run in found["comparison"]["runs"]]}
    for row in (*found["comparison"]["methods"], *found["comparison"]["pairs"]):
        for name in [name for name in row if "seconds" in name]:
            del row[name]
    return found


def test_runs_named_one_by_one_are_the_study(study):
    runs = [study / "study" / f"test-s{seed}" for seed in (0, 1)]
    assert compare_runs(runs)["pairs"] == compare_runs([study / "study"])["pairs"]


def test_compare_prints_tables_and_draws_a_plot(study, tmp_path):
    plot = tmp_path / "plots" / "front.svg"
    done = call_cli("compare", study / "study", "--against", "answer-only", "--margin", 5, "--plot", plot)
    lines = done.stdout.splitlines()
    assert lines[0] == "8 questions"
    assert lines[1].split()[:2] == ["method", "seeds"]
    assert "within 5.0 points" in done.stdout
    assert [line.split()[0] for line in lines[2:5]] == ["answer-only", "base", "base+ac"]
    texts = "".join(ET.parse(plot).getroot().itertext())
    assert all(
        name in texts for name in ("answer-only", "base+ac", "tokens per answer", "milliseconds per answer")
    )
    again = tmp_path / "again.svg"
    call_cli("compare", study / "study", "--against", "answer-only", "--plot", again)
    assert again.read_bytes() == plot.read_bytes()
    done = call_cli("compare", study / "study", "--plot", tmp_path / "front.txt", check=2)
    assert "a plot is written as .svg, .png or .pdf" in done.stderr


def test_other_runs_are_compared_under_their_own_names(study, tmp_path):
    """Two runs of different recipes: methods are named with their folders, and compared all the same."""
    tune, sweep = (next((study / "study").glob(f"{kind}-*")) for kind in ("tune", "sweep"))
    other = tmp_path / "other"
    other.symlink_to(sweep)
    (copy := tmp_path / "copy").mkdir()
    for path in tune.iterdir():
        (copy / path.name).symlink_to(path)
    (copy / "recipe.yaml").unlink()
    (copy / "recipe.yaml").write_text(
        (tune / "recipe.yaml").read_text().replace("batch_size: 8", "batch_size: 4")
    )
    found = compare_runs([copy, other])
    labels = [row["method"] for row in found["methods"]]
    assert labels == ["answer-only@copy", "base@copy", "answer-only@other", "base@other", "base+ac@other"]
    assert {pair["against"] for pair in found["pairs"]} == {"base@copy"}


def test_what_cannot_be_compared_is_refused(study, tmp_path):
    done = call_cli("compare", tmp_path, check=2)
    assert "is no run folder: it holds no recipe.yaml" in done.stderr
    run = study / "study" / "test-s0"
    done = call_cli("compare", run, run, check=2)
    assert "is evaluated with seed 0 in" in done.stderr
    done = call_cli("compare", run, "--against", "stt", check=2)
    assert "no method 'stt' to compare with; there are answer-only, base, base+ac" in done.stderr
    done = call_cli("compare", run, "--margin", 0, check=2)
    assert "--margin must be between 0 and 100 points" in done.stderr
    (empty := tmp_path / "empty").mkdir()
    (empty / "recipe.yaml").write_text((run / "recipe.yaml").read_text())
    assert "no method is evaluated yet in" in call_cli("compare", empty, check=2).stderr


def test_a_study_is_one_process(study, monkeypatch, tmp_path):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    done = call_cli("study", "tiny.yaml", cwd=tmp_path, check=2)
    assert "start it without torchrun" in done.stderr
