"""Generation, the three modes, the skip gate and evaluation on students that can be predicted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from skipthink.evaluation import evaluate
from skipthink.exceptions import InvalidInputError
from skipthink.generation import generate
from skipthink.inference import Decoding, answer_questions, continue_chains
from skipthink.ledger_file import read_ledger
from skipthink.skipping import make_skip_data
from skipthink.training import train_method
from skipthink.types import ANSWER, BASE

LIMITS = {ANSWER: 6, 1: 12, 2: 12, 3: 12, BASE: 40}


def naive_greedy(model, prompt, end, count):
    ids = prompt.tolist()
    for _ in range(count):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(prompt) :]


def test_batched_generation_equals_one_by_one(student, encoded, markers):
    prompts = [encoded.question[row] for row in range(6)]
    outputs = generate(student, markers, prompts, max_new_tokens=9, batch_size=4)
    for prompt, output in zip(prompts, outputs, strict=True):
        expected = naive_greedy(student, prompt, markers.end, 9)
        assert [*output.tokens, *([markers.end] if output.ended else [])] == expected
        assert output.n_tokens == len(expected)


def test_generation_stops_where_the_positions_end(student, encoded, markers):
    """A prompt near the limit gets the room it has, one beyond it nothing; the others do not notice."""
    limit = student.config.max_position_embeddings
    short = encoded.question[0]
    near, over = (np.resize(encoded.question[1], length) for length in (limit - 3, limit))
    alone = generate(student, markers, [short], max_new_tokens=9)[0]
    found = generate(student, markers, [over, short, near], max_new_tokens=9)
    assert found[1].tokens.tolist() == alone.tokens.tolist()
    assert (len(found[0].tokens), found[0].ended) == (0, False)
    assert len(found[2].tokens) + found[2].ended <= 3
    expected = naive_greedy(student, near, markers.end, 3)
    assert [*found[2].tokens, *([markers.end] if found[2].ended else [])] == expected


def test_generation_needs_a_bound(student, encoded, markers):
    with pytest.raises(InvalidInputError, match="max_new_tokens must be at least 1"):
        generate(student, markers, [encoded.question[0]], max_new_tokens=0)


def test_full_mode_feeds_each_chunk_to_the_next(student, encoded, markers):
    question = encoded.question[0]
    (result,) = answer_questions(student, markers, [question], mode="full", decoding=Decoding(LIMITS))
    thought: list[int] = []
    for lead in markers.stages:
        prompt = np.asarray([lead, *question, *thought])
        thought += [token for token in naive_greedy(student, prompt, markers.end, 16) if token != markers.end]
    assert result.thought == thought
    prompt = np.asarray([markers.answer, *question, *thought])
    assert result.answer == [
        token for token in naive_greedy(student, prompt, markers.end, 8) if token != markers.end
    ]
    assert result.n_prompt == 4 * (1 + len(question)) + sum(
        len(thought[:cut]) for cut in np.cumsum([0, *chunk_lengths(student, markers, question)])
    )


def chunk_lengths(student, markers, question):
    lengths, thought = [], []
    for lead in markers.stages:
        chunk = naive_greedy(student, np.asarray([lead, *question, *thought]), markers.end, 16)
        chunk = [token for token in chunk if token != markers.end]
        lengths.append(len(chunk))
        thought += chunk
    return lengths


def test_chain_may_start_late(student, encoded, markers):
    question, prefix = encoded.question[1], [markers.thought, 40, 41]
    (late,) = continue_chains(student, markers, [question], [prefix], [4], decoding=Decoding(LIMITS))
    prompt = np.asarray([markers.answer, *question, *prefix])
    assert late.thought == prefix
    assert late.answer == [
        token for token in naive_greedy(student, prompt, markers.end, 8) if token != markers.end
    ]


def test_modes_are_checked(student, encoded, markers):
    with pytest.raises(InvalidInputError, match="mode must be one of"):
        answer_questions(student, markers, [encoded.question[0]], mode="fast", decoding=Decoding(LIMITS))
    with pytest.raises(InvalidInputError, match=r"trained on the stages \[-2, 0, 1, 2, 3\], not on -1"):
        answer_questions(student, markers, [encoded.question[0]], mode="skip", decoding=Decoding(LIMITS))


SETTINGS = {
    "per_device_train_batch_size": 8, "learning_rate": 4e-3, "num_train_epochs": 80,
    "save_strategy": "no", "use_cpu": True, "eta": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def parrot(tmp_path_factory):
    """A student that learned six short samples by heart: the gate's answers about it can be foretold."""
    from skipthink.students import make_student, save_student

    out = tmp_path_factory.mktemp("parrot")
    rows = [
        {
            "id": f"r{k}",
            "question": f"What is {k} and 1?",
            "rationale": f"We add. {k} + 1 = {k + 1}. Done.",
            "answer": str(k + 1),
        }
        for k in range(6)
    ]
    samples = pa.Table.from_pylist(rows)
    texts = [str(value) for row in rows for value in row.values()]
    student = make_student(
        texts,
        n_chunks=3,
        seed=0,
        vocab_size=300,
        hidden_size=48,
        num_layers=2,
        num_heads=2,
        max_length_tokens=160,
    )
    save_student(*student, out / "fresh")
    train_method("base+sbc", student=out / "fresh", samples=samples, out=out, n_chunks=3, seed=0,
                 settings={**SETTINGS, "chunk_dropout": 0.2})  # fmt: skip
    return out, samples


