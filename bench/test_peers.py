"""What the peers find is what they are timed for: boundaries of the same J, never a better one."""

import numpy as np
import pytest

import inputs
import search
import skipthink

pytest.importorskip("numba", reason="the peers are not installed: make bench installs them")
pytest.importorskip("ruptures")
pytest.importorskip("rustures")

from peers import change_points, numba_search

SIZES = [(8, 4), (9, 9), (30, 5), (64, 8), (300, 2), (300, 12)]


def rows_of(k, n_rows):
    losses = inputs.losses(n_rows, k, seed=k)
    return losses, np.arange(n_rows + 1, dtype=np.int64) * k


@pytest.mark.parametrize(("k", "m"), SIZES)
@pytest.mark.parametrize("form", ["plain", "blocked"])
def test_numba_finds_the_optimum_and_no_less(form, k, m):
    losses, offsets = rows_of(k, 20)
    found = getattr(numba_search, form)(losses.ravel(), offsets, m)
    double = losses.astype(np.float64)
    ours = search.objective(double, search.ours(losses, offsets, m), m)
    theirs = search.objective(double, found, m)
    assert (ours <= theirs * (1 + 1e-9) + 1e-12).all()
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("form", ["plain", "blocked"])
def test_numba_takes_ragged_rows(form):
    lengths = np.asarray([3, 12, 1, 40, 4, 0, 7])
    offsets = inputs.offsets_of(lengths)
    values = inputs.losses(int(offsets[-1]), 1).ravel()
    found = getattr(numba_search, form)(values, offsets, 4)
    ours = skipthink.chunk(None, (values, offsets), 4, 0.0, method="optimal", objective="variance")
    assert found.tolist() == ours.boundaries.tolist()


@pytest.mark.parametrize(
    "find", [change_points.ruptures_kernel, change_points.rustures_kernel, change_points.ruptures_dynp]
)
@pytest.mark.parametrize(("k", "m"), SIZES[:3])
def test_change_point_libraries_find_the_same_objective(find, k, m):
    losses, offsets = rows_of(k, 3)
    double = losses.astype(np.float64)
    ours = search.objective(double, search.ours(losses, offsets, m), m)
    np.testing.assert_allclose(search.objective(double, find(double, m), m), ours, rtol=1e-9, atol=1e-12)


def test_a_worse_segmentation_would_be_seen():
    losses, offsets = rows_of(30, 5)
    double = losses.astype(np.float64)
    best = search.ours(losses, offsets, 4)
    worse = np.tile([0, 1, 2, 3, 30], (5, 1))
    costs = {"ours": search.objective(double, best, 4), "worse": search.objective(double, worse, 4)}
    assert search.worst_excess("worse", costs) > 0.01
    assert search.worst_excess("ours", costs) == 0.0


@pytest.mark.parametrize("name", ["sentencex", "blingfire", "chonkie-core", "re.split", "pysbd"])
def test_splitters_split(name):
    from peers.sentences import SPLITTERS

    try:
        split = SPLITTERS[name]()
    except ImportError:
        pytest.skip(f"{name} is not installed")
    assert split(["First, this is a sentence. Here is another one.", "One alone."]) == 3
