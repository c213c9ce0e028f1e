"""The audit: figures of small files that are known, of real ones as they were measured, and what it prints."""

import io
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command_line import call_cli

from skipthink.data import load_samples
from skipthink.data.audit import audit_samples, recommend_chunks
from skipthink.data.audit_files import FilesReport, audit_files
from skipthink.data.audit_text import clean, plain_text, print_report, sections
from skipthink.data.facts import find_facts, find_names, find_numbers, list_number, question_keys
from skipthink.data.leaks import find_leaks
from skipthink.data.measures import measure_steps
from skipthink.data.teachers import says_answer
from skipthink.exceptions import DataError, InvalidInputError


def sample(name, who, left, right, *, stated=None, split="train", **more):
    """Four steps of 5, 6, 10 and 5 tokens; only the third one states something new."""
    total = left + right
    return {
        "id": name,
        "split": split,
        "question": f"{who} has {left} pears and buys {right}. How many pears does {who} have?",
        "rationale": f"{who} has {left} pears. She buys {right} more pears. So {who} has {left} + {right} = {total} pears. "
        f"The answer is {total if stated is None else stated}.",
        "answer": str(total),
        **more,
    }


ROWS = [
    sample("a", "Ann", 3, 4),
    sample("b", "Bea", 5, 6),
    sample("c", "Ann", 3, 4),  # a again
    sample("d", "Cleo", 20, 30, stated=51),
    sample("t0", "Ann", 3, 4, split="test"),
    {
        **sample("t1", "Bea", 5, 6, split="test"),
        "question": "Bea has 5 pears , and buys 6 . How many pears does Bea have ?",
    },
    sample("t2", "Ann", 8, 9, split="test"),
    sample("t3", "Dora", 1, 1, split="test"),
    {"id": "t4", "split": "test", "question": "What is a pear?", "rationale": None, "answer": "1"},
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def audit(path, **options):
    return audit_files([path], **options).files[str(path)]


@pytest.fixture
def pears(tmp_path):
    return write(tmp_path / "pears.jsonl", ROWS)


# ── facts and keys ──


def test_names_stand_with_a_capital_inside_sentences():
    texts = ["So Ann has a Will. They will, Bob will. The Total total", "Then Ann Lee went, Then then"]
    assert find_names(texts) == {"Ann", "Bob", "Lee"}
    assert find_names(["答案是 5", "", "I and I"]) == frozenset()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,234.50 and 1234.5", {1234.5}),
        ("Three, three and thirty", {3.0, 30.0}),
        ("70-27=43", {70.0, 27.0, 43.0}),
        ("3 4,5", {3.0, 4.0, 5.0}),
        ("１２", {12.0}),
        ("none of it", set()),
    ],
)
def test_numbers_in_digits_and_words(text, numbers):
    assert find_numbers(text) == numbers


def test_facts_of_a_step():
    facts, n_tokens = find_facts("2. So Ann takes (B), not option C: twenty!", {"Ann"})
    assert facts == {2.0, 20.0, "ann", "(B)", "(C)"}
    assert n_tokens == len(
        ["2", ".", "So", "Ann", "takes", "(", "B", ")", ",", "not", "option", "C", ":", "twenty", "!"]
    )
    assert [list_number(text) for text in ("2. So", "**Step 3:** So", "2.5 kg", "So 2.")] == [
        2.0,
        3.0,
        None,
        None,
    ]


def test_list_numbers_are_read_in_linear_time():
    assert list_number("-" * 200_000 + "x") is None
    assert find_facts("-" * 200_000, frozenset())[1] == 200_000


def test_keys_of_questions():
    names = {"Ann", "Lee", "Bo"}
    one, other = question_keys("Ann Lee 's 3 pears ?", names), question_keys("Bo's four pears?", names)
    assert one.spelling == "annlees3pears"
    assert one.names == other.names == "@s#pears"
    assert one.numbers != other.numbers
    assert (
        question_keys("1,200 pears", names).numbers == question_keys("7.5 PEARS!", names).numbers == "#pears"
    )


# ── measures ──


