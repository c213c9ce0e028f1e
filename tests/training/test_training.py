"""The trainers: batches, trajectories, resume after a kill, and the six methods."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from kept import trains
from safetensors.torch import load_file
from training_calls import make_trainer, train_by_name

from skipthink import average_boundaries
from skipthink.core.codes import Stage
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.student.items import build_items, join_items, take_items
from skipthink.student.models import load_student
from skipthink.student.student import Student
from skipthink.training import ItemTrainer
from skipthink.training import train as training
from skipthink.training.batches import ItemDataset, PadCollator, StageBatchSampler
from skipthink.training.boundaries import BoundaryFolder
from skipthink.training.checkpoints import StepCounts, mark_complete, newest_checkpoint, read_counts
from skipthink.training.loss import TargetHead
from skipthink.training.steps import Layout, StepPlan, loss_denominators, plan_steps

SETTINGS = {
    "batch_size": 8,
    "learning_rate": 1e-3,
    "epochs": 2,
    "save_strategy": "steps",
    "save_steps": 5,
    "eta": 0.0,
}


@pytest.fixture(scope="module")
def chunkwise_items(encoded, markers):
    return build_items(encoded, encoded.plan("chunkwise", average_boundaries(encoded.n_steps, 3)), markers)


def sampler_of(items, layout, by_stage=True):
    return StageBatchSampler(ItemDataset(items), layout, StepPlan(layout.step_size, 1, by_stage))


def test_stage_batches_hold_one_stage_and_every_item_once(chunkwise_items):
    sampler = sampler_of(chunkwise_items, Layout(7))
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(len(chunkwise_items)))
    assert all(len(set(chunkwise_items.stages[batch])) == 1 for batch in batches)
    assert batches == list(sampler)
    sampler.begin_epoch(1, chunkwise_items)
    assert batches != list(sampler)


def test_stages_take_turns():
    """Any part of an epoch holds each stage about in proportion: within one step of its share."""
    stages = np.repeat([0, 1, 2], [400, 200, 100])
    for epoch in range(20):
        steps = plan_steps(stages, 4, seed=3, epoch=epoch)
        order = np.asarray([stages[step[0]] for step in steps])
        for stage, share in ((0, 4 / 7), (1, 2 / 7), (2, 1 / 7)):
            seen = np.cumsum(order == stage)
            assert np.abs(seen - share * np.arange(1, len(order) + 1)).max() <= 2.5


def test_shuffled_batches_mix_stages(chunkwise_items):
    sampler = sampler_of(chunkwise_items, Layout(8), by_stage=False)
    assert any(len(set(chunkwise_items.stages[batch])) > 1 for batch in sampler)


@pytest.mark.parametrize("by_stage", [True, False])
@pytest.mark.parametrize(("batch", "accumulation", "n_ranks"), [(3, 2, 1), (2, 1, 3), (2, 2, 2), (1, 3, 4)])
def test_a_step_is_dealt_out_whole(chunkwise_items, batch, accumulation, n_ranks, by_stage):
    """All processes see the same stage in a step, all have as many batches, and nothing is lost or repeated."""
    samplers = [
        sampler_of(chunkwise_items, Layout(batch, accumulation, n_ranks, rank), by_stage=by_stage)
        for rank in range(n_ranks)
    ]
    parts = [list(sampler) for sampler in samplers]
    for rank in range(n_ranks):
        assert len(parts[rank]) == len(samplers[rank]) == accumulation * len(samplers[0].steps)
        assert max(map(len, parts[rank])) <= batch
    for index, step in enumerate(samplers[0].steps):
        of_step = [
            item
            for part in parts
            for micro in part[index * accumulation : (index + 1) * accumulation]
            for item in micro
        ]
        assert sorted(of_step) == sorted(step.tolist())
        if by_stage:
            assert len(set(chunkwise_items.stages[of_step])) == 1


def test_denominators_make_means():
    n_target = np.asarray([4, 2, 0, 6])
    steps = [np.asarray([0, 1, 2]), np.asarray([3])]
    assert loss_denominators(steps, n_target, "batch_tokens").tolist() == [6, 6, 6, 6]
    # two items with targets: each counts half, whatever its length
    assert loss_denominators(steps, n_target, "item").tolist() == [8, 4, 1, 6]


def test_an_empty_micro_batch_is_one_token_without_loss(markers):
    batch = PadCollator(markers)([])
    assert batch["input_ids"].tolist() == [[markers.pad_id]]
    assert batch["labels"].tolist() == [[-100]]


def test_only_targets_carry_loss(chunkwise_items, markers):
    dataset, collate = ItemDataset(chunkwise_items), PadCollator(markers)
    batch = collate([dataset[index] for index in (0, 30, 95)])
    for row, index in enumerate((0, 30, 95)):
        cut, length = chunkwise_items.n_prompt[index], len(chunkwise_items.tokens[index])
        assert (batch["labels"][row, :cut] == -100).all()
        assert batch["labels"][row, cut:length].tolist() == chunkwise_items.tokens[index][cut:].tolist()
        assert (batch["labels"][row, length:] == -100).all()
        assert batch["attention_mask"][row].sum() == length


def test_join_and_take(chunkwise_items):
    both = join_items([chunkwise_items, take_items(chunkwise_items, np.asarray([5, 5, 0]))])
    assert len(both) == len(chunkwise_items) + 3
    assert both.tokens[len(both) - 1].tolist() == chunkwise_items.tokens[0].tolist()
    assert both.tokens[len(both) - 2].tolist() == chunkwise_items.tokens[5].tolist()


def test_epoch_items_must_keep_their_stages(chunkwise_items):
    dataset = ItemDataset(chunkwise_items)
    with pytest.raises(InvalidInputError, match="stages of the epoch before"):
        dataset.set_items(take_items(chunkwise_items, np.asarray([1, 0])), np.ones(2, dtype=np.int64))


def train(student_dir, samples, out, method="base+sbc", **changes):
    return train_by_name(
        method,
        student=student_dir,
        samples=samples,
        out=out,
        n_chunks=3,
        seed=5,
        settings={**SETTINGS, **changes},
    )


def weights(out):
    return load_file(out / "model" / "model.safetensors")


def assert_same_weights(left, right, tolerance=0.0):
    left, right = weights(left), weights(right)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], atol=tolerance, rtol=tolerance)


@pytest.fixture(scope="module")
@trains
def trained(kept, student_dir, samples, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    summary = kept.fill(
        out, train_by_name, name="base+sbc", student=student_dir, samples=samples, n_chunks=3, seed=5,
        settings=SETTINGS,
    )  # fmt: skip
    return out, summary


def test_train_writes_what_it_promises(trained, encoded, samples):
    out, summary = trained
    assert json.loads((out / "train.json").read_text()) == summary
    assert summary["items"] == {"0": 24, "1": 24, "2": 24, "3": 24}
    assert summary["train_steps"] == 2 * 4 * 3
    chunks = pq.read_table(out / "chunks.parquet")
    assert ["".join(row) for row in chunks["chunks"].to_pylist()] == samples["rationale"].to_pylist()
    items = pq.read_table(out / "items.parquet")
    per_epoch = sum(map(len, items["target_ids"].to_pylist()))
    assert summary["train_target_tokens"] == 2 * per_epoch
    student = json.loads((out / "model" / "skipthink.json").read_text())
    assert student["mode"] == "full"
    assert student["empty_stages"] == []
    assert student["max_target_tokens"]["0"] == max(
        len(ids)
        for ids, stage in zip(items["target_ids"].to_pylist(), items["stage"].to_pylist(), strict=True)
        if stage == Stage.ANSWER
    )
    assert not (out / "checkpoints").exists()


def test_training_lowers_the_loss(trained):
    losses = trained[1]["loss"]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


class _Killed(Exception):
    pass


@pytest.mark.parametrize("stop", [3, 7, 13, 17])
def test_resume_equals_an_uninterrupted_run(trained, student_dir, samples, tmp_path, stop):
    """Stopped in either epoch, before and after a checkpoint: weights, boundaries and counts are bit-identical."""

    def progress(step, _):
        if step == stop:
            raise _Killed

    with pytest.raises(_Killed):
        train_by_name(
            "base+sbc", student=student_dir, samples=samples, out=tmp_path, n_chunks=3, seed=5, settings=SETTINGS,
            progress=progress,
        )  # fmt: skip
    checkpoint = newest_checkpoint(tmp_path / "checkpoints")
    assert (checkpoint is None) == (stop < 5)
    summary = train(student_dir, samples, tmp_path)
    assert {**summary, "seconds": 0} == {**trained[1], "seconds": 0}
    assert_same_weights(tmp_path, trained[0])
    assert pq.read_table(tmp_path / "chunks.parquet") == pq.read_table(trained[0] / "chunks.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["the next search", "the last writes"])
def test_resume_at_the_end_of_an_epoch(student_dir, samples, tmp_path, monkeypatch, stop):
    """A checkpoint between two epochs, or behind the last: the chunks of the epoch before it are where it goes on from."""
    settings = {"save_steps": 12, "learning_rate": 1e-2}  # an epoch has 12 steps
    expected = train(student_dir, samples, tmp_path / "whole", **settings)
    chunks = pq.read_table(tmp_path / "whole" / "chunks.parquet")
    boundaries = np.asarray(chunks["boundaries"].to_pylist())
    assert not np.array_equal(boundaries, average_boundaries(boundaries[:, -1], 3)), "nothing was found"

    def kill(*_):
        raise _Killed

    with monkeypatch.context() as patch:
        if stop == "the last writes":
            patch.setattr(training, "write_parquet", kill)
        else:
            patch.setattr(ItemTrainer, "search_boundaries", fail_second(kill))
        with pytest.raises(_Killed):
            train(student_dir, samples, tmp_path / "killed", **settings)
    found = train(student_dir, samples, tmp_path / "killed", **settings)
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert pq.read_table(tmp_path / "killed" / "chunks.parquet") == chunks
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")


def fail_second(kill, search=ItemTrainer.search_boundaries):
    """The search, which a kill meets when it is called for the second time."""
    calls = []

    def searched(trainer, epoch):
        calls.append(trainer)
        return kill() if len(calls) == 2 else search(trainer, epoch)

    return searched


def test_cut_off_checkpoint_is_passed_over(tmp_path):
    for step, complete in ((5, True), (10, True), (15, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if complete:
            (folder / "skipthink.json").write_text("{}")
    assert newest_checkpoint(tmp_path).name == "checkpoint-10"
    assert newest_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("model.safetensors", 40, "model.safetensors holds 40 bytes, 100 were written"),
        ("skipthink.json", 40, "skipthink.json is not valid JSON"),
        ("skipthink.json", 0, "skipthink.json is not valid JSON"),
        ("model.safetensors", None, "No such file"),
    ],
)
def test_a_damaged_checkpoint_is_named(tmp_path, name, size, message):
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(100))
    mark_complete(folder, StepCounts(3, 2, 1, 5), Layout(8))
    assert read_counts(folder, Layout(8)).totals()["train_items"] == 3
    path = folder / name
    path.unlink() if size is None else path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        DataError, match=f"cannot go on from .*checkpoint-5: .*{message}.*; delete it, and training"
    ):
        read_counts(folder, Layout(8))


@pytest.mark.slow
@pytest.mark.parametrize(("batching", "loss_norm"), [("stage", "batch_tokens"), ("shuffled", "item")])
def test_gradient_accumulation_keeps_the_trajectory(student_dir, samples, tmp_path, batching, loss_norm):
    """8 rows at once = 4 rows twice = 1 row 8 times, float32, to 1e-6 after an epoch (a last step of 3 rows leaves micro-batches empty)."""
    losses = []
    for batch, accumulation in ((8, 1), (4, 2), (1, 8)):
        summary = train(student_dir, samples.slice(0, 11), tmp_path / str(batch), method="base+ac",
                        epochs=1, batch_size=batch, learning_rate=0.1,
                        gradient_accumulation_steps=accumulation, batching=batching, loss_norm=loss_norm,
                        optim="sgd", max_grad_norm=0.0)  # fmt: skip
        losses.append(summary["loss"])
        assert_same_weights(tmp_path / "8", tmp_path / str(batch), tolerance=1e-6)
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["answer-only", "base", "base+ac"])
def test_controls_train(student_dir, samples, tmp_path, method):
    summary = train(student_dir, samples, tmp_path, method=method, epochs=1)
    n_items = {"answer-only": 24, "base": 24, "base+ac": 4 * 24}[method]
    assert sum(summary["items"].values()) == n_items
    assert not (tmp_path / "checkpoints").exists()
    load_student(tmp_path / "model")


def test_skip_methods_hold_one_skip_item_a_sample(trained, encoded, markers, student_dir, samples, tmp_path):
    boundaries = np.asarray(pq.read_table(trained[0] / "chunks.parquet")["boundaries"].to_pylist())
    skipped = np.zeros((24, 3), dtype=bool)
    skipped[:, 0] = True
    summaries = {
        method: train_by_name(
            method, student=student_dir, samples=samples, out=tmp_path / method, n_chunks=3, seed=5,
            settings={**SETTINGS, "epochs": 1}, skipped=skipped, boundaries=boundaries,
        )
        for method in ("stt", "skip-all")
    }  # fmt: skip
    for method, summary in summaries.items():
        assert summary["items"][str(Stage.SKIP)] == 24
        table = pq.read_table(tmp_path / method / "items.parquet").to_pylist()
        targets = [row["target_ids"] for row in table if row["stage"] == Stage.SKIP]
        n_thoughts = 1 if method == "stt" else 3
        assert all(target.count(markers.thought_mark[0]) == n_thoughts for target in targets)
        assert all(
            target.count(markers.answer_mark[0]) == 1 and target[-1] == markers.end_id for target in targets
        )


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "n_skip", "n_all"), [(0.5, 4 * 24, 8 * 24), (1.0, 24, 24)])
def test_skip_weight_sets_the_share(encoded, student_dir, samples, tmp_path, weight, n_skip, n_all):
    summary = train_by_name(
        "skip-all", student=student_dir, samples=samples, out=tmp_path, n_chunks=3, seed=5,
        settings={**SETTINGS, "epochs": 1, "skip_weight": weight},
        boundaries=np.tile(np.asarray([0, 1, 2, 0]), (24, 1)) + np.outer(encoded.n_steps, [0, 0, 0, 1]),
    )  # fmt: skip
    assert summary["items"][str(Stage.SKIP)] == n_skip
    assert sum(summary["items"].values()) == n_all


def test_chunk_dropout_is_drawn_anew_each_epoch(student_dir, encoded, markers, tmp_path):
    student = Student.load(student_dir, n_chunks=3)
    trainer = make_trainer("base+ac", student, encoded, tmp_path, chunk_dropout=0.5)
    first, again, second = (trainer.method.items(trainer.source, epoch) for epoch in (0, 0, 1))
    assert np.array_equal(first.tokens.values, again.tokens.values)
    assert not np.array_equal(first.tokens.values, second.tokens.values)
    assert (first.n_target == second.n_target).all()
    assert (first.tokens.values == markers.thought_mark[0]).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batching": "mixed"}, "batching must be"),
        ({"research_every": 0}, "research_every must be at least 1"),
        ({"loss_norm": "tokens"}, "loss_norm must be"),
        ({"long_items": "cut"}, "long_items must be"),
        ({"dataloader_persistent_workers": True, "dataloader_num_workers": 1}, "outlive an epoch"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing_factor must stay unset"),
        ({"max_item_tokens": 20}, "exceed 20 tokens"),
        ({"max_item_tokens": 20, "long_items": "drop"}, "every sample has an item of more than 20 tokens"),
    ],
)
def test_bad_settings(student_dir, samples, tmp_path, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        train(student_dir, samples, tmp_path, **changes)


def test_missing_skip_data(student_dir, samples, tmp_path):
    with pytest.raises(InvalidInputError, match="stt needs the chunks and skip data"):
        train(student_dir, samples, tmp_path, method="stt")
    shutil.rmtree(tmp_path)


@pytest.fixture
def trainer_of(student_dir, encoded, tmp_path):
    def make(**changes):
        student = Student.load(student_dir, n_chunks=3)
        return make_trainer("base+ac", student, encoded, tmp_path, **changes)

    return make


@pytest.mark.parametrize("batching", ["stage", "shuffled"])
def test_loss_of_a_step_equals_the_models_own(trainer_of, batching):
    """With the head on target positions alone and without: the mean over the step's target tokens."""
    trainer = trainer_of(batch_size=5, batching=batching)
    assert trainer.target_head.picks
    batches = [
        trainer.data_collator([trainer.train_dataset[i] for i in step]) for step in trainer.batch_sampler
    ]
    expected = [
        trainer.model(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}).loss
        for batch in batches[:4]
    ]
    for batch, loss in zip(batches, expected, strict=False):
        torch.testing.assert_close(trainer.compute_loss(trainer.model, batch), loss, rtol=1e-5, atol=1e-6)
    trainer.target_head.release()
    for batch, loss in zip(batches, expected, strict=False):
        torch.testing.assert_close(trainer.compute_loss(trainer.model, batch), loss, rtol=1e-5, atol=1e-6)


