"""Data as people publish them: chats, OpenR1-Math, lists of steps, tables, packed files, own splits, odd answers."""

import csv
import gzip
import io
import json
from decimal import Decimal

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skipthink.data import load_samples
from skipthink.data.options import DataOptions, SizeOptions
from skipthink.data.paths import follow, parse_path
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_parquet
from skipthink.run.prepare import prepare_splits


def sample(number=0, **cells):
    row = {"question": f"What is {number} + 1?", "rationale": f"{number} + 1 = {number + 1}."}
    return {**row, "answer": f"{number + 1}", **cells}


@pytest.fixture
def load(tmp_path):
    def load(rows, **options):
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return load_samples(path, **options)

    return load


def is_balanced(report):
    return report["read"] == report["kept"] + sum(report["dropped"].values())


# ── files ──

ROWS = [sample(1, id="a", note='say "hi",\nall'), sample(2, id="b", note=""), sample(3, id="c", note="\t|")]


def table_text(rows, delimiter):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json", ".csv", ".tsv"])
def test_every_text_file_gives_the_same_samples(tmp_path, suffix, packed):
    lines = "".join(json.dumps({**row, "note": row["note"] or None}) + "\n" for row in ROWS)
    rows = [json.loads(line) for line in lines.splitlines()]
    text = {
        ".csv": table_text(ROWS, ","),
        ".tsv": table_text(ROWS, "\t"),
        ".json": json.dumps(rows),
    }.get(suffix, lines)
    path = tmp_path / f"a{suffix}{packed}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    samples = load_samples(path)
    assert samples.table.select(list(rows[0])).to_pylist() == rows
    assert is_balanced(samples.report)
    assert samples.report["made_ids"] is False


def test_tables_of_text_say_what_is_wrong(tmp_path):
    path = tmp_path / "a.csv"
    cases = {
        "question,rationale,answer\nq,r,1\nq,r\n": "a.csv, line 3 has 2 cells, but the first line names 3 columns",
        'question,rationale,answer\n"q\nq",r,1\nq,r,\n': "a.csv, row 1, line 4: no gold answer; answer is None",
        "question,question,answer\nq,r,1\n": "has columns of the same name: question, question, answer",
        'question,rationale,answer\n"q,r,1\n': "a.csv, line 2 cannot be read: unexpected end of data",
        "question,rationale,answer\n": "holds no row",
        "question,rationale,answer,correct\nq,r,1,maybe\n": "row 0, line 2: correct is 'maybe'",
    }
    for text, message in cases.items():
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            load_samples(path)
    path.write_bytes("question,rationale,answer\nq,r,1\nq,r\xe9,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.csv, line 3 is not UTF-8"):
        load_samples(path)
    path.write_text(
        "question,rationale,answer,correct\nq,r,1,False\n\nq2,r,2,true\n" + "q3," + "x" * 300_000 + ",3,\n"
    )
    samples = load_samples(path)
    assert samples.table["question"].to_pylist() == ["q2", "q3"]
    assert samples.report["dropped"] == {"teacher wrong": 1} and samples.report["blank_lines"] == 1
    assert csv.field_size_limit() < 300_000  # what is the same for the whole process stays


@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b"{}")[:-3]], ids=["text", "cut off"])
def test_packed_files_that_are_none(tmp_path, content):
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*a\.jsonl\.gz: "):
        load_samples(tmp_path / "a.jsonl.gz")


# ── paths and lists of steps ──


def test_paths_lead_into_chats(load):
    turns = [
        {"role": "user", "content": "q?"},
        {"role": "assistant", "content": "5", "reasoning_content": "2 + 3."},
    ]
    where = {"question": "messages[0].content", "rationale": "messages[-1].reasoning_content"}
    samples = load([{"messages": turns, "answer": "5"}], columns=where)
    assert samples.table.select(["question", "rationale", "answer"]).to_pylist() == [
        {"question": "q?", "rationale": "2 + 3.", "answer": "5"}
    ]
    assert json.loads(samples.table["messages"][0].as_py()) == turns
    as_text = load([{"messages": json.dumps(turns), "answer": "5"}], columns=where)
    assert as_text.table["rationale"].to_pylist() == ["2 + 3."]