def test_evaluate_counts_and_writes_predictions(parrot, tmp_path):
    out, samples = parrot
    result = evaluate(
        model_dir=out / "model", samples=samples, mode="full", n_chunks=3, answer_kind="number", out=tmp_path
    )
    table = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert result["n"] == len(table) == 6
    assert result["accuracy"] == sum(row["verdict"] == "right" for row in table) / 6
    assert result["accuracy"] > 0.6
    assert result["tokens_per_answer"] == sum(row["tokens"] for row in table) / 6
    assert result["seconds_per_answer"] > 0
    # the samples are known: a right chain writes rationale, answer and four end tokens
    right = next(row for row in table if row["verdict"] == "right")
    assert right["thought"].strip() == samples["rationale"][int(right["id"][1:])].as_py()


def gate(parrot, out, **settings):
    folder, samples = parrot
    boundaries = np.asarray(pq.read_table(folder / "chunks.parquet")["boundaries"].to_pylist())
    report = make_skip_data(
        model_dir=folder / "model", samples=samples, boundaries=boundaries, out=out, n_chunks=3, answer_kind="number",
        settings=settings,
    )  # fmt: skip
    return report, pq.read_table(out / "skip.parquet")


def test_gate_asks_each_open_chunk_once(parrot, tmp_path):
    report, table = gate(parrot, tmp_path, write_every=4)
    questions = [
        (row, chunk)
        for rows, chunks, _, _ in read_ledger(tmp_path / "ledger.bin")
        for row, chunk in zip(rows.tolist(), chunks.tolist(), strict=True)
    ]
    assert len(questions) == len(set(questions)) == report["asked"]
    skipped = np.asarray(table["skipped"].to_pylist())
    assert skipped.any(), "a student that knows its samples by heart can do without some chunk"


def test_gate_resumes_from_its_ledger(parrot, tmp_path):
    whole, expected = gate(parrot, tmp_path / "whole", write_every=4)
    content = (tmp_path / "whole" / "ledger.bin").read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "ledger.bin").write_bytes(content[: len(content) * 2 // 3])
    report, table = gate(parrot, tmp_path / "cut", write_every=4)
    assert table == expected
    assert report["asked"] == whole["asked"]
    assert (tmp_path / "cut" / "ledger.bin").read_bytes() == content


def test_gate_with_votes_and_with_the_teachers_chunks(parrot, tmp_path):
    gate(parrot, tmp_path / "votes", votes=3, temperature=0.7)
    report, table = gate(parrot, tmp_path / "teacher", continuation="teacher")
    assert report["asked"] > 0
    assert len(table) == 6
    with pytest.raises(InvalidInputError, match="more than one vote needs a temperature"):
        gate(parrot, tmp_path / "bad", votes=3)
    with pytest.raises(InvalidInputError, match="continuation must be"):
        gate(parrot, tmp_path / "bad", continuation="gold")
