"""A recipe with a T5 student from its data to its folder, and what users do with that folder."""

import json
import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError
from skipthink.publish.exports import export_trained
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import load_recipe
from skipthink.run.work import run_job
from skipthink.student import Student
from skipthink.student.inference import Decoding, answer_questions
from skipthink.student.markers import get_markers
from skipthink.student.models import load_student

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("encoder-decoder")]

RECIPE = """
name: sums
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 16, validation: 4, test: 4}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {architecture: t5, vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 512}
chunks: {M: 2, method: greedy}
training: {epochs: 4, batch_size: 8, learning_rate: 1e-2, save_steps: 20, skip_weight: null, thought: per-chunk}
skip: {gate: answer}
evaluation: {batch_size: 4, alone_questions: 1, stage_questions: 2}
methods: [base, base+sbc, stt]
"""
QUESTION = "Anna has 3 pens and buys 4. How many has she?"


def run(recipe, out):
    command = [sys.executable, "-m", "skipthink", "run", str(recipe), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    (folder / "sums.yaml").write_text(RECIPE)
    done = run(folder / "sums.yaml", folder / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_a_run_ends_with_results(ran):
    rows = json.loads((ran / "results.json").read_text())["methods"]
    assert [row["method"] for row in rows] == ["base", "base+sbc", "stt"]
    for row in rows:
        assert row["n"] == row["right"] + row["wrong"] + row["unparsed"] == 4
        assert row["prompt_tokens_per_answer"] > 0
    assert pq.read_table(ran / "skip-data" / "s0" / "skip.parquet").num_rows == 16
    items = pq.read_table(ran / "train" / "stt" / "s0" / "items.parquet")
    assert items.column_names == ["id", "stage", "prompt_ids", "target_ids", "source_ids"]
    assert items.num_rows == 16 * (2 + 1 + 1)


@pytest.mark.parametrize("method", ["base", "base+sbc", "stt"])
def test_the_code_of_the_model_card_answers_as_we_do(ran, method, monkeypatch):
    """Plain `transformers`, in the folder, with what the card says; the chat template writes what the encoder reads."""
    folder = ran / "train" / method / "s0" / "model"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "It is an encoder-decoder" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1].replace(
        "Anna has 3 pens and buys 4. How many has she?", QUESTION
    )
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(compile(code, "card", "exec"), names)
    student = Student.load(folder)
    markers = student.markers
    (ids,) = student.encode_questions([QUESTION])
    lead = {"base": (), "base+sbc": markers.answer_mark, "stt": markers.skip_mark}[method]
    assert names["inputs"]["input_ids"][0].tolist() == [*lead, *ids, markers.end_id]
    limit = names["model"].generation_config.max_new_tokens
    longest = next(count for count in range(limit) if count + count // 4 + 1 == limit)
    decoding = Decoding(
        dict.fromkeys((1, 2, Stage.ANSWER, Stage.BASE, Stage.SKIP), longest), empty_stages=frozenset()
    )
    (answered,) = answer_questions(student.model, markers, [ids], mode=student.mode, decoding=decoding)
    written = [*answered.chain, *(answered.answer or [])]
    if method == "base+sbc":
        found = [token for token in names["written"][1:] if token != markers.end_id]
    else:
        found = [
            token
            for token in names["output"][0, 1:].tolist()
            if token not in (markers.end_id, *markers.answer_mark)
        ]
        written = [token for token in written if token not in markers.answer_mark]
    assert found == written
    assert len(found) > 0


def test_prompts_as_plain_text_are_read_the_same(ran):
    """The tokenizer ends what the encoder reads by itself, as those of the hub do."""
    folder = ran / "train" / "stt" / "s0" / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": QUESTION}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert tokenizer(f"[skip]{QUESTION}\n")["input_ids"] == ids
    with pytest.raises(Exception, match="ask the next question anew"):
        tokenizer.apply_chat_template([*messages, {"role": "assistant", "content": "7"}])


def test_exported_ids_are_what_models_take(ran, tmp_path):
    """Each row, given to a plain model, has the loss of the item: earlier chunks are read and carry none."""
    folder = ran / "train" / "base+sbc" / "s0"
    counts = export_trained(folder, tmp_path / "items.jsonl", format="ids")
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    items = pq.read_table(folder / "items.parquet").to_pylist()
    assert counts["written"] == len(rows) == len(items)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder / "model").eval()
    for row, item in list(zip(rows, items, strict=True))[::7]:
        batch = {name: torch.tensor([row[name]]) for name in ("input_ids", "decoder_input_ids", "labels")}
        with torch.inference_mode():
            output = model(**batch)
            decoder = [*item["prompt_ids"], *item["target_ids"]]
            logits = model(
                input_ids=torch.tensor([item["source_ids"]]), decoder_input_ids=torch.tensor([decoder])
            ).logits[0]
        nll = -torch.log_softmax(logits, -1)[torch.arange(len(decoder) - 1), torch.tensor(decoder[1:])]
        assert float(output.loss) == pytest.approx(float(nll[len(item["prompt_ids"]) - 1 :].mean()), rel=1e-4)


def test_text_is_exported_where_it_says_all(ran, tmp_path):
    counts = export_trained(ran / "train" / "base" / "s0", tmp_path / "base.jsonl")
    assert counts["mismatched"] == 0
    tokenizer = AutoTokenizer.from_pretrained(ran / "train" / "base" / "s0" / "model")
    row = json.loads((tmp_path / "base.jsonl").read_text().splitlines()[0])
    item = pq.read_table(ran / "train" / "base" / "s0" / "items.parquet").to_pylist()[0]
    assert tokenizer(row["prompt"])["input_ids"] == item["source_ids"]
    assert tokenizer(text_target=row["completion"])["input_ids"] == item["target_ids"]
    chunks = ran / "train" / "base+sbc" / "s0"
    for format, reason in (
        ("prompt-completion", "writes behind earlier chunks"), ("messages", "trainers of messages do not train"),
        ("sharegpt", "trainers of sharegpt do not train"),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=reason):
            export_trained(chunks, tmp_path / "no.jsonl", format=format)
    assert not (tmp_path / "no.jsonl").exists()


def test_what_an_encoder_decoder_cannot_do_is_said_before_training(tmp_path):
    (tmp_path / "masked.yaml").write_text(RECIPE.replace("[base, base+sbc, stt]", "[base, masked]"))
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.adopt(load_recipe(tmp_path / "masked.yaml"))
    graph = build_graph(folder.recipe())
    run_job(folder, graph, graph.named("prepare"), lambda done, total: None)
    with pytest.raises(InvalidInputError, match="reads it in its encoder, where no token is predicted"):
        run_job(folder, graph, graph.named("student/s0"), lambda done, total: None)


def test_a_block_of_thought_is_refused(ran):
    from skipthink.student.frame import Frame

    model, tokenizer = load_student(ran / "student" / "s0")
    with pytest.raises(InvalidInputError, match="encoder-decoder, and think: true"):
        get_markers(tokenizer, 2, Frame(think=True)).fitted_to(model.config)