def test_ceilings_by_hand():
    measures, last = measure_steps([ROWS[0]["question"]], [ROWS[0]["rationale"]], {"Ann"})
    assert measures.n_tokens.tolist() == [5, 6, 10, 5]
    assert measures.new.tolist() == [False, False, True, False]
    assert last == ["The answer is 7."]
    assert measures.ceiling() == 26 / 10
    assert [measures.ceiling(M) for M in (1, 2, 3, 8)] == [1, 26 / 15, 26 / 10, 26 / 10]
    assert recommend_chunks(measures) == (4, 3)  # three chunks already part the third step from the first two


def test_rows_that_state_nothing_new_keep_everything():
    measures, _ = measure_steps(["Is 3 odd?"] * 2, ["It is 3. So 3 is odd.", "Odd."], frozenset())
    assert measures.ceiling() == 1
    assert measures.n_blind() == 1  # the second has one step
    listed, _ = measure_steps(["Name them."], ["1. the red\n2. the blue\nThat is all."], frozenset())
    assert (listed.new.tolist(), listed.n_blind()) == ([True, True, False], 1)


def test_rationales_without_steps_are_measured():
    measures, last = measure_steps(["Is it?", "3?"], [" \n", "3. 4."], frozenset())
    assert measures.n_steps.tolist()[0] == 0
    assert last[0] == ""
    assert measures.ceiling(2) >= 1
    nothing, _ = measure_steps([], [], frozenset())
    assert (nothing.ceiling(), nothing.ceiling(3), nothing.n_blind()) == (1, 1, 0)


def test_tokens_of_a_tokenizer_are_those_of_its_steps():
    from skipthink.student.models import make_tokenizer
    from skipthink.student.token_counts import count_tokens

    texts = [row["rationale"] for row in ROWS if row["rationale"]]
    tokenizer = make_tokenizer(texts, vocab_size=300)
    measures, _ = measure_steps(
        [""] * len(texts), texts, frozenset(), count_tokens=partial(count_tokens, tokenizer)
    )
    whole = [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    assert measures.tokens.tolist() == whole
    assert (measures.n_tokens > 0).all()


# ── the report ──


def test_the_report_of_a_known_file(pears):
    report = audit(pears)
    assert (report.rows, report.rationales, report.splits) == (9, 8, {"train": 4, "test": 5})
    assert report.repeats.questions == 7
    assert (report.repeats.rows, report.repeats.splits) == (2, {"train": 1, "test": 0})
    assert report.repeats.contradictions == 0
    assert (report.steps.mean, report.steps.largest, report.steps.quantiles) == (4, 4, (4,) * 5)
    assert (report.tokens.mean, report.tokens.quantiles[2]) == (26, 26)
    assert [one.chunks for one in report.chunks] == [*range(2, 9)]
    assert [one.fixed for one in report.chunks] == [0, 0, 1, 1, 1, 1, 1]
    # d states 51 in its last step, so that this is new there, and its last step stays
    assert report.ceiling == 8 * 26 / (7 * 10 + 15)
    assert report.chunks[0].ceiling == 8 * 26 / (8 * 15)
    assert report.last_step.tokens == 5 / 26
    assert report.last_step.repeats == report.last_step.states_answer == 7 / 8
    teachers = report.teachers
    assert (teachers.kind, teachers.checked, teachers.right, teachers.wrong) == ("number", 8, 7, 1)
    assert (teachers.unparsed, teachers.absent, teachers.odd_golds, teachers.flagged_wrong) == (0, 0, 0, None)
    assert teachers.examples == {"wrong": ["d"]}
    assert (report.paper_chunks, report.recommended_chunks, report.counted_by) == (4, 3, "words and marks")


def test_leaks_of_a_known_file(pears):
    (leak,) = audit(pears).leaks
    assert (leak.part, leak.other) == ((str(pears), "test"), (str(pears), "train"))
    assert (leak.rows, leak.same, leak.spelling, leak.numbers, leak.names) == (5, 1, 2, 3, 4)
    assert leak.examples == ("t0", "t1")


def test_leaks_between_files(tmp_path):
    first = write(tmp_path / "first.jsonl", [sample("a", "Ann", 3, 4), sample("b", "Bea", 1, 2)])
    second = write(
        tmp_path / "second.jsonl", [sample("x", "Ann", 3, 4), sample("y", "Bea", 1, 2, split="test")]
    )
    report = audit_files([first, second])
    found = {
        (Path(leak.part[0]).stem, leak.part[1], Path(leak.other[0]).stem, leak.other[1]): leak
        for leak in report.leaks
    }
    assert set(found) == {
        ("first", "train", "second", "train"),
        ("second", "test", "first", "train"),
        ("second", "test", "second", "train"),
    }
    assert found["second", "test", "first", "train"].same == 1
    assert found["second", "test", "second", "train"].same == 0
    assert found["second", "test", "second", "train"].names == 1
    assert found["first", "train", "second", "train"].same == 1


def test_one_split_has_nothing_to_leak(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{**row, "split": "train"} for row in ROWS[:4]])
    report = audit_files([path])
    assert report.leaks == ()
    assert "one split alone" in plain_text(sections(report))
    assert find_leaks({}, frozenset()) == []


