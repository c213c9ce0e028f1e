"""Replies: wherever a server puts the thoughts they become the rationale, and what is no answer is none."""

import json

import pytest

from skipthink.teacher.reasoning import find_thought
from skipthink.teacher.replies import FaultyReplyError, parse_reply, read_reply
from skipthink.teacher.requests import Reply

THOUGHT, SAID = "We add 3 and 4.\nThat makes 7.", "The answer is 7."


def body(message, **choice):
    return {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}


@pytest.mark.parametrize("message", [
    {"content": SAID, "reasoning_content": THOUGHT},
    {"content": SAID, "reasoning": THOUGHT},
    {"content": SAID, "reasoning_content": None, "reasoning": THOUGHT},
    {"content": f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"},
    {"content": f"<THINKING>{THOUGHT}</thinking>{SAID}"},
    {"content": f"{THOUGHT}\n</think>\n{SAID}"},
    {"content": f"</think>\n{SAID}", "reasoning_content": THOUGHT},
    {"content": f"<think></think>{SAID}", "reasoning": THOUGHT},
    {"content": [{"type": "text", "text": SAID}], "reasoning_content": THOUGHT},
])  # fmt: skip
def test_thoughts_become_the_rationale(message):
    thought = find_thought(parse_reply(body(message)))
    assert (thought.rationale, thought.statement, thought.problem) == (THOUGHT, SAID, None)


@pytest.mark.parametrize(("content", "rationale", "statement", "problem"), [
    (f"{THOUGHT} {SAID}", f"{THOUGHT} {SAID}", f"{THOUGHT} {SAID}", None),
    (f"<think>\n\n</think>\n\n{SAID}", SAID, SAID, None),
    ("<think>We add", "We add", "", "thought never ends"),
    ("<think>a</think>b<think>c</think>d", "<think>a</think>b<think>c</think>d", "", "several thoughts"),
    ("</think>a<think>", "</think>a<think>", "", "several thoughts"),
    ("", "", "", None),
])  # fmt: skip
def test_inline_thoughts(content, rationale, statement, problem):
    thought = find_thought(Reply(content))
    assert (thought.rationale, thought.statement, thought.problem) == (rationale, statement, problem)


def test_what_a_reply_counts():
    reply = parse_reply({
        **body({"content": SAID, "refusal": None}, finish_reason="length"),
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
    })  # fmt: skip
    assert (reply.n_prompt_tokens, reply.n_tokens, reply.n_cached_tokens, reply.finish) == (9, 5, 4, "length")
    for usage in (None, {}, {"prompt_tokens": None}, {"prompt_tokens": "9", "completion_tokens": -1}, [1]):
        bare = parse_reply({**body({"content": SAID}), "usage": usage})
        assert (bare.n_prompt_tokens, bare.n_tokens, bare.n_cached_tokens) == (None, None, 0)


def test_of_several_choices_the_first_counts():
    twice = body({"content": SAID})
    twice["choices"] *= 2
    assert parse_reply(twice).content == SAID


@pytest.mark.parametrize(("content", "fault"), [
    (b"", "body is no JSON"),
    (json.dumps(body({"content": SAID})).encode()[:40], "body is no JSON"),
    (b"<html>busy</html>", "body is no JSON"),
    (b"\xff\xfe", "body is no JSON"),
    (b"[" * 100_000, "body is no JSON"),
    (b"[]", "body is no object"),
    (b"{}", "no choice"),
    (b'{"choices": []}', "no choice"),
    (b'{"choices": null}', "no choice"),
    (b'{"choices": ["x"]}', "no choice"),
    (b'{"choices": [{"text": "x"}]}', "no message"),
    (b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}', "empty message"),
    (b'{"choices": [{"message": {"content": 7}}]}', "empty message"),
])  # fmt: skip
def test_what_is_no_answer(content, fault):
    with pytest.raises(FaultyReplyError, match=fault):
        read_reply(content)


def test_a_refusal_and_an_empty_cut_off_reply_are_answers():
    assert parse_reply(body({"content": None, "refusal": "No."})).refusal == "No."
    assert parse_reply(body({"content": ""}, finish_reason="length")).finish == "length"
