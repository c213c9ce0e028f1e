"""Tiny students and samples made in-process: no hub, no GPU."""

import pyarrow as pa
import pytest
import torch

from skipthink import tasks
from skipthink.encoding import encode_samples
from skipthink.markers import get_markers
from skipthink.students import make_student, save_student

N_CHUNKS = 3


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def samples() -> pa.Table:
    rows = tasks.make("multi_step_arithmetic", train=24, validation=4, test=4, seed=3)["train"]
    return pa.Table.from_pylist(rows).select(["id", "question", "rationale", "answer"])


@pytest.fixture(scope="session")
def student_and_tokenizer(samples):
    texts = [text for name in ("question", "rationale", "answer") for text in samples[name].to_pylist()]
    return make_student(
        texts,
        n_chunks=N_CHUNKS,
        seed=0,
        vocab_size=400,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        max_length_tokens=640,
    )


@pytest.fixture(scope="session")
def student_dir(student_and_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student") / "fresh"
    save_student(*student_and_tokenizer, folder)
    return folder


@pytest.fixture
def student(student_and_tokenizer):
    return student_and_tokenizer[0]


@pytest.fixture(scope="session")
def tokenizer(student_and_tokenizer):
    return student_and_tokenizer[1]


@pytest.fixture(scope="session")
def markers(tokenizer):
    return get_markers(tokenizer, N_CHUNKS)


@pytest.fixture(scope="session")
def encoded(tokenizer, markers, samples):
    return encode_samples(tokenizer, markers, samples)
