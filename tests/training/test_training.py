"""The trainers: batches, trajectories, resume after a kill, and the six methods."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from skipthink.encoding import build_items
from skipthink.exceptions import InvalidInputError
from skipthink.students import load_student
from skipthink.training import METHODS, ChunkwiseConfig, ChunkwiseTrainer, train_method
from skipthink.training.chunkwise import newest_checkpoint
from skipthink.training.items import ItemDataset, PadCollator, StageBatchSampler, join_items, take_items
from skipthink.types import ANSWER, SKIP

SETTINGS = {
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-3,
    "num_train_epochs": 2,
    "save_strategy": "steps",
    "save_steps": 5,
    "use_cpu": True,
    "eta": 0.0,
}


@pytest.fixture(scope="module")
def chunkwise_items(encoded, markers):
    from skipthink import average_boundaries

    return build_items(encoded, encoded.plan("chunkwise", average_boundaries(encoded.n_steps, 3)), markers)


def test_stage_batches_hold_one_stage_and_every_item_once(chunkwise_items):
    sampler = StageBatchSampler(chunkwise_items.stages, batch_size=7, seed=1)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(len(chunkwise_items)))
    assert all(len(set(chunkwise_items.stages[batch])) == 1 for batch in batches)
    assert len({int(chunkwise_items.stages[batch[0]]) for batch in batches[: len(batches) // 2]}) > 1
    assert batches == list(sampler)
    sampler.set_epoch(1)
    assert batches != list(sampler)


def test_shuffled_batches_mix_stages(chunkwise_items):
    sampler = StageBatchSampler(chunkwise_items.stages, batch_size=8, seed=1, by_stage=False)
    assert any(len(set(chunkwise_items.stages[batch])) > 1 for batch in sampler)


def test_only_targets_carry_loss(chunkwise_items, markers):
    dataset, collate = ItemDataset(chunkwise_items), PadCollator(markers.pad)
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
        dataset.set_items(take_items(chunkwise_items, np.asarray([1, 0])))


def train(student_dir, samples, out, method="base+sbc", **changes):
    return train_method(
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
def trained(student_dir, samples, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    return out, train(student_dir, samples, out)


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
    assert student["max_target_tokens"]["0"] == max(
        len(ids)
        for ids, stage in zip(items["target_ids"].to_pylist(), items["stage"].to_pylist(), strict=True)
        if stage == ANSWER
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
        train_method(
            "base+sbc", student=student_dir, samples=samples, out=tmp_path, n_chunks=3, seed=5, settings=SETTINGS,
            progress=progress,
        )  # fmt: skip
    checkpoint = newest_checkpoint(tmp_path / "checkpoints")
    assert (checkpoint is None) == (stop < 5)
    summary = train(student_dir, samples, tmp_path)
    assert {**summary, "seconds": 0} == {**trained[1], "seconds": 0}
    assert_same_weights(tmp_path, trained[0])
    assert pq.read_table(tmp_path / "chunks.parquet") == pq.read_table(trained[0] / "chunks.parquet")


def test_cut_off_checkpoint_is_passed_over(tmp_path):
    for step, complete in ((5, True), (10, True), (15, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if complete:
            (folder / "skipthink.json").write_text("{}")
    assert newest_checkpoint(tmp_path).name == "checkpoint-10"
    assert newest_checkpoint(tmp_path / "none") is None


def test_gradient_accumulation_keeps_the_trajectory(student_dir, samples, tmp_path):
    """8 rows at once = 4 rows twice: the loss is a mean over the batch's target tokens (equation 3)."""
    for name, batch, accumulation in (("one", 8, 1), ("two", 4, 2)):
        train(student_dir, samples, tmp_path / name, method="base", num_train_epochs=1,
              per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, batching="shuffled",
              optim="sgd", max_grad_norm=0.0)  # fmt: skip
    assert_same_weights(tmp_path / "one", tmp_path / "two", tolerance=1e-6)


@pytest.mark.parametrize("method", ["answer-only", "base", "base+ac"])
def test_controls_train(student_dir, samples, tmp_path, method):
    summary = train(student_dir, samples, tmp_path, method=method, num_train_epochs=1)
    n_items = {"answer-only": 24, "base": 24, "base+ac": 4 * 24}[method]
    assert sum(summary["items"].values()) == n_items
    assert not (tmp_path / "checkpoints").exists()
    load_student(tmp_path / "model")


