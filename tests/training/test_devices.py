"""Where students run: the choice of a device, inputs that follow the student, the clock of a device."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from training_calls import evaluate_folder, skip_folders, train_by_name

from skipthink.evaluation import measure as evaluation
from skipthink.exceptions import InvalidInputError
from skipthink.student import Student, devices
from skipthink.student import student as student_module
from skipthink.student.encoding import encode_samples
from skipthink.student.generation import generate
from skipthink.student.kv_cache import KvCache
from skipthink.student.markers import get_markers
from skipthink.student.models import load_student
from skipthink.student.prompts import Prompt
from skipthink.student.score import score_sequences
from skipthink.student.sequences import SequenceSet, make_batch
from skipthink.training import TrainingOptions, make_arguments
from skipthink.training import arguments as arguments_module

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def accelerator(monkeypatch):
    """A machine with a GPU, as far as torch says."""
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, "cuda"), ("", "cuda"), ("auto", "cuda"), ("cpu", "cpu")]
)
def test_the_environment_may_hold_students_to_the_cpu(accelerator, monkeypatch, wanted, found):
    if wanted is not None:
        monkeypatch.setenv(devices.DEVICE_VARIABLE, wanted)
    assert devices.choose_device() == torch.device(found)
    assert devices.uses_accelerator() is (found == "cuda")
    assert devices.choose_device("cuda:1") == torch.device("cuda", 1)


def test_training_is_held_to_the_cpu_too(accelerator, monkeypatch, tmp_path):
    monkeypatch.setenv(devices.DEVICE_VARIABLE, "cpu")
    config = make_arguments(TrainingOptions(), tmp_path, seed=0)
    assert config.use_cpu
    assert config.device == torch.device("cpu")


def test_without_an_accelerator_students_run_on_the_cpu(monkeypatch):
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert devices.choose_device() == torch.device("cpu")
    assert devices.describe_device(torch.device("cpu")) == "cpu"


@pytest.fixture
def with_cudnn():
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield
    torch.backends.cuda.enable_cudnn_sdp(before)


def test_a_gpu_takes_attention_that_needs_no_plan_for_a_shape(with_cudnn):
    devices.avoid_attention_plans(torch.device("cpu"))
    assert torch.backends.cuda.cudnn_sdp_enabled()
    devices.avoid_attention_plans(torch.device("cuda", 1))
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_students_and_trainings_choose_attention_by_their_device(
    student_dir, with_cudnn, monkeypatch, tmp_path
):
    chosen = []
    for module in (student_module, arguments_module):
        monkeypatch.setattr(module, "avoid_attention_plans", chosen.append)
    Student.load(student_dir, device="cpu")
    make_arguments(TrainingOptions(), tmp_path, seed=0, use_cpu=True)
    assert chosen == [torch.device("cpu")] * 2


def test_wrong_names_are_refused(monkeypatch):
    with pytest.raises(InvalidInputError, match=r"device must be cpu, cuda, .*got 'fast'"):
        devices.choose_device("fast")
    monkeypatch.setenv(devices.DEVICE_VARIABLE, "gpu0")
    with pytest.raises(InvalidInputError, match=r"SKIPTHINK_DEVICE must be .*got 'gpu0'"):
        devices.choose_device()


def test_several_devices_in_one_process_are_refused():
    devices.check_one_device(0)
    devices.check_one_device(1)
    with pytest.raises(InvalidInputError, match=r"2 devices in one process: .*--nproc_per_node 2"):
        devices.check_one_device(2)


class Called(Exception):
    """Ends a forward pass as soon as its inputs are known."""


def devices_seen(model, act):
    """The devices of all tensors a model is first called with; nothing is computed on the meta device."""
    found = {}

    def note(module, args, inputs):
        del module, args
        found.update({name: value.device.type for name, value in inputs.items() if torch.is_tensor(value)})
        raise Called

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with pytest.raises(Called):
            act()
    finally:
        handle.remove()
    return found


def test_inputs_are_made_where_the_student_is(student, markers, encoded):
    """The meta device stands for a GPU: a tensor left on the CPU shows."""
    model = student.to("meta")
    kept = KvCache(model, 2)
    seen = devices_seen(model, lambda: kept.read([[5, 6, 7], [5]]))
    assert set(seen) >= {"input_ids", "attention_mask", "position_ids"}
    assert set(seen.values()) == {"meta"}
    sequences = SequenceSet(encoded, markers, model, conditioned=True)
    batch = make_batch([sequences[0], sequences[1]], markers, model.device)
    tensors = [*batch.inputs.values(), batch.rows, batch.columns, batch.targets]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_generation_hands_inputs_over_where_the_student_is(student, markers, monkeypatch):
    model, found = student.to("meta"), {}

    def note(**inputs):
        found.update(inputs)
        raise Called

    monkeypatch.setattr(model, "generate", note)
    with pytest.raises(Called):
        generate(model, markers, [Prompt(np.arange(4)), Prompt(np.arange(3))], max_new_tokens=2)
    assert {found[name].device.type for name in ("input_ids", "attention_mask")} == {"meta"}


def test_the_clock_is_read_when_the_device_is_idle(parrot, tmp_path, monkeypatch):
    """Waiting and reading take turns, and each time something is answered before the clock starts."""
    out, samples = parrot
    events = []
    answer, clock = evaluation.answer_questions, evaluation.time.perf_counter

    def note_answer(model, markers, questions, **options):
        events.append(f"answer {len(questions)}")
        return answer(model, markers, questions, **options)

    def note_clock():
        events.append("clock")
        return clock()

    monkeypatch.setattr(evaluation, "answer_questions", note_answer)
    monkeypatch.setattr(evaluation, "synchronize", lambda device: events.append(f"wait {device.type}"))
    monkeypatch.setattr(evaluation.time, "perf_counter", note_clock)
    monkeypatch.setenv(devices.DEVICE_VARIABLE, "cpu")
    result = evaluate_folder(
        model_dir=out / "model", samples=samples, mode="full", n_chunks=3, answer_kind="number", out=tmp_path,
        settings={"alone_questions": 2, "stage_questions": 0},
    )  # fmt: skip
    read = ["wait cpu", "clock"]
    assert events == [
        "answer 2", *read, "answer 6", *read,
        "answer 1", *read, "answer 1", "answer 1", *read,
    ]  # fmt: skip
    assert result["device"] == "cpu"


@pytest.mark.slow
@pytest.mark.gpu
@needs_gpu
def test_a_small_pipeline_on_a_gpu(student_dir, samples, tmp_path, monkeypatch):
    """Scoring, a training step in bf16, judge and evaluation, each where the GPU is."""
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)
    device = devices.choose_device()
    assert device.type == "cuda"
    model, tokenizer = load_student(student_dir)
    markers = get_markers(tokenizer, 3)
    encoded = encode_samples(tokenizer, markers, samples)
    on_cpu = score_sequences(model, encoded, markers)
    on_gpu = score_sequences(model.to(device), encoded, markers)
    np.testing.assert_allclose(on_gpu.nll, on_cpu.nll, rtol=1e-3, atol=1e-3)
    out = tmp_path / "train"
    train_by_name(
        "base+sbc", student=student_dir, samples=samples, out=out, n_chunks=3, seed=0,
        settings={"batch_size": 8, "max_steps": 1, "save_strategy": "no", "bf16": True, "use_cpu": False},
    )  # fmt: skip
    import pyarrow.parquet as pq

    boundaries = np.asarray(pq.read_table(out / "chunks.parquet")["boundaries"].to_pylist(), dtype=np.int64)
    for temperature in (0.0, 1.0):
        found = skip_folders(
            judges=[out / "model"], samples=samples, boundaries=boundaries, out=tmp_path / f"skip{temperature}",
            n_chunks=3, answer_kind="number", settings={"temperature": temperature}, seed=0,
        )  # fmt: skip
        assert found
    result = evaluate_folder(
        model_dir=out / "model", samples=samples.slice(0, 4), mode="full", n_chunks=3, answer_kind="number",
        out=tmp_path / "evaluation", settings={"alone_questions": 2, "stage_questions": 2},
    )  # fmt: skip
    assert result["device"].startswith("cuda (")
    assert result["n"] == 4
    assert isinstance(pq.read_table(tmp_path / "evaluation" / "predictions.parquet"), pa.Table)
