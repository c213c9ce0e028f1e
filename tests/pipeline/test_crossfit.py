"""Cross-fitted skip data through the jobs of a run, and what the run says of them."""

import json

import pyarrow.parquet as pq
import pytest
from kept import trains
from small_jobs import run_jobs

from skipthink.run.jobs import build_graph
from skipthink.run.recipe import parse_recipe
from skipthink.run.skip_report import format_skips, skip_summary

RECIPE = """
name: folds
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 9, validation: 1, test: 2}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2}
chunks: {M: 2, method: greedy}
training: {epochs: 2, batch_size: 8, skip_weight: null, thought: per-chunk}
skip: {gate: answer, crossfit: 2}
methods: [stt]
"""


@pytest.fixture(scope="module")
@trains
def run(tmp_path_factory):
    """A run up to its skip data."""
    return run_jobs(tmp_path_factory.mktemp("run"), RECIPE, last="skip-data")


def test_the_jobs_of_cross_fitting():
    graph = build_graph(parse_recipe(RECIPE + "seeds: [0, 3]", name="r"))
    folds = [job.name for job in graph if job.fold is not None]
    assert folds == [f"train/base+sbc/fold{fold}/s{seed}" for seed in (0, 3) for fold in (0, 1)]
    skip_data = graph.named("skip-data/s3")
    assert [job.name for job in graph.needs[skip_data]] == ["prepare", "train/base+sbc/s3", *folds[2:]]
    assert [job.name for job in graph.judges(skip_data)] == folds[2:]
    assert {job.kind for job in graph if job.fold is not None} == {"train"}
    alone = build_graph(parse_recipe(RECIPE.replace("crossfit: 2", ""), name="r"))
    assert not [job for job in alone if job.fold is not None]
    assert [job.name for job in alone.judges(alone.named("skip-data/s0"))] == ["train/base+sbc/s0"]


def test_a_judge_never_saw_what_it_judges(run):
    folder, graph = run
    everything = pq.read_table(folder.path / "data" / "train.parquet")["id"].to_pylist()
    judged = pq.read_table(folder.path / "skip-data" / "s0" / "skip.parquet")
    chunks = pq.read_table(folder.path / "train" / "base+sbc" / "s0" / "chunks.parquet")
    cuts = dict(zip(chunks["id"].to_pylist(), chunks["boundaries"].to_pylist(), strict=True))
    assert judged["boundaries"].to_pylist() == [cuts[name] for name in everything]
    left_out = []
    for job in (job for job in graph if job.fold is not None):
        own = pq.read_table(folder.of(job) / "chunks.parquet")
        assert set(pq.read_table(folder.of(job) / "items.parquet")["id"].to_pylist()) == set(
            own["id"].to_pylist()
        )
        assert own["boundaries"].to_pylist() == [cuts[name] for name in own["id"].to_pylist()]
        left_out.append(set(everything) - set(own["id"].to_pylist()))
    assert sorted(map(len, left_out)) == [4, 5]
    assert set.union(*left_out) == set(everything)
    assert json.loads((folder.path / "skip-data" / "s0" / "report.json").read_text())["judges"] == 2


def test_a_run_tells_its_skips_and_warns(run):
    (row,) = skip_summary(*run)
    assert (row["seed"], row["task"], row["judges"]) == (0, "multi_step_arithmetic", 2)
    assert row["asked"] >= 9
    assert row["groups"][0]["rows"] == 9
    assert row["seconds"] > 0
    # two epochs teach nothing: the warning must be in the run's output
    lines = format_skips([row]).splitlines()
    assert lines[0].startswith("skip data of seed 0 by 2 judges: right on ")
    assert lines[1].split() == ["skipped", "%", "of", "chunk", "samples", "right", "1", "2"]
    assert lines[-1].startswith("warning: the judge is weak: with nothing dropped it is right on ")


def test_the_table_of_skips():
    groups = [
        {"by": by, "group": group, "rows": rows, "judge_right": 3, "skip_rate": rates}
        for by, group, rows, rates in [
            ("all", "all", 12, [0.5, 1.0]), ("chunks", "1", 4, [0.25, None]), ("task", "a\x1b[2J", 12, [0.5, 1.0])
        ]
    ]  # fmt: skip
    row = {"seed": 1, "judges": 1, "asked": 30, "tokens_generated": 99, "prompt_tokens": 50, "prompt_tokens_read": 20, "regrown": 7,
           "seconds": 1.25, "groups": groups, "warnings": []}  # fmt: skip
    head, *table = format_skips([row]).splitlines()
    assert head == (
        "skip data of seed 1: right on 3 of 12 with nothing dropped; 30 questions, 99 tokens generated, 20 of 50 "
        "prompt tokens read, 7 right answers with the dropped chunk written elsewhere, 1.2 s"
    )
    assert [line.split() for line in table[1:]] == [
        ["all", "12", "3", "50.0", "100.0"],
        ["with", "1", "chunks", "4", "3", "25.0", "-"],
        ["a?[2J", "12", "3", "50.0", "100.0"],
    ]
    assert len({len(line) for line in table}) == 1
    assert all(map(str.isprintable, table))
