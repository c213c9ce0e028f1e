"""Budgets of target tokens and seconds, steps of target tokens, and the curve of the loss."""

import json
import math
import time

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kept import trains
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from training_calls import make_trainer, train_by_name

from skipthink.core.search import average_boundaries
from skipthink.exceptions import InvalidInputError, RecipeError
from skipthink.run.recipe import parse_recipe
from skipthink.student.items import build_items
from skipthink.student.token_rows import TokenRows
from skipthink.training import BudgetOptions
from skipthink.training.batches import ItemDataset, PadCollator, StageBatchSampler
from skipthink.training.halving import cut_into
from skipthink.training.loss_curve import LossCurve
from skipthink.training.method import Needs
from skipthink.training.methods import own_methods
from skipthink.training.options import TrainingOptions
from skipthink.training.steps import Layout, StepPlan, apportion, cut_evenly, cut_off

LIMIT = 5000
SETTINGS = {"budget": BudgetOptions(target_tokens=LIMIT), "save_steps": 5, "eta": 0.0, "warmup_steps": 0.1}


class _Killed(Exception):
    pass


@pytest.fixture(scope="module")
def items(encoded, markers):
    return build_items(encoded, encoded.plan("chunkwise", average_boundaries(encoded.n_steps, 3)), markers)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 20)), min_size=1, max_size=6), st.data())
def test_shares_add_up_and_keep_their_bounds(groups, data):
    weights, most = np.asarray([one[0] for one in groups]), np.asarray([one[1] for one in groups])
    total = data.draw(st.integers(len(groups), int(most.sum())))
    counts = apportion(weights, total, most=most)
    assert counts.sum() == total
    assert (counts >= 1).all()
    assert (counts <= most).all()


def test_shares_are_in_proportion():
    assert apportion(np.asarray([50, 30, 20]), 10, most=np.full(3, 9)).tolist() == [5, 3, 2]
    assert apportion(np.asarray([1, 0, 99]), 10, most=np.full(3, 9)).tolist() == [1, 1, 8]
    assert apportion(np.asarray([1, 99]), 10, most=np.asarray([9, 4])).tolist() == [6, 4]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.data())
def test_parts_are_even_whole_and_never_empty(lengths, data):
    n_loss, n_parts = np.asarray(lengths), data.draw(st.integers(1, len(lengths)))
    parts = cut_evenly(np.arange(len(n_loss)), n_loss, n_parts)
    assert len(parts) == n_parts
    assert all(len(part) for part in parts)
    assert np.concatenate(parts).tolist() == list(range(len(n_loss)))
    if n_parts * 4 <= len(lengths) and min(lengths) > 0:
        tokens = np.asarray([n_loss[part].sum() for part in parts])
        assert np.abs(tokens - n_loss.sum() / n_parts).max() <= max(lengths)


@pytest.mark.parametrize("by_stage", [True, False])
def test_steps_of_target_tokens_hold_about_as_many(items, by_stage):
    plan = StepPlan(8, 1, by_stage, step_target_tokens=300)
    total = int(items.n_loss.sum())
    for epoch in range(3):
        steps = plan.steps(items.stages, items.n_loss, epoch)
        assert len(steps) == round(total / 300)
        assert sorted(np.concatenate(steps).tolist()) == list(range(len(items)))
        tokens = np.asarray([items.n_loss[step].sum() for step in steps])
        if by_stage:
            assert all(len(set(items.stages[step])) == 1 for step in steps)
            # answers are few tokens: their stage is one smaller step
            tokens = np.sort(tokens)[1:]
        assert np.abs(tokens / 300 - 1).max() < 0.3


def test_steps_are_as_many_in_every_epoch_whatever_the_items(items):
    plan = StepPlan(8, 1, step_target_tokens=100)
    first = plan.steps(items.stages, items.n_loss, 0)
    moved = items.n_loss.copy()
    moved[items.stages == 1] += 40  # a search gives a stage more to write
    assert len(plan.steps(items.stages, moved, 1)) == len(first)


