"""The choice of the student to use: the rule by hand-made examples, and a run that ends with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kept import trains
from small_jobs import run_jobs

from skipthink.evaluation.options import ChooseOptions
from skipthink.exceptions import RecipeError
from skipthink.run import choosing
from skipthink.run.choosing import Point, at_level, choose_point, format_choice, make_choice
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import parse_recipe
from skipthink.run.report import write_report
from skipthink.run.work import run_job

FALLBACK = Path(__file__).parents[2] / "bench" / "fallback.py"
POINTS = [
    Point("base", 0.80, 70.0), Point("stt", 0.79, 40.0), Point("pruned-rule", 0.785, 30.0), Point("answer-only", 0.1, 2.0),
]  # fmt: skip
RECIPE = """
name: choice
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 8, validation: 3, test: 2}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2}
chunks: {M: 2}
training: {epochs: 1, batch_size: 8}
evaluation: {alone_questions: 0}
choose: {within: 100}
methods: [answer-only, base]
"""


@pytest.mark.parametrize(
    ("within", "chosen"), [(0.0, "base"), (1.0, "stt"), (1.5, "pruned-rule"), (100, "answer-only")]
)
def test_the_shortest_answers_that_are_accurate_enough(within, chosen):
    assert choose_point(POINTS, "base", within).method == chosen


@pytest.mark.parametrize(("within", "chosen"), [(0.0, "long"), (5.0, "base"), (6.0, "stt")])
def test_the_shortest_answers_that_are_nearly_as_accurate_as_the_best(within, chosen):
    assert choose_point([*POINTS, Point("long", 0.85, 90.0)], None, within).method == chosen


def test_what_accuracy_is_compared_with_is_an_option():
    seen = {
        ("base", 0): measured(0.4, 60),
        ("stt", 0): measured(0.6, 40),
        ("pruned-rule", 0): measured(0.4, 30),
    }
    chosen = [make_choice(seen, "base", ChooseOptions(of=of)) for of in ("base", "best")]
    assert [choice["method"] for choice in chosen] == ["pruned-rule", "stt"]
    rows = [{"method": method, "seed": seed, **found} for (method, seed), found in seen.items()]
    assert "within 1 points of base on" in format_choice(chosen[0], rows)
    assert "within 1 points of the best on" in format_choice(chosen[1], rows)


def test_of_equally_short_answers_the_more_accurate():
    assert choose_point([*POINTS, Point("two", 0.82, 30.0)], "base", 2).method == "two"


def measured(accuracy, tokens):
    return {"accuracy": accuracy, "tokens_per_answer": tokens}


def test_means_over_seeds_decide_then_the_best_seed():
    choice = make_choice(
        {
            ("base", 0): measured(0.8, 60), ("base", 1): measured(0.6, 80),
            ("stt", 0): measured(0.5, 30), ("stt", 1): measured(0.9, 40),
        },
        "base", ChooseOptions(within=1.0),
    )  # fmt: skip
    assert (choice["method"], choice["seed"]) == ("stt", 1)
    assert [point["method"] for point in choice["points"]] == ["stt", "base"]
    assert choice["points"][1] == {
        "method": "base", "accuracy": pytest.approx(0.7), "tokens_per_answer": 70, "level": None
    }  # fmt: skip


def test_levels_are_points_of_their_own():
    def levels(*points):
        found = [{"level": level, **measured(*point)} for level, point in enumerate(points, 1)]
        return {**found[-1], "seconds_per_answer": 0.1, "n": 9, "levels": found}

    of_levels = {0: levels((0.8, 60), (0.7, 40), (0.5, 20)), 1: levels((0.8, 62), (0.9, 42), (0.7, 10))}
    choice = make_choice(
        {("base", 0): measured(0.8, 60), ("base", 1): measured(0.8, 60),
         ("stt-levels", 0): of_levels[0], ("stt-levels", 1): of_levels[1]},
        "base", ChooseOptions(within=1.0),
    )  # fmt: skip
    assert (choice["method"], choice["level"], choice["seed"]) == ("stt-levels", 2, 1)
    assert [(point["level"], point["tokens_per_answer"]) for point in choice["points"]] == [
        (3, 15), (2, 41), (None, 60), (1, 61)
    ]  # fmt: skip
    # of the test split: seconds were taken at the highest level alone
    assert at_level(of_levels[1], 2) == {
        **of_levels[1]["levels"][1],
        "n": 9,
        "levels": of_levels[1]["levels"],
    }
    assert at_level(of_levels[1], 3) == of_levels[1]
    rows = [
        {"method": "base", "seed": 0, **measured(0.7, 60)},
        {"method": "stt-levels", "seed": 0, **of_levels[0]},
    ]
    rows += [{**row, "seed": 1} for row in rows]
    told = format_choice(choice, rows).splitlines()
    assert " ".join(told[2].split()) == "stt-levels, level 2 80.0 41.0 70.0 ± 0.0 40.0 1.50x chosen"
    assert told[-1].startswith("chosen: stt-levels, level 2, seed 1: ")


@pytest.mark.parametrize(("change", "says"), [
    (("methods: [answer-only, base]", "methods: [answer-only]"), "compares with base"),
    (("alone_questions: 0", "split: validation"), "evaluation.split: test"),
    (("validation: 3", "validation: 0"), r"data\.sizes\.validation"),
    (("within: 100", "within: -1"), "within must be at least 0"),
])  # fmt: skip
def test_a_recipe_that_cannot_choose_is_refused(change, says):
    with pytest.raises(RecipeError, match=says):
        parse_recipe(RECIPE.replace(*change), name="r")


def test_without_the_option_there_is_no_such_job():
    names = [job.name for job in build_graph(parse_recipe(RECIPE, name="r"))]
    assert names[-2:] == ["evaluate", "choose"]
    without = build_graph(parse_recipe(RECIPE.replace("choose: {within: 100}\n", ""), name="r"))
    assert [job.name for job in without] == names[:-1]


@pytest.fixture(scope="module")
@trains
def run(tmp_path_factory):
    """A finished run, its report written."""
    folder, graph = run_jobs(tmp_path_factory.mktemp("run"), RECIPE)
    return folder, graph, *write_report(folder, graph)


def test_a_run_ends_with_the_chosen_student_and_its_card(run):
    folder, _, results, table = run
    choice = json.loads((folder.path / "choose" / "choice.json").read_text())
    assert results["choice"] == choice
    assert choice["method"] == min(choice["points"], key=lambda point: point["tokens_per_answer"])["method"]
    assert format_choice(choice, results["methods"]) in table
    assert f"chosen: {choice['method']}, seed 0" in table
    own = folder.path / "train" / choice["method"] / "s0" / "model" / "model.safetensors"
    assert (folder.path / "choose" / "student" / "model.safetensors").read_bytes() == own.read_bytes()
    card = (folder.path / "choose" / "student" / "README.md").read_text()
    for said in (
        "accuracy",
        "95 % interval, lower end",
        "generated tokens per answer",
        "against Base, in tokens",
    ):
        assert said in card


def test_a_finished_run_says_what_fallback_would_give(run):
    """`bench/fallback.py`: where all questions are asked again, answers are the second ones and both count."""
    folder, *_ = run
    words = ["--first", "answer-only", "--second", "base", "--curve"]
    command = [sys.executable, str(FALLBACK), str(folder.path), *words]
    told = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert told[0] == told[1]
    heads, _, *lines = (
        [cell.strip() for cell in line.strip("| ").split("|")] for line in told[0].splitlines()
    )
    rows = [dict(zip(heads, line, strict=True)) for line in lines]
    first, chosen, second, *curve = rows
    assert [row["answers"] for row in rows[:3]] == ["answer-only alone", "with fallback", "base alone"]
    assert {row["answers"] for row in curve} == {"curve"}
    assert chosen["asked again %"] in {row["asked again %"] for row in curve}
    measured = ("accuracy %", "tokens per answer")
    assert [curve[0][name] for name in measured] == [first[name] for name in measured]
    assert curve[-1]["asked again %"] == "100.0"
    assert curve[-1]["accuracy %"] == second["accuracy %"]
    assert float(curve[-1]["tokens per answer"]) == pytest.approx(
        float(first["tokens per answer"]) + float(second["tokens per answer"]), abs=0.11
    )


def test_a_killed_choice_measures_nothing_twice(run, monkeypatch):
    folder, graph, *_ = run
    (folder.path / "choose" / "done.json").unlink()
    (folder.path / "choose" / "base" / "s0" / "measured.json").unlink()
    import skipthink.evaluation.measure as measure

    asked, evaluate = [], measure.evaluate
    monkeypatch.setattr(
        measure, "evaluate", lambda **given: asked.append(given["out"].parent.name) or evaluate(**given)
    )
    before = json.loads((folder.path / "choose" / choosing.CHOICE_FILE).read_text())
    run_job(folder, graph, graph.named("choose"), lambda done, total: None)
    assert asked == ["base"]
    after = json.loads((folder.path / "choose" / choosing.CHOICE_FILE).read_text())
    assert after == before
