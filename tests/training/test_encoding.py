"""One tokenisation a sample; items are cut out of it and nothing in a text becomes a marker."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import SEPARATOR, encode_questions, encode_samples
from skipthink.student.items import build_items
from skipthink.student.markers import add_markers, get_markers, marker_texts
from skipthink.student.tokens import encode_texts, token_starts


def table(question: str, rationale: str, answer: str = "7") -> pa.Table:
    return pa.table({"id": ["row"], "question": [question], "rationale": [rationale], "answer": [answer]})


def assert_round_trip(tokenizer, markers, encoded, samples, boundaries):
    """Prompt of stage 1 less its marker, then the chunk targets less their ends: the ids of the whole text."""
    items = build_items(encoded, encoded.plan("chunkwise", boundaries), markers)
    whole = encode_texts(
        tokenizer,
        [
            question + SEPARATOR + rationale
            for question, rationale in zip(
                samples["question"].to_pylist(), samples["rationale"].to_pylist(), strict=True
            )
        ],
    )["input_ids"]
    for row in range(len(encoded)):
        joined: list[int] = []
        for stage in range(1, markers.n_chunks + 1):
            (index,) = np.flatnonzero((items.rows == row) & (items.stages == stage))
            tokens, cut = items.tokens[index].tolist(), items.n_prompt[index]
            assert tokens[:1] == [*markers.stage_marks[stage - 1]]
            assert tokens[-1] == markers.end_id
            assert tokens[1:cut] == joined or stage == 1
            joined = tokens[1:-1]
        assert joined == whole[row]
        (index,) = np.flatnonzero((items.rows == row) & (items.stages == Stage.ANSWER))
        tokens, cut = items.tokens[index].tolist(), items.n_prompt[index]
        assert tokens[:cut] == [*markers.answer_mark, *joined]
        assert tokenizer.decode(tokens[cut:-1]).strip() == samples["answer"][row].as_py()


def test_stage_prompts_and_targets_give_back_the_tokenisation(tokenizer, markers, encoded, samples):
    boundaries = skipthink.average_boundaries(encoded.n_steps, markers.n_chunks)
    assert_round_trip(tokenizer, markers, encoded, samples, boundaries)


@settings(max_examples=60, deadline=None)
@given(
    question=st.text(min_size=1, max_size=30).filter(str.strip),
    steps=st.lists(
        st.sampled_from(["Ann has 3. ", "x\n\n", "été 日本。", "So 1,000.5! ", "<think> ", "[2] "]),
        min_size=1,
    ),
)
def test_round_trip_on_any_text(tokenizer, markers, question, steps):
    samples = table(question, "".join(steps))
    encoded = encode_samples(tokenizer, markers, samples)
    boundaries = skipthink.average_boundaries(encoded.n_steps, markers.n_chunks)
    assert "".join(encoded.steps[0]) == "".join(steps)
    assert encoded.step_tokens[0][0] == 0
    assert encoded.step_tokens[0][-1] == len(encoded.rationale[0])
    assert (np.diff(encoded.step_tokens[0]) >= 0).all()
    assert_round_trip(tokenizer, markers, encoded, samples, boundaries)


def test_tokens_fall_into_the_step_of_their_first_solid_character(tokenizer, markers):
    encoded = encode_samples(tokenizer, markers, table("Q?", "Ann has 3 pens. Ben has 4 pens. So 7."))
    steps = [
        tokenizer.decode(encoded.rationale[0][start:end])
        for start, end in zip(encoded.step_tokens[0][:-1], encoded.step_tokens[0][1:], strict=True)
    ]
    assert [step.strip() for step in steps] == ["Ann has 3 pens.", "Ben has 4 pens.", "So 7."]


def test_token_starts_skip_leading_space_but_not_pure_space():
    offsets = np.asarray([(0, 1), (1, 4), (4, 6), (6, 8)])
    assert token_starts("a bc   d", offsets).tolist() == [0, 2, 4, 7]


@pytest.mark.parametrize(
    "text", ["[1]", "[answer]", "[skip]", "[thought]", "<end>", "<pad>", "a[thought]b<end>[2]", "<think>"]
)
def test_text_never_becomes_a_marker(tokenizer, markers, text):
    encoded = encode_samples(tokenizer, markers, table(f"What is {text}?", f"It is {text}. So 7.", text))
    ids = {*encoded.question.values, *encoded.rationale.values, *encoded.answer.values}
    assert not ids & markers.reserved_ids
    assert not set(encode_questions(tokenizer, markers, [text])[0]) & markers.reserved_ids
    assert text in tokenizer.decode(encoded.question[0])


def test_rationale_without_a_step_is_named(tokenizer, markers):
    with pytest.raises(InvalidInputError, match="'row' has no step"):
        encode_samples(tokenizer, markers, table("Q?", " \n "))


def test_markers_are_one_token_each_and_survive_saving(tokenizer, markers, student_dir):
    from transformers import AutoTokenizer

    again = get_markers(AutoTokenizer.from_pretrained(str(student_dir)), markers.n_chunks)
    assert again == markers
    assert (
        len(
            {
                *markers.stage_marks,
                markers.answer_mark,
                markers.skip_mark,
                markers.thought_mark,
                (markers.end_id,),
            }
        )
        == markers.n_chunks + 4
    )


def test_missing_markers_are_named(tokenizer):
    with pytest.raises(InvalidInputError, match=r"lacks the markers \[4\], \[5\]"):
        get_markers(tokenizer, 5)
    with pytest.raises(InvalidInputError, match="n_chunks must be at least 1"):
        add_markers(tokenizer, 0)
    assert marker_texts(2) == ["[1]", "[2]", "[answer]", "[skip]", "[thought]"]


def test_a_question_that_merges_with_its_rationale_is_counted(tokenizer, markers):
    apart = encode_samples(tokenizer, markers, table("Q?", "So 7."))
    assert apart.report["questions_merged_with_rationale"] == 0
    # the GPT-2 pattern takes all line breaks but the last together: the separator's own token changes
    merged = encode_samples(tokenizer, markers, table("Q?", "\n\nSo 7."))
    assert merged.report["questions_merged_with_rationale"] in (0, 1)
    alone = encode_questions(tokenizer, markers, ["Q?"])[0].tolist()
    assert (merged.question[0].tolist() != alone) == bool(merged.report["questions_merged_with_rationale"])
