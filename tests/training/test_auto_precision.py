"""What `bf16: auto` means: decided once, kept by a training that goes on, the same in all of its processes."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchrun import torchrun
from training_calls import train_by_name

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.training import TrainingOptions, arguments, make_arguments, precision
from skipthink.training.precision import decide_precision, read_precision, write_precision

LARGE = 135_000_000


def measure(monkeypatch, *gains):
    """Lets measurements of this process find this, one after the other; gives the list of those that are left."""
    left = list(gains)
    monkeypatch.setattr(precision, "gains_by_bf16", lambda device: left.pop(0))
    return left


def uses_bf16(folder, options=None, **more):
    made = make_arguments(options or TrainingOptions(), folder, seed=0, n_weights=LARGE, use_cpu=True, **more)
    return made.bf16


def test_what_was_decided_before_is_not_measured_again(tmp_path, monkeypatch):
    measure(monkeypatch)  # which would fail
    assert uses_bf16(tmp_path, auto_precision="bfloat16")
    assert not uses_bf16(tmp_path, auto_precision="float32")
    write_precision(tmp_path, "bfloat16")
    assert read_precision(tmp_path) == "bfloat16"
    assert uses_bf16(tmp_path)
    assert uses_bf16(
        tmp_path, auto_precision="float32"
    )  # a training that was begun keeps what it was begun in
    assert not uses_bf16(tmp_path, TrainingOptions(bf16=False))
    assert not uses_bf16(tmp_path, bf16=False)
    assert decide_precision(1_300_000) == "float32"


def test_a_measurement_decides_where_nothing_else_does(tmp_path, monkeypatch):
    left = measure(monkeypatch, True, False)
    assert [uses_bf16(tmp_path), uses_bf16(tmp_path)] == [True, False]
    assert left == []


def test_a_damaged_note_is_named(tmp_path):
    (tmp_path / "precision.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot read .*precision\.json.*delete .* to make it anew"):
        uses_bf16(tmp_path)


def test_processes_take_what_the_first_one_has_decided(tmp_path, monkeypatch):
    monkeypatch.setattr(
        arguments, "ItemArguments", lambda **given: SimpleNamespace(**given, distributed_state=1)
    )
    monkeypatch.setattr(arguments, "from_main", lambda values, state: np.ones_like(values))
    measure(monkeypatch, False, False)
    assert not uses_bf16(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert uses_bf16(tmp_path)


SCRIPT = """
import os, sys
from pathlib import Path

import torch
from skipthink.training import TrainingOptions, make_arguments, precision

rank = int(os.environ["RANK"])
for first in (True, False):
    precision.gains_by_bf16 = lambda device: first if rank == 0 else not first
    made = make_arguments(TrainingOptions(), sys.argv[1], seed=0, n_weights=135_000_000)
    Path(sys.argv[1], f"{first}-{rank}").write_text(str(made.bf16))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_that_measure_something_else_agree(tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPTHINK_DEVICE", "cpu")
    (tmp_path / "script.py").write_text(SCRIPT)
    torchrun(str(tmp_path / "script.py"), str(tmp_path))
    for first in ("True", "False"):
        assert [(tmp_path / f"{first}-{rank}").read_text() for rank in (0, 1)] == [first, first]


def test_a_machine_that_cannot_follow_says_so(tmp_path, monkeypatch):
    def refuse(self):
        raise ValueError("Your setup doesn't support bf16/gpu.")

    monkeypatch.setattr(arguments.TrainingArguments, "__post_init__", refuse)
    with pytest.raises(
        InvalidInputError, match="this machine cannot compute in bfloat16, which the training was"
    ):
        uses_bf16(tmp_path, auto_precision="bfloat16")
    with pytest.raises(ValueError, match=r"^Your setup"):
        uses_bf16(tmp_path, auto_precision="float32")


@pytest.mark.slow
def test_a_training_goes_on_in_the_precision_that_it_was_begun_in(
    student_dir, samples, tmp_path, monkeypatch, capsys
):
    """Measured otherwise after a kill, it ends with the bits of a training that nothing has interrupted."""
    monkeypatch.setattr(precision, "BF16_WEIGHTS", 0)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)

    def train(out, progress=None, **changes):
        settings = {"batch_size": 8, "max_steps": 8, "save_strategy": "steps", "save_steps": 3, **changes}
        return train_by_name(
            "base", student=student_dir, samples=samples, out=out, settings=settings, progress=progress
        )  # fmt: skip

    def kill(step, total):
        if step == kill.at:
            raise KeyboardInterrupt

    measure(monkeypatch, True, True, True)
    whole = train(tmp_path / "whole")
    assert whole["precision"] == "bfloat16"
    assert "bfloat16 is emulated here" in capsys.readouterr().err
    for kill.at, name in ((5, "killed"), (1, "early")):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / name, kill)
    shutil.copytree(tmp_path / "killed", tmp_path / "other")
    left = measure(monkeypatch, False, False)
    weights = load_file(tmp_path / "whole" / "model" / "model.safetensors")
    for name in ("killed", "early"):
        assert {**train(tmp_path / name), "seconds": 0} == {**whole, "seconds": 0}
        again = load_file(tmp_path / name / "model" / "model.safetensors")
        assert all(torch.equal(weight, again[name]) for name, weight in weights.items())
    assert len(left) == 2  # not measured at all
    with pytest.raises(
        InvalidInputError, match=r"checkpoint-3 was made in bfloat16, but bf16 and fp16 ask for float32"
    ):
        train(tmp_path / "other", bf16=False)
    assert train(tmp_path / "other", bf16=True)["loss"] == whole["loss"]
    assert json.loads((tmp_path / "other" / "train.json").read_text())["precision"] == "bfloat16"
    assert not Path(tmp_path / "other" / "checkpoints").exists()
