"""Chunk dropout that begins late: which item of which step gets how much of it."""

import numpy as np
import pytest

from skipthink.core.search import average_boundaries
from skipthink.exceptions import RecipeError
from skipthink.options import OptionError
from skipthink.run.recipe import parse_recipe
from skipthink.training.methods import own_methods
from skipthink.training.options import BudgetOptions
from skipthink.training.rising_dropout import LEVELS, dropout_levels, item_times
from skipthink.training.source import ItemSource

N_SAMPLES, N_STAGES, STEP_SIZE = 24, 4, 8
N_STEPS = N_SAMPLES * N_STAGES // STEP_SIZE


def source_of(encoded, markers, **options):
    method = own_methods()["base+ac"]
    settings = {"epochs": 4, "chunk_dropout": 0.9, "batching": "shuffled"} | options
    boundaries = average_boundaries(encoded.n_steps, 3)
    return method, ItemSource(encoded, markers, method.Options(**settings), boundaries, 3, STEP_SIZE)


def n_replaced(source, items):
    """`[thought]`s in the prompt of each item."""
    rows = [items.tokens[index][: items.n_prompt[index]] for index in range(len(items))]
    return np.asarray([int(np.isin(row, source.markers.thought_mark).sum()) for row in rows])


def test_levels_rise_evenly_behind_the_beginning():
    times = np.asarray([0, 0.49, 0.5, 0.51, 0.75, 0.99, 1, 1.2])
    assert dropout_levels(times, 0.5).tolist() == [0, 0, 0, 1, 8, 16, 16, 16]
    assert dropout_levels(times, 0.0).tolist() == [0, 8, 8, 9, 12, 16, 16, 16]
    assert LEVELS == 16


def test_items_are_as_far_as_the_steps_they_stand_in(encoded, markers):
    _, source = source_of(encoded, markers)
    items = source.planned("chunkwise")
    times = item_times(source, items, 2)
    for number, step in enumerate(source.steps(items, 2)):
        assert np.allclose(times[step], (2 * N_STEPS + number) / (4 * N_STEPS))
    _, by_steps = source_of(encoded, markers, max_steps=2 * N_STEPS)
    assert np.allclose(item_times(by_steps, items, 1), item_times(source, items, 1) * 2)
    total = int(items.n_loss.sum())
    _, by_tokens = source_of(encoded, markers, budget=BudgetOptions(target_tokens=2 * total))
    spent = item_times(by_tokens, items, 1)
    first, *_, last = by_tokens.steps(items, 1)
    assert np.allclose(spent[first], 0.5)
    assert np.allclose(spent[last], 1 - items.n_loss[last].sum() / (2 * total))


def test_nothing_is_replaced_before_the_beginning(encoded, markers):
    method, source = source_of(encoded, markers, chunk_dropout_from=0.5)
    plain = source.planned("chunkwise")
    for epoch in (0, 1):
        assert np.array_equal(method.items(source, epoch).tokens.values, plain.tokens.values)
    late, last = (n_replaced(source, method.items(source, epoch)) for epoch in (2, 3))
    _, constant = source_of(encoded, markers)
    always = n_replaced(constant, method.items(constant, 3))
    assert 0 < late.sum() < last.sum() < always.sum()
    assert (last <= always).all()  # what goes at a low probability goes at a high one


def test_items_keep_their_places_and_targets(encoded, markers):
    method, source = source_of(encoded, markers, chunk_dropout_from=0.25)
    items, plain = method.items(source, 3), source.planned("chunkwise")
    assert np.array_equal(items.rows, plain.rows)
    assert np.array_equal(items.stages, plain.stages)
    assert np.array_equal(items.n_target, plain.n_target)
    for index in range(len(items)):
        target = items.tokens[index][items.n_prompt[index] :]
        assert np.array_equal(target, plain.tokens[index][plain.n_prompt[index] :])
    # the plan of steps is that of the items: what is late in the epoch is what has more replaced
    steps = source.steps(items, 3)
    replaced = n_replaced(source, items)
    assert sum(replaced[step].sum() for step in steps[: N_STEPS // 2]) < sum(
        replaced[step].sum() for step in steps[N_STEPS // 2 :]
    )
    again = method.items(source, 3)
    assert np.array_equal(again.tokens.values, items.tokens.values)


def test_what_rises_has_an_end_that_is_known():
    kind = own_methods()["base+sbc"].Options
    with pytest.raises(OptionError, match="needs chunk_dropout, the probability it rises to"):
        kind(chunk_dropout_from=0.5)
    with pytest.raises(OptionError, match="beside a budget of seconds"):
        kind(chunk_dropout=0.1, chunk_dropout_from=0.5, budget=BudgetOptions(seconds=9))


RECIPE = """
name: rising
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 2}}
chunks: {M: 3, method: greedy}
training: {chunk_dropout: 0.1, chunk_dropout_from: 0.5}
skip: {gate: answer}
methods: [base, stt]
"""


def test_it_is_of_judges_alone():
    recipe = parse_recipe(RECIPE, name="r")
    assert recipe.options_of(recipe.method("base+sbc")).chunk_dropout_from == 0.5
    assert not hasattr(recipe.options_of(recipe.method("stt")), "chunk_dropout_from")
    with pytest.raises(RecipeError, match="chunk_dropout_from"):
        parse_recipe(RECIPE + "", name="r", changes=["training.methods={stt: {chunk_dropout_from: 0.5}}"])
