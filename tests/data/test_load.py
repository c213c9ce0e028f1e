"""Loading: every format, every check, every count."""

import json
import re
from collections import Counter

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skipthink import tasks
from skipthink.data import load_samples, split_samples
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_parquet


@pytest.fixture(autouse=True)
def quiet_datasets(tmp_path, monkeypatch):
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def sample(number=0, **cells):
    row = {
        "question": f"What is {number} + 1?",
        "rationale": f"{number} + 1 = {number + 1}.",
        "answer": f"{number + 1}",
    }
    return {**row, **cells}


def write_lines(path, rows):
    lines = [row if isinstance(row, str | bytes) else json.dumps(row) for row in rows]
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n")
    return path


@pytest.fixture
def load(tmp_path):
    return lambda rows, **options: load_samples(write_lines(tmp_path / "a.jsonl", rows), **options)


def is_balanced(report):
    return report["read"] == report["kept"] + sum(report["dropped"].values())


# ── formats ──


@pytest.fixture
def written(tmp_path):
    """The same five samples in every format: (source, options)."""
    rows = [sample(number, id=f"s{number}", level=number, steps=["a", "b"]) for number in range(5)]
    dataset = datasets.Dataset.from_list(rows)
    write_lines(tmp_path / "a.jsonl", rows)
    (tmp_path / "a.json").write_text(json.dumps(rows))
    write_parquet(tmp_path / "a.parquet", pa.Table.from_pylist(rows))
    dataset.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": dataset}).save_to_disk(tmp_path / "dict")
    (tmp_path / "files").mkdir()
    write_lines(tmp_path / "files" / "train.jsonl", rows)
    return tmp_path, rows


@pytest.mark.parametrize("source", ["a.jsonl", "a.json", "a.parquet", "saved", "dict", "files"])
def test_every_format_gives_the_same_samples(written, source):
    folder, rows = written
    samples = load_samples(folder / source)
    columns = ["id", "question", "rationale", "answer", "level", "steps"]
    assert samples.table.select(columns).to_pylist() == [
        {name: row[name] for name in columns} for row in rows
    ]
    assert ("split" in samples.table.column_names) == (source in ("dict", "files"))
    assert samples.report["read"] == samples.report["kept"] == 5
    assert is_balanced(samples.report)


def test_hub_names_go_to_load_dataset(monkeypatch, written):
    folder, rows = written
    asked = []

    def load_dataset(*arguments):
        asked.append(arguments)
        return datasets.load_from_disk(folder / "dict")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_samples("owner/name").table.num_rows == len(rows)
    assert load_samples("owner/name:main", split="train").table["split"].to_pylist() == ["train"] * 5
    assert asked == [("owner/name", None), ("owner/name", "main")]


def test_a_hub_that_cannot_be_reached_is_a_data_error():
    with pytest.raises(DataError, match=r"cannot load 'nobody-xyz/none' with datasets: \w+: "):
        load_samples("nobody-xyz/none")


def test_splits_of_a_dictionary(tmp_path):
    parts = {"train": [sample(1), sample(2)], "val": [sample(3)], "test": [sample(4, level=7)]}
    whole = datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()})
    whole.save_to_disk(tmp_path / "dict")
    table = load_samples(tmp_path / "dict").table
    assert table["split"].to_pylist() == ["train", "train", "validation", "test"]
    assert table["level"].to_pylist() == [None, None, None, 7]
    only = load_samples(tmp_path / "dict", split="validation")
    assert only.table["question"].to_pylist() == ["What is 3 + 1?"]
    assert only.report["rows_of_unread_splits"] == 3
    with pytest.raises(DataError, match="has no split 'dev2'; it has train, val, test"):
        load_samples(tmp_path / "dict", split="dev2")
    whole["train_sft"] = whole.pop("train")
    whole.save_to_disk(tmp_path / "own")
    with pytest.raises(DataError, match=r"split train_sft, row 0: split is 'train_sft', none of train, val"):
        load_samples(tmp_path / "own")
    chosen = load_samples(tmp_path / "own", split="train_sft")
    assert chosen.table.num_rows == 2 and "split" not in chosen.table.column_names