def test_loss_norm_item_is_the_mean_over_items(trainer_of):
    trainer = trainer_of(batch_size=5, loss_norm="item")
    step = next(iter(trainer.batch_sampler))
    rows = [trainer.train_dataset[index] for index in step]
    alone = [trainer.model(input_ids=row["input_ids"][None], labels=row["labels"][None]).loss for row in rows]
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    torch.testing.assert_close(loss, torch.stack(alone).mean(), rtol=1e-5, atol=1e-6)


class _Scaled(torch.nn.Module):
    """A head that does more than a product of matrices, and one that wants a position in front."""

    def __init__(self, head, *, needs_positions):
        super().__init__()
        self.head, self.needs_positions, self.weight = head, needs_positions, head.weight

    def forward(self, states):
        logits = self.head(states).tanh() * 3
        return logits - logits.mean(dim=1, keepdim=True) if self.needs_positions else logits


@pytest.mark.parametrize("needs_positions", [False, True])
def test_head_is_left_alone_where_positions_matter(student_dir, needs_positions):
    model, _ = load_student(student_dir)
    model.set_output_embeddings(_Scaled(model.lm_head, needs_positions=needs_positions))
    assert TargetHead(model).picks == (not needs_positions)


@pytest.mark.slow
def test_long_samples_are_left_out_and_counted(student_dir, samples, tmp_path, encoded):
    lengths = encoded.question.lengths + encoded.rationale.lengths + encoded.answer.lengths + 2
    limit = int(np.sort(lengths)[-4])
    n_long = int((lengths > limit).sum())
    assert 0 < n_long <= 3
    summary = train(student_dir, samples, tmp_path, epochs=1, max_item_tokens=limit, long_items="drop")
    assert summary["report"]["samples_left_out"] == n_long
    assert summary["report"]["long_items"] >= n_long
    assert summary["items"] == dict.fromkeys("0123", 24 - n_long)
    chunks = pq.read_table(tmp_path / "chunks.parquet")
    assert chunks["id"].to_pylist() == samples["id"].to_pylist()  # its chunks are known still
    left = set(pq.read_table(tmp_path / "items.parquet")["id"].to_pylist())
    assert left == {
        row for row, length in zip(samples["id"].to_pylist(), lengths, strict=True) if length <= limit
    }


