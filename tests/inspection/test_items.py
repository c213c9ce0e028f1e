"""`skipthink inspect ITEMS --tokenizer T`: the trained tokens of anybody's items, and those that train none."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import call_cli

from skipthink.inspection.items import read_items
from skipthink.student.models import make_tokenizer

PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
PLAIN += "{% if add_generation_prompt %}<assistant>{% endif %}"
MARKED = (
    "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "And 2 + 2?"},
    {"role": "assistant", "content": "4"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(["What is one and one? It is two."] * 3, vocab_size=300).save_pretrained(folder)
    return folder


@pytest.fixture
def tokenizer(folder):
    from skipthink.student.token_counts import load_tokenizer

    return load_tokenizer(str(folder))


@pytest.fixture
def read(tmp_path, tokenizer):
    def read(*rows):
        path = tmp_path / "items.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return list(read_items(path, tokenizer))

    return read


def trained(item):
    return "".join(token.text for token in item.tokens if token.is_trained)


def masked(item):
    return "".join(token.text for token in item.tokens if not token.is_trained)


def test_ids_and_labels(read, tokenizer):
    ids = tokenizer("What is one? It is two.<end>")["input_ids"]
    labels = [-100] * 4 + ids[4:]
    [item] = read({"id": "a", "input_ids": ids, "labels": labels})
    assert masked(item) + trained(item) == "What is one? It is two.<end>"
    assert trained(item) == tokenizer.decode(ids[4:])
    assert (item.name, item.notes) == ("a", ())
    [item] = read({"input_ids": ids, "labels": [*labels[:-1], ids[0]]})
    assert item.notes[0].startswith("labels differ from input_ids")


def test_ids_of_an_encoder_decoder(read, tokenizer):
    source, target = (tokenizer(text)["input_ids"] for text in ("What is one?", "It is two.<end>"))
    [item] = read({"input_ids": source, "decoder_input_ids": [0, *target[:-1]], "labels": target})
    assert trained(item) == "It is two.<end>"
    assert masked(item) == "<pad>"
    assert "".join(token.text for token in item.source) == "What is one?"
    [item] = read({"input_ids": source, "labels": [*target, -100, -100]})
    assert trained(item) == "It is two.<end>"


def test_prompt_and_completion(read):
    [item, endless, odd] = read(
        {"prompt": "What is one?", "completion": " It is two.<end>"},
        {"prompt": "What is one?", "completion": " It is two."},
        {"prompt": "What is o", "completion": "ne?"},
    )
    assert (masked(item), trained(item), item.notes) == ("What is one?", " It is two.<end>", ())
    assert endless.notes == ("the last trained token is not the end token",)
    assert "the prompt alone has other tokens than in front of its completion" in odd.notes


@pytest.mark.parametrize("template", [PLAIN, MARKED])
def test_messages_train_the_turns_of_the_assistant(read, tokenizer, template):
    tokenizer.chat_template = template
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    turns = [{"from": names[turn["role"]], "value": turn["content"]} for turn in TURNS]
    for item in read({"messages": TURNS}, {"conversations": turns}):
        assert trained(item) == "2<end>4<end>"
        assert (
            masked(item)
            == "<system>Be brief.<end><user>What is 1 + 1?<end><assistant><user>And 2 + 2?<end><assistant>"
        )


def test_a_conversation_as_prompt_and_completion_trains_its_last_turn(read, tokenizer):
    tokenizer.chat_template = PLAIN
    [item] = read({"prompt": TURNS[:4], "completion": TURNS[4:]})
    assert trained(item) == "4<end>"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, "has the columns text; what can be read are input_ids and labels"),
        ({"messages": TURNS}, "the tokenizer has no chat template"),
        ({"messages": [{"who": "me"}]}, "messages are lists of objects with role and content"),
        (
            {"input_ids": [1, 99999], "labels": [1, 99999]},
            "holds the id 99999, and the tokenizer has the ids 0",
        ),
        (
            {"input_ids": [1, 2], "labels": [1, 2], "decoder_input_ids": [1]},
            "has 2 labels for 1 decoder_input_ids",
        ),
        ({"prompt": 3, "completion": "x"}, "prompt and completion must be texts or lists of messages"),
        ({"prompt": "a\udc80", "completion": "x"}, "holds the lone surrogate '\\udc80'"),
    ],
)
def test_rows_that_are_no_items_are_named(tmp_path, folder, row, message):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(row) + "\n")
    said = call_cli("inspect", path, "--tokenizer", folder, check=2).stderr
    assert message in said
    assert "row 0" in said


def test_a_template_that_does_not_render_is_said(read, tokenizer):
    tokenizer.chat_template = "{{ raise_exception('no system') }}"
    with pytest.raises(Exception, match="the chat template does not render the messages"):
        read({"messages": TURNS})


def test_samples_that_train_nothing_fail(tmp_path, folder):
    path = tmp_path / "items.parquet"
    rows = [{"input_ids": [260, 261, 1], "labels": [-100, 261, 1]}] + [
        {"input_ids": [260, 261], "labels": [-100] * 2}
    ] * 7
    pq.write_table(pa.Table.from_pylist(rows), path)
    done = call_cli("inspect", path, "--tokenizer", folder, "--limit", "2", check=2)
    assert "7 of 8 samples of" in done.stderr
    assert "train no token (row 1, 2, 3, 4, 5, …)" in done.stderr
    assert "8 items, 2 of 17 tokens trained" in done.stdout
    assert "row 1  0 of 2 tokens trained" in done.stdout


def test_text_of_items_cannot_fake_what_is_trained(tmp_path, folder):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"prompt": "a «b» \x1b[1m\u202e\x00", "completion": "c\nd<end>"}) + "\n")
    printed = call_cli("inspect", path, "--tokenizer", folder).stdout
    assert printed.count("«") == printed.count("»") == 1
    assert "a \\xabb\\xbb \\x1b[1m" in printed
    assert "«c↵d<end>»" in printed
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", printed)


def test_what_is_no_tokenizer_is_named(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("{}\n")
    assert (
        "cannot load a tokenizer" in call_cli("inspect", path, "--tokenizer", tmp_path / "no", check=2).stderr
    )


def test_items_of_a_run_are_read_as_they_are(whole_run):
    folder, tokenizer = whole_run / "train/stt/s0", whole_run / "student/s0"
    done = call_cli("inspect", folder, "--tokenizer", tokenizer, "--limit", "5")
    assert done.stdout.count("tokens trained\n") == 5
    summary = json.loads((folder / "train.json").read_text())
    assert f"{sum(summary['items'].values())} items" in done.stdout


def test_data_are_shown_before_any_training(whole_run):
    """As the items, losses and boundaries of a run, by a student that is given."""
    data, student = whole_run.parent / "source/rows.jsonl", whole_run / "train/base+sbc/s0/model"
    done = call_cli("inspect", data, "--student", student, "--id", "q3", "--chunks", "3")
    assert "sample q3" in done.stdout
    said = "chunks of greedy; loss of each step under its stage, in nats per token, by the student"
    assert said in " ".join(done.stdout.split())
    assert re.search(r"^1 \[1\] \d\.\d\d ", done.stdout, re.MULTILINE)
    assert "optimal on these losses" in done.stdout
    assert re.search(r"^\[3\]  \d+ of \d+ tokens trained$", done.stdout, re.MULTILINE)
    assert "items of answer-only" in done.stdout
    grepped = call_cli("inspect", data, "--student", student, "--grep", "SMALL GREY", "--limit", "1").stdout
    assert grepped.count("\nsample q") == 1
    assert "no sample of" in call_cli("inspect", data, "--student", student, "--id", "nobody", check=2).stderr
