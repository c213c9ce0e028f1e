"""Real rationales through every job: what goes in comes out, or is counted by the reason it did not."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import load_recipe
from skipthink.run.work import run_job
from skipthink.student.models import make_tokenizer, save_student

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
training: {{epochs: 1, batch_size: 8, max_item_tokens: {longest}, long_items: drop, skip_weight: null, thought: per-chunk}}
skip: {{gate: answer, batch_size: 32}}
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


def run_all(folder, rows, answer, student, longest, last="evaluate"):
    """All jobs, one after the other; the run folder and what each job noted."""
    folder.mkdir(exist_ok=True)
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "r.yaml").write_text(RECIPE.format(answer=answer, student=student, longest=longest))
    recipe, run = load_recipe(folder / "r.yaml"), RunFolder(folder / "run")
    (run.path / "logs").mkdir(parents=True)
    run.adopt(recipe)
    graph = build_graph(recipe)
    notes = {}
    for job in graph:
        run_job(run, graph, job, lambda done, total: None)
        notes[job.name] = run.done(job, graph.fingerprints[job])["result"]
        if job.name == last:
            break
    evaluated = {
        path.parent.parent.name: json.loads(path.read_text())["result"]
        for path in (run.path / "evaluate").glob("*/s0/done.json")
    }
    return run, notes, evaluated


def check_counts(run, notes, evaluated, rows, longest):
    """Adds up what every job says."""
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


@pytest.mark.slow
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


def wrap(rows):
    """Thoughts of an R1 student in the ways they are met: row, and what becomes of it."""
    forms = [
        ("<think>\n{r}\n</think>\n\nThe answer is {a}.", "stripped"),
        ("{r}\n</think>\n\n**{a}**", "stripped"),  # the tag opened in the prompt
        ("<think>\n\n</think>\n\n{r}", "empty"),
        ("<think>\n{r}", "unclosed <think>"),
        ("<think>{r}</think><think>{r}</think>", "more than one <think> block"),
        ("{r}", "as it is"),
    ]
    for index, row in enumerate(rows):
        form, fate = forms[index % len(forms)]
        split = "test" if index >= len(rows) - 2 else "train"
        rationale = form.format(r=row["rationale"], a=row["answer"])
        yield {**row, "rationale": rationale, "split": split, "correct": True}, fate


def save_chat_student(folder, rows):
    """A tiny random Qwen2 with a ChatML template."""
    texts = [row["question"] + " " + row["rationale"] + "user assistant system <think>\n" for row in rows] * 2
    tokenizer = make_tokenizer(texts, vocab_size=2000)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.chat_template = CHATML
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 8, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=1024,
    )  # fmt: skip
    torch.manual_seed(0)
    save_student(Qwen2ForCausalLM(config), tokenizer, folder)


@pytest.mark.slow
def test_thoughts_of_a_reasoning_model_train_one(tmp_path):
    """Blocks are unwrapped and counted; a chat student learns to write its own, and nothing joins its vocabulary."""
    chosen = sorted(read("gsm8k_r1distill7b"), key=length)[:14]
    rows, fates = zip(*wrap(chosen), strict=True)
    save_chat_student(tmp_path / "qwen", chosen)
    student = "{path: qwen, prompt_format: chat, markers: text, think: true, system: Think first.}"
    run, notes, evaluated = run_all(tmp_path, rows, "number", student, 200)
    check_counts(run, notes, evaluated, rows, 200)
    loading = notes["prepare"]["loading"]
    assert loading["think"] == {
        "stripped": fates.count("stripped"),
        "text_outside_left_out": fates.count("stripped"),
        "empty": fates.count("empty"),
    }
    for reason in ("unclosed <think>", "more than one <think> block"):
        assert loading["dropped"][reason] == fates.count(reason) > 0
    assert notes["student/s0"]["vocabulary"] == len(AutoTokenizer.from_pretrained(tmp_path / "qwen"))
    by_id = {row["id"]: row for row in chosen}
    for split in ("train", "validation", "test"):
        for row in pq.read_table(run.path / "data" / f"{split}.parquet").to_pylist():
            assert row["rationale"] == by_id[row["id"]]["rationale"].strip()
    model_dir = run.path / "train" / "stt" / "s0" / "model"
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    for item in pq.read_table(run.path / "train" / "stt" / "s0" / "items.parquet").to_pylist():
        prompt, target = (tokenizer.decode(item[name]) for name in ("prompt_ids", "target_ids"))
        question = by_id[item["id"]]["question"].strip()
        marker = {-1: "[skip]", 0: "[answer]"}.get(item["stage"], f"[{item['stage']}]")
        start = (
            f"<|im_start|>system\nThink first.<|im_end|>\n<|im_start|>user\n{marker}\n{question}<|im_end|>\n"
        )
        assert prompt.startswith(start + "<|im_start|>assistant\n")
        assert (prompt + target).count("<think>\n") == 1
        assert (prompt + target).count("\n</think>\n\n") == int(item["stage"] < 1)
        assert target.endswith("<|im_end|>")
    served = tokenizer.apply_chat_template([{"role": "user", "content": "Q?"}], tokenize=False)
    assert served.endswith("<|im_start|>user\n[skip]\nQ?<|im_end|>\n<|im_start|>assistant\n")


def test_a_chat_template_that_prompts_do_without_is_said(tmp_path):
    rows = sorted(read("gsm8k"), key=length)[:6]
    save_chat_student(tmp_path / "qwen", rows)
    rows = [{**row, "split": "test" if index > 3 else "train"} for index, row in enumerate(rows)]
    _, notes, _ = run_all(tmp_path, rows, "number", "{path: qwen}", 300, last="student/s0")
    (warning,) = notes["student/s0"]["warnings"]
    assert "has a chat template, which its prompts do without" in warning
