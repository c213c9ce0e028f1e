"""lm-evaluation-harness runs the task that is shipped on a saved student, offline, and finds what we find."""

import json

import pyarrow.parquet as pq
import pytest
from kept import trains
from training_calls import evaluate_folder

from skipthink.evaluation.lm_eval_tasks import PATH
from skipthink.evaluation.lm_eval_tasks.functions import check, load_questions
from skipthink.publish.folder import dress_student


def test_questions_of_a_task():
    rows = load_questions(task="tracking_shuffled_objects", n=5, seed=3)["test"].to_list()
    assert len(rows) == 5
    assert {row["kind"] for row in rows} == {"choice"}
    assert (
        rows == load_questions(task="tracking_shuffled_objects", n=5, seed=3, version=1.0)["test"].to_list()
    )


def test_questions_of_a_file(tmp_path):
    lines = [
        {"id": f"q{k}", "question": f"{k} + 1?", "rationale": None, "answer": str(k + 1)} for k in range(4)
    ]
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = load_questions(file=str(file), n=3)["test"].to_list()
    assert [(row["id"], row["answer"], row["kind"]) for row in rows] == [
        ("q0", "1", "number"), ("q1", "2", "number"), ("q2", "3", "number"),
    ]  # fmt: skip
    assert load_questions(file=str(file), answer="string")["test"][0]["kind"] == "string"


def test_answers_are_checked_as_ours():
    doc = {"kind": "number", "answer": "5"}
    assert check(doc, ["We have 2 + 3 = 5."]) == {"accuracy": 1, "unparsed": 0}
    assert check(doc, ["6"]) == {"accuracy": 0, "unparsed": 0}
    assert check(doc, ["none"]) == {"accuracy": 0, "unparsed": 1}


@pytest.fixture(scope="module")
@trains
def parrot(parrots, tmp_path_factory):
    """A one-pass student that knows four of six questions by heart."""
    out, questions = parrots(
        tmp_path_factory.mktemp("parrot"), "base", rationale="{k} + 1 = {total}. So.", n_known=4, n_chunks=2,
        max_length_tokens=400, batch_size=4, epochs=80,
    )  # fmt: skip
    dress_student(out / "model", facts={"data": "sums"})
    pq.write_table(questions, out / "questions.parquet")
    return out, questions


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the harness warns of much that is not ours
def test_the_harness_finds_what_we_find(parrot, tmp_path):
    lm_eval = pytest.importorskip("lm_eval", reason="needs the development group")
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    folder, questions = parrot
    ours = evaluate_folder(
        model_dir=folder / "model", samples=questions, mode="base", n_chunks=2, answer_kind="number", out=tmp_path,
        settings={"alone_questions": 0},
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    theirs = lm_eval.simple_evaluate(
        model="hf",
        model_args={
            "pretrained": str(folder / "model"),
            "dtype": "float32",
            "think_end_token": tokenizer.convert_tokens_to_ids("[answer]"),
        },
        tasks=["skipthink"],
        task_manager=TaskManager(
            include_path=PATH, include_defaults=False, metadata={"file": str(folder / "questions.parquet")}
        ),
        apply_chat_template=True,
        device="cpu",
        batch_size=4,
        bootstrap_iters=0,
    )
    found = theirs["results"]["skipthink"]
    assert found["accuracy,none"] == pytest.approx(ours["accuracy"])
    assert found["unparsed,none"] == pytest.approx(ours["unparsed"] / 6)
    assert 4 / 6 <= found["accuracy,none"] < 1
    predictions = pq.read_table(tmp_path / "predictions.parquet")["answer"].to_pylist()
    samples = sorted(theirs["samples"]["skipthink"], key=lambda sample: sample["doc_id"])
    assert [sample["resps"][0][0].strip() for sample in samples] == predictions
