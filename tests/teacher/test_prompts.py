"""Prompts: what is in the package is right, what is sent is what the file says, and texts stay texts."""

import re

import pytest
import yaml

from skipthink import tasks
from skipthink.answers import check_answer
from skipthink.data import question_key
from skipthink.exceptions import InvalidInputError
from skipthink.teacher.conversation import Conversations
from skipthink.teacher.options import PromptOptions, SamplingOptions
from skipthink.teacher.prompts import FORMS, PROMPTS, Turn, example_tasks, load_prompt, take
from skipthink.teacher.requests import Reply


def prompt_of(name, kind="number", **options):
    if name == "few-shot":
        options.setdefault("task", "single_operation")
    return load_prompt(PromptOptions(name=name, **options), kind)


def test_every_task_has_eight_examples():
    assert set(example_tasks()) == set(tasks.NAMES)
    for task in tasks.NAMES:
        opening = prompt_of("few-shot", tasks.answer_kind(task), task=task).opening
        assert [message["role"] for message in opening] == ["system", *["user", "assistant"] * 8]
        questions = {question_key(message["content"]) for message in opening if message["role"] == "user"}
        assert len(questions) == 8


@pytest.mark.parametrize("task", tasks.NAMES)
def test_examples_are_right_and_none_of_the_task_itself(task):
    from importlib import resources

    folder = resources.files("skipthink.teacher.prompts") / "examples"
    rows = yaml.safe_load((folder / f"{task}.yaml").read_text("utf-8"))
    kind = tasks.answer_kind(task)
    for row in rows:
        said = f"{row['rationale']} The answer is {row['answer']}."
        assert check_answer(kind, said, row["answer"]) == "right"
        for sum_ in re.finditer(r"(\d+) ([-+*/]) (\d+) = (\d+)", row["rationale"]):
            left, sign, right, result = sum_.groups()
            worth = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
            assert int(result) == (int(left) / int(right) if sign == "/" else worth[sign]), sum_[0]
    made = {question_key(one["question"]) for one in tasks.rows(task, split="test", n=200, seed=0)}
    assert not made & {question_key(row["question"]) for row in rows}


def test_examples_of_swaps_are_followed_to_the_end():
    from importlib import resources

    folder = resources.files("skipthink.teacher.prompts") / "examples"
    for row in yaml.safe_load((folder / "tracking_shuffled_objects.yaml").read_text("utf-8")):
        start, _, _ = row["question"].partition("At the end")
        has = dict(re.findall(r"(\w+) (?:holds|plays|sits on|has|reads|wears|drives) the (\w+)", start))
        for one, other in re.findall(r"(\w+) and (\w+) (?:swap|trade|change)", start):
            has[one], has[other] = has[other], has[one]
        asked = re.search(r"At the end, (\w+) has", row["question"])[1]
        letter = re.search(rf"\((\w)\) the {has[asked]}\b", row["question"])[1]
        assert row["answer"] == f"({letter})", row["question"]


def test_examples_stand_in_no_real_data(request):
    from pathlib import Path

    real = Path(__file__).parents[3] / "shared" / "data"
    if not real.is_dir():
        pytest.skip(f"needs the real rationales at {real}")
    import json

    ours = {
        question_key(message["content"])
        for task in tasks.NAMES
        for message in prompt_of("few-shot", tasks.answer_kind(task), task=task).opening
        if message["role"] == "user"
    }
    theirs = {
        question_key(json.loads(line)["question"])
        for file in real.glob("*.jsonl")
        for line in file.read_text("utf-8").split("\n")
        if line
    }
    assert not ours & theirs


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("kind", FORMS)
def test_prompts_of_the_package_lead_to_a_rationale(name, kind):
    prompt = prompt_of(name, kind)
    conversations = Conversations(prompt, SamplingOptions(max_tokens=50), "m")
    replies = []
    while (request := conversations.next_request("Why?", 0, replies)) is not None:
        assert "Why?" in "".join(message["content"] for message in request.messages)
        assert not re.search(
            r"\{\w", "".join(message["content"] for message in request.messages).replace("boxed{", "")
        )
        replies.append(Reply(f"Reply {len(replies)} has a first step. And a second one. The answer is 4."))
    assert len(replies) == len(prompt.turns)


