"""What differs on a GPU: host and device run side by side, memory ends sooner, several processes share the device.

What can be seen without one is tested without one; the rest is marked `gpu` and skips itself.
"""

import copy
import json
import os
import subprocess
import sys
import traceback

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from training_calls import make_trainer as make_any_trainer
from training_calls import train_by_name

from skipthink.exceptions import InvalidInputError, RunError
from skipthink.run import process
from skipthink.run.children import PRELOADED
from skipthink.run.folder import RunFolder
from skipthink.student import Student, devices
from skipthink.student.generation import generate
from skipthink.student.inference import stage_prompt
from skipthink.student.models import make_student
from skipthink.student.score import score_sequences
from skipthink.training.loss import TargetHead

GIB = 2**30
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def make_trainer(student, encoded, markers, out, **changes):
    settings = {
        "batch_size": 8, "gradient_accumulation_steps": 2, "max_steps": 3, "learning_rate": 1e-3, "max_grad_norm": 0.0,
        "save_strategy": "no", "logging_steps": 1,
    }  # fmt: skip
    student = Student(copy.deepcopy(student), None, markers)
    return make_any_trainer("base+ac", student, encoded, out, **{**settings, **changes})


def losses_of(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def assert_same_training(found, expected):
    """The same steps up to the order of additions."""
    assert losses_of(found) == pytest.approx(losses_of(expected), rel=1e-4)
    for name, tensor in expected.model.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name], tensor, atol=2e-4, rtol=1e-3)


def run_out_of_memory(monkeypatch, model, most_rows):
    """Lets forward passes of more rows than that run out of memory; gives the rows of all tries."""
    original, tries = model.forward, []

    def forward(input_ids, **inputs):
        tries.append(len(input_ids))
        if len(input_ids) > most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return original(input_ids=input_ids, **inputs)

    monkeypatch.setattr(model, "forward", forward)
    return tries


@pytest.mark.slow
def test_training_goes_on_in_halves_where_memory_runs_out(
    student, encoded, markers, tmp_path, monkeypatch, capsys
):
    expected = make_trainer(student, encoded, markers, tmp_path / "whole")
    expected.train_resumable()
    found = make_trainer(student, encoded, markers, tmp_path / "halves")
    tries = run_out_of_memory(monkeypatch, found.model, 3)
    found.train_resumable()
    assert tries[:6] == [8, 4, 2, 2, 2, 2], "what was too many is not tried again"
    assert max(tries[2:]) == 2
    assert found.report["halved_batches"] == 2
    assert "out of memory: at most 2 items at once from here on" in capsys.readouterr().err
    assert_same_training(found, expected)


@pytest.mark.slow
def test_a_backward_pass_that_runs_out_of_memory_leaves_nothing_behind(
    student, encoded, markers, tmp_path, monkeypatch
):
    """The second micro-batch of a step fails when some gradients are there already: the step begins anew."""
    expected = make_trainer(student, encoded, markers, tmp_path / "whole")
    expected.train_resumable()
    found = make_trainer(student, encoded, markers, tmp_path / "halves")
    passes = []

    def fail_in_the_fourth(gradient):
        passes.append(gradient)
        if len(passes) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    # of the first layer: those behind it have their gradients by then
    found.model.model.layers[0].mlp.down_proj.weight.register_hook(fail_in_the_fourth)
    found.train_resumable()
    assert found.report["halved_batches"] == 1
    assert found.halving.most_items == 4
    assert_same_training(found, expected)


@pytest.mark.slow
def test_training_says_which_item_memory_runs_out_on(student, encoded, markers, tmp_path, monkeypatch):
    trainer = make_trainer(student, encoded, markers, tmp_path)
    run_out_of_memory(monkeypatch, trainer.model, 0)
    with pytest.raises(
        RunError, match=r"out of memory on a single item, in a batch \d+ tokens wide; drop long samples"
    ):
        trainer.train_resumable()