def test_order_of_rows_changes_nothing_but_examples(tmp_path):
    def figures(rows, name):
        found = audit(write(tmp_path / name, rows)).to_dict()
        for leak in found["leaks"]:
            del leak["examples"], leak["part"], leak["other"]
        del found["teachers"]["examples"]
        return found

    assert figures(ROWS, "a.jsonl") == figures(ROWS[::-1], "b.jsonl")


def test_batches_change_nothing(pears, monkeypatch):
    whole = audit(pears)
    monkeypatch.setattr("skipthink.data.audit._BATCH_ROWS", 2)
    assert audit(pears) == whole


def test_chunks_asked_for(pears):
    assert [one.chunks for one in audit(pears, chunks=[6, 1, 6]).chunks] == [1, 6]
    with pytest.raises(InvalidInputError, match="chunks"):
        audit(pears, chunks=[0])


def test_answers_of_another_kind_are_counted_and_named(pears, tmp_path):
    odd = write(tmp_path / "odd.jsonl", [*ROWS, {**sample("e", "Eve", 1, 2), "answer": "three pears or so"}])
    report = audit(odd, answer="number")
    assert report.teachers.odd_golds == 1
    assert report.teachers.examples["odd_golds"] == ["e"]
    assert any(
        "1 gold answers are not of the kind number" in sentence for sentence in report.verdict.sentences
    )
    with pytest.raises(InvalidInputError, match="no answer kind 'numbr'"):
        audit(pears, answer="numbr")


def test_contradictions_and_flags(tmp_path):
    rows = [
        sample("a", "Ann", 3, 4, correct=True),
        {**sample("b", "Ann", 3, 4, correct=False), "answer": "8"},
    ]
    report = audit(write(tmp_path / "rows.jsonl", rows))
    assert report.rows == 2  # nothing is left out
    assert (report.repeats.contradictions, report.teachers.flagged_wrong, report.teachers.absent) == (1, 1, 1)
    assert report.teachers.examples["flagged_wrong"] == ["b"]


@pytest.mark.parametrize(
    ("kind", "text", "gold", "says"),
    [
        ("number", "so three are left", "3", True),
        ("number", "so 30 are left", "3", False),
        ("number", "45 per cent", "45%", True),
        ("choice", "it must be (B).", "B", True),
        ("choice", "it must be B", "B", True),
        ("choice", "A ball is red", "A", False),
        ("yes_no", "that is not so", "no", True),
        ("yes_no", "nobody knows", "no", False),
        ("date", "so it is May 3, 2021.", "05/03/2021", True),
        ("string", 'we get "b e r l".', "berl", True),
        ("string", "we get berlin", "berl", False),
        ("string", "in New York now", "new york", True),
    ],
)
def test_whether_a_text_says_the_answer(kind, text, gold, says):
    from skipthink.answers import parse_gold

    assert says_answer(kind, text, gold, parse_gold(kind, gold)) is says


# ── verdicts ──


