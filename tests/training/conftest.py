"""Tiny students and samples made in-process: no hub, no GPU."""

import copy
import os
import sys
import traceback
import warnings

import pyarrow as pa
import pytest
import torch
from training_calls import train_by_name

from skipthink import tasks
from skipthink.student.encoding import encode_samples
from skipthink.student.markers import get_markers
from skipthink.student.models import make_student, save_student
from skipthink.student.student import Student

N_CHUNKS = 3


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def in_child():
    """Forks a child that works and exits with what the work returns; gives the child's id."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        pytest.skip("forks beside torch")

    def start(work):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # a fork beside the threads of the test runner
            child = os.fork()
        if child:
            return child
        code = 70
        try:
            code = work() or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    return start


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
    """A copy of its own for each test: what trains a student may leave marks on it."""
    return copy.deepcopy(student_and_tokenizer[0])


@pytest.fixture(scope="session")
def tokenizer(student_and_tokenizer):
    return student_and_tokenizer[1]


@pytest.fixture(scope="session")
def markers(tokenizer):
    return get_markers(tokenizer, N_CHUNKS)


@pytest.fixture
def whole(student, tokenizer, markers):
    """The student of `student` as one object."""
    return Student(student, tokenizer, markers)


@pytest.fixture(scope="session")
def encoded(tokenizer, markers, samples):
    return encode_samples(tokenizer, markers, samples)


@pytest.fixture(scope="session")
def parrot(tmp_path_factory):
    """A student that learned six short samples by heart, each chunk also without the others: (folder, samples)."""
    return train_parrot(tmp_path_factory.mktemp("parrot"), epochs=80, chunk_dropout=0.2)


@pytest.fixture(scope="session")
def wavering(tmp_path_factory):
    """A student that gets some of them right, and some chunks it needs, others not: (folder, samples)."""
    return train_parrot(tmp_path_factory.mktemp("wavering"), epochs=55)


@pytest.fixture(scope="session")
def parrots():
    """`train_parrot`, for a parrot of one's own."""
    return train_parrot


def train_parrot(
    out,
    method="base+sbc",
    *,
    rationale="We add. {k} + 1 = {total}. Done.",
    n_known=6,
    n_chunks=3,
    max_length_tokens=160,
    **settings,
):
    """Trains a student on the first `n_known` of six short samples; gives its folder and all six."""
    rows = [
        {
            "id": f"r{k}",
            "question": f"What is {k} and 1?",
            "rationale": rationale.format(k=k, total=k + 1),
            "answer": str(k + 1),
        }
        for k in range(6)
    ]
    samples = pa.Table.from_pylist(rows)
    texts = [str(value) for row in rows for value in row.values()]
    sizes = {"hidden_size": 48, "num_layers": 2, "num_heads": 2, "max_length_tokens": max_length_tokens}
    save_student(*make_student(texts, n_chunks=n_chunks, seed=0, vocab_size=300, **sizes), out / "fresh")
    common = {
        "batch_size": 8, "learning_rate": 4e-3, "save_strategy": "no", "eta": 0.0
    }  # fmt: skip
    train_by_name(method, student=out / "fresh", samples=samples[:n_known], out=out, n_chunks=n_chunks,
                  seed=0, settings={**common, **settings})  # fmt: skip
    return out, samples
