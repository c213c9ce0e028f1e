"""The mixture of full and skip items: shares that rise, what full items are, where training starts."""

import numpy as np
import pytest
import torch
from kept import trains
from safetensors.torch import load_file
from training_calls import PAPER, train_by_name

from skipthink.core.codes import Stage
from skipthink.core.search import average_boundaries
from skipthink.exceptions import InvalidInputError
from skipthink.options import OptionError
from skipthink.training import ItemSource
from skipthink.training.methods.stt import METHOD
from skipthink.training.mixing import Ramp, items_of_epoch
from skipthink.training.options import BudgetOptions

M = 3


def test_a_share_that_rises_by_hand():
    """From 0 to 1 over two epochs of 4 items: shares 1/16, 3/16, …, 15/16, whose sums pass 1, 2, 3 and 4."""
    ramp = Ramp(0.0, 1.0, 8)
    assert items_of_epoch(0.0, 1.0, 2) == 4
    assert ramp.is_skip(0, 4).tolist() == [False, False, False, True]
    assert ramp.is_skip(1, 4).tolist() == [False, True, True, True]


@pytest.mark.parametrize(("epoch", "share"), [(0, 0.3), (1, 0.5), (2, 0.7), (3, 0.8)])
def test_every_epoch_has_its_share(epoch, share):
    """0.2 to 0.8 over three epochs; beyond them the share stays."""
    is_skip = Ramp(0.2, 0.8, 3000).is_skip(epoch, 1000)
    assert is_skip.mean() == pytest.approx(share, abs=1e-3)
    halves = [part.mean() for part in np.array_split(is_skip, 2)]
    assert halves[0] < halves[1] if epoch < 3 else halves[0] == pytest.approx(halves[1], abs=2e-3)


def test_a_share_that_rises_with_the_tokens():
    """Skip items of 28 target tokens beside full ones of 80, 160,000 in all: the share is what the tokens so far say."""
    ramp = Ramp(0.2, 0.8, 160_000, full=80, skip=28)
    n_items = 4000
    is_skip = ramp.is_skip(0, n_items)
    spent = np.cumsum(np.where(is_skip, 28, 80))
    end = int(np.searchsorted(spent, 160_000))
    assert ramp.shares(np.array([0.0, float(end), float(n_items)])) == pytest.approx(
        [0.2, 0.8, 0.8], abs=2e-3
    )
    assert ramp.shares(np.array([end - 1.0]))[0] < 0.8
    for share in (0.25, 0.5, 0.75):
        place = np.searchsorted(spent, share * 160_000)
        assert is_skip[place - 100 : place + 100].mean() == pytest.approx(0.2 + 0.6 * share, abs=0.02)


def test_a_share_that_does_not_change():
    assert Ramp(0.5, 0.5, 6).is_skip(0, 6).tolist() == [False, True] * 3


def test_each_item_is_taken_before_any_is_taken_again():
    order = Ramp(0.5, 0.5, 24).order(0, 6, 4, seed=1)
    full, skip = order[order < 6], order[order >= 6]
    assert sorted(full) == list(range(6))
    assert sorted(skip[:4]) == [6, 7, 8, 9]
    assert sorted(skip[4:]) == sorted(skip[:2])
    assert order.tolist() == Ramp(0.5, 0.5, 24).order(0, 6, 4, seed=1).tolist()
    assert order.tolist() != Ramp(0.5, 0.5, 24).order(1, 6, 4, seed=1).tolist()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"skip_weight_start": 0.2, "skip_weight": None}, "needs skip_weight"),
        ({"skip_weight_start": 0.2, "skip_weight": 0.8}, "needs batching: shuffled"),
        ({"skip_weight_start": 1.0, "skip_weight": 1.0, "batching": "shuffled"}, "must be below 1"),
        (
            {
                "skip_weight_start": 0.2,
                "skip_weight": 0.8,
                "batching": "shuffled",
                "budget": BudgetOptions(seconds=60.0),
            },
            "beside a budget of seconds",
        ),
    ],
)
def test_shares_that_are_refused(options, problem):
    with pytest.raises(OptionError, match=problem):
        METHOD.Options(**options)


@pytest.fixture
def source_of(encoded, markers):
    """Makes a source of items of which chunk 1 is skipped, of these options."""

    def make(**options):
        skipped = np.zeros((len(encoded), M), dtype=bool)
        skipped[:, 0] = True
        boundaries = average_boundaries(encoded.n_steps, M)
        chosen = METHOD.Options(**{**PAPER, **options})
        return ItemSource(encoded, markers, chosen, boundaries, 5, 8, skipped=skipped)

    return make