def test_verdicts(pears, tmp_path):
    verdict = audit(pears).verdict
    assert (verdict.search, verdict.skip, verdict.carries) == ("yes", "yes", "yes")
    assert any("1 questions stand in two splits" in sentence for sentence in verdict.sentences)
    assert any("1 more are the same but for spaces" in sentence for sentence in verdict.sentences)
    bare = audit(write(tmp_path / "bare.jsonl", [{**row, "rationale": None} for row in ROWS]))
    assert (bare.verdict.carries, bare.rationales, bare.steps.mean) == ("no", 0, 0)
    dense = [
        {
            "id": str(n),
            "question": "How many?",
            "rationale": f"{n} + 1 = {n + 1}. So {n + 2}.",
            "answer": f"{n + 2}",
        }
        for n in range(10, 100, 10)
    ]
    found = audit(write(tmp_path / "dense.jsonl", dense)).verdict
    assert (found.search, found.skip, found.carries) == ("little", "little", "no")
    told = [
        {
            "id": str(n),
            "question": "Is it red?",
            "rationale": "It is hot. So it glows. Then it is red.",
            "answer": "yes",
        }
        for n in range(3)
    ]
    assert audit(write(tmp_path / "told.jsonl", told)).verdict.skip == "unknown"


# ── what is printed ──

HOSTILE = "x\x1b]0;owned\x07\x1b[31m\u202e\x9b2J[bold red]\r\n"


def hostile_file(tmp_path):
    rows = [{**row, "id": f"{row['id']}{HOSTILE}", "question": row["question"] + HOSTILE} for row in ROWS]
    return write(tmp_path / "hostile.jsonl", rows)


def assert_harmless(text):
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e" for c in text)


def test_hostile_text_does_not_reach_the_terminal(tmp_path, monkeypatch):
    report = audit_files([hostile_file(tmp_path)])
    text = plain_text(sections(report))
    assert_harmless(text)
    assert r"dx\x1b]0;owned\x07" in text

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    # rich keeps the environment it was imported with
    monkeypatch.setattr("rich.console.Console._environ", os.environ)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    print_report(report, lambda _: pytest.fail("a terminal gets tables"))
    shown = terminal.getvalue()
    assert_harmless(shown)
    assert r"\x1b]0;owned" in shown
    assert "recommended M: 3" in shown
    assert "─" in shown


def test_clean_text():
    assert clean("a\tb\x00é中") == r"a\tb\x00é中"
    assert clean("x" * 100, 10) == "x" * 9 + "…"
    assert clean("[red]") == "[red]"


def cli(*arguments, check=0):
    return call_cli("audit", *arguments, check=check)


SHAPE = {
    "schema": int,
    "files": [
        {
            "file": str, "loaded": dict, "rows": int, "splits": dict, "rationales": int,
            "repeats": {"questions": int, "rows": int, "splits": dict, "contradictions": int},
            "leaks": list,
            "teachers": {
                "kind": str, "checked": int, "right": int, "wrong": int, "unparsed": int, "flagged_wrong": type(None),
                "absent": int, "last_states": int, "odd_golds": int, "examples": dict,
            },
            "steps": {"mean": float, "largest": int, "quantiles": [float]},
            "tokens": {"mean": float, "largest": int, "quantiles": [float]},
            "counted_by": str,
            "chunks": [{"chunks": int, "fixed": float, "ceiling": float}],
            "ceiling": float, "blind": float,
            "last_step": {"repeats": float, "states_answer": float, "tokens": float},
            "paper_chunks": int, "recommended_chunks": int,
            "verdict": {"search": str, "skip": str, "carries": str, "sentences": [str]},
        }
    ],
    "leaks": [
        {
            "part": [str], "other": [str], "rows": int, "same": int, "spelling": int, "numbers": int, "names": int,
            "examples": [str],
        }
    ],
}  # fmt: skip


def assert_shape(value, shape):
    if isinstance(shape, dict):
        assert set(value) == set(shape)
        for key, inner in shape.items():
            assert_shape(value[key], inner)
    elif isinstance(shape, list):
        assert isinstance(value, list)
        for one in value:
            assert_shape(one, shape[0])
    else:
        assert isinstance(value, shape)


def test_json_of_the_command(tmp_path):
    path = hostile_file(tmp_path)
    done = cli("--json", path)
    assert_harmless(done.stdout)
    found = json.loads(done.stdout)
    assert_shape(found, SHAPE)
    assert found["leaks"] == json.loads(json.dumps(found["files"][0]["leaks"]))
    assert found == json.loads(json.dumps(audit_files([path]).to_dict()))
    assert found["leaks"][0]["examples"][0] == f"t0{HOSTILE}"
    assert done.stderr == ""