def test_paths_that_lead_nowhere(load):
    good = {"m": [{"a": "r"}], "question": "q", "answer": "1"}
    rows = [good, {**good, "m": []}, {**good, "m": None}, {**good, "m": [{"b": 1}]}]
    samples = load(rows, columns={"rationale": "m[0].a"})
    assert samples.report["dropped"] == {"no rationale": 3}
    with pytest.raises(
        DataError,
        match=r"row 1, line 2: rationale cannot be read from m\[0\]\.a: \.a is asked of the text 'x', which is no JSON",
    ):
        load([good, {**good, "m": ["x"]}], columns={"rationale": "m[0].a"})
    with pytest.raises(DataError, match=r"\[0\] is asked of \{'a': 1\} \(dict\), which is no list"):
        load([{**good, "m": {"a": 1}}], columns={"rationale": "m[0].a"})
    with pytest.raises(DataError, match=r"has no column 'n\[0\]'"):
        load([good], columns={"rationale": "n[0]"})
    with pytest.raises(InvalidInputError, match=r"'m\[x\]' is no path"):
        load([good], columns={"rationale": "m[x]"})


def test_a_column_with_a_dot_in_its_name_is_that_column(load):
    row = {"a.b": "r", "a": {"b": "no"}, "question": "q", "answer": "1"}
    assert load([row], columns={"rationale": "a.b"}).table["rationale"].to_pylist() == ["r"]


@given(st.recursive(st.integers(), lambda inner: st.lists(inner, min_size=1) | st.dictionaries(
    st.text("abc", min_size=1, max_size=2), inner, min_size=1), max_leaves=8), st.data())  # fmt: skip
def test_paths_find_what_stands_there(value, data):
    text, found = "root", value
    while isinstance(found, list | dict):
        keys = range(-len(found), len(found)) if isinstance(found, list) else list(found)
        key = data.draw(st.sampled_from(keys))
        text += f"[{key}]" if isinstance(found, list) else f".{key}"
        found = found[key]
    name, parts = parse_path(text)
    assert name == "root" and follow(value, parts) == found


@pytest.mark.parametrize("path", ["rationale", "rationale[*].text", "rationale[].text"])
def test_lists_of_steps_become_lines(load, path):
    steps = ["Add 3.", "Take 4. ", "So 5"]
    cells = steps if path == "rationale" else [{"text": step, "label": 1} for step in steps]
    samples = load([sample(1, rationale=cells), sample(2, rationale=[])], columns={"rationale": path})
    assert samples.table["rationale"].to_pylist() == ["Add 3.\nTake 4. So 5"]
    assert samples.report["lists_of_steps"] == 2 and samples.report["dropped"] == {"no rationale": 1}


# ── presets ──

THOUGHT = "<think>\n2 + 3 = 5.\n</think>\n\nThe answer is \\boxed{5}."


def chat(*turns, keys=("role", "content")):
    return [dict(zip(keys, turn, strict=True)) for turn in turns]


