"""Students trained with text markers, in a chat, with blocks of thought: they learn, answer, and are read."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from training_calls import evaluate_folder, skip_folders, train_by_name

from skipthink.publish.exports import export_trained
from skipthink.student.frame import Frame, read_student_file
from skipthink.student.models import load_student, make_student, save_student
from skipthink.student.student import Student

ROWS = [
    {"id": f"r{k}", "question": f"What is {k} and 1?", "rationale": f"We add. {k} + 1 = {k + 1}. Done.",
     "answer": str(k + 1)}
    for k in range(6)
]  # fmt: skip
CHAT = {"prompt_format": "chat", "head": "<|im_start|>user\n", "tail": "<|im_end|>\n<|im_start|>assistant\n"}
FRAMES = {
    "text": Frame("text"),
    "text-think": Frame("text", think=True),
    "chat-text-think": Frame("text", think=True, **CHAT),
}
SETTINGS = {
    "batch_size": 8, "learning_rate": 4e-3, "save_strategy": "no", "eta": 0.0,
    "search": "average",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return pa.Table.from_pylist(ROWS)


def fresh(folder, frame, architecture="llama"):
    """A student made from a config, in a frame."""
    texts = [
        " ".join(row.values()) + " [1] [2] [3] [answer] [skip] [thought] <think> </think>" for row in ROWS
    ]
    sizes = {
        "architecture": architecture,
        "hidden_size": 48,
        "num_layers": 2,
        "num_heads": 2,
        "max_length_tokens": 192,
    }
    model, tokenizer = make_student(texts, n_chunks=3, seed=0, vocab_size=300, frame=frame, **sizes)
    if frame.prompt_format == "chat":
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
        tokenizer.eos_token = "<|im_end|>"
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    save_student(model, tokenizer, folder, about={"prompt": frame.to_dict()})
    return folder


def asked(out, rows, mode):
    found = evaluate_folder(
        model_dir=out / "model", samples=rows, mode=mode, n_chunks=3, answer_kind="number", out=out / "eval",
        settings={"alone_questions": 0, "stage_questions": 6},
    )  # fmt: skip
    return found, pq.read_table(out / "eval" / "predictions.parquet").to_pylist()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "architecture"), [*((name, "llama") for name in FRAMES), ("text", "t5")])
def test_one_pass_is_learnt_and_its_answer_found(rows, tmp_path, name, architecture):
    frame = FRAMES[name]
    student = fresh(tmp_path / "fresh", frame, architecture)
    summary = train_by_name(
        "base", student=student, samples=rows, out=tmp_path, n_chunks=3, seed=0,
        settings={**SETTINGS, "epochs": 90},
    )  # fmt: skip
    found, predictions = asked(tmp_path, rows, "base")
    assert (found["right"], found["unparsed"]) == (6, 0)
    for row, prediction in zip(ROWS, predictions, strict=True):
        # the chain of thought without its tags, the answer without what announces it
        assert (prediction["chain"], prediction["answer"]) == (row["rationale"], row["answer"])
    about = read_student_file(tmp_path / "model")
    assert about["prompt"] == frame.to_dict()
    assert found["tokens_per_answer"] == pytest.approx(summary["train_target_tokens"] / (6 * 90))
    assert about["max_target_tokens"]["-2"] >= found["tokens_per_answer"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "chat-text-think"])
def test_chunks_are_judged_and_skipped(rows, tmp_path, name):
    """The whole way: chunk by chunk, what can be dropped, a student that skips."""
    pytest.importorskip("peft")
    student = fresh(tmp_path / "fresh", FRAMES[name])
    cwt, stt = tmp_path / "cwt", tmp_path / "stt"
    train_by_name(
        "base+ac", student=student, samples=rows, out=cwt, n_chunks=3, seed=0,
        settings={**SETTINGS, "epochs": 70},
    )  # fmt: skip
    found, predictions = asked(cwt, rows, "full")
    assert found["right"] >= 5
    assert found["n_stage"] == 6
    assert predictions[0]["chain"] == ROWS[0]["rationale"]
    boundaries = np.asarray(pq.read_table(cwt / "chunks.parquet")["boundaries"].to_pylist())
    reports = [
        skip_folders(
            judges=[cwt / "model"], samples=rows, boundaries=boundaries, out=tmp_path / f"skip{keep}", n_chunks=3,
            answer_kind="number", settings={"keep_prefixes": keep},
        )
        for keep in (True, False)
    ]  # fmt: skip
    # a block that is closed in front of the answer must not be kept as a beginning
    skipped = [pq.read_table(tmp_path / f"skip{keep}" / "skip.parquet") for keep in (True, False)]
    assert skipped[0] == skipped[1]
    assert [report["prefixes_kept"] for report in reports] == [True, False]
    assert reports[0]["tokens_generated"] == reports[1]["tokens_generated"]
    train_by_name(
        "stt", student=student, samples=rows, out=stt, n_chunks=3, seed=0, boundaries=boundaries,
        skipped=np.asarray(skipped[0]["skipped"].to_pylist()),
        settings={**SETTINGS, "epochs": 2, "lora": {"rank": 2}},
    )  # fmt: skip
    asked(stt, rows, "skip")
    before, after = load_student(student)[0], load_student(stt / "model")[0]
    assert torch.equal(before.get_input_embeddings().weight, after.get_input_embeddings().weight)
    config = json.loads((stt / "adapter" / "adapter_config.json").read_text())
    assert config["trainable_token_indices"] is None
    assert any(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    # other trainers are given the very ids
    counts = export_trained(stt, tmp_path / "items.jsonl", format="ids")
    assert counts["items"] == counts["written"] > 0
    markers = Student.load(stt / "model").markers
    first = json.loads((tmp_path / "items.jsonl").read_text().splitlines()[0])
    assert (
        tuple(first["input_ids"][: len(markers.prompt_head + markers.stage_marks[0])])
        == markers.prompt_head + markers.stage_marks[0]
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["stepwise", "icot-si", "truncated", "masked"])
def test_baselines_keep_the_tags(rows, tmp_path, method):
    """What is cut or dropped is the rationale: the tags around it stay."""
    student = fresh(tmp_path / "fresh", FRAMES["text-think"])
    train_by_name(
        method, student=student, samples=rows, out=tmp_path, n_chunks=3, seed=0,
        settings={
            **SETTINGS, "max_steps": 1, "truncate": 0.5, "truncate_of": "rationale", "loss_on": ["answer"],
            "remove_per_epoch": 4, "remove_from_epoch": 0, "removal_smoothing": None,
        },
    )  # fmt: skip
    tokenizer = load_student(tmp_path / "model")[1]
    for item in pq.read_table(tmp_path / "items.parquet").to_pylist():
        prompt, target = (tokenizer.decode(item[name]) for name in ("prompt_ids", "target_ids"))
        if method == "stepwise":
            assert prompt.count("<think>\n") == 1
            assert ("</think>" in prompt) == prompt.startswith("[answer]\n")
        else:
            assert target.startswith("<think>\n")
            assert target.count("\n</think>\n\n") == 1
        if method == "truncated":
            assert len(target) < len(f"<think>\n{ROWS[0]['rationale']}\n</think>\n\n1<end>")
        if method == "masked":
            learnt = [token for token, counts in zip(item["prompt_ids"] + item["target_ids"], item["loss"], strict=True)
                      if counts]  # fmt: skip
            assert tokenizer.decode(learnt).startswith("\n</think>\n\n")