def test_the_last_step_ends_with_the_item_that_reaches_the_budget():
    steps, n_loss = (
        [np.asarray([0, 1]), np.asarray([2, 3, 4]), np.asarray([5])],
        np.asarray([3, 3, 2, 2, 2, 9]),
    )
    found = {
        limit: [step.tolist() for step in cut_off(steps, n_loss, limit)] for limit in (1, 6, 7, 9, 12, 99)
    }
    assert found[1] == [[0]]
    assert found[6] == [[0, 1]]
    assert found[7] == [[0, 1], [2]]
    assert found[9] == [[0, 1], [2, 3]]
    assert found[12] == [[0, 1], [2, 3, 4]]
    assert found[99] == [[0, 1], [2, 3, 4], [5]]


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_all_processes_compute_as_many_pieces(items, markers, n_ranks):
    layouts = [Layout(2, 1, n_ranks, rank, step_target_tokens=120) for rank in range(n_ranks)]
    samplers = [
        StageBatchSampler(ItemDataset(items), layout, StepPlan(2, 1, step_target_tokens=120))
        for layout in layouts
    ]
    collate = PadCollator(markers)
    for place, step in enumerate(samplers[0].steps):
        parts = [list(sampler)[place] for sampler in samplers]
        assert sorted(item for part in parts for item in part) == sorted(step.tolist())
        seen, counts = 0, set()
        for sampler, part in zip(samplers, parts, strict=True):
            pieces = cut_into(collate([sampler.dataset[index] for index in part]), layouts[0].pieces_of(step))
            counts.add(len(pieces))
            assert all(len(piece["labels"]) <= 2 for piece in pieces)
            seen += sum(len(piece["target_rows"]) for piece in pieces)
            for piece in pieces:
                labels = piece["labels"][piece["target_rows"], piece["target_columns"] + 1]
                assert (labels != -100).all()
                assert piece["input_ids"].shape == piece["labels"].shape
        assert len(counts) == 1
        assert seen == items.n_loss[step].sum()


def train(student_dir, samples, out, method="base+sbc", progress=None, **changes):
    return train_by_name(
        method, student=student_dir, samples=samples, out=out, n_chunks=3, seed=5, progress=progress,
        settings={**SETTINGS, **changes},
    )  # fmt: skip


def weights(out):
    return load_file(out / "model" / "model.safetensors")


@pytest.fixture(scope="module")
@trains
def trained(kept, student_dir, samples, tmp_path_factory):
    """Chunk-wise training under a budget of target tokens, in steps of target tokens."""
    out = tmp_path_factory.mktemp("budget")
    return out, train(student_dir, samples, out, step_target_tokens=300)


def test_a_budget_of_target_tokens_is_spent_to_an_item(trained, items):
    _, summary = trained
    spent = summary["train_target_tokens"]
    assert LIMIT <= spent < LIMIT + items.n_loss.max()
    assert summary["budget"] == {"of": "target_tokens", "limit": LIMIT, "spent": spent}
    assert summary["effective_batch"]["batch_target_tokens"] == pytest.approx(300, rel=0.1)
    assert summary["train_steps"] * summary["effective_batch"]["batch_target_tokens"] == pytest.approx(spent)
    assert summary == json.loads((trained[0] / "train.json").read_text())


def test_the_curve_has_a_point_per_step_of_a_short_training(trained):
    _, summary = trained
    assert summary["loss_steps"] == list(range(1, summary["train_steps"] + 1))
    assert len(summary["loss"]) == len(summary["loss_target_tokens"]) == summary["train_steps"]
    assert summary["loss_target_tokens"][-1] == summary["train_target_tokens"]
    assert all(math.isfinite(loss) and loss > 0 for loss in summary["loss"])


@pytest.mark.parametrize("stop", [4, 11, 16])
def test_a_budget_goes_on_where_it_was_killed(trained, student_dir, samples, tmp_path, stop):
    """Weights, counts and the whole curve are those of a run that was not killed."""
    calls = []

    def kill(done, total):
        calls.append((done, total))
        if len(calls) == stop:
            raise _Killed

    with pytest.raises(_Killed):
        train(student_dir, samples, tmp_path, progress=kill, step_target_tokens=300)
    assert calls[-1][1] == LIMIT
    assert 0 < calls[-1][0] < LIMIT
    summary = train(student_dir, samples, tmp_path, step_target_tokens=300)
    assert {**summary, "seconds": 0} == {**trained[1], "seconds": 0}
    for name, tensor in weights(tmp_path).items():
        assert torch.equal(tensor, weights(trained[0])[name]), name


@pytest.mark.slow
def test_methods_spend_the_same_in_steps_of_the_same_size(student_dir, samples, tmp_path):
    """Base at the tokens and steps of chunk-wise training: its direct rival."""
    found = {
        method: train(student_dir, samples, tmp_path / method, method=method, step_target_tokens=200)
        for method in ("base", "base+ac")
    }
    spent = [summary["train_target_tokens"] for summary in found.values()]
    steps = [summary["train_steps"] for summary in found.values()]
    assert np.ptp(spent) / LIMIT < 0.02
    assert np.ptp(steps) <= 2
    assert (
        found["base"]["effective_batch"]["batch_items"] < found["base+ac"]["effective_batch"]["batch_items"]
    )