@pytest.mark.parametrize(
    ("reply", "rationale"),
    [
        (THOUGHT, "2 + 3 = 5."),
        ("2 + 3 = 5. The answer is 5.", "2 + 3 = 5. The answer is 5."),
        (
            "<|begin_of_thought|>\nHm.\n<|end_of_thought|>\n<|begin_of_solution|>\nIt is 5.\n<|end_of_solution|>",
            "Hm.",
        ),
        ([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "The answer is 5."}], "Hm."),
    ],
)
def test_chats(load, reply, rationale):
    turns = (("system", "Be good."), ("user", "2 + 3?"), ("assistant", reply))
    expected = [{"question": "2 + 3?", "rationale": rationale, "answer": "5"}]
    samples = load([{"messages": chat(*turns)}], format="messages", answer="number")
    assert samples.table.select(["question", "rationale", "answer"]).to_pylist() == expected
    assert samples.report["answers_from_replies"] == 1
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    turns = [(names[role], text) for role, text in turns]
    share = load(
        [{"conversations": chat(*turns, keys=("from", "value"))}], format="sharegpt", answer="number"
    )
    assert share.table.select(["question", "rationale", "answer"]).to_pylist() == expected
    own = load([{"messages": chat(("user", "q"), ("assistant", reply)), "answer": "7"}], format="messages")
    assert own.table["answer"].to_pylist() == ["7"] and "answers_from_replies" not in own.report


def test_reasoning_beside_the_content(load):
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "5", "reasoning_content": "2 + 3."},
    ]
    samples = load([{"messages": turns}], format="messages", answer="number")
    assert samples.table.select(["rationale", "answer"]).to_pylist() == [
        {"rationale": "2 + 3.", "answer": "5"}
    ]


def test_chats_that_are_no_sample_are_counted_or_refused(load):
    good = {"messages": chat(("user", "q"), ("assistant", "The answer is 5."))}
    several = {
        "messages": chat(("user", "q"), ("assistant", "a"), ("user", "q"), ("assistant", "The answer is 5."))
    }
    alone = {"messages": chat(("user", "q"))}
    samples = load([good, several, alone], format="messages", answer="number")
    assert samples.report["dropped"] == {"several turns": 1, "no question and reply": 1}
    assert is_balanced(samples.report)
    with pytest.raises(
        DataError, match=r"row 1, line 2: messages is no chat: role is None.*2 rows in all.*row 2, line 3"
    ):
        load([good, {"messages": [{"from": "human"}]}, {"messages": None}], format="messages")
    with pytest.raises(
        DataError, match="has no column 'conversations' or 'messages', which format: sharegpt reads"
    ):
        load([sample(1)], format="sharegpt")
    with pytest.raises(
        InvalidInputError, match="format must be one of messages, sharegpt, openr1, got 'chatml'"
    ):
        load([good], format="chatml")


def openr1(**cells):
    row = {
        "problem": "2 + 3?",
        "solution": "long",
        "answer": "5",
        "uuid": "u1",
        "generations": [THOUGHT, "x"],
    }
    return {**row, "correctness_math_verify": [True, False], "is_reasoning_complete": [True, True], **cells}


def test_openr1(load):
    second = ["<think>wrong</think>7", "<think>right</think>5"]
    rows = [
        openr1(),
        openr1(uuid="u2", generations=second, correctness_math_verify=[False, True]),
        openr1(uuid="u3", correctness_math_verify=[True, True], is_reasoning_complete=[False, False]),
        openr1(uuid="u4", generations=second, correctness_math_verify=None, correctness_llama=[False, True]),
        openr1(uuid="u5", correctness_math_verify=None),
    ]
    samples = load(rows, format="openr1", answer="number")
    assert samples.table.select(["id", "question", "rationale", "answer"]).to_pylist() == [
        {"id": "u1", "question": "2 + 3?", "rationale": "2 + 3 = 5.", "answer": "5"},
        {"id": "u2", "question": "2 + 3?", "rationale": "right", "answer": "5"},
        {"id": "u4", "question": "2 + 3?", "rationale": "right", "answer": "5"},
        {"id": "u5", "question": "2 + 3?", "rationale": "2 + 3 = 5.", "answer": "5"},
    ]
    assert samples.report["dropped"] == {"teacher wrong": 1}
    assert samples.report["generations"] == {"right": 3, "none right": 1, "not checked": 1}
    with pytest.raises(DataError, match="row 0, line 1: generations is 'x', no list of texts"):
        load([openr1(generations="x")], format="openr1")


# ── think tags of other families ──

