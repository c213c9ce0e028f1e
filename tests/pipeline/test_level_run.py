"""Levels of skipping through the jobs of a run: in the order of each gate, measured and told."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from kept import trains
from small_jobs import SMALL, run_jobs

from skipthink.exceptions import RunError
from skipthink.publish.folder import dress_student
from skipthink.run.choosing import copy_student
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import parse_recipe
from skipthink.run.report import write_report
from skipthink.run.trials import turns_of_trials
from skipthink.scoring import ChunkOptions
from skipthink.student.student import Student

RECIPE = (
    SMALL
    + """
name: levels
chunks: {M: 3}
training: {epochs: 1, batch_size: 8, skip_weight: 1, thought: per-chunk, levels: 3}
skip: {gate: soft, max_mean_rise: 9, max_token_rise: 99}
methods: [stt, stt-levels]
"""
)


@pytest.fixture(scope="module")
@trains
def run(tmp_path_factory):
    """A whole run whose gate lets every chunk go but one."""
    return run_jobs(tmp_path_factory.mktemp("run"), RECIPE)


def test_levels_need_what_stt_needs():
    graph = build_graph(parse_recipe(RECIPE, name="r"))
    of_stt, of_levels = (
        [need.name for need in graph.needs[graph.named(f"train/{name}/s0")]] for name in ("stt", "stt-levels")
    )
    assert of_stt == of_levels


def test_chunks_go_in_the_order_of_the_gate(run):
    folder, _ = run
    order = pq.read_table(folder.path / "skip-data" / "s0" / "soft.parquet")["chunk"].to_pylist()
    trained = folder.path / "train" / "stt-levels" / "s0"
    items = pq.read_table(trained / "items.parquet").to_pylist()
    chunks = pq.read_table(trained / "chunks.parquet").to_pylist()
    assert len(items) == 3 * 9
    for row, (first, *_), shown in zip(range(9), order, chunks, strict=True):
        skipped = shown["skipped"]
        assert sum(skipped) == sum(place > 0 for place in order[row])
        lengths = [len(items[9 * level + row]["target_ids"]) for level in range(3)]
        assert lengths[0] >= lengths[1] >= lengths[2]
        if sum(skipped) == 2:  # the chunk that goes first is the one that the second level leaves out
            assert skipped[first - 1]
    levels = json.loads((trained / "model" / "skipthink.json").read_text())["levels"]
    assert len(levels) == 3


def test_the_run_tells_the_levels(run):
    folder, graph = run
    results, table = write_report(folder, graph)
    rows = {row["method"]: row for row in results["methods"]}
    assert rows["stt"]["levels"] is None
    assert [one["level"] for one in rows["stt-levels"]["levels"]] == [1, 2, 3]
    assert "levels of" in table
    answers = pq.read_table(folder.path / "evaluate" / "stt-levels" / "s0" / "levels.parquet")
    assert answers["level"].to_pylist() == [1, 1, 2, 2, 3, 3]
    assert not (folder.path / "evaluate" / "stt" / "s0" / "levels.parquet").exists()


def test_the_copy_of_a_student_answers_at_the_level_that_was_chosen(run, tmp_path):
    folder, _ = run
    trained = folder.path / "train" / "stt-levels" / "s0" / "model"
    copy_student(trained, tmp_path / "student", 2)
    dress_student(tmp_path / "student", facts={})
    own, copy = Student.load(trained), Student.load(tmp_path / "student")
    assert (own.decoding.level, copy.decoding.level) == (3, 2)
    asked = [{"role": "user", "content": "What is 3 and 1?"}]
    prompts = [
        student.tokenizer.apply_chat_template(asked, tokenize=False, **level)
        for student, level in [(own, {}), (copy, {}), (own, {"level": 2})]
    ]
    assert prompts[1] == prompts[2] != prompts[0]
    assert "The chat template writes `[2]`" in (tmp_path / "student" / "README.md").read_text()


def test_roles_go_in_the_order_of_their_trials(run):
    """The roles are found again; those that went first go at a lower level, in all samples alike."""
    folder, _ = run
    from skipthink.core.search import average_boundaries
    from skipthink.run.folder import read_job_table
    from skipthink.skipping import SkipOptions
    from skipthink.skipping.elimination import skip_roles
    from skipthink.skipping.roles import find_roles
    from skipthink.student.student import Student

    samples = read_job_table(folder.path / "data" / "train.parquet")
    student = folder.path / "student" / "s0"
    encoded = Student.load(student, device="cpu").encode(samples, ChunkOptions(M=3).rules)
    boundaries = average_boundaries(encoded.n_steps, int(encoded.n_steps.max()))
    roles = find_roles(encoded.questions, encoded.steps, boundaries, n_roles=3)
    skipped, _ = skip_roles(roles, (2, 0))
    counts = [int((roles.of == role).sum()) for role in range(3)]
    report = {
        "roles": [{"chunks": count, "dropped": role != 1} for role, count in enumerate(counts)],
        "curve": [
            {"roles": [role], "may_go": may_go}
            for role, may_go in ((0, False), (2, True), (1, False), (0, True))
        ],
    }
    arguments = {"student": student, "samples": samples, "boundaries": boundaries, "skipped": skipped,
                 "rules": ChunkOptions(M=3).rules, "options": SkipOptions(gate="trial", roles=3)}  # fmt: skip
    turns = turns_of_trials(report, **arguments)
    assert set(turns[skipped & (roles.of == 2)]) == {0.5}
    assert set(turns[skipped & (roles.of == 0)]) == {1.0}
    assert np.isinf(turns[~skipped]).all()
    report["roles"][0]["chunks"] += 1
    with pytest.raises(RunError, match="are not those of the trials"):
        turns_of_trials(report, **arguments)