def test_text_of_the_command(pears, tmp_path):
    one = cli(pears, "-M", 2).stdout
    assert "Verdict: can these data carry the method? Yes." in one
    assert "recommended M: 3 (the paper's rule, the mean number of steps: 4)" in one
    assert_harmless(one)
    other = write(tmp_path / "other.jsonl", ROWS[:3])
    both = cli(pears, other, "--chunks", 2, "--chunks", 4).stdout
    assert both.startswith("2 files\n")
    assert "pears test in other train" in both
    assert "K ≤ 4" in both


def test_what_ends_with_exit_code_2(pears, tmp_path, subtests):
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    bad = write(tmp_path / "bad.jsonl", [*ROWS, {**ROWS[0], "id": "z", "question": None}])
    for name, arguments, message in (
        ("no file", [tmp_path / "absent.jsonl"], "absent.jsonl"),
        ("empty file", [empty], "holds no row"),
        ("bad row", [bad], "line 10"),
        ("unknown kind", [pears, "--answer", "numbr"], "no answer kind 'numbr'"),
        ("unknown rules", [pears, "--rules", "word"], "word"),
        ("M of zero", [pears, "-M", 0], "chunks"),
        ("a file twice", [pears, pears], "is named twice"),
        ("no tokenizer", [pears, "--tokenizer", tmp_path], "cannot load a tokenizer"),
    ):
        with subtests.test(name):
            done = cli(*arguments, check=2)
            assert done.stderr.startswith("error: ")
            assert message in done.stderr
            assert done.stdout == ""


def test_the_audit_loads_no_torch(pears):
    code = (
        "import sys; from skipthink.data.audit_files import audit_files; "
        f"audit_files([{str(pears)!r}]); print({{'torch', 'transformers', 'datasets'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# ── real files: the figures of docs/how-to/audit.md ──

REAL = {  # rationales, mean K, share K ≤ 4, ceilings by steps and at M = 4, last step: repeats, tokens
    "addsub": (395, 3.64, 0.899, 2.27, 2.24, 0.997, 0.139),
    "multiarith": (600, 4.34, 0.662, 1.73, 1.63, 0.997, 0.105),
    "singleeq": (508, 3.72, 0.866, 2.12, 2.01, 0.998, 0.138),
    "svamp": (1953, 5.85, 0.517, 3.04, 1.86, 0.713, 0.181),
    "multiarith_gpt4omini": (600, 17.97, 0.0, 3.81, 1.19, 1.0, 0.057),
    "gsm8k": (3319, 3.64, 0.756, 1.12, 1.09, 0.122, 0.284),
}


@pytest.mark.parametrize("stem", REAL)
def test_figures_of_real_files(real_file, stem):
    samples = load_samples(real_file(stem), teacher="all", require_rationale=False)
    report = audit_samples(samples.table, chunks=[4])
    (four,) = report.chunks
    last = report.last_step
    found = (report.steps.mean, four.fixed, report.ceiling, four.ceiling, last.repeats, last.tokens)
    assert report.rationales == REAL[stem][0]
    np.testing.assert_allclose(found, REAL[stem][1:], rtol=0, atol=0.006)


def test_leaks_of_real_files(real_file):
    stems = ("addsub", "multiarith", "singleeq")
    report: FilesReport = audit_files([real_file(stem) for stem in stems])
    found = {
        (Path(leak.part[0]).stem, leak.part[1], Path(leak.other[0]).stem, leak.other[1]): leak
        for leak in report.leaks
    }
    assert found["addsub", "test", "singleeq", "train"].spelling == 22
    assert found["addsub", "test", "singleeq", "train"].rows == 119
    assert found["singleeq", "test", "addsub", "train"].spelling == 27
    assert found["multiarith", "test", "multiarith", "train"].same == 5
    assert found["multiarith", "test", "multiarith", "train"].numbers == 77


def test_what_rules_cannot_see_is_said(real_file):
    for stem in ("tracking_shuffled_objects", "last_letter_concatenation"):
        assert audit(real_file(stem)).verdict.skip == "unknown"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        audit_files([tmp_path / "absent.jsonl"])