def test_made_tasks_survive_a_file(tmp_path):
    rows = [
        row
        for part in tasks.make("tracking_shuffled_objects", train=5, validation=2, test=3).values()
        for row in part
    ]
    table = load_samples(write_lines(tmp_path / "a.jsonl", rows), answer="choice").table
    write_parquet(tmp_path / "b.parquet", table)
    assert load_samples(tmp_path / "b.parquet").table.equals(table)
    assert table.to_pylist()[0] == {key: rows[0][key] for key in table.column_names}
    _splits, report = split_samples(table)
    assert report["splits"] == {"train": 5, "validation": 2, "test": 3}


REAL = {
    "addsub": (395, 377, {"teacher wrong": 18}),
    "singleeq": (508, 493, {"teacher wrong": 15}),
    "multiarith": (600, 572, {"teacher wrong": 28}),
    "multiarith_gpt4omini": (600, 561, {"teacher wrong": 39}),
    "svamp": (2103, 2103, {}),
    "svamp_granularity": (1200, 1182, {"teacher wrong": 18}),
    "gsm8k": (3319, 3319, {}),
    "gsm8k_r1distill7b": (1277, 1277, {}),
    "last_letter_concatenation": (1200, 1200, {}),
    "tracking_shuffled_objects": (1249, 1249, {}),
    "date_understanding": (879, 879, {}),
    "strategyqa": (1000, 1000, {}),
}


@pytest.mark.parametrize("stem", REAL)
def test_real_files_load_and_every_row_is_accounted_for(real_file, real_rows, stem):
    samples = load_samples(real_file(stem))
    report = samples.report
    assert (report["read"], report["kept"], report["dropped"]) == REAL[stem]
    rows = {row["id"]: row for row in real_rows(stem)}
    for row in samples.table.select(["id", "question", "rationale", "answer", "split"]).to_pylist():
        assert row == {name: rows[row["id"]][name] for name in row}
    missing = set(rows) - set(samples.table["id"].to_pylist())
    assert all(rows[name]["correct"] is False and rows[name]["split"] == "train" for name in missing)
    everything = load_samples(real_file(stem), teacher="all")
    assert everything.report["kept"] == report["read"] and everything.report["dropped"] == {}


@pytest.mark.parametrize("stem", [stem for stem in REAL if stem != "gsm8k_r1distill7b"])
def test_real_files_split_without_a_shared_question(real_file, stem):
    table = load_samples(real_file(stem)).table
    splits, report = split_samples(table, seed=3)
    questions = {
        name: {" ".join(q.lower().split()) for q in part["question"].to_pylist()}
        for name, part in splits.items()
    }
    assert not questions["train"] & questions["test"]
    assert not questions["train"] & questions["validation"]
    assert not questions["validation"] & questions["test"]
    assert (
        report["rows"] == table.num_rows == sum(report["splits"].values()) + sum(report["dropped"].values())
    )
    assert report["splits"]["test"] == table["split"].to_pylist().count("test") or stem == "svamp_granularity"
    if stem.startswith("multiarith"):
        assert report["dropped"] == {"train: question stands in test": 5}


# ── columns ──


def test_columns_are_renamed_and_others_kept(load):
    rows = [{"prompt": "q?", "thought": "r", "gold": "1", "rationale": "not this", "level": 2}]
    samples = load(rows, columns={"question": "prompt", "rationale": "thought", "answer": "gold"})
    assert samples.table.to_pylist() == [
        {"id": "a-0", "question": "q?", "rationale": "r", "answer": "1", "level": 2}
    ]
    assert samples.report["columns_left_out"] == ["rationale"]
    assert samples.report["made_ids"] is True