def test_effective_batch_is_reported_in_items_and_tokens(trained, student_dir, samples, tmp_path):
    _, summary = trained
    batch = summary["effective_batch"]
    assert batch["batch_items"] == 8
    assert batch["batch_target_tokens"] * summary["train_steps"] == summary["train_target_tokens"]
    assert batch["batch_tokens"] * summary["train_steps"] == pytest.approx(summary["train_tokens"])
    assert summary["report"]["items_without_target"] == 0


@pytest.mark.slow
def test_steps_are_logged_in_items_and_tokens(trainer_of, capsys):
    trainer = trainer_of(batch_size=8, max_steps=4, logging_steps=2, save_strategy="no")
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(logs) == 2
    assert all(entry["batch_items"] == 8 for entry in logs)
    tokens = [
        int(trainer.train_dataset.items.n_target[step].sum()) for step in trainer.batch_sampler.steps[:4]
    ]
    assert [entry["batch_target_tokens"] for entry in logs] == [sum(tokens[:2]) / 2, sum(tokens[2:]) / 2]
    assert [entry["batch_tokens"] > entry["batch_target_tokens"] for entry in logs] == [True, True]


@pytest.mark.slow
def test_workers_of_the_loader_see_the_items_of_their_epoch(student_dir, samples, tmp_path):
    for name, workers in (("none", 0), ("one", 1)):
        train(student_dir, samples, tmp_path / name, dataloader_num_workers=workers, chunk_dropout=0.3,
              method="base+ac", max_steps=6, batch_size=24)  # fmt: skip
    assert_same_weights(tmp_path / "none", tmp_path / "one")


