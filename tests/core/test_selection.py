"""How many chunks: scores against the reference's search, and losses whose number of levels is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink import reference
from skipthink.exceptions import InvalidInputError, InvalidTypeError


def levels(n_rows, n_levels, noise, seed=0, steps=(8, 20)):
    """Rows of `n_levels` plateaus of at least two steps, one nat or more apart."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(n_rows):
        k = int(random.integers(*steps))
        cuts = np.sort(random.choice(np.arange(1, k // 2), n_levels - 1, replace=False)) * 2
        heights = np.cumsum(random.choice([-1, 1], n_levels) * random.uniform(1, 2, n_levels))
        row = heights[np.searchsorted(cuts, np.arange(k), side="right")]
        rows.append((row + noise * random.standard_normal(k)).tolist())
    return rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 9, width=32), min_size=1, max_size=9), min_size=1, max_size=5),
    st.integers(1, 2),
    st.booleans(),
)
def test_deviation_is_that_of_the_reference(rows, min_steps, weighted):
    n_tokens = [[1 + step % 3 for step in range(len(row))] for row in rows] if weighted else None
    found = skipthink.suggest_n_chunks(rows, n_tokens=n_tokens, max_chunks=5, min_steps=min_steps)
    for m, deviation in zip(found.candidates, found.deviation, strict=True):
        expected = 0.0
        for at, row in enumerate(rows):
            room = max(1, min(int(m), len(row) // min_steps))
            weights = None if n_tokens is None else [n_tokens[at]]
            options = {"method": "optimal", "objective": "variance", "min_steps": min_steps}
            expected += reference.chunk([row], room, 0.0, n_tokens=weights, **options)[1][0]
        assert deviation == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert found.n_short[m - 1] == sum(len(row) < m * min_steps for row in rows)


@pytest.mark.parametrize("n_levels", [1, 2, 3, 4])
def test_the_number_of_levels_is_found(n_levels):
    found = skipthink.suggest_n_chunks(levels(200, n_levels, noise=0.05), max_chunks=8)
    assert found.n_chunks == n_levels
    assert np.argmin(found.scores) == n_levels - 1


def test_noise_is_one_chunk():
    random = np.random.default_rng(3)
    found = skipthink.suggest_n_chunks([random.standard_normal(12).tolist() for _ in range(300)])
    assert found.n_chunks == 1


def test_the_papers_rule_stands_beside():
    rows = [[1.0] * 5, [2.0] * 6, [1.0, 2.0] * 4]
    found = skipthink.suggest_n_chunks(rows, max_chunks=9)
    assert (found.paper_rule, found.n_rows) == (6, 3)
    assert found.mean_steps == pytest.approx(19 / 3)
    assert "paper's rule" in str(found)
    assert "lowest score" in str(found)


def test_losses_without_noise_take_the_fewest_chunks():
    found = skipthink.suggest_n_chunks([[1.0, 1.0, 1.0, 3.0, 3.0, 3.0]] * 20, max_chunks=4)
    assert found.n_chunks == 2


def test_long_rows_and_threads():
    random = np.random.default_rng(4)
    rows = [random.gamma(2, 0.5, k) for k in (3, 90, 97, 400, 2000)]
    one, two = (skipthink.suggest_n_chunks(rows, max_chunks=6, num_threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.scores, two.scores)
    for m in (2, 6):
        whole = [row for row in rows if len(row) >= m]
        best = skipthink.chunk(None, whole, m, 0.0, method="optimal", objective="variance").objective
        assert one.deviation[m - 1] == pytest.approx(best.sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("losses", "options", "error", "message"),
    [
        ([[1.0]], {"max_chunks": 0}, InvalidInputError, "max_chunks must be at least 1"),
        ([[1.0]], {"min_steps": 0}, InvalidInputError, "min_steps must be at least 1"),
        ([[1.0]], {"max_chunks": 2.5}, InvalidTypeError, "max_chunks must be a whole number"),
        ([[[1.0, 2.0]]], {}, InvalidInputError, "one number per step to choose M by, got 2"),
        ([], {}, InvalidInputError, "losses hold no step"),
        ([[], []], {}, InvalidInputError, "losses hold no step"),
        ([[1.0], [2.0, float("nan")]], {}, InvalidInputError, "row 1"),
        ([[1.0]], {"n_tokens": [[1, 2]]}, InvalidInputError, "row 0"),
    ],
)
def test_bad_input(losses, options, error, message):
    with pytest.raises(error, match=message):
        skipthink.suggest_n_chunks(losses, **options)
