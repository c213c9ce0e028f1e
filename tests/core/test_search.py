"""Boundary search: the optimum against brute force, Rust against the reference, and what never happens."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink import Anneal, Greedy, reference
from skipthink.reference.chunking import make_charge, make_cost, to_shares, total

OBJECTIVES = ("mean", "variance", "max", "mass")
BALANCES = (0.0, 0.4)
METHODS = ("average", "greedy", "anneal", "optimal")
SHORT = {"anneal": Anneal(moves=60)}
"""Methods that take their time, in short."""


@st.composite
def rows(draw, max_steps=12):
    """Losses of a few rows with options: stage-free or -conditioned, with or without weights and end losses."""
    numbers = st.floats(0, 6, width=32) | st.sampled_from([0.0, 0.5, 1.0])
    M = draw(st.integers(1, 4))
    conditioned = draw(st.booleans())
    lengths = draw(st.lists(st.integers(1, max_steps), min_size=1, max_size=4))
    width = M if conditioned else None

    def block(positions, columns, values=numbers):
        flat = draw(
            st.lists(values, min_size=positions * (columns or 1), max_size=positions * (columns or 1))
        )
        if columns is None:
            return flat
        return [flat[at * columns : (at + 1) * columns] for at in range(positions)]

    losses = [block(k, width) for k in lengths]
    options = {
        "min_steps": draw(st.integers(0, 2)),
        "objective": draw(st.sampled_from(OBJECTIVES)),
        "balance": draw(st.sampled_from(BALANCES)),
    }
    if draw(st.booleans()):
        options["n_tokens"] = [block(k, None, st.integers(0, 9)) for k in lengths]
    if draw(st.booleans()):
        options["end_losses"] = [block(k + 1, M) for k in lengths]
    return losses, M, options


def row_cost(losses, M, options, row):
    given = losses[row]
    weights = options["n_tokens"][row] if "n_tokens" in options else [1.0] * len(given)
    ends = options["end_losses"][row] if "end_losses" in options else None
    if options["objective"] == "mass":
        given = to_shares(given, weights, M)
    charge = make_charge(options.get("balance", 0.0), len(given), M)
    return make_cost(given, weights, ends, options["objective"], charge)


def all_segmentations(k, M, min_steps):
    for inner in itertools.combinations_with_replacement(range(k + 1), M - 1):
        cuts = (0, *inner, k)
        if all(right - left >= min_steps for left, right in itertools.pairwise(cuts)):
            yield cuts


@settings(max_examples=150, deadline=None)
@given(rows(max_steps=10))
def test_optimal_equals_brute_force(case):
    losses, M, options = case
    found = skipthink.chunk(None, losses, M, 0.0, method="optimal", **options)
    for row in range(len(losses)):
        cost = row_cost(losses, M, options, row)
        k = len(losses[row])
        if k < M * options["min_steps"]:
            assert not found.searched[row]
            assert found.boundaries[row].tolist() == reference.average_boundaries([k], M)[0]
            continue
        best = min(
            total(cuts, cost, options["objective"]) for cuts in all_segmentations(k, M, options["min_steps"])
        )
        assert found.objective[row] == pytest.approx(best, rel=1e-12, abs=1e-11)
        assert total(found.boundaries[row].tolist(), cost, options["objective"]) == pytest.approx(
            best, abs=1e-11
        )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("balance", BALANCES)
def test_optimal_equals_brute_force_in_every_regime(objective, conditioned, weighted, ended, balance):
    """All segmentations for every K ≤ 10 and M ≤ 4, each objective with each kind of losses."""
    random = np.random.default_rng(7)
    for k, M in itertools.product(range(1, 11), range(1, 5)):
        losses = [random.gamma(1.0, 1.0, (k, M) if conditioned else k).tolist()]
        options = {"objective": objective, "min_steps": 0, "balance": balance}
        if weighted:
            options["n_tokens"] = [random.integers(0, 9, k).tolist()]
        if ended:
            options["end_losses"] = [random.gamma(1.0, 1.0, (k + 1, M)).tolist()]
        found = skipthink.chunk(None, losses, M, 0.0, method="optimal", **options)
        cost = row_cost(losses, M, options, 0)
        best = min(total(cuts, cost, objective) for cuts in all_segmentations(k, M, 0))
        assert found.objective[0] == pytest.approx(best, rel=1e-12, abs=1e-12)


@st.composite
def untied_rows(draw):
    """Rows as above, of continuous losses: two different cuts are never equally good, so every choice is forced."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    M = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 14), min_size=1, max_size=5))
    kind = draw(st.sampled_from([np.float64, np.float32]))
    shape = (M,) if draw(st.booleans()) else ()
    losses = [random.gamma(1.5, 0.8, (k, *shape)).astype(kind) for k in lengths]
    options = {
        "min_steps": draw(st.integers(0, 2)),
        "objective": draw(st.sampled_from(OBJECTIVES)),
        "balance": draw(st.sampled_from(BALANCES)),
    }
    if options["objective"] == "mass" or options["balance"]:
        # an empty chunk costs the same in any place: cuts that differ in its place alone are equally good
        options["min_steps"] = max(options["min_steps"], 1)
    if draw(st.booleans()):
        options["n_tokens"] = [random.integers(1, 30, k).tolist() for k in lengths]
    if draw(st.booleans()):
        options["end_losses"] = [random.gamma(1.0, 0.8, (k + 1, M)).tolist() for k in lengths]
    if draw(st.booleans()):
        options["init"] = [[0, *np.sort(random.integers(0, k + 1, M - 1)).tolist(), k] for k in lengths]
    return losses, M, options


