"""The gate trial through the jobs of a run, and what the run says of it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kept import trains
from small_jobs import SMALL, run_jobs

from skipthink.exceptions import RecipeError, RunError
from skipthink.run.folder import RunFolder
from skipthink.run.gates import skip_by_rule
from skipthink.run.jobs import build_graph
from skipthink.run.ranks import Ranks, lead
from skipthink.run.recipe import load_recipe, parse_recipe
from skipthink.run.skip_report import format_skips, skip_summary
from skipthink.scoring import ChunkOptions
from skipthink.skipping import SkipOptions
from skipthink.student.models import make_student, save_student

RECIPE = (
    SMALL
    + """
name: trial
chunks: {M: 3, method: greedy}
training: {epochs: 1, batch_size: 8, skip_weight: 1, thought: per-chunk}
skip: {gate: trial, roles: 2, trial_epochs: 0.5, batch_size: 8}
methods: [stt, skip-all]
"""
)


@pytest.fixture(scope="module")
@trains
def run(tmp_path_factory):
    """A run up to its students."""
    return run_jobs(tmp_path_factory.mktemp("run"), RECIPE, leave_out=("evaluate",))


def test_no_judge_is_trained():
    graph = build_graph(parse_recipe(RECIPE, name="r"))
    assert [job.name for job in graph] == [
        "prepare", "student/s0", "skip-data/s0", "train/stt/s0", "train/skip-all/s0", "evaluate",
    ]  # fmt: skip
    assert graph.judges(graph.named("skip-data/s0")) == ()
    asked = build_graph(parse_recipe(RECIPE.replace("gate: trial", "gate: answer"), name="r"))
    assert "train/base+sbc/s0" in [job.name for job in asked]


@pytest.mark.parametrize(("change", "same"), [
    ("skip.roles=3", False), ("training.methods={stt: {learning_rate: 5e-4}}", False),
    ("training.methods={skip-all: {learning_rate: 5e-4}}", True),
])  # fmt: skip
def test_decisions_depend_on_how_students_are_trained(change, same):
    before, after = (
        build_graph(parse_recipe(RECIPE, name="r", changes=changes)) for changes in ([], [change])
    )
    skips = before.named("skip-data/s0")
    assert (before.fingerprints[skips] == after.fingerprints[skips]) is same


def test_several_processes_are_told_to_make_trials_in_one(tmp_path):
    graph = build_graph(parse_recipe(RECIPE, name="r"))
    with pytest.raises(RunError, match="skip-data/s0: trials train in a single process"):
        lead(RunFolder(tmp_path), graph, Ranks(0, 2), None)


def test_folds_are_refused_with_the_key():
    with pytest.raises(RecipeError, match=r"skip\.crossfit.*asks no judge"):
        parse_recipe(RECIPE.replace("gate: trial", "gate: trial, crossfit: 2"), name="r")


def test_without_a_judge_nothing_starts_from_it():
    with pytest.raises(RecipeError, match="trains no judge, and stt is to start from the judge"):
        parse_recipe(
            RECIPE.replace("skip_weight: 1", "skip_weight: 1, methods: {stt: {start: cwt}}"), name="r"
        )


def test_a_student_is_trained_on_steps_without_those_whose_role_may_go(run):
    folder, _ = run
    skips = pq.read_table(folder.path / "skip-data" / "s0" / "skip.parquet").to_pydict()
    chunks = pq.read_table(folder.path / "train" / "stt" / "s0" / "chunks.parquet").to_pydict()
    assert chunks["boundaries"] == skips["boundaries"]
    assert chunks["skipped"] == skips["skipped"]
    assert set(np.diff(skips["boundaries"], axis=1).ravel()) <= {0, 1}
    assert len(skips["boundaries"][0]) - 1 > 3  # more steps than the student has markers for
    items = pq.read_table(folder.path / "train" / "stt" / "s0" / "items.parquet").to_pydict()
    assert items["stage"] == [-1] * 9
    everything = pq.read_table(folder.path / "train" / "skip-all" / "s0" / "chunks.parquet").to_pydict()
    assert everything["boundaries"] == skips["boundaries"]


def test_the_run_tells_roles_and_curve(run):
    (row,) = skip_summary(*run)
    assert row["gate"] == "trial"
    text = format_skips([row])
    head, *_ = text.splitlines()
    assert head.startswith(
        f"skip data of seed 0 by the gate trial: {row['train_target_tokens']} target tokens"
    )
    assert row["roles"][0]["example"] in text
    assert "tried without" in text
    report = json.loads((run[0].path / "skip-data" / "s0" / "report.json").read_text())
    assert report["curve"] == row["curve"]


@pytest.mark.parametrize("gate", ["rule", "random"])
def test_a_rule_and_chance_decide_about_steps(fresh, tmp_path, gate):
    student, samples = fresh
    options = SkipOptions(gate=gate)
    arguments = {"student": student, "samples": samples, "options": options, "chunks": ChunkOptions(M=2)}
    report = skip_by_rule(**arguments, out=tmp_path, seed=1)
    table = pq.read_table(tmp_path / "skip.parquet").to_pydict()
    assert table["boundaries"] == [[0, 1, 2, 3], [0, 1, 2, 2]]
    if gate == "rule":
        assert table["skipped"] == [[True, False, True], [False, True, False]]
    assert not any(all(row[:n]) for row, n in zip(table["skipped"], (3, 2), strict=True))
    assert (report["gate"], report["empty"], report["asked"]) == (gate, 1, 0)
    assert report["kept"] + report["skipped"] == 5


@pytest.fixture
def fresh(tmp_path):
    """A student that is not trained, and two samples."""
    rows = [
        {"id": "a", "question": "What is 1 and 2?", "rationale": "We add. 1 + 2 = 3. Done.", "answer": "3"},
        {"id": "b", "question": "What is 2 and 2?", "rationale": "2 + 2 = 4. Done.", "answer": "4"},
    ]
    texts = [text for row in rows for text in row.values()]
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "max_length_tokens": 160}
    save_student(*make_student(texts, n_chunks=2, seed=0, vocab_size=300, **sizes), tmp_path / "student")
    return tmp_path / "student", pa.Table.from_pylist(rows)


@pytest.mark.parametrize("name", ["skip_arithmetic", "skip_tracking", "skip_letters"])
def test_the_recipes_of_the_test_bed_compare_at_equal_target_tokens_and_steps(name):
    recipe = load_recipe(Path(__file__).parents[2] / "recipes" / "testbed" / f"{name}.yaml")
    assert recipe.name == f"testbed-{name}"
    assert {"base", "base-trim", "stt", "pruned-rule", "pruned-random"} < set(recipe.methods)
    assert recipe.skip.gate == "trial"
    assert recipe.data.sizes.validation == recipe.skip.trial_questions
    options = [recipe.options_of(method) for method in recipe.chosen if method.name != "answer-only"]
    assert len({(one.max_steps, one.step_target_tokens, one.learning_rate) for one in options}) == 1


def test_the_gpu_recipe_compares_with_all_rivals_of_its_length(tmp_path):
    recipe = load_recipe(
        Path(__file__).parents[2] / "bench" / "gpu" / "trial.yaml",
        data=tmp_path / "rows.jsonl",
        changes=["student.path=folder"],
    )
    assert {"base", "base-trim", "stt", "pruned-rule", "pruned-random", "pruned-judge"} == set(recipe.methods)
    assert recipe.skip.gate == "trial"
    assert recipe.data.sizes.validation >= recipe.skip.trial_questions
    names = [job.kind for job in build_graph(recipe, data="known")]
    assert names[-1] == "choose"
    assert "skip-data" in names
