"""Mixed precision, activation checkpointing, and what goes to `transformers.TrainingArguments` as it stands."""

import importlib.util
import json

import pytest
import torch
from kept import trains
from safetensors.torch import load_file
from training_calls import train_by_name
from transformers import TrainerCallback

from skipthink.exceptions import InvalidInputError, RecipeError
from skipthink.run.recipe import parse_recipe

SETTINGS = {
    "batch_size": 8,
    "max_steps": 6,
    "save_steps": 100,
    "logging_steps": 1,
}


def train(student_dir, samples, out, **changes):
    summary = train_by_name(
        "base+sbc", student=student_dir, samples=samples, out=out, n_chunks=3, seed=5,
        settings={**SETTINGS, **changes},
    )  # fmt: skip
    return summary, load_file(out / "model" / "model.safetensors")


@pytest.fixture(scope="module")
@trains
def plain(kept, student_dir, samples, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain")
    summary = kept.fill(
        out, train_by_name, name="base+sbc", student=student_dir, samples=samples, n_chunks=3, seed=5,
        settings=SETTINGS,
    )  # fmt: skip
    return summary, load_file(out / "model" / "model.safetensors")


def test_bf16_trains_float32_weights_near_the_same_losses(plain, student_dir, samples, tmp_path):
    summary, weights = train(student_dir, samples, tmp_path, bf16=True)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert summary["loss"] != plain[0]["loss"]
    assert summary["loss"] == pytest.approx(plain[0]["loss"], rel=2e-3)


def test_activation_checkpointing_changes_nothing(plain, student_dir, samples, tmp_path):
    summary, weights = train(student_dir, samples, tmp_path, activation_checkpointing=True)
    assert summary["loss"] == pytest.approx(plain[0]["loss"], rel=1e-6)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, plain[1][name], atol=1e-6, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_fp16_trains_on_a_gpu(plain, student_dir, samples, tmp_path):
    summary, weights = train(student_dir, samples, tmp_path, fp16=True, use_cpu=False)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert summary["loss"] == pytest.approx(plain[0]["loss"], rel=2e-2)


@pytest.mark.slow
def test_steps_are_reported_to_tensorboard(student_dir, samples, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(student_dir, samples, tmp_path, report_to=["tensorboard"])
    (folder,) = {path.parent for path in (tmp_path / "tensorboard").rglob("events.*")}
    events = EventAccumulator(str(folder)).Reload()
    assert [event.value for event in events.Scalars("train/batch_items")] == [8.0] * 6
    assert len(events.Scalars("train/batch_target_tokens")) == 6
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for name in ("loss", "learning_rate", "grad_norm"):
        logged = [entry[name] for entry in log if name in entry]
        assert [event.value for event in events.Scalars(f"train/{name}")] == pytest.approx(logged)


class _Tracker(TrainerCallback):
    """Keeps what a tracker is told."""

    def __init__(self):
        self.told = []

    def on_log(self, args, state, control, logs=None, **_):
        self.told.append((state.global_step, dict(logs)))


@pytest.mark.slow
def test_trackers_are_told_what_the_log_says(student_dir, samples, tmp_path, monkeypatch):
    """Weights & Biases, trackio and the others are callbacks that `report_to` names."""
    tracker = _Tracker()
    monkeypatch.setattr("transformers.trainer.get_reporting_integration_callbacks", lambda names: [tracker])
    train(student_dir, samples, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [step for step, _ in tracker.told] == [entry["step"] for entry in log]
    for (_, told), entry in zip(tracker.told, log, strict=True):
        assert told == {name: value for name, value in entry.items() if name != "step"}


RECIPE = """
name: wide
answer: number
chunks: {M: 2, method: greedy}
training:
  fp16: true
  activation_checkpointing: true
  loss_norm: item
  long_items: drop
  report_to: [wandb, trackio]
  fsdp: true
  fsdp_config: {fsdp_version: 2, transformer_layer_cls_to_wrap: [LlamaDecoderLayer]}
  methods:
    base: {fsdp: false, fsdp_config: null, deepspeed: {zero_optimization: {stage: 2}}}
    answer-only: {fsdp: false, fsdp_config: null, lora: {rank: 4, target_modules: [q_proj, v_proj]}}
"""


def test_recipes_pass_arguments_through():
    recipe = parse_recipe(RECIPE, name="wide.yaml")

    def options_of(name):
        return recipe.options_of(recipe.method(name))

    options = options_of("base+sbc")
    assert options.fsdp is True
    assert options.fsdp_config == {"fsdp_version": 2, "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]}
    assert options.report_to == ("wandb", "trackio")
    assert (options.fp16, options.activation_checkpointing) == (True, True)
    assert (options.loss_norm, options.long_items) == ("item", "drop")
    assert options.lora is None
    assert options_of("base").deepspeed == {"zero_optimization": {"stage": 2}}
    lora = options_of("answer-only").lora
    assert (lora.rank, lora.alpha, lora.target_modules) == (4, 32.0, ("q_proj", "v_proj"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("{bf16: true, fp16: true}", "training.bf16 is set beside fp16"),
        ("{fsdp: true, deepspeed: {}}", "training.fsdp is set beside deepspeed"),
        ("{fsdp_config: {}}", "training.fsdp_config is set, which needs fsdp: true"),
        ("{fsdp: true, lora: {rank: 8}}", "training.lora is set beside sharding"),
        ("{lora: {ranks: 8}}", "did you mean training.lora.rank"),
    ],
)
def test_what_does_not_fit_together_is_refused(lines, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(
            f"name: a\nanswer: number\nchunks: {{M: 2, method: greedy}}\ntraining: {lines}\n", name="a.yaml"
        )


@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is not None, reason="deepspeed is installed")
def test_a_missing_package_is_named(student_dir, samples, tmp_path):
    with pytest.raises(InvalidInputError, match=r"needs a package: .*[Dd]eep[Ss]peed"):
        train(student_dir, samples, tmp_path, deepspeed={"zero_optimization": {"stage": 2}})