def stages_of(items):
    found, counts = np.unique(items.stages, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def test_full_items_are_chunks_or_the_whole_rationale(source_of, encoded):
    n = len(encoded)
    chunks = {Stage.ANSWER: n, 1: n, 2: n, 3: n}
    for kind, expected in (
        ("chunkwise", chunks),
        ("one-pass", {Stage.BASE: n}),
        ("both", {**chunks, Stage.BASE: n}),
    ):
        items = METHOD.items(source_of(full_items=kind), 0)
        assert stages_of(items) == {**expected, Stage.SKIP: n}
    source = source_of(full_items="one-pass", skip_weight=0.75)
    assert stages_of(METHOD.items(source, 0)) == {Stage.BASE: n, Stage.SKIP: 3 * n}


def test_by_default_skip_items_stand_alone_and_what_is_skipped_leaves_no_trace(encoded, markers):
    skipped = np.zeros((len(encoded), M), dtype=bool)
    skipped[:, 0] = True
    boundaries = average_boundaries(encoded.n_steps, M)
    items = METHOD.items(ItemSource(encoded, markers, METHOD.Options(), boundaries, 5, 8, skipped=skipped), 0)
    assert stages_of(items) == {Stage.SKIP: len(encoded)}
    for row, tokens in enumerate(items.tokens):
        _, *kept, end = encoded.step_tokens[row][boundaries[row]].tolist()
        rationale = encoded.rationale[row][kept[0] : end].tolist()
        answer = [*markers.answer_lead, *encoded.answer[row].tolist(), markers.end_id]
        assert tokens[items.n_prompt[row] :].tolist() == [*rationale, *answer]


def test_full_items_that_are_asked_for_have_a_share(markers):
    with pytest.raises(
        InvalidInputError, match="stt has full_items: one-pass, but skip_weight: 1 trains on skip items"
    ):
        METHOD.refuse(METHOD.Options(full_items="one-pass"), markers)
    for options in ({"skip_weight": 0.5}, {"skip_weight_start": 0.2, "batching": "shuffled"}, PAPER):
        METHOD.refuse(METHOD.Options(full_items="one-pass", **options), markers)


def test_whole_items_hold_every_stage_whatever_an_epoch_holds(source_of, encoded):
    source = source_of(
        skip_weight_start=0.0, skip_weight=1.0, batching="shuffled", epochs=2.0, full_items="one-pass"
    )
    n = len(encoded)
    assert stages_of(METHOD.whole_items(source)) == {Stage.BASE: n, Stage.SKIP: n}
    found = [stages_of(METHOD.items(source, epoch)) for epoch in range(2)]
    assert found == [{Stage.BASE: 36, Stage.SKIP: 12}, {Stage.BASE: 12, Stage.SKIP: 36}]


def test_steps_in_place_of_epochs_end_with_the_last_share(source_of, encoded):
    """48 items an epoch are 6 steps of 8; 12 steps are two epochs."""
    options = {"skip_weight_start": 0.0, "skip_weight": 1.0, "batching": "shuffled", "full_items": "one-pass"}
    by_steps, by_epochs = source_of(**options, max_steps=12), source_of(**options, epochs=2.0)
    for epoch in range(2):
        found, expected = (METHOD.items(source, epoch) for source in (by_steps, by_epochs))
        assert found.stages.tolist() == expected.stages.tolist()


@pytest.mark.parametrize("length", ["max_steps", "budget"])
def test_a_ramp_ends_where_the_target_tokens_do(source_of, length):
    """Target tokens of all epochs until the share is 1, as the items say, against what was asked for."""
    asked = 30 * 64
    by_steps = {"max_steps": 30, "step_target_tokens": 64}
    options = by_steps if length == "max_steps" else {"budget": BudgetOptions(target_tokens=asked)}
    source = source_of(
        skip_weight_start=0.0, skip_weight=1.0, batching="shuffled", full_items="one-pass", **options
    )
    spent = 0
    for epoch in range(100):
        items = METHOD.items(source, epoch)
        is_full = items.stages == Stage.BASE
        if not is_full.any():
            break
        last = int(np.flatnonzero(is_full)[-1])
        end = spent + int(items.n_loss[: last + 1].sum())
        spent += int(items.n_loss.sum())
    longest = int(items.n_loss.max())
    assert asked - 12 * longest < end < asked + longest


RAMP = {
    "skip_weight_start": 0.2, "skip_weight": 0.8, "batching": "shuffled", "epochs": 2, "full_items": "both",
    "learning_rate": 1e-3, "save_steps": 5, "batch_size": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
@trains
def ramped(student_dir, samples, encoded, tmp_path_factory):
    """A training whose share of skip items rises: (its folder, its summary, its arguments)."""
    out = tmp_path_factory.mktemp("ramped")
    boundaries = average_boundaries(encoded.n_steps, M)
    given = {"boundaries": boundaries, "skipped": np.ones((len(encoded), M), dtype=bool)}
    common = {"name": "stt", "student": student_dir, "samples": samples, "settings": RAMP, **given}
    return out, train_by_name(out=out, **common), common


class _Killed(Exception):
    pass


def test_a_killed_ramp_goes_on_bit_by_bit(ramped, tmp_path):
    folder, summary, common = ramped

    def kill(step, _):
        if step == 12:
            raise _Killed

    with pytest.raises(_Killed):
        train_by_name(out=tmp_path, progress=kill, **common)
    found = train_by_name(out=tmp_path, **common)
    assert {**found, "seconds": 0} == {**summary, "seconds": 0}
    expected = (folder / "model" / "model.safetensors").read_bytes()
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == expected


def test_a_student_that_comes_from_another_counts_its_tokens(ramped, student_dir, tmp_path):
    folder, summary, common = ramped
    settings = {**RAMP, "max_steps": 1}
    again = {**common, "student": folder / "model", "settings": {**settings, "learning_rate": 1e-9}}
    found = train_by_name(out=tmp_path / "warm", earlier=summary, **again)
    fresh = train_by_name(out=tmp_path / "fresh", **{**again, "student": student_dir})
    for name in ("train_items", "train_tokens", "train_target_tokens"):
        assert found[name] == fresh[name] + summary[name]
        assert found["earlier"][name] == summary[name]
    assert found["train_steps"] == 1
    assert found["earlier"]["train_steps"] == summary["train_steps"]
    old, new = (load_file(str(path / "model" / "model.safetensors")) for path in (folder, tmp_path / "warm"))
    for name, weight in new.items():
        torch.testing.assert_close(weight, old[name], atol=1e-6, rtol=1e-5)