TAGS = ["<thinking>", "[THINK]", "<seed:think>", "◁think▷", "<|begin_of_thought|>", "<reasoning>", "<THINK>"]


@pytest.mark.parametrize("tag", TAGS)
def test_thoughts_of_every_family_are_unwrapped(load, tag):
    closer = "<|end_of_thought|>" if "begin" in tag else tag[0] + "/" + tag[1:]
    rows = [sample(1, rationale=f"{tag}\n2 + 3.\n{closer}\nSo 5."), sample(2, rationale=f"{tag} cut off")]
    rows.append(sample(3, rationale=f"{tag}a{closer}{tag}b{closer}"))
    samples = load(rows)
    assert samples.table["rationale"].to_pylist() == ["2 + 3."]
    family = tag if tag.startswith("[") else tag.lower()
    assert samples.report["dropped"] == {f"unclosed {family}": 1, f"more than one {family} block": 1}
    assert samples.report["tags"] == ({} if family == "<think>" else {family: 3})


def test_tags_of_no_known_family_are_said_to_be_there(load):
    texts = [
        "<plan>a</plan>",
        "[ANSWER] 5",
        "<b>bold</b>",
        "a <thinking> b",
        "1 < 2 > 0",
        "[1] q",
        "Then <plan>.",
    ]
    samples = load([sample(number, rationale=text) for number, text in enumerate(texts)])
    assert samples.table["rationale"].to_pylist() == texts
    assert samples.report["tags"] == {f"{tag} left in the text": 1 for tag in ("<plan>", "[ANSWER]", "<b>")}


# ── answers ──


@pytest.mark.parametrize(
    ("value", "kind", "text", "type_name"),
    [
        (5, "number", "5", "integer"),
        (-(10**30), "number", str(-(10**30)), "integer"),
        (18.0, "number", "18", "float"),
        (0.1, "number", "0.1", "float"),
        (1e22, "number", "1" + "0" * 22, "float"),
        (2.5e-7, "number", "0.00000025", "float"),
        (True, "yes_no", "yes", "boolean"),
        (False, "yes_no", "no", "boolean"),
        (True, "string", "true", "boolean"),
    ],
)
def test_answers_that_are_no_text_are_read_exactly(load, value, kind, text, type_name):
    samples = load([sample(1, answer=value), sample(2, answer=text)], answer=kind)
    assert samples.table["answer"].to_pylist() == [text, text]
    assert samples.report["answers_from"] == {type_name: 1}


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_numbers_become_the_text_that_is_them(load, value):
    text = load([sample(1, answer=value)]).table["answer"][0].as_py()
    assert Decimal(text) == Decimal(repr(value)) and "e" not in text.lower()


def test_decimals_of_arrow_are_exact(tmp_path):
    answers = pa.array([Decimal("1.10"), Decimal("20.00")], pa.decimal128(20, 2))
    columns = {"question": ["a", "b"], "rationale": ["r", "r"], "answer": answers}
    write_parquet(tmp_path / "a.parquet", pa.table(columns))
    samples = load_samples(tmp_path / "a.parquet", answer="number")
    assert samples.table["answer"].to_pylist() == ["1.1", "20"]
    assert samples.report["answers_from"] == {"decimal": 2}


@pytest.mark.parametrize("value", [None, ["5"], {"a": 5}, "", float("inf")])
@pytest.mark.parametrize("odd_answers", ["error", "drop"])
def test_what_is_no_answer_stays_an_error(load, value, odd_answers):
    with pytest.raises(DataError, match=r"row 1, line 2: (no gold answer; answer is|answer is .* not text)"):
        load([sample(1), sample(2, answer=value)], answer="number", odd_answers=odd_answers)


