"""Several processes: what torchrun starts equals one process with the doubled batch."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torchrun import largest_difference, torchrun
from training_calls import train_by_name

from skipthink.exceptions import RunError
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.ranks import Ranks
from skipthink.run.recipe import load_recipe
from skipthink.run.work import run_job
from skipthink.student.models import make_student, save_student
from skipthink.training import BudgetOptions

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("distributed")]

SETTINGS = {
    "batch_size": 8,
    "learning_rate": 0.05,
    "epochs": 2,
    "save_strategy": "steps",
    "save_steps": 2,
    "eta": 0.0,
    "optim": "sgd",
    "max_grad_norm": 1.0,
    "chunk_dropout": 0.2,
}

SCRIPT = """
import json, sys, torch
sys.path.insert(0, "SUPPORT")
import pyarrow.parquet as pq
from pathlib import Path
from training_calls import train_by_name

torch.set_num_threads(1)
folder, student, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
samples = pq.read_table(folder / "samples.parquet")


def train(out, progress=None, student=student):
    return train_by_name("base+sbc", student=student, samples=samples, out=folder / out, n_chunks=3, seed=5,
                        settings=settings, progress=progress)


class Killed(Exception):
    pass


def kill(step, _):
    if step == 11:
        raise Killed


summary = train("whole")
try:
    train("resumed", kill)
except Killed:
    assert (folder / "resumed" / "checkpoints" / "checkpoint-10" / "skipthink.json").exists()
torch.distributed.barrier()
train("resumed")
train("t5", student=folder / "fresh-t5")
rank = torch.distributed.get_rank()
(folder / f"rank-{rank}.json").write_text(json.dumps({**summary, "seconds": 0}))
torch.distributed.destroy_process_group()
"""


def test_two_processes_equal_one_with_the_doubled_batch(student_dir, samples, tmp_path):
    """Weights to 1e-6 in float32, boundaries the same; killed in an epoch and resumed: bit by bit the same."""
    samples = samples.slice(0, 11)  # the last step of a stage has 3 items: one process gets 2 of them
    pq.write_table(samples, tmp_path / "samples.parquet")
    (tmp_path / "script.py").write_text(SCRIPT.replace("SUPPORT", str(Path(__file__).parents[1] / "support")))
    halved = {**SETTINGS, "batch_size": 4}
    sizes = {"vocab_size": 400, "hidden_size": 16, "num_layers": 1, "num_heads": 2}
    t5 = make_student(samples["question"].to_pylist(), n_chunks=3, seed=0, architecture="t5", **sizes)
    save_student(*t5, tmp_path / "fresh-t5")
    torchrun(str(tmp_path / "script.py"), str(tmp_path), str(student_dir), json.dumps(halved))
    alone, _ = (
        train_by_name("base+sbc", student=student, samples=samples, out=tmp_path / out, n_chunks=3, seed=5,
                     settings=SETTINGS)
        for out, student in (("alone", student_dir), ("t5-alone", tmp_path / "fresh-t5"))
    )  # fmt: skip
    # the start of a T5 is so steep that float rounding shows sooner
    assert largest_difference(tmp_path / "t5", tmp_path / "t5-alone") <= 1e-5
    assert largest_difference(tmp_path / "whole", tmp_path / "alone") <= 1e-6
    assert largest_difference(tmp_path / "whole", tmp_path / "resumed") == 0
    chunks = [pq.read_table(tmp_path / name / "chunks.parquet") for name in ("alone", "whole", "resumed")]
    assert chunks[0] == chunks[1] == chunks[2]
    summaries = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1)]
    assert summaries[0] == summaries[1]
    assert summaries[0]["processes"] == 2
    np.testing.assert_allclose(summaries[0]["loss"], alone["loss"], rtol=1e-6)
    for name in (
        "train_steps",
        "train_items",
        "train_tokens",
        "train_target_tokens",
        "effective_batch",
        "report",
    ):
        assert summaries[0][name] == alone[name], name


AVERAGED = """
import json, sys, torch
sys.path.insert(0, "SUPPORT")
import pyarrow.parquet as pq
from pathlib import Path
from training_calls import train_by_name
from skipthink.training import BudgetOptions

torch.set_num_threads(1)
folder, student, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
settings["budget"] = BudgetOptions(**settings["budget"])
summary = train_by_name("base", student=student, samples=pq.read_table(folder / "samples.parquet"),
                        out=folder / "two", n_chunks=3, seed=5, settings=settings)