@pytest.mark.slow
def test_other_errors_of_training_are_not_hidden(student, encoded, markers, tmp_path, monkeypatch):
    trainer = make_trainer(student, encoded, markers, tmp_path)

    def broken(**_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(trainer.model, "forward", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trainer.train_resumable()


@pytest.mark.slow
def test_training_that_diverges_ends(student, encoded, markers, tmp_path):
    """`transformers` would put the mean of earlier losses in the place of one that is no number."""
    trainer = make_trainer(
        student, encoded, markers, tmp_path, learning_rate=1e30, max_steps=6, warmup_steps=0
    )
    with pytest.raises(
        InvalidInputError, match=r"the loss is (nan|inf) by step \d: training has diverged; lower"
    ):
        trainer.train_resumable()


class Waits(TorchDispatchMode):
    """Notes where the host needs a value from the device: there it waits for all that the device was given."""

    NEEDS_VALUE = (
        torch.ops.aten._local_scalar_dense.default,
        torch.ops.aten.nonzero.default,
        torch.ops.aten.masked_select.default,
        torch.ops.aten.equal.default,
    )

    def __init__(self):
        super().__init__()
        self.places = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in self.NEEDS_VALUE:
            frames = [frame for frame in traceback.extract_stack() if "site-packages" in frame.filename]
            ours = [frame for frame in frames if "/torch/" not in frame.filename]
            self.places.append(f"{ours[-1].filename.split('site-packages/')[1]}:{ours[-1].lineno}")
        return func(*args, **kwargs or {})


@pytest.mark.slow
def test_a_training_step_waits_for_nothing(student, encoded, markers, tmp_path, monkeypatch):
    """Between two logs, apart from what the model's own code asks for (its attention looks at the mask)."""
    trainer = make_trainer(student, encoded, markers, tmp_path, logging_strategy="no", max_grad_norm=1.0)
    waits, step = Waits(), trainer.training_step

    def watched(*arguments):
        with waits:
            return step(*arguments)

    monkeypatch.setattr(trainer, "training_step", watched)
    trainer.train_resumable()
    assert trainer.state.global_step == 3
    assert [place for place in waits.places if place.startswith("skipthink/")] == []
    assert trainer.args.logging_nan_inf_filter is False


def test_rounding_by_the_number_of_rows_does_not_cost_the_target_head(student, monkeypatch):
    """A GPU multiplies few rows in another order than many."""
    head = student.get_output_embeddings()
    multiply = head.forward

    def rounded(states):
        logits = multiply(states)
        return logits + 0.01 * logits.std() * (states.shape[:-1].numel() % 3)

    monkeypatch.setattr(head, "forward", rounded)
    assert TargetHead(student).picks


def test_a_head_that_sees_its_positions_gets_all_of_them(student, monkeypatch):
    head = student.get_output_embeddings()
    multiply = head.forward

    def shifted(states):
        logits = multiply(states)
        return logits + logits.std() * (states.shape[-2] - 2)

    monkeypatch.setattr(head, "forward", shifted)
    assert not TargetHead(student).picks


def test_what_stages_share_does_not_start_cuda_before_the_fork():
    """A process that has started CUDA cannot fork one that uses it."""
    code = f"""
import importlib, torch

def started(*arguments):
    raise SystemExit("CUDA was started before the fork")

torch.cuda._device_count_nvml = lambda: 1  # a GPU, which the driver's library tells of without starting CUDA
torch.cuda._lazy_init = torch._C._cuda_init = torch._C._cuda_getDeviceCount = started
for name in {PRELOADED!r}:
    importlib.import_module(name)
from skipthink.student.devices import uses_accelerator
assert uses_accelerator()
assert not torch.cuda.is_initialized()
"""
    environment = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
    environment.pop(devices.DEVICE_VARIABLE, None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has …"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_job_without_memory_says_what_to_do(error, tmp_path, monkeypatch, capsys):
    def graph(self):
        raise error

    monkeypatch.setattr(RunFolder, "graph", graph)
    monkeypatch.delenv("SKIPTHINK_DEBUG", raising=False)
    assert process.work(tmp_path, "train/base/s0", 1) == process.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert "out of memory: " in line
    assert "lower batch_size (of training, skip or evaluation), workers" in line


def test_other_errors_are_not_taken_for_memory():
    assert devices.describe_full_memory(RuntimeError("mat1 and mat2 shapes")) is None
    assert devices.describe_full_memory(MemoryError()) is None


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)
    return devices.choose_device()


@pytest.fixture
def little_memory(gpu):
    """Leaves this process a GiB more than it holds."""
    torch.cuda.empty_cache()
    index = torch.cuda.current_device()  # a fraction wants the number of the device
    total = torch.cuda.get_device_properties(index).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(index) + GIB) / total, index)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, index)
    torch.cuda.empty_cache()


@pytest.fixture(scope="module")
def wide(samples):
    """A student wide enough to fill a GiB."""
    texts = [text for name in ("question", "rationale", "answer") for text in samples[name].to_pylist()]
    sizes = {
        "vocab_size": 400,
        "hidden_size": 512,
        "num_layers": 6,
        "num_heads": 8,
        "max_length_tokens": 1024,
    }
    model, tokenizer = make_student(texts, n_chunks=3, seed=0, **sizes)
    student = Student.of(model, tokenizer, n_chunks=3)
    return model, student.markers, student.encode(samples)