def test_mixed_and_nested_columns_become_json(load):
    rows = [
        sample(1, mixed=1, nested={"a": 1}, big=2**70, bad="\ud800", lists=[["x"], []]),
        sample(2, mixed="two", nested=None, big=1, bad="x", lists=None),
    ]
    samples = load(rows)
    extras = samples.table.select(["mixed", "nested", "big", "bad", "lists"]).to_pylist()
    assert extras[0] == {
        "mixed": "1", "nested": '{"a": 1}', "big": str(2**70), "bad": '"\\ud800"', "lists": [["x"], []],
    }  # fmt: skip
    assert extras[1] == {"mixed": '"two"', "nested": None, "big": "1", "bad": '"x"', "lists": None}
    assert samples.report["columns_as_json"] == ["mixed", "nested", "big", "bad"]


def test_integer_ids_become_text(load):
    assert load([sample(1, id=7), sample(2, id="8")]).table["id"].to_pylist() == ["7", "8"]


# ── filters ──


def test_drops_are_counted_by_reason(load):
    rows = [
        sample(1),
        sample(2, rationale=None),
        sample(3, rationale=" \n"),
        sample(4, correct=False),
        sample(5, correct=False, rationale=None),
        sample(6, correct=True),
        sample(7, rationale="<think>cut"),
        sample(8, rationale="<think>a</think><think>b</think>"),
        sample(9, rationale="</think>a<think>"),
    ]
    samples = load(rows)
    assert samples.table["question"].to_pylist() == [rows[0]["question"], rows[5]["question"]]
    assert samples.report["dropped"] == {
        "no rationale": 2,
        "teacher wrong": 2,
        "unclosed <think>": 1,
        "more than one <think> block": 2,
    }
    assert is_balanced(samples.report)
    everything = load(rows, teacher="all", require_rationale=False)
    assert everything.report["dropped"] == {"unclosed <think>": 1, "more than one <think> block": 2}
    assert everything.report["without_rationale"] == 3


def test_evaluation_rows_need_no_rationale_and_no_right_teacher(load):
    rows = [
        sample(0, split="train"),
        sample(1, split="test", rationale=None),
        sample(2, split="test", correct=False),
        sample(3, split="Dev", rationale="<think>cut"),
        sample(4, split="training", rationale=None),
    ]
    samples = load(rows)
    assert samples.table["split"].to_pylist() == ["train", "test", "test", "validation"]
    assert samples.table["rationale"].to_pylist()[1:] == [None, "2 + 1 = 3.", None]
    assert samples.report["dropped"] == {"no rationale": 1}
    assert samples.report["without_rationale"] == 2


def test_one_split_of_a_file(load):
    rows = [sample(1, split="train"), sample(2, split="val", answer=""), sample(3, split="odd")]
    samples = load(rows, split="train")
    assert samples.table["split"].to_pylist() == ["train"]
    assert samples.report["dropped"] == {"other split": 2}
    assert "split" not in load(rows, split="odd").table.column_names


THINK = [
    (
        "<think>\nThought.\n</think>\n\nThe answer is 3.",
        "Thought.",
        {"stripped": 1, "text_outside_left_out": 1},
    ),
    ("<think>Thought.</think>", "Thought.", {"stripped": 1, "text_outside_left_out": 0}),
    ("Hm. <THINK>Thought.</Think>", "Thought.", {"stripped": 1, "text_outside_left_out": 1}),
    ("Thought.\n</think>\nSo 3.", "Thought.", {"stripped": 1, "text_outside_left_out": 1}),
    ("<think>\n\n</think>\n\nPlain steps.", "Plain steps.", {"empty": 1}),
    ("a < b and <thinking> stay", "a < b and <thinking> stay", {}),
    ("  kept as it is \n", "  kept as it is \n", {}),
]


@pytest.mark.parametrize(("text", "rationale", "counts"), THINK, ids=range(len(THINK)))
def test_think_blocks(load, text, rationale, counts):
    question = "What does <think> mean?</think>"
    samples = load([sample(1, question=question, rationale=text)])
    assert samples.table["rationale"].to_pylist() == [rationale]
    assert samples.table["question"].to_pylist() == [question]
    assert samples.report["think"] == counts