(folder / f"rank-{torch.distributed.get_rank()}.json").write_text(json.dumps(summary["averaged_steps"]))
torch.distributed.destroy_process_group()
"""


def test_two_processes_average_the_weights_of_the_same_steps(student_dir, samples, tmp_path):
    """Under a budget, where each process sees for itself which steps count."""
    samples = samples.slice(0, 11)
    pq.write_table(samples, tmp_path / "samples.parquet")
    support = str(Path(__file__).parents[1] / "support")
    (tmp_path / "script.py").write_text(AVERAGED.replace("SUPPORT", support))
    settings = {"learning_rate": 0.05, "optim": "sgd", "average_last": 3, "average_every": 0.1}
    two = {**settings, "batch_size": 1, "budget": {"base_epochs": 2.0}}
    torchrun(str(tmp_path / "script.py"), str(tmp_path), str(student_dir), json.dumps(two))
    alone = train_by_name(
        "base", student=student_dir, samples=samples, out=tmp_path / "one", n_chunks=3, seed=5,
        settings={**settings, "batch_size": 2, "budget": BudgetOptions(base_epochs=2.0)},
    )  # fmt: skip
    assert len(alone["averaged_steps"]) == 3
    for rank in (0, 1):
        assert json.loads((tmp_path / f"rank-{rank}.json").read_text()) == alone["averaged_steps"]
    assert largest_difference(tmp_path / "one", tmp_path / "two") <= 1e-6


RECIPE = """
name: tiny
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 11, validation: 2, test: 2}
  task_options: {n_operations: 1, max_value: 20, max_number: 9}
student: {vocab_size: 400, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 512}
chunks: {M: 1, method: greedy}
training: {epochs: 2, batch_size: 4, save_steps: 4, chunk_dropout: 0.2, skip_weight: null, thought: per-chunk}
skip: {gate: answer, batch_size: 8}
evaluation: {batch_size: 4}
methods: [base+sbc, stt]
"""


def test_torchrun_of_a_recipe_equals_one_process_with_the_doubled_batch(tmp_path):
    """All jobs: files of both runs hold the same chunks, skip data and counts, and weights to 1e-4 (AdamW)."""
    (tmp_path / "two.yaml").write_text(RECIPE)
    (tmp_path / "one.yaml").write_text(RECIPE.replace("batch_size: 4, save", "batch_size: 8, save"))
    command = ["-m", "skipthink", "run", str(tmp_path / "two.yaml"), "--out", str(tmp_path / "two")]
    done = torchrun(*command)
    assert done.stdout.count("start  train/base+sbc/s0") == 1
    assert "2 processes" in done.stdout
    recipe, folder = load_recipe(tmp_path / "one.yaml"), RunFolder(tmp_path / "one")
    folder.path.mkdir()
    folder.adopt(recipe)
    graph = build_graph(recipe)
    torch.set_num_threads(1)
    for job in graph:
        run_job(folder, graph, job, lambda done, total: None)
    assert (tmp_path / "two" / "table.txt").exists()
    for method in recipe.methods:
        part = Path("train") / method / "s0"
        left, right = tmp_path / "one" / part, tmp_path / "two" / part
        assert pq.read_table(left / "chunks.parquet") == pq.read_table(right / "chunks.parquet")
        assert largest_difference(left, right) <= 1e-4
        train = [json.loads((path / "train.json").read_text()) for path in (left, right)]
        assert [part["processes"] for part in train] == [1, 2]
        for name in ("train_steps", "train_target_tokens", "effective_batch", "items"):
            assert train[0][name] == train[1][name]
        np.testing.assert_allclose(train[0]["loss"], train[1]["loss"], rtol=1e-4)
    skip = [pq.read_table(tmp_path / run / "skip-data" / "s0" / "skip.parquet") for run in ("one", "two")]
    assert skip[0]["skipped"] == skip[1]["skipped"]


def test_ranks_of_the_environment(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Ranks.of_environment() == Ranks(0, 1)
    monkeypatch.setenv("RANK", "1")
    assert Ranks.of_environment() == Ranks(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Ranks.of_environment() == Ranks(1, 4)
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(RunError, match="torchrun sets both to numbers"):
        Ranks.of_environment()