def test_two_turns_show_the_reply_of_the_first():
    conversations = Conversations(prompt_of("zero-shot"), SamplingOptions(), "m")
    second = conversations.next_request("1 + 1?", 0, [Reply("One and one make two.")])
    assert [message["role"] for message in second.messages] == ["user", "assistant", "user"]
    assert second.messages[1]["content"] == "One and one make two."
    assert "the answer" in second.messages[2]["content"]


def test_thoughts_are_not_sent_back():
    conversations = Conversations(prompt_of("zero-shot"), SamplingOptions(), "m")
    reply = Reply("So it is two.", reasoning="Hm, one and one, well.")
    second = conversations.next_request("1 + 1?", 0, [reply])
    assert second.messages[1]["content"] == "So it is two."


def test_a_rewritten_solution_is_taken_from_behind_the_thoughts():
    turn = prompt_of("difficulty-aware").turns[1]
    reply = Reply("<think>Is it easy? Yes.</think>**Difficulty: Easy**\n\nIt is 1 + 1 = 2. The answer is 2.")
    taken = take(turn, reply)
    assert (taken.label, taken.text) == ("easy", "It is 1 + 1 = 2. The answer is 2.")
    unlabelled = take(turn, Reply("It is 1 + 1 = 2. The answer is 2."))
    assert (unlabelled.label, unlabelled.text) == (None, "It is 1 + 1 = 2. The answer is 2.")


def test_the_first_step_becomes_the_beginning():
    conversations = Conversations(prompt_of("first-thought"), SamplingOptions(max_tokens=500), "m")
    first = conversations.next_request("1 + 1?", 0, [])
    assert first.max_tokens == 128
    cut = Reply("We add one to one. Then we", finish="length")
    second = conversations.next_request("1 + 1?", 0, [cut])
    assert "We add one to one.\n" in second.messages[-1]["content"]
    assert "Then we" not in second.messages[-1]["content"]
    assert second.max_tokens == 500


def test_after_a_reply_of_no_use_nothing_more_is_asked():
    conversations = Conversations(prompt_of("zero-shot"), SamplingOptions(), "m")
    for reply in (
        Reply("We add", finish="length"),
        Reply("", refusal="No."),
        Reply("", finish="content_filter"),
    ):
        assert conversations.next_request("1 + 1?", 0, [reply]) is None


def test_texts_fill_no_places():
    conversations = Conversations(prompt_of("zero-shot"), SamplingOptions(), "m")
    question = "What is {form} in {{question}} {reply}? \ud800"
    first = conversations.next_request(question, 0, [])
    assert "What is {form} in {{question}} {reply}? ?" in first.messages[0]["content"]
    second = conversations.next_request(question, 0, [Reply("{question} \ud800")])
    assert second.messages[1]["content"] == "{question} ?"


def test_what_changes_a_reply_changes_the_hash_and_nothing_else_does():
    def key(model="m", sampling=None, sample=0, question="1 + 1?", prompt="concise"):
        conversations = Conversations(
            prompt_of(prompt), sampling or SamplingOptions(n=2, temperature=0.5), model
        )
        return conversations.next_request(question, sample, []).key

    one = key()
    assert key() == one
    assert re.fullmatch(r"[0-9a-f]{64}", one)
    others = [
        key(model="n"),
        key(sample=1),
        key(question="1 + 2?"),
        key(prompt="zero-shot"),
        key(sampling=SamplingOptions(n=2, temperature=0.6)),
        key(sampling=SamplingOptions(n=2, temperature=0.5, seed=1)),
        key(sampling=SamplingOptions(n=2, temperature=0.5, max_tokens=9)),
        key(sampling=SamplingOptions(n=2, temperature=0.5, extra={"reasoning_effort": "low"})),
    ]
    assert len({one, *others}) == 9
    assert key(sampling=SamplingOptions(n=3, temperature=0.5)) == one  # more samples ask nothing again


