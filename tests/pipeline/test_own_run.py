"""Own answers through the jobs of a run: who writes for whom, over folds and rounds, with every gate."""

import json

import pyarrow.parquet as pq
import pytest
from kept import trains
from small_jobs import SMALL, run_jobs

from skipthink.exceptions import RecipeError
from skipthink.inspection import open_run
from skipthink.run.jobs import Job, build_graph
from skipthink.run.own_report import format_own
from skipthink.run.recipe import parse_recipe
from skipthink.run.report import write_report

RECIPE = (
    SMALL
    + """
name: own
chunks: {M: 2}
training: {epochs: 1, batch_size: 8, skip_weight: 1, thought: per-chunk}
skip: {gate: rule}
own_answers: {samples: 2, rounds: 2, crossfit: 2, batch_size: 6}
methods: [stt-own, base-own]
"""
)


def graph_of(*changes):
    return build_graph(parse_recipe(RECIPE, name="r", changes=changes))


def needs_of(graph, name):
    return [need.name for need in graph.needs[graph.named(name)]]


@pytest.mark.parametrize("gate", ["answer", "soft", "trial", "rule", "random"])
def test_the_student_of_another_method_writes(gate):
    graph = graph_of(f"skip.gate={gate}", "own_answers.rounds=1", "own_answers.crossfit=1")
    assert needs_of(graph, "own-answers/stt-own/round1/s0") == ["prepare", "train/stt/s0"]
    assert needs_of(graph, "own-answers/base-own/round1/s0") == ["prepare", "train/base/s0"]
    of_stt = needs_of(graph, "train/stt/s0")
    assert needs_of(graph, "train/stt-own/s0") == [*of_stt, "own-answers/stt-own/round1/s0"]
    assert "skip-data/s0" in of_stt
    assert needs_of(graph, "train/base-own/s0") == ["prepare", "student/s0", "own-answers/base-own/round1/s0"]
    assert graph.writers(graph.named("own-answers/stt-own/round1/s0")) == (graph.named("train/stt/s0"),)
    assert graph.answers_of(graph.named("train/stt/s0")) is None


def test_each_round_is_written_by_students_of_the_one_before():
    graph = graph_of("own_answers.crossfit=1")
    first = "train/stt-own/round1/s0"
    assert needs_of(graph, "own-answers/stt-own/round2/s0") == ["prepare", first]
    assert needs_of(graph, first)[-1] == "own-answers/stt-own/round1/s0"
    assert needs_of(graph, "train/stt-own/s0")[-1] == "own-answers/stt-own/round2/s0"
    assert first not in needs_of(graph, "evaluate")
    assert {"train/stt-own/s0", "train/stt/s0"} <= set(needs_of(graph, "evaluate"))
    once, twice = graph_of("own_answers.rounds=1"), graph_of("own_answers.rounds=2")
    for name in ("own-answers/stt-own/round1/s0", "train/stt/fold0/s0"):
        assert once.fingerprints[once.named(name)] == twice.fingerprints[twice.named(name)]
    final = once.named("train/stt-own/s0")
    assert once.fingerprints[final] != twice.fingerprints[final]


def test_with_folds_nobody_answers_what_it_has_learnt():
    graph = graph_of()
    for number, names in ((1, "train/stt/fold{}/s0"), (2, "train/stt-own/round1/fold{}/s0")):
        answers = f"own-answers/stt-own/round{number}/s0"
        assert needs_of(graph, answers) == ["prepare", names.format(0), names.format(1)]
    assert needs_of(graph, "train/stt/fold0/s0") == needs_of(graph, "train/stt/s0")
    assert "train/stt-own/round1/s0" not in [job.name for job in graph]
    folds = {job.name for job in graph if job.fold is not None}
    four = graph_of("own_answers.crossfit=4")
    changed = [
        name for name in folds if graph.fingerprints[graph.named(name)] == four.fingerprints[four.named(name)]
    ]
    assert not changed


@pytest.mark.parametrize(("change", "touched"), [
    ("own_answers.temperature=0.9", True), ("own_answers.samples=4", True),
    ("training.methods={stt-own: {learning_rate: 5e-4}}", False),
])  # fmt: skip
def test_answers_depend_on_how_they_are_drawn(change, touched):
    before, after = graph_of(), graph_of(change)
    answers = Job(before.named("own-answers/stt-own/round1/s0").kind, "stt-own", 0, round=1)
    assert (before.fingerprints[answers] != after.fingerprints[answers]) is touched
    writer = before.named("train/stt/fold0/s0")
    assert before.fingerprints[writer] == after.fingerprints[writer]