def test_skip_methods_hold_one_skip_item_a_sample(trained, encoded, markers, student_dir, samples, tmp_path):
    boundaries = np.asarray(pq.read_table(trained[0] / "chunks.parquet")["boundaries"].to_pylist())
    skipped = np.zeros((24, 3), dtype=bool)
    skipped[:, 0] = True
    summaries = {
        method: train_method(
            method, student=student_dir, samples=samples, out=tmp_path / method, n_chunks=3, seed=5,
            settings={**SETTINGS, "num_train_epochs": 1}, skipped=skipped, boundaries=boundaries,
        )
        for method in ("stt", "skip-all")
    }  # fmt: skip
    for method, summary in summaries.items():
        assert summary["items"][str(SKIP)] == 24
        table = pq.read_table(tmp_path / method / "items.parquet").to_pylist()
        targets = [row["target_ids"] for row in table if row["stage"] == SKIP]
        n_thoughts = 1 if method == "stt" else 3
        assert all(target.count(markers.thought) == n_thoughts for target in targets)
        assert all(target.count(markers.answer) == 1 and target[-1] == markers.end for target in targets)


def test_skip_weight_sets_the_share(encoded, markers, student_dir, samples, tmp_path):
    summary = train_method(
        "skip-all", student=student_dir, samples=samples, out=tmp_path, n_chunks=3, seed=5,
        settings={**SETTINGS, "num_train_epochs": 1, "skip_weight": 0.5},
        boundaries=np.tile(np.asarray([0, 1, 2, 0]), (24, 1)) + np.outer(encoded.n_steps, [0, 0, 0, 1]),
    )  # fmt: skip
    assert summary["items"][str(SKIP)] == 4 * 24


def test_chunk_dropout_is_drawn_anew_each_epoch(student_dir, encoded, markers, tmp_path):
    model, _ = load_student(student_dir)
    config = ChunkwiseConfig(
        output_dir=str(tmp_path), chunk_dropout=0.5, chunk_method="average", use_cpu=True, report_to="none"
    )
    trainer = ChunkwiseTrainer(model, config, encoded=encoded, markers=markers)
    first, again, second = trainer.make_items(0), trainer.make_items(0), trainer.make_items(1)
    assert np.array_equal(first.tokens.values, again.tokens.values)
    assert not np.array_equal(first.tokens.values, second.tokens.values)
    assert (first.n_target == second.n_target).all()
    assert (first.tokens.values == markers.thought).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batching": "mixed"}, "batching must be"),
        ({"research_every": 0}, "research_every must be at least 1"),
        ({"dataloader_num_workers": 2}, "dataloader_num_workers must be 0"),
        ({"max_item_tokens": 20}, "exceed 20 tokens"),
    ],
)
def test_bad_settings(student_dir, samples, tmp_path, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        train(student_dir, samples, tmp_path, **changes)


def test_unknown_method_and_missing_skip_data(student_dir, samples, tmp_path):
    with pytest.raises(
        InvalidInputError, match=f"method must be one of {', '.join(METHODS)}".replace("+", r"\+")
    ):
        train(student_dir, samples, tmp_path, method="sst")
    with pytest.raises(InvalidInputError, match="stt needs the chunks and skip data"):
        train(student_dir, samples, tmp_path, method="stt")
    shutil.rmtree(tmp_path)


def test_loss_on_target_positions_equals_the_models_own(student_dir, encoded, markers, tmp_path):
    model, _ = load_student(student_dir)
    config = ChunkwiseConfig(output_dir=str(tmp_path), chunk_method="average", use_cpu=True, report_to="none")
    trainer = ChunkwiseTrainer(model, config, encoded=encoded, markers=markers)
    assert trainer.plain_head
    batch = trainer.data_collator([trainer.train_dataset[index] for index in (0, 1, 2, 40, 95)])
    expected = model(**batch).loss
    torch.testing.assert_close(trainer.compute_loss(model, batch), expected, rtol=1e-5, atol=1e-6)
    trainer.plain_head = False
    torch.testing.assert_close(trainer.compute_loss(model, batch), expected, rtol=1e-5, atol=1e-6)
