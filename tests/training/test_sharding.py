"""FSDP: two processes on CPUs (gloo) train a sharded student, and where nothing would be sharded they are refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torchrun import largest_difference, torchrun

from skipthink.student.student import Student

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("distributed")]

SCRIPT = Path(__file__).parents[1] / "support" / "sharded_training.py"


def test_sharded_training_equals_ddp_and_resumes(student_dir, samples, tmp_path):
    """Weights to 1e-6 in float32; killed in an epoch and resumed from either kind of checkpoint: bit by bit the same."""
    ranks = train_sharded(student_dir, samples, tmp_path)
    assert largest_difference(tmp_path / "ddp", tmp_path / "sharded") <= 1e-6
    for resumed in ("resumed-whole", "resumed-shards"):
        assert largest_difference(tmp_path / "sharded", tmp_path / resumed) == 0
    n_weights = Student.load(student_dir, device="cpu").model.num_parameters()
    for here, there in zip(*(rank["held"] for rank in ranks), strict=True):
        assert here["sharded"] == there["sharded"]
        if here["sharded"]:
            assert here["sharded"] == here["tensors"]
            assert here["weights"] + there["weights"] == n_weights
            assert here["weights"] <= 0.55 * n_weights
        else:
            assert here["weights"] == there["weights"] == n_weights
    assert [training["sharded"] > 0 for training in ranks[0]["held"]] == [True, False, True, True]
    assert ranks[0]["losses"] == ranks[1]["losses"]
    for losses in ranks[0]["losses"]:
        np.testing.assert_allclose(losses, ranks[0]["losses"][0], rtol=1e-6)
    assert_ordinary(tmp_path / "sharded" / "model")


def train_sharded(student, samples, folder, *arguments, **options):
    """What each process noted, where the trainings ended well; else how they ended."""
    pq.write_table(samples.slice(0, 11), folder / "samples.parquet")
    done = torchrun(str(SCRIPT), str(folder), str(student), *arguments, **options)
    if done.returncode:
        return done
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


def assert_ordinary(folder):
    """A folder holds every weight whole and once, tied ones too, and loads as that of any other student."""
    saved = load_file(folder / "model.safetensors")
    loaded = dict(Student.load(folder, device="cpu").model.named_parameters())
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(saved[name], weight) for name, weight in loaded.items())


def test_processes_that_would_not_be_sharded_are_refused(student_dir, samples, tmp_path):
    """accelerate takes processes on a CPU for DDP whatever it is told of FSDP, and says nothing."""
    done = train_sharded(student_dir, samples, tmp_path, "as-it-is", check=False)
    assert done.returncode != 0
    assert "fsdp: true, but accelerate does not shard on cpu: 2 processes would each hold" in done.stderr