@pytest.mark.gpu
@needs_gpu
def test_scores_are_those_of_the_cpu(wide, gpu):
    model, markers, encoded = copy.deepcopy(wide[0]), *wide[1:]
    expected = score_sequences(model, encoded, markers)
    model.to(gpu)
    for batch_tokens in (512, 65_536):
        found = score_sequences(model, encoded, markers, batch_tokens=batch_tokens)
        np.testing.assert_allclose(found.nll, expected.nll, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.end_nll, expected.end_nll, rtol=1e-3, atol=1e-3)
    rough = score_sequences(model, encoded, markers, autocast="bfloat16")
    np.testing.assert_allclose(rough.nll, expected.nll, rtol=0.03, atol=0.1)


@pytest.mark.slow
@pytest.mark.gpu
@needs_gpu
def test_bf16_trains_as_on_the_cpu(student_dir, samples, tmp_path, gpu):
    losses = {}
    for place in ("cpu", "cuda"):
        settings = {
            "max_steps": 6,
            "save_strategy": "no",
            "logging_steps": 1,
            "bf16": True,
            "use_cpu": place == "cpu",
        }
        summary = train_by_name(
            "base+ac", student=student_dir, samples=samples, out=tmp_path / place, settings=settings
        )
        losses[place] = summary["loss"]
        weights = load_file(tmp_path / place / "model" / "model.safetensors")
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=2e-2)


@pytest.mark.gpu
@needs_gpu
def test_generation_is_that_of_the_cpu_until_logits_are_close(wide, gpu):
    model, markers, encoded = copy.deepcopy(wide[0]), *wide[1:]
    prompts = [stage_prompt(markers, 1, encoded.question[row]) for row in range(8)]
    expected = generate(model, markers, prompts, max_new_tokens=4)
    found = generate(model.to(gpu), markers, prompts, max_new_tokens=4)
    same = [a.tokens.tolist() == b.tokens.tolist() for a, b in zip(found, expected, strict=True)]
    assert sum(same) >= 6, "rounding may turn a close choice, not most of them"


@pytest.mark.gpu
@needs_gpu
def test_generation_in_little_memory(wide, gpu, little_memory):
    model, markers, encoded = copy.deepcopy(wide[0]).to(gpu), *wide[1:]
    prompts = [stage_prompt(markers, 1, encoded.question[row % len(encoded)]) for row in range(4096)]
    batches = []
    found = generate(
        model,
        markers,
        prompts,
        max_new_tokens=2,
        batch_size=4096,
        progress=lambda *done: batches.append(done),
    )
    assert len(batches) > 1, "4096 prompts do not fit into a GiB"
    assert batches[-1] == (4096, 4096)
    assert {len(row.tokens) + row.ended for row in found} <= {1, 2}


@pytest.mark.slow
@pytest.mark.gpu
@needs_gpu
def test_training_in_little_memory(wide, gpu, little_memory, tmp_path):
    """Memory truly runs out, in the forward or the backward pass, and the run goes on."""
    model, markers, encoded = wide
    trainer = make_trainer(
        model, encoded, markers, tmp_path, use_cpu=False, batch_size=96,
        gradient_accumulation_steps=1, max_steps=2,
    )  # fmt: skip
    trainer.train_resumable()
    assert trainer.report["halved_batches"] >= 1
    assert trainer.halving.most_items < 96
    assert np.isfinite(losses_of(trainer)).all()


RECIPE = """
name: shared
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 24, validation: 4, test: 6}
student: {vocab_size: 400, hidden_size: 32, num_layers: 2, num_heads: 2, max_length_tokens: 640}
chunks: {M: 3, method: greedy}
training: {max_steps: 4, batch_size: 8, bf16: true, skip_weight: null, thought: per-chunk}
skip: {gate: answer, batch_size: 16}
evaluation: {alone_questions: 1, stage_questions: 0}
methods: [answer-only, base, base+sbc, stt]
workers: 3
threads: 1
"""


@pytest.mark.slow
@pytest.mark.gpu
@needs_gpu
def test_workers_share_a_device(gpu, tmp_path):
    """A whole run: stages are forked from a process that has loaded torch, and use the GPU side by side."""
    (tmp_path / "shared.yaml").write_text(RECIPE)
    command = [
        sys.executable,
        "-m",
        "skipthink",
        "run",
        str(tmp_path / "shared.yaml"),
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    parts = [json.loads(path.read_text()) for path in (tmp_path / "run" / "evaluate").glob("*/s0/done.json")]
    assert len(parts) == 4
    assert all(part["result"]["device"].startswith("cuda (") for part in parts)