OWN_METHOD = """
from skipthink.training.methods.base import Base

class Own(Base):
    name, compared, is_reference = "own", False, False
    writer = {writer!r}

METHOD = Own()
"""


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        ("stt", "learns from answers of 'stt': no method that answers in one pass in the mode base"),
        ("nobody", "learns from answers of 'nobody': no method"),
        ("base-own", "learns from answers of base-own, which itself learns from answers"),
    ],
)
def test_a_writer_answers_as_the_method_does(tmp_path, writer, message):
    (tmp_path / "own.py").write_text(OWN_METHOD.format(writer=writer))
    with pytest.raises(RecipeError, match=message):
        parse_recipe(RECIPE.replace("[stt-own, base-own]", "[own.py]"), name="r", folder=tmp_path)


JUDGED_BY_ITS_WRITER = """
from skipthink.training.methods.stt import SkipThinking

class Own(SkipThinking):
    name, compared, judge, writer = "own", False, "stt", "stt"

METHOD = Own()
"""


def test_who_judges_and_writes_has_one_number_of_folds(tmp_path):
    (tmp_path / "own.py").write_text(JUDGED_BY_ITS_WRITER)
    text = RECIPE.replace("[stt-own, base-own]", "[own.py]").replace(
        "{gate: rule}", "{gate: answer, crossfit: 2}"
    )
    graph = build_graph(parse_recipe(text, name="r", folder=tmp_path))
    fold = graph.named("train/stt/fold1/s0")
    assert graph.n_folds(fold) == 2
    assert fold in graph.judges(graph.named("skip-data/stt/s0"))
    assert fold in graph.writers(graph.named("own-answers/own/round1/s0"))
    with pytest.raises(
        RecipeError, match=r"own_answers\.crossfit is 3 and skip\.crossfit 2, and stt both judges and"
    ):
        parse_recipe(text, name="r", folder=tmp_path, changes=["own_answers.crossfit=3"])


@pytest.fixture(scope="module")
@trains
def run(tmp_path_factory):
    """A whole run of two rounds and two folds."""
    return run_jobs(tmp_path_factory.mktemp("run"), RECIPE)


def test_students_of_folds_answer_the_other_fold(run):
    folder, _ = run
    everything = pq.read_table(folder.path / "data" / "train.parquet")["id"].to_pylist()
    for name in ("train/stt/fold{}/s0", "train/stt-own/round1/fold{}/s0", "train/base/fold{}/s0"):
        learnt = [
            set(pq.read_table(folder.path / name.format(fold) / "items.parquet")["id"].to_pylist())
            for fold in (0, 1)
        ]
        assert learnt[0].isdisjoint(learnt[1])
        assert sorted([*learnt[0], *learnt[1]]) == sorted(everything)
    draws = pq.read_table(folder.path / "own-answers" / "stt-own" / "round1" / "s0" / "draws.parquet")
    assert draws["id"].to_pylist() == [name for name in everything for _ in range(2)]


def test_the_run_tells_what_was_drawn(run):
    folder, graph = run
    results, table = write_report(folder, graph)
    assert {row["method"] for row in results["methods"]} == {"stt-own", "base-own"}
    rows = json.loads((folder.path / "own_answers.json").read_text())["own_answers"]
    assert {(row["method"], row["round"]) for row in rows} == {
        (method, number) for method in ("stt-own", "base-own") for number in (1, 2)
    }
    assert {row["drawn"] for row in rows} == {18}
    assert all(row["writers"] == 2 for row in rows)
    assert "own answers of" in table
    assert "warning: stt-own, round 1, seed 0: only " in table
    trained = json.loads((folder.path / "train" / "stt-own" / "s0" / "train.json").read_text())["report"]
    assert trained["own_missing"] + trained["own_same"] + trained["own_longer"] + trained["own_items"] == 9


def test_what_is_read_of_the_run_leaves_rounds_out(run):
    folder, graph = run
    folder.begin(graph)
    record = open_run(folder.path)
    assert not record.load_all()
    labels = [trained.label for trained in record.trainings()]
    assert sorted(labels) == ["base-own/s0", "base/s0", "stt-own/s0", "stt/s0"]
    assert record.trained("stt-own", 0).job.name == "train/stt-own/s0"


def test_a_table_without_a_usable_answer():
    row = {
        "method": "stt-own", "round": 1, "seed": 0, "drawn": 4, "right": 1, "usable": 0, "answered": 0, "samples": 2,
        "tokens_drawn": None, "tokens_kept": None, "warnings": ["careful"],
    }  # fmt: skip
    head, line, warning = format_own([row]).splitlines()
    assert line.split() == ["stt-own", "1", "0", "4", "25.0", "0.0", "0", "of", "2", "-", "-"]
    assert (len(head), warning) == (len(line), "warning: stt-own, round 1, seed 0: careful")
