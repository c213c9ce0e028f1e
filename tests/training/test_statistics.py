"""Statistics of comparisons against cases worked out by hand, scipy, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skipthink.evaluation.comparison import Answers, compare_answers
from skipthink.evaluation.statistics import (
    adjust_holm,
    degrees_of_freedom,
    draw_means,
    estimate_mean,
    judge_margin,
    pareto_front,
)
from skipthink.exceptions import InvalidInputError


def test_one_seed_is_the_usual_interval_of_a_mean():
    """Without a spread of seeds, what is left is the t interval of scipy over the questions."""
    values = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], size=200, p=[0.2, 0.5, 0.3])[None]
    found = estimate_mean(values, n_draws=20_000)
    error = values.std(ddof=1) / math.sqrt(200)
    assert found.value == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(error, rel=0.02)
    assert found.df == pytest.approx(199, rel=0.1)
    low, high = stats.t.interval(0.95, 199, loc=values.mean(), scale=error)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.004)
    assert found.p == pytest.approx(stats.ttest_1samp(values[0], 0).pvalue, abs=0.01)
    assert found.sd_seeds is None


def test_questions_that_are_all_alike_leave_the_seeds():
    """Five seeds, each with the same value for all questions: Student's t over seeds, as scipy has it."""
    by_seed = np.asarray([0.1, 0.3, 0.2, 0.5, 0.4])
    values = np.repeat(by_seed[:, None], 50, axis=1)
    found = estimate_mean(values, n_draws=40_000)
    expected = stats.ttest_1samp(by_seed, 0)
    assert found.standard_error == pytest.approx(by_seed.std(ddof=1) / math.sqrt(5), rel=0.02)
    assert found.df == pytest.approx(4, rel=0.08)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    assert found.p == pytest.approx(expected.pvalue, rel=0.1)
    assert found.sd_seeds == pytest.approx(by_seed.std(ddof=1))


def test_degrees_of_freedom_by_hand():
    """Rows 0.5 and 1, columns 1, 1, 0.25: variances 0.0625 and 0.0625 of their means, over 1 and 2 degrees."""
    table = np.asarray([[1.0, 0.5, 0.0], [1.0, 1.5, 0.5]])
    rows, columns = np.var([0.5, 1.0], ddof=1) / 2, np.var([1.0, 1.0, 0.25], ddof=1) / 3
    assert (rows, columns) == pytest.approx((0.0625, 0.0625))
    error = math.sqrt(rows + columns)
    assert degrees_of_freedom(table, error) == pytest.approx(0.125**2 / (0.0625**2 / 1 + 0.0625**2 / 2))


def test_draws_have_the_spread_of_rows_and_columns():
    """Effects of seeds and questions that add up: the variance of the mean is the sum of those of their means."""
    generator = np.random.default_rng(1)
    rows, columns = generator.normal(size=4), generator.normal(size=60)
    table = rows[:, None] + columns[None]
    means = draw_means(table, n_draws=40_000, seed=2)
    expected = np.var(rows, ddof=1) / 4 + np.var(columns, ddof=0) / 60
    assert means.mean() == pytest.approx(table.mean(), abs=0.01)
    assert means.var() == pytest.approx(expected, rel=0.03)
    assert np.array_equal(means, draw_means(table, n_draws=40_000, seed=2))


@pytest.mark.parametrize(
    ("n_seeds", "n_questions", "sd_seeds"),
    [(1, 120, 0.0), (3, 120, 0.3), (3, 300, 0.6), (5, 300, 0.3), (10, 200, 0.2)],
)
def test_intervals_cover_what_they_say(n_seeds, n_questions, sd_seeds):
    """Two equally good methods, 400 times: right answers of a logistic model with seeds, questions and their interplay.

    At 95 % and 400 trials the share that covers 0 is within 0.92 and 0.98 for an exact interval; this one may be wider,
    never much narrower.
    """
    generator = np.random.default_rng(n_seeds * 1000 + n_questions)

    def answers(difficulty):
        own = generator.normal(0, 0.5, n_questions) + generator.normal(0, sd_seeds, (n_seeds, 1))
        logits = difficulty + own + generator.normal(0, 0.5, (n_seeds, n_questions))
        return generator.random((n_seeds, n_questions)) < 1 / (1 + np.exp(-logits))

    covered = 0
    for trial in range(400):
        difficulty = generator.normal(0, 1.5, n_questions)
        found = estimate_mean(1.0 * answers(difficulty) - answers(difficulty), n_draws=300, seed=trial)
        covered += found.low <= 0 <= found.high
    assert covered / 400 >= 0.91


def test_intervals_find_a_difference_of_the_size_they_call_detectable():
    """A true difference of the detectable size is found four times in five."""
    generator = np.random.default_rng(8)
    found, n_trials = 0, 300
    size = estimate_mean(_differences(generator, 0.0), n_draws=2000).detectable()
    assert size == pytest.approx((1.97 + 0.843) * math.sqrt(0.5 / 250), rel=0.15)
    for trial in range(n_trials):
        estimate = estimate_mean(_differences(generator, size), n_draws=300, seed=trial)
        found += estimate.low > 0
    assert found / n_trials == pytest.approx(0.8, abs=0.08)


