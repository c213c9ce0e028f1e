"""Stage-free against stage-conditioned losses, by brute force."""

from itertools import combinations_with_replacement

import numpy as np
import pytest

import skipthink
from skipthink.exceptions import InvalidInputError
from skipthink.scoring import compare_passes
from skipthink.scoring.agreement import _costs, _objective, _segmentations, _spearman
from skipthink.student.losses import StepLosses
from skipthink.student.score import score_sequences

M = 3


def made(n_steps, seed=0, *, noise=1.0):
    """Losses of rows with `n_steps` steps each under M stages and under none; without noise they order alike."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(n_steps)])
    end_offsets = np.concatenate([[0], np.cumsum(np.asarray(n_steps) + 1)])
    n_tokens = random.integers(1, 9, offsets[-1])
    free = random.gamma(2.0, 1.0, (offsets[-1], 1)) * n_tokens[:, None]
    conditioned = free + noise * random.gamma(2.0, 1.0, (offsets[-1], M))
    ends = noise * random.gamma(2.0, 1.0, (end_offsets[-1], M))
    return (
        StepLosses(conditioned, n_tokens, offsets, ends, end_offsets),
        StepLosses(free, n_tokens, offsets, None, end_offsets),
    )


def every(n_steps, min_steps):
    """All segmentations, by brute force."""
    inner = combinations_with_replacement(range(n_steps + 1), M - 1)
    cuts = [(0, *found, n_steps) for found in inner]
    return [found for found in cuts if min(np.diff(found)) >= min_steps]


@pytest.mark.parametrize("n_steps", [1, 3, 7])
@pytest.mark.parametrize("min_steps", [0, 1, 2])
def test_segmentations(n_steps, min_steps):
    found = _segmentations(n_steps, M, min_steps, 10_000, (0, 0))
    assert sorted(map(tuple, found.tolist())) == sorted(every(n_steps, min_steps))
    drawn = _segmentations(n_steps, M, min_steps, 5, (0, 0))
    assert set(map(tuple, drawn.tolist())) <= set(every(n_steps, min_steps))
    assert len(drawn) == min(5, len(found)) or 0 < len(drawn) < 5 < len(found), "drawn twice counts once"


@pytest.mark.parametrize("kind", [0, 1])
def test_objective_is_that_of_chunk(kind):
    losses = made([5, 7], seed=2)[kind]
    for row, n_steps in enumerate((5, 7)):
        for cuts in every(n_steps, 0):
            init = np.asarray([[0, 2, 4, 5], [0, 2, 4, 7]])
            init[row] = cuts
            expected = skipthink.chunk(
                None, M=M, method="greedy", eta=1e9, init=init, min_steps=0, **losses.chunk_arguments()
            ).objective[row]
            assert _objective(_costs(losses, row), np.asarray([cuts]))[0] == pytest.approx(expected)


def test_agreement_by_brute_force():
    conditioned, free = made([4, 6, 2, 5], seed=1)
    found = compare_passes(conditioned, free)
    assert (found.n_rows, found.n_compared) == (4, 3), "two steps cannot be three chunks"
    correlations, same, regrets = [], [], []
    for row, n_steps in ((0, 4), (1, 6), (3, 5)):
        cuts = every(n_steps, 1)
        exact, rough = ([_objective(_costs(losses, row), np.asarray([cut]))[0] for cut in cuts] for losses in (conditioned, free))  # fmt: skip
        ranks = [np.argsort(np.argsort(values)) for values in (exact, rough)]
        correlations.append(np.corrcoef(*ranks)[0, 1])
        same.append(np.argmin(exact) == np.argmin(rough))
        regrets.append(exact[int(np.argmin(rough))] - min(exact))
    assert found.rank_correlation == pytest.approx(np.mean(correlations))
    assert found.same_optimum == pytest.approx(np.mean(same))
    assert found.regret == pytest.approx(np.mean(regrets), abs=1e-12)
    assert 0 < found.same_optimum < 1
    assert "3 of 4 samples" in str(found)


def test_losses_that_do_not_depend_on_the_stage_agree():
    conditioned, free = made([6, 8, 9], noise=0.0)
    uniform = StepLosses(free.nll.repeat(M, axis=1), free.n_tokens * 1000, free.offsets, conditioned.end_nll, conditioned.end_offsets)  # fmt: skip
    plain = StepLosses(free.nll, free.n_tokens * 1000, free.offsets, None, free.end_offsets)
    found = compare_passes(uniform, plain)
    assert found.rank_correlation > 0.999
    assert (found.same_optimum, found.regret) == (1.0, 0.0)


def test_ranks_of_ties():
    assert _spearman(np.asarray([1.0, 2, 3]), np.asarray([10.0, 20, 20])) == pytest.approx(np.sqrt(3) / 2)
    assert _spearman(np.asarray([1.0, 2, 3]), np.asarray([3.0, 2, 1])) == pytest.approx(-1)
    assert _spearman(np.ones(3), np.ones(3)) == 1
    assert _spearman(np.ones(3), np.arange(3.0)) == 0


def test_nothing_to_choose():
    found = compare_passes(*made([1, 2]))
    assert found.n_compared == 0
    assert np.isnan(found.rank_correlation)
    assert "none of 2 samples" in str(found)


def test_other_losses_are_refused():
    conditioned, free = made([4, 5])
    with pytest.raises(InvalidInputError, match="stage-conditioned losses first and stage-free ones second"):
        compare_passes(free, conditioned)
    with pytest.raises(InvalidInputError, match="the losses are of different samples"):
        compare_passes(conditioned, made([5, 4])[1])


def test_of_a_student(student, encoded, markers):
    conditioned, free = (
        score_sequences(student, encoded, markers, passes=stages) for stages in ("conditioned", "free")
    )
    found = compare_passes(conditioned, free)
    assert found.n_compared == len(encoded)
    assert -1 <= found.rank_correlation <= 1
    assert found.regret >= 0
