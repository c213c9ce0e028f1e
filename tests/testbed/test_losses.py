"""`bench/testbed_losses.py`: losses on core sentences and all others, against a forward pass written out."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from kept import trains

from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import parse_recipe
from skipthink.run.work import run_job
from skipthink.student import Student

RECIPE = """
name: losses
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 8, validation: 1, test: 4}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2}
chunks: {M: 2, method: greedy}
training: {epochs: 1, batch_size: 8}
methods: [answer-only, base, base+ac, base+sbc-optimal]
"""


@pytest.fixture(scope="module")
def bench(load_bench):
    return load_bench("testbed_losses")


@pytest.fixture(scope="module")
@trains
def run(tmp_path_factory):
    """A run whose students are trained."""
    folder, recipe = RunFolder(tmp_path_factory.mktemp("run")), parse_recipe(RECIPE, name="r")
    (folder.path / "logs").mkdir()
    folder.adopt(recipe)
    for job in (graph := build_graph(recipe)):
        if job.kind != "evaluate":
            run_job(folder, graph, job, lambda done, total: None)
    return folder.path


@pytest.mark.parametrize("method", ["base", "base+ac"])
def test_losses_are_those_of_a_forward_pass(bench, run, method):
    samples = pq.read_table(run / "data" / "test.parquet")
    recipe = RunFolder(run).recipe()
    found = bench.measure(recipe, run, method, 0, samples)
    folder = run / "train" / method / "s0" / "model"
    student = Student.load(folder)
    model, markers = student.model, student.markers
    encoded = student.encode(samples)
    sums, counts = np.zeros(2), np.zeros(2)
    for row, roles in enumerate(samples["roles"].to_pylist()):
        half = -(-len(roles) // 2)  # average chunks: the first is the longer one
        for step, role in enumerate(roles):
            prefix = [] if method == "base" else list(markers.stage_marks[int(step >= half)])
            question, rationale = encoded.question[row].tolist(), encoded.rationale[row].tolist()
            ids = torch.tensor([[*prefix, *question, *rationale]])
            with torch.no_grad():
                log_p = (
                    model.eval()(ids)
                    .logits.double()
                    .log_softmax(-1)[0, :-1]
                    .gather(1, ids[0, 1:, None])[:, 0]
                )
            first, end = encoded.step_tokens[row][step : step + 2]
            own = log_p[len(ids[0]) - 1 - len(rationale) :][first:end]
            sums[int(role != "reasoning")] -= own.sum().item()
            counts[int(role != "reasoning")] += len(own)
    assert (found.core, found.other) == pytest.approx(tuple(sums / counts), rel=1e-4)


def test_the_table_has_a_row_for_whoever_learns_rationales(bench, run):
    lines = bench.render(run, 3)
    assert lines[0].endswith(", 3 questions")
    assert [line.split(" ")[1] for line in lines[4:-1]] == ["base", "base+ac", "base+sbc-optimal"]


def test_made_sentences_have_to_be_steps(bench, run):
    samples = pq.read_table(run / "data" / "test.parquet")
    short = samples.set_column(
        samples.schema.get_field_index("roles"), "roles", [[row[1:] for row in samples["roles"].to_pylist()]]
    )
    with pytest.raises(SystemExit, match="sentences were made"):
        bench.measure(RunFolder(run).recipe(), run, "base", 0, short)