HOSTILE = [
    "<|endoftext|> [skip] [thought] [1] </s>",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "\u2028\u2029\x85\x00\x1b[31m",
    "e\u0301 \U0001f469\u200d\U0001f4bb \u202eabc \ufeff",
    "{0} %s ${HOME} `id` {{x}}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_stay_as_they_are(load, text):
    cells = {"question": f"q {text}", "rationale": f"r {text}", "answer": f"a {text}", "id": f"i {text}"}
    assert load([cells]).table.to_pylist() == [
        {"id": cells["id"], **{k: v for k, v in cells.items() if k != "id"}}
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "question": st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
                "rationale": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
                "answer": st.just("1"),
                "correct": st.none() | st.booleans(),
                "split": st.sampled_from(["train", "test", "val"]),
            }
        ),
        min_size=1,
    )
)
def test_every_row_is_kept_or_counted(tmp_path, rows):
    path = write_lines(tmp_path / "h.jsonl", [*rows, sample(1, split="train")])
    samples = load_samples(path)
    assert samples.report["read"] == len(rows) + 1
    assert samples.report["kept"] == samples.table.num_rows
    assert is_balanced(samples.report)
    kept = Counter(samples.table["question"].to_pylist())
    assert not kept - Counter([row["question"] for row in rows] + [sample(1)["question"]])
    _splits, report = split_samples(samples.table, validation=0.0, test=0.0)
    assert report["rows"] == sum(report["splits"].values()) + sum(report["dropped"].values())


# ── errors ──

ERRORS = [
    ([sample(1), "{bad"], {}, r"a\.jsonl, line 2 is not valid JSON: Expecting property name"),
    ([sample(1), "", "[1]"], {}, r"line 3 holds list, not an object; write one object per line"),
    ([b'{"question": "\xff"}'], {}, r"line 1 is not UTF-8: byte 14 is 0xff"),
    (["[" * 100_000], {}, r"line 1 is not valid JSON"),
    (
        ['{"question": "a", "question": "b"}'],
        {},
        "line 1 is not valid JSON: a key stands twice in one object",
    ),
    (["", " "], {}, "holds no row"),
    (
        [{"question": "q", "rational": "r", "answer": "1"}],
        {},
        "no column 'rationale'; did you mean 'rational'",
    ),
    (
        [{"a": 1}],
        {},
        r"has no column 'question'; it has a; name the right one with columns=\{'question': …\}",
    ),
    (
        [sample(1)],
        {"columns": {"answer": "golden"}},
        "has no column 'golden'; it has question, rationale, answer",
    ),
    ([sample(1)], {"columns": {"correct": "right"}}, "has no column 'right'"),
    ([sample(1)], {"columns": {"question": "answer"}}, "has no column 'answer'"),
    ([sample(1), sample(2, question=" ")], {}, "line 2: question is empty; question is ' '"),
    ([sample(1, question=None)], {}, "line 1: question is empty; question is None"),
    ([sample(1), sample(2, answer=None)], {}, "line 2: no gold answer; answer is None"),
    ([sample(1), sample(2, answer="")], {}, "line 2: no gold answer; answer is ''"),
    ([sample(1, question=2)], {}, r"row 0, line 1: question is 2 \(int\), not text; write it as a string"),
    ([sample(1, answer=["2"])], {}, r"line 1: answer is \['2'\] \(list\), not text; write it as a string"),
    ([sample(1, rationale=[1])], {}, r"line 1: rationale is \[1\] \(list\), not text"),
    (
        [sample(1, rationale=[{"text": "a"}])],
        {},
        r"path such as columns=\{'rationale': 'rationale\[\*\]\.text'\}",
    ),
    (
        [sample(1, question="a\ud800b")],
        {},
        r"line 1: question holds the lone surrogate '\\ud800' at position 1",
    ),
    ([sample(1, rationale="\udfff")], {}, "line 1: rationale holds the lone surrogate"),
    ([sample(1, id="\udfff")], {}, "line 1: id .* holds a lone surrogate"),
    ([{**sample(1), "\ud800": 1}], {}, "a column whose name is no valid text"),
    (
        [sample(1, id="x"), sample(2, id="y"), sample(3, id="x")],
        {},
        "line 3: id 'x' stands in line 1 already",
    ),
    ([sample(1, id=1), sample(2, id="1")], {}, "line 2: id '1' stands in line 1 already"),
    ([sample(1, id="x"), sample(2)], {}, "line 2: id is None; write text or an integer, or leave out"),
    ([sample(1, id=True)], {}, "line 1: id is True"),
    ([sample(1, correct="yes")], {}, "line 1: correct is 'yes'; write true, false or null"),
    ([sample(1, split="train"), sample(2)], {}, "line 2: split is None, not text"),
    ([sample(1, split="odd")], {}, "line 1: split is 'odd', none of train, validation, test; choose one"),
    ([sample(1, split="train")], {"split": "test"}, "has no row of the split 'test'; its splits are train"),
    ([sample(1)], {"split": "test"}, "has no splits, but split='test' is asked for"),
    ([sample(1, answer="many")], {"answer": "number"}, "line 1: gold answer 'many' is no answer of the kind"),
    (
        [sample(1, correct=False)],
        {},
        r"no sample of .* is left: \{'teacher wrong': 1\} of 1 rows were dropped",
    ),
]


