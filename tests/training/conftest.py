"""Tiny students and samples made in-process: no hub, no GPU."""

import copy
import os
import sys
import threading
import traceback
import warnings

import pyarrow as pa
import pytest
import torch
import tqdm
from kept import trains
from training_calls import PARROT_RATIONALE, parrot_samples, train_parrot

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
        # the lock of the bars is shared with the parent, and one killed while it holds it would never give it back
        tqdm.tqdm.set_lock(threading.RLock())
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
@trains
def parrot(parrots, tmp_path_factory):
    """A student that learned six short samples by heart, each chunk also without the others: (folder, samples)."""
    return parrots(tmp_path_factory.mktemp("parrot"), epochs=80, chunk_dropout=0.2)


@pytest.fixture(scope="session")
@trains
def wavering(parrots, tmp_path_factory):
    """A student that gets some of them right, and some chunks it needs, others not: (folder, samples)."""
    return parrots(tmp_path_factory.mktemp("wavering"), epochs=55)


@pytest.fixture(scope="session")
@trains
def parrots(kept):
    """Fills a folder with a parrot of one's own; gives the folder and the six samples."""

    def train(out, method="base+sbc", *, rationale=PARROT_RATIONALE, **options):
        kept.fill(out, train_parrot, method=method, rationale=rationale, **options)
        return out, parrot_samples(rationale)

    return train