def test_odd_answers_are_all_counted(load):
    rows = [sample(number, answer="many" if number % 3 == 1 else "5") for number in range(20)]
    with pytest.raises(DataError) as error:
        load(rows, answer="number")
    text = str(error.value)
    assert "row 1, line 2: gold answer 'many'" in text and "data.odd_answers" in text
    assert (
        "7 rows in all; gold answer that is no number: 7; the next are row 4, line 5; row 7, line 8; row 10"
        in text
    )
    samples = load(rows, answer="number", odd_answers="drop")
    assert samples.report["dropped"] == {"odd answer": 7} and is_balanced(samples.report)
    assert samples.table["answer"].to_pylist() == ["5"] * 13
    with pytest.raises(InvalidInputError, match='odd_answers must be "error" or "drop", got \'skip\''):
        load(rows, odd_answers="skip")


def test_all_bad_rows_are_counted(load):
    rows = [sample(1), sample(2, question=""), sample(3, answer=None), sample(4, question=None), sample(5)]
    with pytest.raises(
        DataError, match=r"row 1, line 2: question is empty.*3 rows in all; question is empty: 2, no gold"
    ):
        load(rows)
    with pytest.raises(DataError, match=r"id 'x' stands in line 1 already.*\(3 rows in all; bad ids: 3"):
        load([sample(number, id="x") for number in range(4)])


# ── splits ──


def test_splits_with_names_of_their_own(load, tmp_path):
    names = ["train_sft", "test_sft", "train_gen", "val"]
    rows = [sample(number, split=name) for number, name in enumerate(names)]
    samples = load(rows, splits={"train": "train_sft", "test": "test_sft"})
    assert samples.table["split"].to_pylist() == ["train", "test", "validation"]
    assert samples.report["dropped"] == {"other split": 1}
    only = load(rows, splits={"train": "train_sft"}, split="train")
    assert only.table["split"].to_pylist() == ["train"]
    with pytest.raises(DataError, match=r"'train_sft'\}, in a recipe with data\.splits \(3 rows in all"):
        load(rows)
    with pytest.raises(
        DataError, match="has no row of the split 'training_sft'; its splits are test_sft, train_gen"
    ):
        load(rows, splits={"train": "training_sft"})
    with pytest.raises(InvalidInputError, match="splits names 'dev'; our splits are train, validation, test"):
        load(rows, splits={"dev": "train_sft"})
    with pytest.raises(InvalidInputError, match="splits takes the split 'a' twice"):
        load(rows, splits={"train": "a", "test": "a"})
    with pytest.raises(DataError, match="has no splits, but splits="):
        load([sample(1)], splits={"train": "train_sft"})
    parts = {name: datasets.Dataset.from_list([sample(number)]) for number, name in enumerate(names)}
    datasets.disable_progress_bars()
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "dict")
    folder = load_samples(tmp_path / "dict", splits={"train": "train_sft", "test": "test_sft"})
    assert folder.table["split"].to_pylist() == ["train", "test", "validation"]


def test_recipes_take_splits_odd_answers_and_formats(tmp_path):
    rows = [
        {
            "messages": chat(("user", f"q{number}"), ("assistant", f"Hm.\nSo {number}.")),
            "answer": number,
            "split": name,
        }
        for number, name in enumerate(["train_sft"] * 3 + ["test_sft"] * 2)
    ]
    rows.append({**rows[0], "messages": rows[1]["messages"], "answer": "many"})
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = DataOptions(
        file=str(path),
        format="messages",
        splits={"train": "train_sft", "test": "test_sft"},
        odd_answers="drop",
        sizes=SizeOptions(validation=0),
    )
    tables, report = prepare_splits(options, "number")
    assert report["splits"] == {"train": 3, "validation": 0, "test": 2}
    assert report["loading"]["dropped"] == {"odd answer": 1}
    assert tables["test"]["answer"].to_pylist() == ["3", "4"]


def test_long_rationales_of_one_step_are_counted(load):
    rows = [sample(1, rationale="and so on " * 40), sample(2), sample(3, rationale="One. Two. " * 40)]
    assert load(rows).report["long_rationales_of_one_step"] == 1
