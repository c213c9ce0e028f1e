"""Generation, the modes and evaluation on students that can be predicted."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from training_calls import evaluate_folder

from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.student.generation import generate
from skipthink.student.inference import Decoding, answer_questions, continue_chains, stage_prompt
from skipthink.student.prompts import Prompt

LIMITS = {Stage.ANSWER: 6, 1: 12, 2: 12, 3: 12, Stage.BASE: 40}


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
    outputs = generate(student, markers, [Prompt(ids) for ids in prompts], max_new_tokens=9, batch_size=4)
    for prompt, output in zip(prompts, outputs, strict=True):
        expected = naive_greedy(student, prompt, markers.end_id, 9)
        assert [*output.tokens, *([markers.end_id] if output.ended else [])] == expected
        assert output.n_tokens == len(expected)


def test_generation_stops_where_the_positions_end(student, encoded, markers):
    """A prompt near the limit gets the room it has, one beyond it nothing; the others do not notice."""
    limit = student.config.max_position_embeddings
    short = encoded.question[0]
    near, over = (np.resize(encoded.question[1], length) for length in (limit - 3, limit))
    alone = generate(student, markers, [Prompt(short)], max_new_tokens=9)[0]
    found = generate(student, markers, [Prompt(over), Prompt(short), Prompt(near)], max_new_tokens=9)
    assert found[1].tokens.tolist() == alone.tokens.tolist()
    assert (len(found[0].tokens), found[0].ended) == (0, False)
    assert len(found[2].tokens) + found[2].ended <= 3
    expected = naive_greedy(student, near, markers.end_id, 3)
    assert [*found[2].tokens, *([markers.end_id] if found[2].ended else [])] == expected


def test_what_a_checkpoint_says_of_generation_does_not_count(student, encoded, markers):
    prompts = [Prompt(encoded.question[row]) for row in range(3)]
    plain = generate(student, markers, prompts, max_new_tokens=9)
    student.generation_config.repetition_penalty = 5.0
    student.generation_config.begin_suppress_tokens = [int(plain[0].tokens[0])]
    again = generate(student, markers, prompts, max_new_tokens=9)
    assert [output.tokens.tolist() for output in again] == [output.tokens.tolist() for output in plain]
    assert student.generation_config.repetition_penalty == 5.0


@pytest.mark.parametrize("temperature", [0, 1e-3])
def test_the_end_may_be_kept_from_coming_first(student, encoded, markers, temperature):
    ids = encoded.question[0]
    (first,) = naive_greedy(student, ids, None, 1)
    ended = replace(markers, end_id=first)
    options = {"max_new_tokens": 5, "temperature": temperature}
    (at_once,) = generate(student, ended, [Prompt(ids)], **options)
    assert (len(at_once.tokens), at_once.ended) == (0, True)
    (later,) = generate(student, ended, [Prompt(ids)], may_be_empty=False, **options)
    with torch.inference_mode():
        second = int(student(input_ids=torch.tensor(ids[None])).logits[0, -1].topk(2).indices[1])
    assert later.tokens[0] == second


def test_stages_that_are_never_empty_do_not_end_at_once(student, encoded, markers):
    """Stage 2 may be empty, the others may not: the end is what this student would write first everywhere."""
    question = encoded.question[0]
    # all tokens are as likely: the first one is taken
    student.get_output_embeddings().weight.data.zero_()
    markers = replace(markers, end_id=0)
    about = {"max_target_tokens": {str(stage): limit for stage, limit in LIMITS.items()}, "empty_stages": [2]}
    decoding = Decoding.of_student(about)
    written = []
    answered = continue_chains(
        student, markers, [question], [[]], [1], decoding=decoding,
        write=lambda stage, chains, prompts: written.append((stage, output := generate(
            student, markers, prompts, max_new_tokens=1, may_be_empty=decoding.may_be_empty(stage)
        ))) or output,
    )  # fmt: skip
    assert [(stage, output.tokens.tolist()) for stage, (output,) in written] == [
        (1, [1]),
        (2, []),
        (3, [1]),
        (Stage.ANSWER, [1]),
    ]
    assert answered[0].answer == [1]
    plain = answer_questions(student, markers, [question], mode="full", decoding=decoding)
    assert (plain[0].chain, plain[0].answer) == ([1, 1], [1])
    unknown = Decoding.of_student({"max_target_tokens": about["max_target_tokens"]})
    (silent,) = answer_questions(student, markers, [question], mode="full", decoding=unknown)
    assert (silent.chain, silent.answer) == ([], [])


def test_generation_needs_a_bound(student, encoded, markers):
    with pytest.raises(InvalidInputError, match="max_new_tokens must be at least 1"):
        generate(student, markers, [Prompt(encoded.question[0])], max_new_tokens=0)


def test_full_mode_feeds_each_chunk_to_the_next(student, encoded, markers):
    question = encoded.question[0]
    (result,) = answer_questions(student, markers, [question], mode="full", decoding=Decoding(LIMITS))
    thought: list[int] = []
    for (lead,) in markers.stage_marks:
        prompt = np.asarray([lead, *question, *thought])
        thought += [
            token for token in naive_greedy(student, prompt, markers.end_id, 16) if token != markers.end_id
        ]
    assert result.chain == thought
    prompt = np.asarray([*markers.answer_mark, *question, *thought])
    assert result.answer == [
        token for token in naive_greedy(student, prompt, markers.end_id, 8) if token != markers.end_id
    ]
    assert result.n_prompt == 4 * (1 + len(question)) + sum(
        len(thought[:cut]) for cut in np.cumsum([0, *chunk_lengths(student, markers, question)])
    )


def chunk_lengths(student, markers, question):
    lengths, thought = [], []
    for (lead,) in markers.stage_marks:
        chunk = naive_greedy(student, np.asarray([lead, *question, *thought]), markers.end_id, 16)
        chunk = [token for token in chunk if token != markers.end_id]
        lengths.append(len(chunk))
        thought += chunk
    return lengths


def test_chain_may_start_late(student, encoded, markers):
    question, prefix = encoded.question[1], [*markers.thought_mark, 40, 41]
    (late,) = continue_chains(student, markers, [question], [prefix], [4], decoding=Decoding(LIMITS))
    prompt = np.asarray([*markers.answer_mark, *question, *prefix])
    assert late.chain == prefix
    assert late.answer == [
        token for token in naive_greedy(student, prompt, markers.end_id, 8) if token != markers.end_id
    ]


def test_modes_are_checked(student, encoded, markers):
    with pytest.raises(InvalidInputError, match="mode must be one of"):
        answer_questions(student, markers, [encoded.question[0]], mode="fast", decoding=Decoding(LIMITS))
    with pytest.raises(InvalidInputError, match=r"trained on the stages \[-2, 0, 1, 2, 3\], not on -1"):
        answer_questions(student, markers, [encoded.question[0]], mode="skip", decoding=Decoding(LIMITS))


def test_evaluate_counts_and_writes_predictions(parrot, tmp_path):
    out, samples = parrot
    result = evaluate_folder(
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
    assert right["chain"].strip() == samples["rationale"][int(right["id"][1:])].as_py()


def short_of_memory(monkeypatch, model, most_rows):
    """Lets generation run out of memory on more rows than that; gives the sizes of all tries."""
    original, tries = model.generate, []

    def generate_some(input_ids, **options):
        tries.append(len(input_ids))
        if len(input_ids) > most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return original(input_ids=input_ids, **options)

    monkeypatch.setattr(model, "generate", generate_some)
    return tries


def test_out_of_memory_halves_batches(student, encoded, markers, monkeypatch):
    prompts = [stage_prompt(markers, 1, encoded.question[row]) for row in range(11)]
    expected = generate(student, markers, prompts, max_new_tokens=6)
    tries = short_of_memory(monkeypatch, student, 3)
    seen = []
    found = generate(
        student, markers, prompts, max_new_tokens=6, progress=lambda *done: seen.append(done), batch_size=8
    )
    assert tries == [8, 4, 2, 2, 2, 2, 2, 1], "what was too many is not tried again, nor is anything as large"
    assert [row.tokens.tolist() for row in found] == [row.tokens.tolist() for row in expected]
    assert seen[-1] == (11, 11)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_out_of_memory_on_one_prompt(student, encoded, markers, monkeypatch):
    short_of_memory(monkeypatch, student, 0)
    prompt = stage_prompt(markers, 1, encoded.question[0])
    with pytest.raises(RunError, match=f"out of memory on a single prompt of {len(prompt)} tokens"):
        generate(student, markers, [prompt], max_new_tokens=6)


def test_other_errors_of_generation_are_not_hidden(student, encoded, markers, monkeypatch):
    def broken(**_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(student, "generate", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        generate(student, markers, [stage_prompt(markers, 1, encoded.question[0])], max_new_tokens=6)
