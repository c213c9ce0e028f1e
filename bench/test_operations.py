"""Every operation of the core: the reference, ours on one thread, ours on all; what is timed is checked as well."""

import functools

import numpy as np
import pytest

import inputs
import skipthink
from skipthink import reference

STAGES = 4
ROWS = (8, 4000)
MEAN_STEPS = 12
METHODS = {
    "average": "average",
    "greedy": "greedy",
    "anneal": skipthink.Anneal(moves=60),
    "optimal": "optimal",
}
CASES = [
    (method, objective, conditioned, weighted)
    for method in METHODS
    for objective in ("mean", "variance", "max")
    for conditioned in (False, True)
    for weighted in (False, True)
    if method != "average" or objective == "mean"
]


@functools.cache
def batch(conditioned, dtype="float64"):
    """Losses, weights and offsets of 4000 ragged rows."""
    offsets = inputs.offsets_of(inputs.ragged_lengths(ROWS[1], MEAN_STEPS, least=STAGES))
    n_steps = int(offsets[-1])
    losses = inputs.losses(n_steps, STAGES if conditioned else 1)
    return (losses if conditioned else losses.ravel()).astype(dtype), inputs.token_counts(n_steps), offsets


def as_lists(values, offsets, n_rows):
    return [values[offsets[row] : offsets[row + 1]].tolist() for row in range(n_rows)]


def chunk_batch(n_rows, num_threads, method, objective, conditioned, weighted, dtype="float64"):
    losses, weights, offsets = batch(conditioned, dtype)
    cuts = offsets[: n_rows + 1]
    return skipthink.chunk(
        None, (losses, cuts), STAGES, 0.0, method=METHODS[method], objective=objective, num_threads=num_threads,
        n_tokens=(weights, cuts) if weighted else None,
    )  # fmt: skip


def chunk_reference(n_rows, method, objective, conditioned, weighted):
    losses, weights, offsets = batch(conditioned)
    return reference.chunk(
        as_lists(losses, offsets, n_rows), STAGES, 0.0, method=METHODS[method], objective=objective,
        n_tokens=as_lists(weights, offsets, n_rows) if weighted else None,
    )  # fmt: skip


@pytest.mark.parametrize(("method", "objective", "conditioned", "weighted"), CASES)
def test_chunk(compare, method, objective, conditioned, weighted):
    case = (method, objective, conditioned, weighted)
    name = f"chunk {method}, {objective}{', stages' * conditioned}{', weights' * weighted}"
    expected, found = compare(
        name, ROWS, lambda n: chunk_reference(n, *case), lambda n, threads: chunk_batch(n, threads, *case)
    )
    np.testing.assert_allclose(found.objective, expected[1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.initial_objective, expected[2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunk_dtypes(compare, dtype):
    case = ("optimal", "variance", False, False)
    expected, found = compare(
        f"chunk optimal, variance, {dtype} values",
        ROWS,
        lambda n: chunk_reference(n, *case),
        lambda n, threads: chunk_batch(n, threads, *case, dtype),
    )
    np.testing.assert_allclose(found.objective, expected[1], rtol=1e-6)


def test_chunk_of_many_ragged_rows(compare):
    offsets = inputs.offsets_of(inputs.ragged_lengths(200_000, MEAN_STEPS))
    values = inputs.losses(int(offsets[-1]), 1).ravel()
    expected, found = compare(
        "chunk optimal, variance, 200k ragged rows",
        (20, 200_000),
        lambda n: reference.chunk(
            as_lists(values, offsets, n), STAGES, 0.0, method="optimal", objective="variance"
        ),
        lambda n, threads: skipthink.chunk(
            None, (values, offsets[: n + 1]), STAGES, 0.0, method="optimal", objective="variance",
            num_threads=threads,
        ),
    )  # fmt: skip
    np.testing.assert_allclose(found.objective, expected[1], rtol=1e-6, atol=1e-9)
    assert found.searched.tolist() == (np.diff(offsets)[: len(found)] >= STAGES).tolist()


@functools.cache
def texts():
    return inputs.short_texts(2_000_000)


@pytest.mark.parametrize("form", ["list", "Arrow"])
def test_split_steps(compare, form):
    if form == "Arrow":
        arrow = pytest.importorskip("pyarrow").array(texts())
    n = len(texts())
    expected, found = compare(
        f"split_steps_batch, {form}",
        (min(20, n), n),
        lambda rows: [reference.split_steps(text) for text in texts()[:rows]],
        lambda rows, threads: skipthink.split_steps_batch(
            arrow[:rows] if form == "Arrow" else texts()[:rows], num_threads=threads
        ),
    )
    assert [[text[start:end] for start, end in found[row]] for row, text in enumerate(texts()[: len(expected)])] == (
        expected
    )  # fmt: skip


def test_plan_items(compare):
    lengths = inputs.ragged_lengths(20_000, MEAN_STEPS)
    boundaries = skipthink.average_boundaries(lengths, STAGES)
    tokens = np.concatenate([np.arange(length + 1) * 9 for length in lengths])
    offsets = inputs.offsets_of(lengths + 1)
    counts = np.full(len(lengths), 30)

    def plan(n, threads):
        return skipthink.plan_items(
            boundaries[:n], step_token_offsets=(tokens, offsets[: n + 1]), n_question_tokens=counts[:n],
            n_answer_tokens=counts[:n], scheme="chunkwise", num_threads=threads,
        )  # fmt: skip

    def plan_reference(n):
        return reference.plan_items(
            boundaries[:n].tolist(), step_token_offsets=as_lists(tokens, offsets, n),
            n_question_tokens=[30] * n, n_answer_tokens=[30] * n, scheme="chunkwise",
        )  # fmt: skip

    expected, found = compare("plan_items, chunkwise", (20, len(lengths)), plan_reference, plan)
    lengths_tokens = [[sum(end - start for _, start, end in part) for part in item[2:]] for item in expected]
    assert found.prompt_lengths_tokens.tolist() == [length[0] for length in lengths_tokens]
    assert found.target_lengths_tokens.tolist() == [length[1] for length in lengths_tokens]


def test_skip_ledger(compare):
    """A whole run of the ledger: every question of every row asked and answered."""
    boundaries = skipthink.average_boundaries(inputs.ragged_lengths(20_000, MEAN_STEPS), STAGES)

    def answer(ledger):
        questions = 0
        while not ledger.done:
            rows, chunks = ledger.next_batch(4096)
            right = (np.asarray(rows) * 7 + np.asarray(chunks) * 3) % 5 != 0
            ledger.record(rows, chunks, right if isinstance(rows, np.ndarray) else right.tolist())
            questions += len(rows)
        return questions, np.asarray(ledger.skipped).tolist()

    expected, found = compare(
        "skip ledger, next_batch and record to the end",
        (50, 20_000),
        lambda n: answer(reference.SkipLedger(boundaries[:n].tolist())),
        lambda n, threads: answer(skipthink.SkipLedger(boundaries[:n])),
    )
    assert found == expected


@pytest.mark.skipif(not hasattr(skipthink, "suggest_n_chunks"), reason="no suggest_n_chunks yet")
def test_suggest_n_chunks(benchmark):
    losses, _, offsets = batch(conditioned=False)
    n = 200 if benchmark.disabled else ROWS[1]
    benchmark.group, benchmark.name = "suggest_n_chunks", "all threads"
    benchmark.extra_info["rows"] = n
    assert benchmark(skipthink.suggest_n_chunks, (losses, offsets[: n + 1])) is not None