@settings(max_examples=400, deadline=None)
@given(untied_rows(), st.sampled_from(METHODS), st.sampled_from(["pair", "left"]), st.sampled_from([0.0, 0.1]),
       st.integers(0, 2**62), st.integers(0, 2**62), st.sampled_from([1, 2, 7]))  # fmt: skip
def test_core_equals_reference(case, method, scope, eta, seed, first_row, threads):
    losses, M, options = case
    methods = {"greedy": Greedy(scope=scope, max_sweeps=5), **SHORT}
    common = {**options, "method": methods.get(method, method), "seed": seed, "first_row": first_row}
    found = skipthink.chunk(None, losses, M, eta, num_threads=threads, **common)
    boundaries, objectives, initials = reference.chunk([row.tolist() for row in losses], M, eta, **common)
    assert found.boundaries.tolist() == boundaries
    np.testing.assert_allclose(found.objective, objectives, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.initial_objective, initials, rtol=0, atol=1e-9)
    assert found.searched.tolist() == [len(row) >= M * options["min_steps"] for row in losses]


@settings(max_examples=300, deadline=None)
@given(rows(), st.sampled_from(["average", "optimal"]), st.sampled_from([0.0, 0.1]))
def test_ties_are_decided_as_in_the_reference(case, method, eta):
    """Equal losses, weights of 0, whole rows of one number: the boundaries are the reference's, not only J."""
    losses, M, options = case
    found = skipthink.chunk(None, losses, M, eta, method=method, **options)
    boundaries, objectives, initials = reference.chunk(losses, M, eta, method=method, **options)
    assert found.boundaries.tolist() == boundaries
    assert found.objective.tolist() == objectives
    assert found.initial_objective.tolist() == initials


@settings(max_examples=100, deadline=None)
@given(rows(), st.sampled_from([0.0, 0.1]))
def test_search_never_ends_above_its_start(case, eta):
    losses, M, options = case
    results = {
        method: skipthink.chunk(None, losses, M, eta, method=SHORT.get(method, method), **options)
        for method in METHODS
    }
    best = skipthink.chunk(None, losses, M, 0.0, method="optimal", **options).objective
    for method in METHODS:
        result = results[method]
        assert (result.objective <= result.initial_objective + 1e-12).all(), method
        moved = (result.boundaries != results["average"].boundaries).any(axis=1)
        assert (result.initial_objective[moved] - result.objective[moved] > eta - 1e-12).all()
        assert (best[result.searched] <= result.objective[result.searched] + 1e-11).all()
        sizes = np.diff(result.boundaries[result.searched], axis=1)
        assert (sizes >= options["min_steps"]).all()


def test_the_example_of_the_method():
    """A sum of means dilutes the hard step, the variance isolates it (method §4)."""
    losses = [[0.1, 0.1, 0.1, 3.0]]
    assert skipthink.chunk(None, losses, 2, 0.0, method="optimal").boundaries.tolist() == [[0, 1, 4]]
    isolated = skipthink.chunk(None, losses, 2, 0.0, method="optimal", objective="variance")
    assert isolated.boundaries.tolist() == [[0, 3, 4]]


@pytest.mark.parametrize("method", ["greedy", "anneal", "optimal"])
@pytest.mark.parametrize(
    ("balance", "cut", "objective"), [(0.0, 5, 0.6), (0.25, 4, 0.75 + 0.5 / 9), (3.0, 3, 1.0)]
)
def test_a_balance_by_hand(method, balance, cut, objective):
    """Six steps, the first of loss 3: `mean` gives it all but one step, a balance draws the cut to the middle."""
    found = skipthink.chunk(None, [[3.0, 0, 0, 0, 0, 0]], 2, 0.0, method=method, balance=balance)
    assert found.boundaries.tolist() == [[0, cut, 6]]
    assert found.objective[0] == pytest.approx(objective, abs=1e-12)


