"""The mean of the last weights: which steps count, the mean itself, damaged files, kills, adapters."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_calls import train_by_name

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.options import OptionError
from skipthink.training.averaging import WeightAverage, averaged_steps
from skipthink.training.options import BudgetOptions, TrainingOptions


@pytest.mark.parametrize(
    ("n_steps", "last", "every", "expected"),
    [
        (100, 3, 0.02, [96, 98, 100]),
        (100, 1, 0.02, [100]),
        (7, 3, 2, [3, 5, 7]),
        (7, 7, 0.02, [1, 2, 3, 4, 5, 6, 7]),  # a share of less than half a step is one step
        (10, 2, 0.25, [8, 10]),  # 2.5 is rounded to an even number
    ],
)
def test_steps_that_count(n_steps, last, every, expected):
    assert averaged_steps(n_steps, last, every) == expected


def test_too_few_steps_are_refused():
    with pytest.raises(
        InvalidInputError, match="3 weights that are 5 optimiser steps apart take 11 steps, but"
    ):
        averaged_steps(10, 3, 5)


@pytest.fixture
def small():
    """A model with a weight that is trained and one that is not."""
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0]]))
        model.bias.fill_(7.0)
    model.bias.requires_grad_(False)
    return model


def passed_through(model, folder, weights):
    """An average that has kept these weights, one per step."""
    average = WeightAverage(model, folder, last=len(weights), every=1)
    average.steps = list(range(1, len(weights) + 1))
    for step, values in enumerate(weights, 1):
        with torch.no_grad():
            model.weight.copy_(torch.tensor([values]))
        average.keep(step)
    return average


def test_the_mean_of_weights_set_by_hand(small, tmp_path):
    passed_through(small, tmp_path, [[1.0, 2.0], [3.0, -2.0], [5.0, 0.75]]).apply()
    assert small.weight.tolist() == [[3.0, 0.25]]
    assert small.bias.tolist() == [7.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{n}.safetensors" for n in (1, 2, 3)]


def test_the_mean_is_rounded_once(small, tmp_path):
    """2^24 + 1 is no float32: a sum in float32 would lose the ones."""
    passed_through(small, tmp_path, [[2.0**24, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0**24 - 2, 0.0]]).apply()
    assert small.weight.tolist() == [[2.0**23, 0.0]]


def test_weights_in_half_precision_stay_so(small, tmp_path):
    half = small.to(torch.bfloat16)
    passed_through(half, tmp_path, [[1.0, 2.0], [2.0, 4.0]]).apply()
    assert half.weight.dtype == torch.bfloat16
    assert half.weight.tolist() == [[1.5, 3.0]]


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_damaged_weights_are_not_averaged(small, tmp_path, damage):
    average = passed_through(small, tmp_path / "averaged", [[1.0, 2.0], [3.0, 4.0]])
    path = tmp_path / "averaged" / "step-2.safetensors"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        other = torch.nn.Linear(3, 1)
        other.bias.requires_grad_(False)
        WeightAverage(other, tmp_path / "averaged", last=1, every=1).keep(2)
    with pytest.raises(DataError, match=r"the weights after step 2 in .* cannot be read"):
        average.apply()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"average_last": 2, "fsdp": True}, "average_last"),
        ({"average_last": 2, "deepspeed": {"zero_optimization": {"stage": 2}}}, "average_last"),
        ({"average_every": 1.5}, "average_every"),
        ({"average_every": 0.0}, "average_every"),
        ({"average_last": 0}, "average_last"),
        (
            {"average_last": 6, "average_every": 0.2, "budget": BudgetOptions(seconds=9.0)},
            "average_every",
        ),
        ({"average_last": 2, "average_every": 5, "budget": BudgetOptions(seconds=9.0)}, "average_every"),
    ],
)
def test_options_that_are_refused(options, problem):
    with pytest.raises(OptionError) as found:
        TrainingOptions(**options)
    assert found.value.name == problem


def steps_kept(average, shares, *, first=1):
    """Lets steps spend a budget; what is returned are the steps after which weights count."""
    average.share = iter(shares).__next__
    state = SimpleNamespace(global_step=first - 1, is_world_process_zero=True)
    average.on_train_begin(None, state, None)
    for _ in shares[1:]:
        state.global_step += 1
        average.on_step_end(None, state, None)
    return average.steps


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0, 0.5, 0.8, 0.85, 0.9, 0.95, 1.0], [2, 4, 6]),  # at 80, 90 and 100 %
        ([0, 0.79, 0.81, 0.92, 1.0], [2, 3, 4]),
        ([0, 0.7, 0.95, 1.0], [2, 3]),  # a step that passes two shares counts once
        ([0, 1.0], [1]),
    ],
)
def test_under_a_budget_weights_count_where_shares_are_passed(small, tmp_path, shares, expected):
    average = WeightAverage(small, tmp_path / "averaged", last=3, every=0.1, share=lambda: 0.0)
    assert steps_kept(average, shares) == expected
    names = sorted(path.name for path in (tmp_path / "averaged").iterdir())
    assert names == [f"step-{step}.safetensors" for step in expected]


def test_what_a_killed_try_kept_behind_its_checkpoint_does_not_count(small, tmp_path):
    """Under a budget of seconds the next try may pass a share in another step."""
    first = WeightAverage(small, tmp_path, last=3, every=0.1, share=lambda: 0.0)
    assert steps_kept(first, [0, 0.5, 0.82, 0.87, 0.93]) == [2, 4]
    again = WeightAverage(small, tmp_path, last=3, every=0.1, share=lambda: 0.0)
    assert steps_kept(again, [0.82, 0.91, 0.97, 1.0], first=3) == [2, 3, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{n}.safetensors" for n in (2, 3, 5)]


class _Killed(Exception):
    pass


def assert_same_training(found, whole, folder):
    """What a killed training ends with is what one ends with that was not killed, bit by bit."""
    assert {**found, "seconds": 0} == {**whole, "seconds": 0}
    expected = (folder / "whole" / "model" / "model.safetensors").read_bytes()
    assert (folder / "killed" / "model" / "model.safetensors").read_bytes() == expected


SETTINGS = {"max_steps": 9, "save_steps": 4, "learning_rate": 1e-3, "average_last": 3, "average_every": 2}


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_a_killed_run_ends_with_the_same_mean(student_dir, samples, tmp_path, lora):
    """Killed between weights that count (5, 7, 9), behind a checkpoint (4, 8) that holds one of them, or none."""
    common = {"student": student_dir, "samples": samples, "settings": {**SETTINGS, "lora": lora}}
    whole = train_by_name("base", out=tmp_path / "whole", **common)
    assert whole["averaged_steps"] == [5, 7, 9]
    assert not (tmp_path / "whole" / "checkpoints").exists()
    kept = {}
    for last in (6, 8):

        def kill(step, _, last=last):
            if step > last:
                raise _Killed

        with pytest.raises(_Killed):
            train_by_name("base", out=tmp_path / "killed", progress=kill, **common)
        for path in (tmp_path / "killed" / "checkpoints" / "averaged").iterdir():
            kept.setdefault(path.name, path.read_bytes())
    assert sorted(kept) == ["step-5.safetensors", "step-7.safetensors"]
    found = train_by_name("base", out=tmp_path / "killed", **common)
    assert_same_training(found, whole, tmp_path)


@pytest.mark.slow
def test_the_saved_student_is_the_mean(student_dir, samples, tmp_path, monkeypatch):
    """Beside the weights that trainings of the same steps have after each of them."""
    kept = {}
    write = WeightAverage.keep

    def keep(self, step):
        write(self, step)
        kept[step] = load_file(str(self.folder / f"step-{step}.safetensors"))

    monkeypatch.setattr(WeightAverage, "keep", keep)
    common = {"student": student_dir, "samples": samples}
    train_by_name("base", out=tmp_path / "mean", settings=SETTINGS, **common)
    last = train_by_name("base", out=tmp_path / "last", settings={**SETTINGS, "average_last": 1}, **common)
    assert "averaged_steps" not in last
    mean, end = (load_file(str(tmp_path / name / "model" / "model.safetensors")) for name in ("mean", "last"))
    assert sorted(kept) == [5, 7, 9]
    for name, weight in mean.items():
        expected = sum(weights[name].double() for weights in kept.values()) / 3
        torch.testing.assert_close(weight, expected.float(), atol=0, rtol=0)
        assert torch.equal(kept[9][name], end[name])
    assert json.loads((tmp_path / "mean" / "train.json").read_text())["averaged_steps"] == [5, 7, 9]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [0.7, 0.95])
def test_a_killed_run_ends_with_the_same_mean_under_a_budget(student_dir, samples, tmp_path, stop):
    """Shares of 80, 90 and 100 %; killed before the first of them, and between them behind a checkpoint."""
    settings = {
        "budget": BudgetOptions(base_epochs=2.0),
        "batch_size": 4,
        "save_steps": 3,
        "average_last": 3,
        "average_every": 0.1,
    }
    common = {"student": student_dir, "samples": samples, "settings": settings}
    whole = train_by_name("base", out=tmp_path / "whole", **common)
    spent = np.asarray(whole["loss_target_tokens"]) / whole["budget"]["limit"]
    assert whole["averaged_steps"] == [int(np.argmax(spent >= share)) + 1 for share in (0.8, 0.9, 1)]

    def kill(spent, limit):
        if spent >= stop * limit:
            raise _Killed

    with pytest.raises(_Killed):
        train_by_name("base", out=tmp_path / "killed", progress=kill, **common)
    found = train_by_name("base", out=tmp_path / "killed", **common)
    assert_same_training(found, whole, tmp_path)


@pytest.mark.slow
def test_fewer_weights_than_asked_for_are_said(student_dir, samples, tmp_path, capsys):
    settings = {"budget": BudgetOptions(target_tokens=400), "average_last": 5, "batch_size": 8}
    found = train_by_name("base", student=student_dir, samples=samples, out=tmp_path, settings=settings)
    n_kept = len(found["averaged_steps"])
    assert 1 <= n_kept < 5
    assert (
        f"the saved weights are the mean of {n_kept}, not 5: steps were so large" in capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_training_of_too_few_steps_says_so(student_dir, samples, tmp_path):
    settings = {**SETTINGS, "max_steps": 3}
    with pytest.raises(InvalidInputError, match="the training has 3; lower average_last"):
        train_by_name("base", student=student_dir, samples=samples, out=tmp_path, settings=settings)
