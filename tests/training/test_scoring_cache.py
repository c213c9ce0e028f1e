"""Scores on disk: killed, full, corrupted, changed."""

import copy
import os
import resource
import signal
import time

import numpy as np
import pyarrow as pa
import pytest
import torch

from skipthink.exceptions import DataError, RunError
from skipthink.scoring import score_steps
from skipthink.student.digest import model_digest
from skipthink.student.encoding import encode_samples
from skipthink.student.student import Student

N_SEQUENCES = 24


@pytest.fixture(scope="module")
def few(tokenizer, markers, samples):
    return encode_samples(tokenizer, markers, samples.slice(0, N_SEQUENCES // markers.n_chunks))


@pytest.fixture
def score(student, tokenizer, few, markers, tmp_path):
    """Scores into the cache, one file per batch."""

    def call(model=student, encoded=few, **options):
        options = {"cache": tmp_path / "scores", "write_seconds": 0, "batch_tokens": 600, **options}
        return score_steps(Student(model, tokenizer, markers), encoded, **options)

    return call


@pytest.fixture(scope="module")
def expected(student_and_tokenizer, few, markers):
    return score_steps(Student(*student_and_tokenizer, markers), few, batch_tokens=600)


def assert_same(found, expected):
    """Bit by bit."""
    np.testing.assert_array_equal(found.nll, expected.nll)
    np.testing.assert_array_equal(found.end_nll, expected.end_nll)
    np.testing.assert_array_equal(found.n_tokens, expected.n_tokens)


def counts(losses):
    return losses.report["scored"], losses.report["cached"]


def keys(folder):
    """The keys in all files of a cache."""
    found = []
    for path in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(path)) as source:
            found += pa.ipc.open_file(source).read_all()["key"].to_pylist()
    return found


def test_what_is_known_is_not_scored_again(score, expected):
    first, second = score(), score()
    assert (counts(first), counts(second)) == ((N_SEQUENCES, 0), (0, N_SEQUENCES))
    assert (first.report["passes"], second.report["passes"]) == (expected.report["passes"], 0)
    assert_same(first, expected)
    assert_same(second, expected)
    seen = []
    score(progress=lambda *done: seen.append(done))
    assert seen == [(first.report["tokens"], first.report["tokens"])]


def test_a_key_is_all_that_the_numbers_depend_on(score, student, few, markers, tokenizer, samples, tmp_path):
    score()
    assert counts(score(passes="free")) == (8, 0)
    assert counts(score(autocast="bfloat16")) == (N_SEQUENCES, 0)
    changed = copy.deepcopy(student)
    assert counts(score(model=changed)) == (0, N_SEQUENCES)
    with torch.no_grad():
        changed.get_output_embeddings().weight[-1, -1] += 1e-3
    assert counts(score(model=changed)) == (N_SEQUENCES, 0)
    rows = samples.slice(0, 8).to_pylist()
    rows[3]["rationale"] += " So that is it."
    other = encode_samples(tokenizer, markers, pa.Table.from_pylist(rows))
    assert counts(score(encoded=other)) == (markers.n_chunks, N_SEQUENCES - markers.n_chunks)
    split = encode_samples(tokenizer, markers, samples.slice(0, 8), rules=[","])
    n_other = sum(not np.array_equal(split.step_tokens[row], few.step_tokens[row]) for row in range(8))
    assert n_other
    assert counts(score(encoded=split)) == (n_other * markers.n_chunks, (8 - n_other) * markers.n_chunks)
    # another order of the samples: the same keys
    assert counts(score(encoded=encode_samples(tokenizer, markers, samples.slice(4, 4)))) == (0, 12)


def test_a_saved_student_has_the_digest_of_the_student(student, tmp_path):
    student.save_pretrained(tmp_path)
    again = type(student).from_pretrained(tmp_path, dtype=torch.float32)
    assert model_digest(again) == model_digest(student)
    again.config.rope_parameters = {"rope_type": "default", "rope_theta": 5000.0}
    assert model_digest(again) != model_digest(student)


def test_killed_at_ten_moments(score, expected, tmp_path, in_child):
    """Results are those of a scoring that nobody killed, and nothing stands in the cache twice."""
    random = np.random.default_rng(0)
    scored = 0
    for _ in range(10):
        seen = tmp_path / "seen"
        seen.unlink(missing_ok=True)

        def work(seen=seen):
            score(batch_tokens=200, progress=lambda *_: (seen.touch(), time.sleep(0.03)))

        child = in_child(work)
        while not seen.exists():
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.12))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it ended before it was killed"
        known = keys(tmp_path / "scores")
        assert len(known) == len(set(known)) >= scored
        scored = len(known)
    assert 0 < scored < N_SEQUENCES
    found = score(batch_tokens=200)
    assert counts(found) == (N_SEQUENCES - scored, scored)
    assert len(keys(tmp_path / "scores")) == len(set(keys(tmp_path / "scores"))) == N_SEQUENCES
    np.testing.assert_allclose(found.nll, expected.nll, rtol=1e-5)


def test_a_resumed_scoring_gives_the_same_bits(score, expected):
    class StoppedError(Exception):
        pass

    def stop(done, total):
        if done > total / 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        score(progress=stop, write_seconds=1000)  # what was scored is written on the way out
    found = score()
    assert 0 < found.report["cached"] < N_SEQUENCES
    assert_same(found, expected)


def test_a_full_disk(score, expected, tmp_path):
    """A write that fails half way: a clear error, no half file, and what was written before is kept."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(done, total):
        if done > total / 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))

    try:
        with pytest.raises(
            RunError, match=r"cannot write scores to .*File too large.* scores written before are kept"
        ):
            score(progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = keys(tmp_path / "scores")
    assert 0 < len(kept) < N_SEQUENCES
    assert [path.suffix for path in (tmp_path / "scores").iterdir()] == [".arrow"] * len(
        list((tmp_path / "scores").glob("*.arrow"))
    )
    found = score()
    assert found.report["cached"] == len(kept)
    assert_same(found, expected)


def flip(path):
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(first_nll(path)).tobytes())] ^= 1
    path.write_bytes(content)


def first_nll(path):
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()["nll"][0][0].as_py()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def rename(path):
    """The scores of another student under this student's name."""
    table = pa.table({"key": pa.array([b"0" * 16], pa.binary(16)), "nll": [[1.0]], "end_nll": [[1.0]]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("damage", [flip, truncate, empty, rename])
def test_a_corrupted_file(score, expected, tmp_path, damage):
    score()
    path = sorted((tmp_path / "scores").glob("*.arrow"))[0]
    before = len(keys(tmp_path / "scores"))
    damage(path)
    with pytest.warns(RuntimeWarning, match=r"is corrupted .* its sequences are scored again"):
        found = score()
    assert found.report["corrupted_files"] == 1
    assert 0 < found.report["scored"] < N_SEQUENCES
    assert_same(found, expected)
    assert len(keys(tmp_path / "scores")) == before
    assert score().report["cached"] == N_SEQUENCES


def test_a_folder_that_is_none(score, tmp_path):
    (tmp_path / "scores").write_text("a file")
    with pytest.raises(DataError, match=r"cannot use .*scores as score cache: .* name another folder"):
        score()