def test_a_balance_is_a_share_of_the_row():
    """Ten times the steps, each a tenth of a chunk's share: the same charge."""
    short = skipthink.chunk(None, [[0.0] * 6], 2, method="average", init=[[0, 2, 6]], balance=9.0)
    long = skipthink.chunk(None, [[0.0] * 60], 2, method="average", init=[[0, 20, 60]], balance=9.0)
    assert short.objective[0] == pytest.approx(2.0)
    assert long.objective[0] == pytest.approx(2.0)


@pytest.mark.parametrize("method", ["greedy", "anneal", "optimal"])
def test_equal_mass_by_hand(method):
    """Losses 1, 1, 1 and 3 are cut into 3 and 3; tokens weigh; end losses do not enter; a row without loss costs M."""
    ends = [[[9.0, 9.0]] * 5]
    found = skipthink.chunk(None, [[1.0, 1, 1, 3]], 2, 0.0, method=method, objective="mass", end_losses=ends)
    assert found.boundaries.tolist() == [[0, 3, 4]]
    assert (found.objective[0], found.initial_objective[0]) == pytest.approx((0.0, 2 / 9))
    weighed = skipthink.chunk(
        None, [[1.0, 1, 1, 1]], 2, 0.0, method=method, objective="mass", n_tokens=[[9, 3, 3, 3]]
    )
    assert weighed.boundaries.tolist() == [[0, 1, 4]]
    nothing = skipthink.chunk(None, [[0.0, 0, 0]], 2, 0.0, method=method, objective="mass")
    assert nothing.objective.tolist() == [2.0]


def test_eta_is_what_a_result_must_gain():
    losses = [[0.0, 1.0, 0.0, 0.0]]
    start = skipthink.chunk(None, losses, 2, 0.0, method="average")
    best = skipthink.chunk(None, losses, 2, 0.0, method="optimal")
    gain = float(start.objective[0] - best.objective[0])
    assert gain > 0
    for method in ("optimal", "greedy", "anneal"):
        kept = skipthink.chunk(None, losses, 2, gain + 1e-9, method=method)
        assert kept.boundaries.tolist() == start.boundaries.tolist()


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_do_not_depend_on_threads_or_order(threads):
    random = np.random.default_rng(1)
    losses = [random.random((k, 3)).tolist() for k in random.integers(3, 9, 500)]
    for method in METHODS:
        one = skipthink.chunk(None, losses, 3, 0.0, method=SHORT.get(method, method), num_threads=1)
        many = skipthink.chunk(None, losses, 3, 0.0, method=SHORT.get(method, method), num_threads=threads)
        assert np.array_equal(one.boundaries, many.boundaries)
        assert np.array_equal(one.objective, many.objective)


def test_search_goes_on_from_given_boundaries():
    losses = [[0.1, 0.1, 3.0, 0.1, 0.1, 0.1]]
    start = [[0, 1, 6]]
    assert skipthink.chunk(None, losses, 2, 0.0, method="average", init=start).boundaries.tolist() == start
    moved = skipthink.chunk(None, losses, 2, 0.0, init=start)
    assert moved.initial_objective[0] >= moved.objective[0]


def test_short_rows_keep_average_chunks_and_are_counted():
    found = skipthink.chunk(None, [[1.0], [1.0, 2.0, 3.0]], 3, 0.0, method="optimal")
    assert found.searched.tolist() == [False, True]
    assert found.n_unsearched == 1
    assert found.boundaries[0].tolist() == [0, 1, 1, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=20), st.integers(1, 7))
def test_average_chunks_are_those_of_array_split(lengths, M):
    found = skipthink.average_boundaries(lengths, M)
    assert found.tolist() == reference.average_boundaries(lengths, M)
    for k, cuts in zip(lengths, found, strict=True):
        assert np.diff(cuts).tolist() == [len(part) for part in np.array_split(np.arange(k), M)]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("method", METHODS)
def test_losses_of_the_most_different_sizes_never_end_above_their_start(method, objective):
    """Found by fuzzing: in sums of them the small ones are lost."""
    losses = [[-2.6185773e38, -2.046998e38, 9.326e-42, -1.70271e38, 7.9688716, 9.2075e-41, 1.5425e-41]]
    found = skipthink.chunk(None, losses, 3, 0.0, method=method, objective=objective, min_steps=0)
    assert found.objective[0] <= found.initial_objective[0]
