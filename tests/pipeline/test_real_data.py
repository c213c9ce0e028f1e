"""Real rationales through every stage: what goes in comes out, or is counted by the reason it did not."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from skipthink.pipeline.stages import build_stages
from skipthink.pipeline.state import RunFolder
from skipthink.pipeline.work import run_stage
from skipthink.recipe import load_recipe

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
M = 3
FILES = {
    "tracking_shuffled_objects": ("choice", "llama", 230),
    "last_letter_concatenation": ("string", "gpt2", 110),
    "strategyqa": ("yes_no", "t5", 110),
    "multiarith_gpt4omini": ("number", "gpt2", 240),
    "svamp": ("number", "t5", 90),
}
"""Kind of the answers, architecture of the student, longest item in tokens."""
RECIPE = """
name: real
answer: {answer}
data: {{file: samples.jsonl, sizes: {{validation: 1}}}}
student: {student}
chunks: {{M: 3, method: optimal, eta: 0.0}}
training: {{epochs: 1, batch_size: 8, max_item_tokens: {longest}, long_items: drop}}
skip: {{batch_size: 32}}
methods: [base, base+sbc, stt]
evaluation: {{alone_questions: 0, stage_questions: 1}}
"""
CHATML = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def read(stem):
    path = DATA / f"{stem}.jsonl"
    if not path.is_file():
        pytest.skip(f"needs the real rationales at {DATA}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def length(row):
    return len(row["question"]) + len(row["rationale"] or "")


def choose(stem):
    """Short rows, so that tests are short; a long one; all a teacher got wrong; one without a rationale."""
    rows = read(stem)
    train = sorted((row for row in rows if row["split"] == "train"), key=length)
    test = sorted((row for row in rows if row["split"] == "test"), key=length)
    wrong = [row for row in train if row["correct"] is False][:2]
    right = [row for row in train if row["correct"] is not False]
    blank = {**right[10], "id": "blank", "rationale": None}
    chosen = [*right[:8], *right[-2:], *wrong, blank, *test[:2]]
    # a question of a test row among the training rows: it must leave them, and be counted
    return [
        *chosen,
        {**test[0], "id": "twice", "split": "train", "rationale": "It is so. So it is.", "correct": True},
    ]


def run_all(folder, rows, answer, student, longest):
    """All stages, one after the other; the run folder and what each stage noted."""
    folder.mkdir(exist_ok=True)
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "r.yaml").write_text(RECIPE.format(answer=answer, student=student, longest=longest))
    recipe, run = load_recipe(folder / "r.yaml"), RunFolder(folder / "run")
    (run.path / "logs").mkdir(parents=True)
    run.adopt(recipe)
    stages = build_stages(recipe)
    for name in stages:
        run_stage(run, name, lambda done, total: None)
    notes = {name: run.done(name, stage.fingerprint)["result"] for name, stage in stages.items()}
    evaluated = {
        path.parent.parent.name: json.loads(path.read_text())["result"]
        for path in (run.path / "evaluate").glob("*/s0/done.json")
    }
    return run, notes, evaluated


def check_counts(run, notes, evaluated, rows, longest):
    """Adds up what every stage says."""
    prepared = notes["prepare"]
    loading, splitting = prepared["loading"], prepared["splitting"]
    assert loading["read"] == len(rows) == loading["kept"] + sum(loading["dropped"].values())
    assert (
        splitting["rows"]
        == loading["kept"]
        == sum(splitting["splits"].values()) + sum(splitting["dropped"].values())
    )
    n = splitting["splits"]
    tables = {split: pq.read_table(run.path / "data" / f"{split}.parquet") for split in n}
    assert {split: table.num_rows for split, table in tables.items()} == n
    assert sum(table["rationale"].null_count for table in tables.values()) <= loading["without_rationale"]
    trained = {name.split("/")[1]: note for name, note in notes.items() if name.startswith("train/")}
    for method, note in trained.items():
        report = note["report"]
        assert report["samples"] == n["train"]
        kept = n["train"] - report["samples_left_out"]
        assert kept > 0
        per_sample = {"base": 1, "base+sbc": M + 1, "stt": M + 2}[method]
        assert sum(note["items"].values()) == note["train_items"] == kept * per_sample
        items = pq.read_table(run.path / "train" / method / "s0" / "items.parquet")
        ids = set(items["id"].to_pylist())
        assert (items.num_rows, len(ids)) == (kept * per_sample, kept)
        lengths = [len(row["prompt_ids"]) + len(row["target_ids"]) for row in items.to_pylist()]
        lengths += [len(row.get("source_ids", [])) for row in items.to_pylist()]
        assert max(lengths) <= longest
        n_targets = [len(target) for target in items["target_ids"].to_pylist()]
        assert (n_targets.count(0), n_targets.count(1)) == (
            report["items_without_target"],
            report["items_of_end_only"],
        )
        if method == "base+sbc":
            # the rest keep their average chunks
            assert report["samples_searched"] + report["samples_too_short"] == kept
        chunks = pq.read_table(run.path / "train" / method / "s0" / "chunks.parquet")
        assert chunks["id"].to_pylist() == tables["train"]["id"].to_pylist()
        texts = ["".join(row) for row in chunks["chunks"].to_pylist()]
        assert texts == tables["train"]["rationale"].to_pylist()
    skips = notes["skip-data/s0"]
    assert skips["rows"] == n["train"] == skips["base_right"] + skips["base_wrong"]
    assert skips["kept"] + skips["skipped"] + skips["empty"] == n["train"] * M
    assert (skips["open"], skips["base_open"]) == (0, 0)
    judged = pq.read_table(run.path / "skip-data" / "s0" / "skip.parquet")
    assert judged["id"].to_pylist() == tables["train"]["id"].to_pylist()
    assert int(np.sum(judged["skipped"].to_pylist())) == skips["skipped"]
    empty = np.diff(np.asarray(judged["boundaries"].to_pylist()), axis=1) == 0
    assert int(empty.sum()) == skips["empty"]
    assert set(evaluated) == {"base", "base+sbc", "stt"}
    n_with_rationale = n["test"] - tables["test"]["rationale"].null_count
    for method, found in evaluated.items():
        assert found["n"] == n["test"] == found["right"] + found["wrong"] + found["unparsed"]
        assert found["n_stage"] == (min(n_with_rationale, 1) if method == "base+sbc" else 0)
        predictions = pq.read_table(run.path / "evaluate" / method / "s0" / "predictions.parquet")
        assert predictions["id"].to_pylist() == tables["test"]["id"].to_pylist()


@pytest.mark.parametrize("stem", FILES)
def test_no_sample_is_lost(stem, tmp_path):
    answer, architecture, longest = FILES[stem]
    rows = choose(stem)
    student = (
        f"{{architecture: {architecture}, vocab_size: 2000, hidden_size: 16, num_layers: 1, num_heads: 2, "
        "max_length_tokens: 2048}"
    )
    run, notes, evaluated = run_all(tmp_path, rows, answer, student, longest)
    check_counts(run, notes, evaluated, rows, longest)
    loading, splitting = notes["prepare"]["loading"], notes["prepare"]["splitting"]
    assert loading["dropped"]["no rationale"] == 1
    assert loading["dropped"].get("teacher wrong", 0) == sum(row["correct"] is False for row in rows[:-3])
    assert splitting["dropped"]["train: question stands in test"] == 1
