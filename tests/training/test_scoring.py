"""The batched scorer against a naive loop, and against what the trainer computes on the items."""

import numpy as np
import pytest
import torch

import skipthink
from skipthink.exceptions import InvalidInputError
from skipthink.student.items import build_items
from skipthink.student.score import score_sequences
from skipthink.training.batches import ItemDataset, PadCollator


def naive_nll(model, prefix, ids):
    """Nll of each id and of nothing else: one row at a time, full logits."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prefix, *ids]])).logits[0].double()
    logp = torch.log_softmax(logits, dim=-1)
    return logp, [-float(logp[len(prefix) + k - 1, token]) for k, token in enumerate(ids)]


@pytest.mark.parametrize("stages", ["conditioned", "free"])
def test_equals_a_naive_loop(student, encoded, markers, stages):
    scored = score_sequences(student, encoded, markers, passes=stages, batch_tokens=700)
    for row in (0, 7, 23):
        cuts = encoded.step_tokens[row]
        for slot in range(scored.nll.shape[1]):
            lead = [*markers.stage_marks[slot]] if stages == "conditioned" else []
            prefix = [*lead, *encoded.question[row]]
            logp, token_nll = naive_nll(student, prefix, encoded.rationale[row].tolist())
            expected = [sum(token_nll[start:end]) for start, end in zip(cuts[:-1], cuts[1:], strict=True)]
            np.testing.assert_allclose(
                scored.nll[scored.offsets[row] : scored.offsets[row + 1], slot], expected, rtol=1e-5
            )
            if stages == "conditioned":
                ends = [-float(logp[len(prefix) + cut - 1, markers.end_id]) for cut in cuts]
                found = scored.end_nll[scored.end_offsets[row] : scored.end_offsets[row + 1], slot]
                np.testing.assert_allclose(found, ends, rtol=1e-5)


def test_independent_of_batch_size(student, encoded, markers):
    one, many = (score_sequences(student, encoded, markers, batch_tokens=size) for size in (1, 20_000))
    np.testing.assert_allclose(one.nll, many.nll, atol=1e-4)
    np.testing.assert_allclose(one.end_nll, many.end_nll, atol=1e-4)


@pytest.mark.parametrize("method", ["average", "greedy", "anneal", "optimal"])
def test_search_losses_are_the_trainers_losses(student, encoded, markers, method):
    """J of the search equals the sum of the M item losses, to 1e-4 (empty chunks included)."""
    scored = score_sequences(student, encoded, markers)
    found = skipthink.chunk(
        None, M=markers.n_chunks, eta=0.0, method=method, min_steps=0, **scored.chunk_arguments()
    )
    items = build_items(encoded, encoded.plan("chunkwise", found.boundaries), markers)
    dataset, collate = ItemDataset(items), PadCollator(markers)
    student.eval()
    for row in range(0, len(encoded), 5):
        with torch.inference_mode():
            losses = [
                float(student(**collate([dataset[index]])).loss)
                for index in np.flatnonzero((items.rows == row) & (items.stages > 0))
            ]
        assert sum(losses) == pytest.approx(found.objective[row], abs=1e-4)


def test_leaves_the_mode_of_the_model(student, encoded, markers):
    student.train()
    score_sequences(student, encoded, markers, passes="free")
    assert student.training
    student.eval()


def test_bad_arguments(student, encoded, markers):
    with pytest.raises(InvalidInputError, match='passes must be "conditioned" or "free"'):
        score_sequences(student, encoded, markers, passes="both")
    limit = student.config.max_position_embeddings
    try:
        student.config.max_position_embeddings = 10
        with pytest.raises(InvalidInputError, match="reads at most 10"):
            score_sequences(student, encoded, markers)
    finally:
        student.config.max_position_embeddings = limit


def test_bad_batch_tokens(student, encoded, markers):
    with pytest.raises(InvalidInputError, match="batch_tokens must be at least 1, got 0"):
        score_sequences(student, encoded, markers, batch_tokens=0)