@pytest.mark.slow
def test_a_checkpoint_of_steps_of_another_size_is_refused(student_dir, samples, tmp_path):
    def progress(step, _):
        if step == 6:
            raise _Killed

    with pytest.raises(_Killed):
        train_by_name(
            "base", student=student_dir, samples=samples, out=tmp_path, n_chunks=3, seed=5,
            settings={**SETTINGS, "epochs": 4}, progress=progress,
        )  # fmt: skip
    with pytest.raises(InvalidInputError, match="made with 8 items an optimiser step, but it is 4 items now"):
        train(student_dir, samples, tmp_path, method="base", epochs=4, batch_size=4)
    # as many items, dealt out differently, go on
    train(
        student_dir, samples, tmp_path, method="base", epochs=4, batch_size=4,
        gradient_accumulation_steps=2,
    )  # fmt: skip


def test_damaged_boundaries_are_named(tmp_path):
    folder = BoundaryFolder(tmp_path / "boundaries")
    like = np.zeros((3, 4), dtype=np.int64)
    assert folder.load(0, like) is None
    folder.save(0, like + 1)
    assert np.array_equal(folder.load(0, like), like + 1)
    with pytest.raises(DataError, match=r"holds boundaries of shape \(3, 4\), but the samples need \(2, 4\)"):
        folder.load(0, like[:2])
    path = tmp_path / "boundaries" / "epoch-0000.npz"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[content.index((like + 1).tobytes())] ^= 2
    for damaged in (b"", content[:-50], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot read .*epoch-0000\.npz: .*; delete .* to train anew"):
            folder.load(0, like)