def _differences(generator, shift):
    """One seed, 250 questions: −1, 0, 1 with a variance of 0.5 about a mean."""
    p = np.asarray([0.25 - shift / 2, 0.5, 0.25 + shift / 2])
    return generator.choice([-1.0, 0.0, 1.0], size=(1, 250), p=p)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_values_without_spread_have_no_interval(value):
    found = estimate_mean(np.full((3, 40), value))
    assert (found.value, found.low, found.high, found.standard_error) == (value, value, value, 0.0)
    assert found.p == (1.0 if value == 0 else 0.0)
    assert found.detectable() == 0.0


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [[]], [[math.nan, 1.0]]])
def test_what_is_no_table_is_refused(values):
    with pytest.raises(InvalidInputError, match="a table of finite numbers, seeds by questions, got shape"):
        estimate_mean(values)


def test_holm_by_hand():
    # sorted: 0.01·4, 0.02·3, 0.03·2, 0.5·1, none smaller than one before it
    assert adjust_holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert adjust_holm([0.4, 0.5]) == [0.8, 0.8]
    assert adjust_holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_one_test_and_bonferroni(p_values):
    adjusted = adjust_holm(p_values)
    for p, own in zip(p_values, adjusted, strict=True):
        assert p <= own <= min(1.0, p * len(p_values)) + 1e-12 or own == max(adjusted)
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.asarray(adjusted)[order]) >= 0).all()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.05, "better"),
        (-0.02, 0.03, "not worse"),
        (-0.05, 0.01, "open"),
        (-0.09, -0.04, "worse"),
        (-0.02, -0.01, "not worse"),
    ],
)
def test_verdicts_within_three_points(low, high, verdict):
    assert judge_margin(low, high, 0.03) == verdict


def test_the_front_is_what_nothing_beats():
    costs, gains = [70, 45, 45, 90, 5, 70], [0.49, 0.47, 0.40, 0.48, 0.07, 0.49]
    assert pareto_front(costs, gains) == [4, 1, 0, 5]


def answers(label, right, tokens, seeds=(0, 1), ids=None):
    right = np.asarray(right, dtype=float)
    n_seeds, n_questions = right.shape
    return Answers(
        label=label, seeds=tuple(seeds), ids=tuple(ids or map(str, range(n_questions))), right=right,
        tokens=np.full(right.shape, float(tokens)), seconds=np.full(n_seeds, tokens / 1000),
        train_target_tokens=np.full(n_seeds, 100.0), train_seconds=np.full(n_seeds, 5.0),
    )  # fmt: skip


def test_methods_are_paired_by_seed_and_question():
    base = answers("base", [[1, 1, 0, 0], [1, 0, 0, 0]], 60)
    ours = answers("stt", [[0, 1, 0, 1], [1, 1, 0, 0], [1, 1, 1, 1]], 30, seeds=(1, 0, 7))
    found = compare_answers([base, ours], against="base")
    (pair,) = found["pairs"]
    assert pair["seeds"] == [0, 1]
    # seed 0: [1, 1, 0, 0] beside [1, 1, 0, 0]; seed 1: [0, 1, 0, 1] beside [1, 0, 0, 0]
    assert pair["difference"] == pytest.approx((0 + 1 / 4) / 2)
    assert pair["sd_seeds"] == pytest.approx(np.std([0, 0.25], ddof=1))
    assert pair["times_fewer_tokens"] == pytest.approx(2.0)
    rows = {row["method"]: row for row in found["methods"]}
    assert rows["base"]["accuracy"] == pytest.approx(3 / 8)
    assert rows["stt"]["accuracy"] == pytest.approx(8 / 12)
    assert rows["base"]["sd_seeds"] == pytest.approx(np.std([0.5, 0.25], ddof=1))
    assert (rows["stt"]["front_tokens"], rows["base"]["front_tokens"]) == (True, False)


def test_all_pairs_are_corrected_together():
    generator = np.random.default_rng(0)
    three = [
        answers(name, generator.random((2, 30)) < share, 10)
        for name, share in zip("abc", (0.2, 0.5, 0.6), strict=True)
    ]
    found = compare_answers(three)
    assert [(pair["method"], pair["against"]) for pair in found["pairs"]] == [
        ("b", "a"),
        ("c", "a"),
        ("c", "b"),
    ]
    assert [pair["p_holm"] for pair in found["pairs"]] == adjust_holm([pair["p"] for pair in found["pairs"]])


@pytest.mark.parametrize(("others", "against", "message"), [
    ([], "base", "there is no method"),
    ([answers("a", [[1]], 1, seeds=[0])], "base", "no method 'base' to compare with; there are a"),
    ([answers("a", [[1]], 1, seeds=[0]), answers("a", [[1]], 1, seeds=[0])], "a", "two methods are called 'a'"),
    ([answers("a", [[1, 0]], 1, seeds=[0]), answers("b", [[1]], 1, seeds=[0])], "a", "not the same ones in the same order"),
    ([answers("a", [[1]], 1, seeds=[0]), answers("b", [[1]], 1, seeds=[3])], "a", r"has the seeds \[3\] and a \[0\]: none in"),
])  # fmt: skip
def test_what_cannot_be_compared_is_refused(others, against, message):
    with pytest.raises(InvalidInputError, match=message):
        compare_answers(others, against=against)
