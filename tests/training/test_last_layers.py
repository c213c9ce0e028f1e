"""Training of the upper layers alone, and the precision that a student is trained in."""

import json
import time

import pytest
import torch
from safetensors.torch import load_file
from training_calls import make_trainer, train_by_name

from skipthink.exceptions import InvalidInputError
from skipthink.options import OptionError
from skipthink.student import Student, devices
from skipthink.student.devices import gains_by_bf16
from skipthink.training import BudgetOptions, LoraOptions, make_arguments, precision
from skipthink.training.last_layers import find_layers, only_last_layers
from skipthink.training.options import TrainingOptions


def test_layers_and_what_stands_behind_them(student):
    layers, behind = find_layers(student)
    assert len(layers) == student.config.num_hidden_layers == 2
    names = {id(module): name for name, module in student.named_modules()}
    assert [names[id(module)] for module in layers] == ["model.layers.0", "model.layers.1"]
    assert "model.norm" in [names[id(module)] for module in behind]


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_are_those_of_the_whole_student_above_and_none_below(student, tied):
    """The upper layer and the norm get the gradients they always get; a tied head only those of its own products."""
    if not tied:
        student.config.tie_word_embeddings = False
        student.lm_head.weight = torch.nn.Parameter(student.lm_head.weight.detach().clone())
    ids = torch.arange(12).reshape(2, 6)
    student(input_ids=ids, labels=ids).loss.backward()
    whole = {name: weight.grad.clone() for name, weight in student.named_parameters()}
    student.zero_grad()
    with only_last_layers(student, 1):
        student(input_ids=ids, labels=ids).loss.backward()
        found = {name: weight.grad for name, weight in student.named_parameters()}
    trained = {name for name, gradient in found.items() if gradient is not None}
    assert all(name in trained for name in whole if "layers.1." in name or name == "model.norm.weight")
    assert not any("layers.0." in name for name in trained)
    for name in trained - {"model.embed_tokens.weight"}:
        torch.testing.assert_close(found[name], whole[name])
    assert ("model.embed_tokens.weight" in trained) == tied
    if tied:
        assert not torch.allclose(found["model.embed_tokens.weight"], whole["model.embed_tokens.weight"])
        student.lm_head.weight = torch.nn.Parameter(student.lm_head.weight.detach().clone())
        student.zero_grad()
        student(input_ids=ids, labels=ids).loss.backward()
        torch.testing.assert_close(found["model.embed_tokens.weight"], student.lm_head.weight.grad)
    assert all(weight.requires_grad for weight in student.parameters())


def test_nothing_is_recorded_below(student):
    """No graph is built for the lower layer: its forward pass keeps nothing for a backward pass."""
    seen = {}
    layers, _ = find_layers(student)
    for place, layer in enumerate(layers):
        layer.register_forward_hook(lambda _, __, output, place=place: seen.update({place: output}))
    with only_last_layers(student, 1):
        student(input_ids=torch.arange(6)[None])
    outputs = {place: output[0] if isinstance(output, tuple) else output for place, output in seen.items()}
    assert [outputs[place].requires_grad for place in (0, 1)] == [False, True]


@pytest.mark.slow
def test_a_training_changes_the_upper_layers_alone(student_dir, samples, tmp_path):
    settings = {
        "last_layers": 1,
        "budget": BudgetOptions(target_tokens=1500),
        "learning_rate": 1e-2,
        "save_steps": 2,
    }

    def train(out, **extras):
        return train_by_name(
            "base+ac", student=student_dir, samples=samples, out=out, n_chunks=3, settings=settings, **extras
        )

    def kill(done, total):
        if done > 900:
            raise KeyboardInterrupt

    summary = train(tmp_path / "whole")
    before, after = (
        load_file(student_dir / "model.safetensors"),
        load_file(tmp_path / "whole" / "model" / "model.safetensors"),
    )
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert any("layers.1." in name for name in changed)
    assert not any("layers.0." in name for name in changed)
    assert summary["trained_weights"] < Student.load(student_dir, n_chunks=3).model.num_parameters()
    assert json.loads((tmp_path / "whole" / "train.json").read_text())["precision"] == "float32"
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", progress=kill)
    train(tmp_path / "killed")  # goes on from a checkpoint with the moments of these layers alone
    again = load_file(tmp_path / "killed" / "model" / "model.safetensors")
    assert all(torch.equal(weight, again[name]) for name, weight in after.items())


@pytest.mark.slow
def test_the_optimiser_holds_moments_of_what_is_trained(whole, encoded, tmp_path):
    trainer = make_trainer("base", whole, encoded, tmp_path, max_steps=1, save_strategy="no")
    with only_last_layers(whole.model, 1):
        trainer.train_resumable()
        of_moments = sum(state["exp_avg"].numel() for state in trainer.optimizer.state.values())
        assert of_moments == whole.model.num_parameters(only_trainable=True)


def test_more_layers_than_there_are_is_refused(student):
    with (
        pytest.raises(
            InvalidInputError, match="last_layers is 2, but the student has 2 layers; leave it out"
        ),
        only_last_layers(student, 2),
    ):
        pass
    student.config.is_encoder_decoder = True
    with pytest.raises(InvalidInputError, match="needs a decoder-only student"), only_last_layers(student, 1):
        pass
    with pytest.raises(OptionError, match="last_layers is set beside lora"):
        TrainingOptions(last_layers=1, lora=LoraOptions())


def test_bf16_is_for_large_students_where_the_processor_has_it(tmp_path, monkeypatch):
    for has, n_weights, bf16, expected in (
        (True, 135_000_000, "auto", True),
        (True, 1_300_000, "auto", False),
        (False, 135_000_000, "auto", False),
        (False, 1_300_000, True, True),
        (True, 135_000_000, False, False),
    ):
        monkeypatch.setattr(precision, "gains_by_bf16", lambda device, has=has: has)
        options = TrainingOptions(bf16=bf16)
        assert make_arguments(options, tmp_path, seed=0, n_weights=n_weights, use_cpu=True).bf16 is expected
    assert TrainingOptions(fp16=True).bf16 == "auto"
    with pytest.raises(OptionError, match="bf16 is set beside fp16"):
        TrainingOptions(bf16=True, fp16=True)


def test_whether_a_processor_gains_by_bf16_is_measured_where_it_has_it(monkeypatch):
    for found, gain, expected in (
        ({"avx512_bf16": True}, 2.0, True),
        ({"avx512_bf16": True}, 0.5, False),
        ({"amx_bf16": True}, 8.0, True),
        ({"avx2": True}, 2.0, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found, raising=False)
        monkeypatch.setattr(devices, "_bf16_gain", lambda gain=gain: gain)
        assert gains_by_bf16(torch.device("cpu")) is expected
    assert not gains_by_bf16(torch.device("meta"))


def test_the_gain_by_bf16_is_that_of_products_timed_here():
    def seconds(dtype):
        rows, weights = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
        best = float("inf")
        for _ in range(10):
            started = time.perf_counter()
            rows @ weights
            best = min(best, time.perf_counter() - started)
        return best

    found = devices._bf16_gain()
    expected = seconds(torch.float32) / seconds(torch.bfloat16)
    assert expected / 3 < found < expected * 3  # other work may be beside it