GOOD = {"turns": [{"ask": "{question}", "gives": "rationale"}]}


@pytest.mark.parametrize(("content", "message"), [
    ("- a", "has no list of turns"),
    ("a: [", "is no YAML"),
    ({**GOOD, "sytem": "x"}, "unknown key 'sytem'; did you mean 'system'"),
    ({"turns": [{"ask": "{question}", "gives": "thought"}]}, "has 0 turns that give rationale"),
    ({"turns": [{"ask": "{qestion}", "gives": "rationale"}]}, r"\{qestion\}; did you mean 'question'"),
    ({"turns": [{"ask": "{draft}", "gives": "rationale"}, {"ask": "x", "gives": "draft"}]}, r"turn 1 has \{draft\}"),
    ({"turns": [{"ask": "", "gives": "rationale"}]}, "ask is ''; write a text"),
    ({"turns": [{"ask": "x", "gives": "rationale", "fresh": "yes"}]}, "fresh is 'yes'"),
    ({"turns": [{"ask": "x", "gives": "rationale", "max_tokens": 0}]}, "max_tokens is 0"),
    ({"turns": [{"ask": "x", "gives": "rationale", "gvies": 1}]}, "unknown key 'gvies'"),
    ({"turns": ["x"]}, "turn 1 is str"),
    ({**GOOD, "system": "{question}"}, "stands for nothing here"),
    ({"turns": [*GOOD["turns"], {"ask": "x", "gives": "question"}]}, "gives is 'question'; take a new name"),
])  # fmt: skip
def test_bad_prompt_files_say_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "own.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(InvalidInputError, match=message):
        load_prompt(PromptOptions(name=str(path)), "number")


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "few-shoot"}, "no prompt 'few-shoot'; did you mean 'few-shot'"),
    ({"name": "few-shot"}, "shows examples; name their task"),
    ({"name": "few-shot", "task": "single_operatoin"}, "did you mean 'single_operation'"),
    ({"name": "few-shot", "task": "single_operation", "n_examples": 9}, "are 8, fewer than n_examples"),
    ({"name": "concise", "task": "single_operation"}, "shows no examples; leave out task"),
    ({"name": "no/such.yaml"}, "cannot read the prompt"),
])  # fmt: skip
def test_bad_prompt_options_say_what_is_wrong(options, message):
    with pytest.raises(InvalidInputError, match=message):
        load_prompt(PromptOptions(**options), "number")


def test_prompts_and_examples_of_ones_own(tmp_path):
    prompt, examples = tmp_path / "mine.yaml", tmp_path / "examples.yaml"
    prompt.write_text('example: {ask: "Q {question}", reply: "{rationale} #### {answer}"}\n'
                      'turns: [{ask: "Q {question} {{x}}", gives: rationale}]\n')  # fmt: skip
    examples.write_text('[{question: "1+1", rationale: "One and one.", answer: "2"}]\n')
    loaded = load_prompt(PromptOptions(name=str(prompt), task=str(examples), n_examples=1), "number")
    assert loaded.name == "mine"
    assert [message["content"] for message in loaded.messages("2+2", [])] == [
        "Q 1+1",
        "One and one. #### 2",
        "Q 2+2 {x}",
    ]


def test_a_label_needs_no_exact_form():
    turn = Turn("x", "rationale", label="difficulty")
    assert take(turn, Reply("### Difficulty: hard.\nStep.")).label == "hard"
    assert len(take(turn, Reply(f"Difficulty: {'x' * 999}\nStep.")).label) == 40