@pytest.mark.parametrize(("rows", "options", "message"), ERRORS, ids=range(len(ERRORS)))
def test_bad_data(load, rows, options, message):
    with pytest.raises(DataError, match=message):
        load(rows, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "right"}, 'teacher must be "correct" or "all", got \'right\''),
        ({"columns": {"questions": "q"}}, "columns names 'questions'; did you mean 'question'"),
        ({"columns": {"question": "q", "answer": "q"}}, "columns takes the column 'q' twice"),
    ],
    ids=range(3),
)
def test_bad_options(load, options, message):
    with pytest.raises(InvalidInputError, match=message):
        load([sample(1)], **options)


def test_unreadable_sources(tmp_path):
    cases = {
        "none.jsonl": r"cannot read .*none\.jsonl: No such file",
        "text.xlsx": r"cannot read .*text\.xlsx: files end in \.jsonl, .*\.parquet, those of text also in \.gz",
        "broken.jsonl.gz": r"cannot read .*broken\.jsonl\.gz: Not a gzipped file",
        "broken.parquet": r"cannot read .*broken\.parquet: ",
        "object.json": "holds dict, not a list of objects",
        "mixed.json": "element 1 is int, not an object",
        "./none": "no such file or folder, and no name of a data set",
        "empty.json": "holds no row",
        "a folder": "with datasets",
    }
    for name in ("text.xlsx", "broken.parquet", "broken.jsonl.gz"):
        (tmp_path / name).write_text("x")
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "mixed.json").write_text('[{"question": "q"}, 1]')
    (tmp_path / "empty.json").write_text("[]")
    (tmp_path / "a folder").mkdir()
    for name, message in cases.items():
        with pytest.raises(DataError, match=message):
            load_samples(f"{tmp_path}/{name}")


def test_parquet_rows_are_named_from_zero(tmp_path):
    write_parquet(
        tmp_path / "a.parquet",
        pa.table({"question": ["q", ""], "rationale": ["r", "r"], "answer": ["1", "1"]}),
    )
    with pytest.raises(DataError, match=re.escape("a.parquet, row 1: question is empty")):
        load_samples(tmp_path / "a.parquet")
    double = pa.table([pa.array(["q"]), pa.array(["q"])], names=["question", "question"])
    pq.write_table(double, tmp_path / "b.parquet")
    with pytest.raises(DataError, match="has columns of the same name: question, question"):
        load_samples(tmp_path / "b.parquet")


def test_byte_order_marks_and_blank_lines(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(sample(1)).encode() + b"\r\n\r\n")
    samples = load_samples(tmp_path / "a.jsonl")
    assert samples.table.num_rows == 1 and samples.report["blank_lines"] == 1
    lines = [json.dumps(sample(number)) for number in range(2)]
    (tmp_path / "b.jsonl").write_text("\n\n".join(lines))
    assert load_samples(tmp_path / "b.jsonl").report["blank_lines"] == 1