@pytest.mark.slow
def test_epochs_of_base_are_target_tokens_for_all_methods(student_dir, samples, encoded, tmp_path):
    """The limit is what an epoch of `base` has; methods with shorter targets make more of them."""
    few = samples.slice(0, 8)
    epoch = (encoded.rationale.lengths[:8] + encoded.answer.lengths[:8] + 2).sum()  # [answer] and the end
    settings = {"budget": BudgetOptions(base_epochs=1.0), "batch_size": 4, "step_target_tokens": 150}
    for name in ("base", "base+ac", "answer-only"):
        changes = {} if name != "answer-only" else {"step_target_tokens": None}
        summary = train_by_name(
            name,
            student=student_dir,
            samples=few,
            out=tmp_path / name,
            n_chunks=3,
            settings=settings | changes,
        )
        spent = summary["train_target_tokens"]
        assert summary["budget"] == {"of": "target_tokens", "limit": epoch, "spent": spent}
        assert epoch <= spent < epoch + 100
    assert summary["train_items"] > 8 * 4  # answers alone: many epochs


@pytest.mark.slow
@pytest.mark.parametrize("name", own_methods())
def test_every_method_keeps_a_budget(student_dir, samples, encoded, tmp_path, monkeypatch, name):
    """About two steps: it ends with the item that reaches the budget, and no later."""
    method, few, limit = own_methods()[name], samples.slice(0, 8), 300
    given = {}
    if method.needs is not Needs.NOTHING:
        given["boundaries"] = average_boundaries(encoded.n_steps[:8], 3)
    if method.needs is Needs.SKIPS:
        given["skipped"] = np.tile([True, False, False], (8, 1))
    if method.writer is not None:
        given["own"] = TokenRows.of([[] for _ in range(8)])
    # it wants a student that knows language, which this one need not
    monkeypatch.setattr("skipthink.training.perplexity.UNTRAINED", 2.0)
    refuses_steps = name == "icot-si"  # as a test below says
    settings = {"budget": BudgetOptions(target_tokens=limit), "eta": 0.0, "batch_size": 4}
    if not refuses_steps:
        settings["step_target_tokens"] = limit // 2
    summary = train_by_name(
        name, student=student_dir, samples=few, out=tmp_path, n_chunks=3, settings=settings, **given
    )
    lengths = pc.list_value_length(pq.read_table(tmp_path / "items.parquet")["target_ids"])
    spent, longest = summary["train_target_tokens"], pc.max(lengths).as_py()
    assert limit <= spent < limit + longest
    assert summary["budget"] == {"of": "target_tokens", "limit": limit, "spent": spent}


@pytest.mark.slow
def test_pieces_change_no_weight(student_dir, samples, tmp_path):
    """A step computed at once and one item after the other: the same up to the order of additions."""
    for size in (64, 1):
        train(student_dir, samples.slice(0, 8), tmp_path / str(size), method="base", step_target_tokens=400,
              batch_size=size, budget=BudgetOptions(target_tokens=1500), optim="sgd")  # fmt: skip
    left, right = (weights(tmp_path / size) for size in ("64", "1"))
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_a_budget_of_seconds_ends_after_its_step(student_dir, samples, tmp_path):
    began = time.monotonic()
    summary = train(student_dir, samples, tmp_path, method="base", budget=BudgetOptions(seconds=2))
    assert summary["budget"]["of"] == "seconds"
    assert 2 <= summary["budget"]["spent"] == summary["seconds"] < time.monotonic() - began
    assert summary["train_steps"] > 2


@pytest.mark.slow
def test_seconds_before_a_kill_count(student_dir, samples, tmp_path):
    def kill(done, total):
        if done >= 2:
            raise _Killed

    limit = BudgetOptions(seconds=3)
    with pytest.raises(_Killed):
        train(student_dir, samples, tmp_path, method="base", budget=limit, save_steps=1, progress=kill)
    began = time.monotonic()
    summary = train(student_dir, samples, tmp_path, method="base", budget=limit, save_steps=1)
    assert summary["seconds"] >= 3
    assert len(summary["loss_steps"]) == min(summary["train_steps"], 200)
    assert time.monotonic() - began < 3 + 20  # what was spent before is not spent again


@pytest.mark.slow
def test_the_learning_rate_falls_by_what_is_spent(whole, encoded, tmp_path):
    trainer = make_trainer(
        "base", whole, encoded, tmp_path, budget=BudgetOptions(target_tokens=4000), step_target_tokens=400,
        warmup_steps=0.25, learning_rate=0.5, logging_steps=1, save_strategy="no",
    )  # fmt: skip
    trainer.train_resumable()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    rows = trainer.curve.points()
    before = [0, *rows["loss_target_tokens"][:-1]]
    expected = [0.5 * (tokens / 1000 if tokens < 1000 else (4000 - tokens) / 3000) for tokens in before]
    # a line shows the rate of its step
    np.testing.assert_allclose([entry["learning_rate"] for entry in logs], expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        [entry["loss"] for entry in logs], rows["loss"], atol=6e-5
    )  # logged to four digits


