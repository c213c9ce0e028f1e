"""The record of a run: whole, unfinished, killed, damaged, of another format."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from skipthink.exceptions import DataError, InvalidInputError, RunError
from skipthink.inspection import SampleViews, open_run
from skipthink.inspection.layout import READABLE
from skipthink.run.fingerprints import FORMATS


def test_the_formats_that_are_written_can_be_read():
    assert {str(kind): number for kind, number in FORMATS.items()} == READABLE


def test_a_whole_run_misses_nothing(whole_run):
    record = open_run(whole_run)
    assert (record.name, record.n_chunks, record.evaluated_split) == ("small", 3, "test")
    assert (record.methods, record.seeds) == (["base", "base+sbc", "stt"], [0])
    assert record.is_finished
    assert record.load_all() == []
    assert {job.kind for job in record.jobs.values()} == {
        "prepare",
        "student",
        "train",
        "skip-data",
        "evaluate",
    }
    assert all(job.seconds > 0 for job in record.jobs.values())


def test_a_training_leaves_its_log_chunks_of_every_epoch_and_losses(whole_run):
    trained = open_run(whole_run).trained("base+sbc", 0)
    steps = [entry["step"] for entry in trained.log]
    assert steps == sorted(set(steps))
    # train.json has a loss per step, the log the mean of the steps since its last entry
    curve = dict(zip(trained.summary["loss_steps"], trained.summary["loss"], strict=True))
    logged = [(entry["step"], entry["loss"]) for entry in trained.log if "loss" in entry]
    assert len(logged) > 40
    for (before, _), (step, loss) in itertools.pairwise([(0, None), *logged]):
        assert loss == pytest.approx(np.mean([curve[i] for i in range(before + 1, step + 1)]), rel=1e-5)
    assert {"learning_rate", "grad_norm", "batch_items", "epoch"} <= set(trained.log[0])
    epochs = np.asarray(trained.epochs["boundaries"].to_pylist())
    assert epochs.shape == (32, 12, 4)
    assert epochs[:, -1].tolist() == trained.chunks["boundaries"].to_pylist()
    assert (epochs[:, 0] == epochs[:, 1]).all()  # searched before every second epoch
    assert (epochs[:, 0] != epochs[:, -1]).any()
    assert trained.losses.schema.metadata[b"skipthink.epoch"] == b"10"
    assert trained.losses["id"].to_pylist() == trained.chunks["id"].to_pylist()
    assert open_run(whole_run).trained("base", 0).epochs is None


def test_losses_of_a_run_can_be_chunked_anew(whole_run, tmp_path):
    """What `losses.parquet` holds is what `skipthink chunk` reads, and gives the chunks of the run."""
    record = open_run(whole_run)
    trained, samples = record.trained("base+sbc", 0), record.samples("train")
    joined = trained.losses.append_column("rationale", samples["rationale"])
    pq.write_table(joined, tmp_path / "scored.parquet")
    options = ["--chunks", "3", "--eta", "0", "--method", "optimal"]
    done = subprocess.run(
        [sys.executable, "-m", "skipthink", "chunk", str(tmp_path / "scored.parquet"), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    views = SampleViews(record).views("train", range(len(rows)))
    optimal = [
        next(entry["boundaries"] for entry in view["boundaries"] if entry["source"] == "optimal")
        for view in views
    ]
    assert [row["boundaries"] for row in rows] == optimal


def test_a_view_of_a_training_sample(whole_run):
    record = open_run(whole_run)
    view = SampleViews(record).find(record.samples("train")["id"][0].as_py())
    assert "".join(view["steps"]) == view["rationale"]
    sources = [(entry["source"], entry["epoch"]) for entry in view["boundaries"]]
    assert sources[:3] == [("average", None), ("greedy", None), ("optimal", None)]
    assert sources[3:] == [*(("base+sbc/s0", epoch) for epoch in range(12)), ("stt/s0", None)]
    [losses] = view["losses"].values()
    assert np.asarray(losses["losses"]).shape == (len(view["steps"]), 3)
    assert losses["epoch"] == 10
    names = {label: [item["name"] for item in items] for label, items in view["items"].items()}
    staged = ["[1]", "[2]", "[3]", "[answer]"]
    assert names == {"base/s0": ["base"], "base+sbc/s0": staged, "stt/s0": [*staged, "[skip]"]}
    second = view["items"]["base+sbc/s0"][1]["tokens"]
    assert (second[0].text, second[0].is_marker, second[0].is_trained) == ("[2]", True, False)
    assert (second[-1].text, second[-1].is_marker, second[-1].is_trained) == ("<end>", True, True)
    cuts = view["boundaries"][-2]["boundaries"]
    trained = "".join(token.text for token in second if token.is_trained and not token.is_marker)
    assert trained.strip() == "".join(view["steps"][cuts[1] : cuts[2]]).strip()
    gate = view["gate"]["skip-data/s0"]
    assert [question["chunk"] for question in gate["questions"]] in ([0], [0, 1, 2, 3])
    assert gate["questions"][0]["replies"][0]["text"]
    skipped = {question["chunk"] for question in gate["questions"] if question["right"]} - {0}
    assert [number in skipped for number in (1, 2, 3)] == gate["skipped"]
    assert view["outputs"] == {}


def test_a_view_of_a_test_sample_and_of_none(whole_run):
    record = open_run(whole_run)
    views = SampleViews(record)
    name = record.samples("test")["id"][0].as_py()
    view = views.find(name)
    assert list(view["outputs"]) == ["base/s0", "base+sbc/s0", "stt/s0"]
    assert view["outputs"]["stt/s0"]["verdict"] in ("right", "wrong", "unparsed")
    assert view["outputs"]["stt/s0"]["tokens"] > 0
    assert not view["items"]
    assert json.loads(json.dumps(view)) == view
    with pytest.raises(InvalidInputError, match="has no sample 'nobody'"):
        views.find("nobody")


def test_an_unfinished_run_says_what_is_missing(run_copy):
    for name in ("evaluate", "train/stt/s0"):
        shutil.rmtree(run_copy / name)
    (run_copy / "results.json").unlink()
    record = open_run(run_copy)
    assert not record.is_finished
    missing = [entry.what for entry in record.load_all()]
    assert missing == [
        "train/stt/s0",
        "evaluate",
        *(f"evaluate/{name}/s0" for name in ("base", "base+sbc", "stt")),
    ]
    view = SampleViews(record).find(record.samples("test")["id"][0].as_py())
    assert view["outputs"] == {}
    assert record.results() is None


def test_a_killed_training_and_judge_show_what_they_have_left(run_copy):
    train, judge = run_copy / "train/base+sbc/s0", run_copy / "skip-data/s0"
    checkpoints = train / "checkpoints"
    (checkpoints / "boundaries").mkdir(parents=True)
    epochs = np.asarray(pq.read_table(train / "epochs.parquet")["boundaries"].to_pylist())
    for epoch in (0, 1):
        np.savez(checkpoints / "boundaries" / f"epoch-{epoch:04d}.npz", boundaries=epochs[:, epoch])
    shutil.move(train / "losses.parquet", checkpoints / "boundaries" / "losses.parquet")
    log = (train / "log.jsonl").read_text().splitlines()
    again = json.dumps({**json.loads(log[1]), "loss": 9.0})  # logged once more after a resume
    (checkpoints / "log.jsonl").write_text("\n".join([log[0], log[1], again, '{"loss": 1.2']))
    replies = pq.read_table(judge / "transcript.parquet").to_pylist()[:5]
    (judge / "transcript.jsonl").write_text("".join(json.dumps(row) + "\n" for row in replies) + '{"id": "q')
    for path in (train / "done.json", judge / "done.json", judge / "skip.parquet"):
        path.unlink()
    record = open_run(run_copy)
    trained = record.trained("base+sbc", 0)
    assert [entry["loss"] for entry in trained.log] == [json.loads(log[0])["loss"], 9.0]
    assert np.asarray(trained.epochs["boundaries"].to_pylist()).tolist() == epochs[:, :2].tolist()
    view = SampleViews(record).find(replies[0]["id"])
    assert view["gate"]["skip-data/s0"]["questions"][0]["replies"][0]["text"] == replies[0]["text"]
    assert view["gate"]["skip-data/s0"]["skipped"] is None
    assert {entry["source"] for entry in view["boundaries"]} >= {"greedy", "optimal", "base+sbc/s0"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("data/test.parquet", "cannot be read"),
        ("train/base/s0/items.parquet", "cannot be read"),
        ("train/base+sbc/s0/epochs.parquet", "cannot be read"),
        ("train/stt/s0/log.jsonl", "cannot be read"),
        ("train/stt/s0/train.json", "cannot be read"),
        ("skip-data/s0/transcript.parquet", "cannot be read"),
        ("evaluate/stt/s0/predictions.parquet", "cannot be read"),
        ("evaluate/stt/s0/done.json", "cannot be read"),
        ("results.json", "cannot be read"),
        ("student/s0/tokenizer.json", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_shown(run_copy, name, why):
    (run_copy / name).write_bytes(b"\x00 damaged \xff\n\n")
    record = open_run(run_copy)
    views = SampleViews(record)
    assert views.views("train", [0])[0]["question"]
    views.views("test", [0])
    found = {entry.what: entry.why for entry in record.load_all()}
    assert why in found[name]
    assert len(found) <= 2  # of a damaged done.json, the part that is not finished


def test_a_deleted_file_is_named(run_copy):
    (run_copy / "train/stt/s0/items.parquet").unlink()
    assert [str(entry) for entry in open_run(run_copy).load_all()] == [
        "train/stt/s0/items.parquet: is not there"
    ]


def test_predictions_of_other_samples_are_not_shown(run_copy):
    path = run_copy / "evaluate/stt/s0/predictions.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    record = open_run(run_copy)
    assert record.predictions("stt", 0) is None
    assert "is not about the samples" in str(record.missing[0])


def test_folders_that_are_none_of_ours_are_refused_in_one_line(run_copy, tmp_path):
    with pytest.raises(DataError, match=r"is no run folder: it holds no recipe\.yaml"):
        open_run(tmp_path)
    noted = json.loads((run_copy / "jobs.json").read_text())
    newer = {name: {**entry, "format": 9} for name, entry in noted["jobs"].items()}
    for content in ({**noted, "schema": 1}, {**noted, "jobs": newer}):
        (run_copy / "jobs.json").write_text(json.dumps(content))
        with pytest.raises(RunError, match="was written by another skipthink") as raised:
            open_run(run_copy)
        assert "\n" not in str(raised.value)
    (run_copy / "jobs.json").write_text("{")
    assert open_run(run_copy).missing[0].what == "jobs.json"
    (run_copy / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(
        DataError, match="has no section chunks: it is not the recipe that skipthink run wrote"
    ):
        open_run(run_copy)
    (run_copy / "recipe.yaml").write_text("- [")
    with pytest.raises(DataError, match=r"cannot read .*recipe\.yaml"):
        open_run(run_copy)


def test_reading_a_run_loads_no_torch(whole_run):
    code = (
        "import sys; from skipthink.inspection import open_run, SampleViews; "
        f"r = open_run({str(whole_run)!r}); r.load_all(); SampleViews(r).views('train', [0, 1]); "
        "print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_of_metrics_explains_all_that_is_logged(whole_run):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\|([^|]+)\|", page, re.MULTILINE))))
    logged = {name for one in open_run(whole_run).trainings() for entry in one.log for name in entry}
    assert logged == explained
