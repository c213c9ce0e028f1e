"""Scoring within training: a search that is stopped goes on, and its scores go when they are of no more use."""

import pyarrow.parquet as pq
import pytest
from training_calls import train_by_name

from skipthink.student.forward import NllHead

SETTINGS = {"epochs": 1, "batch_size": 32, "search": "optimal",
            "score_batch_tokens": 1500, "save_strategy": "no"}  # fmt: skip


@pytest.fixture
def passes(monkeypatch):
    """Sequences of each forward pass of scoring, and a way to stop at one of them."""
    seen, stop = [], []
    call = NllHead.__call__

    def watched(head, batch):
        if len(seen) in stop:
            raise KeyboardInterrupt
        seen.append(len(batch.counts))
        return call(head, batch)

    monkeypatch.setattr(NllHead, "__call__", watched)
    return seen, stop


@pytest.mark.slow
def test_a_search_that_is_stopped_goes_on(student_dir, samples, tmp_path, passes):
    seen, stop = passes

    def train(name, progress=None):
        train_by_name(
            "base+sbc", student=student_dir, samples=samples, out=tmp_path / name, n_chunks=3, seed=5,
            settings=SETTINGS, progress=progress,
        )  # fmt: skip
        return pq.read_table(tmp_path / name / "chunks.parquet")

    expected = train("whole")
    n_passes, n_sequences = len(seen), sum(seen)
    assert n_sequences == 3 * samples.num_rows
    seen.clear()
    stop.append(n_passes // 2)
    with pytest.raises(KeyboardInterrupt):
        train("stopped")
    folder = tmp_path / "stopped" / "checkpoints" / "scores"
    assert list(folder.rglob("*.arrow")), "what was scored is not kept"
    stop.clear()
    kept = []
    assert train("stopped", progress=lambda *_: kept.append(folder.exists())) == expected
    assert sum(seen) == n_sequences, "a sequence was scored twice"
    assert kept
    assert not any(kept), "scores are kept for longer than they are of use"