def test_icot_refuses_steps_of_target_tokens(student_dir, samples, tmp_path):
    with pytest.raises(
        InvalidInputError, match="its steps hold a number of items; leave out step_target_tokens"
    ):
        train(student_dir, samples, tmp_path, method="icot-si", step_target_tokens=100)


@pytest.mark.parametrize(("options", "message"), [
    ({"budget": {}}, r"training.budget.target_tokens or base_epochs or seconds must be given"),
    ({"budget": {"base_epochs": 0}}, r"budget.base_epochs must be above 0, got 0"),
    ({"budget": {"base_epochs": 2, "seconds": 2}}, r"training.budget.seconds is set beside base_epochs"),
    ({"budget": {"target_tokens": 5, "seconds": 2}}, r"training.budget.seconds is set beside target_tokens"),
    ({"budget": {"target_tokens": 0}}, r"budget.target_tokens must be at least 1, got 0"),
    ({"budget": {"tokens": 10}}, r"unknown key training.budget.tokens; did you mean training.budget.target_tokens"),
    ({"budget": {"seconds": 9}, "max_steps": 5}, r"budget is set beside max_steps"),
    ({"budget": {"seconds": 9}, "warmup_steps": 10}, r"warmup_steps must be below 1, a share of the budget, got 10"),
    ({"step_target_tokens": 9, "gradient_accumulation_steps": 2}, r"leave gradient_accumulation_steps at 1"),
])  # fmt: skip
def test_wrong_budgets_are_named(options, message):
    recipe = {
        "name": "r",
        "answer": "number",
        "chunks": {"M": 2},
        "training": options,
        "data": {"file": "x.jsonl"},
    }
    with pytest.raises(RecipeError, match=message):
        parse_recipe(json.dumps(recipe), name="r.yaml")


def test_a_recipe_gives_one_method_a_budget_of_its_own():
    recipe = parse_recipe(
        "{name: r, answer: number, chunks: {M: 2, method: greedy}, training: {budget: {target_tokens: 900}, step_target_tokens: 50, "
        "methods: {base: {budget: {seconds: 60}}}}}",
        name="r.yaml", changes=["training.budget.target_tokens=800"],
    )  # fmt: skip
    assert recipe.options_of(recipe.method("base")).budget == BudgetOptions(seconds=60)
    other: TrainingOptions = recipe.options_of(recipe.method("stt"))
    assert (other.budget, other.step_target_tokens) == (BudgetOptions(target_tokens=800), 50)
    assert parse_recipe(recipe.to_yaml(), name="again.yaml") == recipe


@pytest.mark.parametrize(
    ("n_steps", "window"), [(0, 1), (1, 1), (60, 1), (200, 1), (201, 2), (1000, 5), (1001, 6)]
)
def test_long_curves_are_means_over_windows(n_steps, window):
    curve, losses = LossCurve(), np.random.default_rng(0).random(n_steps).astype(np.float32)
    for step, loss in enumerate(losses):
        curve.add(torch.tensor(loss / 4))
        curve.add(torch.tensor(loss * 3 / 4))  # micro-batches
        curve.end_step(10 * (step + 1))
    curve.fetch(_OneProcess())
    points = curve.points()
    assert len(points["loss"]) >= min(n_steps, 100)
    np.testing.assert_allclose(
        points["loss"], [losses[at : at + window].mean() for at in range(0, n_steps, window)], rtol=1e-5
    )
    assert points["loss_steps"][-1:] == [n_steps][: bool(n_steps)]
    assert points["loss_target_tokens"] == [10 * step for step in points["loss_steps"]]


class _OneProcess:
    num_processes = 1


class _Reads(TorchDispatchMode):
    """Notes where a value is read from the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **kwargs or {})


def test_a_step_of_the_curve_reads_nothing_from_the_device(tmp_path):
    curve, reads = LossCurve(), _Reads()
    losses = [torch.rand(()) for _ in range(30)]
    with reads:
        for step, loss in enumerate(losses):
            curve.add(loss)
            curve.end_step(step)
    assert reads.count == 0
    curve.fetch(_OneProcess())
    curve.save(tmp_path)
    again = LossCurve()
    again.load(tmp_path)
    assert again.points() == curve.points()
    assert again.points()["loss"] == [float(loss) for loss in losses]
