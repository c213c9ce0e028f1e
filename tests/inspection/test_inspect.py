"""`skipthink inspect` on a run: lists, filters, one sample in full, hostile text; without colours and with them."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import call_cli

from skipthink.inspection import SampleViews, open_run
from skipthink.inspection.terminal import SamplePrinter, bar, make_console, step_losses
from skipthink.io.visible import in_a_line, visible

HOSTILE = [
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J",
    "bidi \u202eevil\u202c \u2066x\u2069 \u200b\u200f",
    "nul \x00 bell \x07 back \x08\x08\x08 return \r over",
    "[bold]markup[/bold] [link=file:///etc/passwd]x[/link] :smile:",
    "<script>alert(1)</script> «faked»",
    "x" * 1_000_000,
]
DANGEROUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def inspect(*arguments, **options):
    return call_cli("inspect", *arguments, **options).stdout


def in_terminal(*arguments, env=None):
    """What a terminal of 100 columns would be sent."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "skipthink", *map(str, arguments)],
        stdout=child, stderr=child, stdin=child, close_fds=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **(env or {})},
    )  # fmt: skip
    os.close(child)
    sent = b""
    while select.select([parent], [], [], 120)[0]:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        if not piece:
            break
        sent += piece
    assert process.wait() == 0, sent.decode()
    os.close(parent)
    return sent.decode()


def ids_of(printed):
    return [line.split()[0] for line in printed.splitlines()[1:-1]]


def test_a_run_is_listed_with_verdicts(whole_run):
    record = open_run(whole_run)
    printed = inspect(whole_run)
    assert ids_of(printed) == record.samples("test")["id"].to_pylist()
    assert printed.splitlines()[0].split() == ["id", "base", "base+sbc", "stt", "answer", "question"]
    assert printed.splitlines()[-1] == "12 of 12 samples of the split test"
    assert (
        inspect(whole_run, "--limit", "2")
        .splitlines()[-1]
        .startswith("12 of 12 samples of the split test; 2 are")
    )
    assert "\x1b" not in printed


def test_filters_find_what_the_predictions_say(whole_run):
    record = open_run(whole_run)
    ids = record.samples("test")["id"].to_pylist()
    right = {
        method: [verdict == "right" for verdict in record.predictions(method, 0)["verdict"].to_pylist()]
        for method in record.methods
    }
    wrong = [name for name, good in zip(ids, right["base"], strict=True) if not good]
    assert wrong
    assert ids_of(inspect(whole_run, "--wrong", "base")) == wrong
    flipped = [
        name for name, *pair in zip(ids, right["base"], right["stt"], strict=True) if pair[0] != pair[1]
    ]
    assert ids_of(inspect(whole_run, "--disagree", "base", "stt")) == flipped
    assert ids_of(inspect(whole_run, "--wrong", "base", "--grep", "SMALL")) == [
        name
        for name, question in zip(ids, record.samples("test")["question"].to_pylist(), strict=True)
        if name in wrong and "small" in question
    ]
    assert inspect(whole_run, "--chunks", "3").splitlines()[-1] == "32 of 32 samples of the split train"
    assert inspect(whole_run, "--chunks", "2").splitlines()[-1] == "0 of 32 samples of the split train"
    assert "4 of 4 samples of the split validation" in inspect(whole_run, "--split", "validation")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wrong", "nobody"], "compares no method 'nobody'; it compares base, base+sbc, stt"),
        (["--wrong", "stt", "--split", "train"], "answered the questions of the split test, not of train"),
        (["--seed", "7"], "has no seed 7; it has 0"),
        (["--id", "q"], "has no sample 'q'; near to it are q"),
        (["--chunks", "2", "--split", "test"], "only training samples have chunks"),
    ],
)
def test_what_cannot_be_asked_is_refused(whole_run, arguments, message):
    assert message in call_cli("inspect", whole_run, *arguments, check=2).stderr


def test_what_is_no_run_is_refused(tmp_path):
    assert "is no run folder: it holds no recipe.yaml" in call_cli("inspect", tmp_path, check=2).stderr
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert "with --student" in call_cli("inspect", tmp_path / "rows.jsonl", check=2).stderr


def test_a_training_sample_is_shown_in_full(whole_run):
    record = open_run(whole_run)
    view = SampleViews(record).find(record.samples("train")["id"][0].as_py())
    printed = inspect(whole_run, "--id", view["id"], "--full")
    for step in view["steps"]:
        assert step.strip() in printed
    losses = step_losses(view["losses"]["base+sbc/s0"]["losses"], view["boundaries"][-2]["boundaries"])
    assert all(f" {loss:.2f} " in printed for loss in losses)
    assert re.search(r"average +1-2 \| ", printed)
    assert "greedy on these losses" in printed
    assert "optimal on these losses" in printed
    assert re.search(r"base\+sbc/s0 +epochs? 1", printed)
    assert re.search(r"^\[2\]  \d+ of \d+ tokens trained$", printed, re.MULTILINE)
    assert f"  [2]{view['question']}↵" in printed
    assert "<end>»" in printed
    assert "questions to the judge (skip-data/s0)" in printed
    assert "nothing left out" in printed
    for question in view["gate"]["skip-data/s0"]["questions"]:
        assert question["replies"][0]["text"].strip() in printed
    only = inspect(whole_run, "--id", view["id"], "--method", "base")
    assert "items of base/s0" in only
    assert "items of stt/s0" not in only


def test_what_each_method_answered_is_shown(whole_run):
    record = open_run(whole_run)
    name = record.samples("test")["id"][0].as_py()
    outputs = SampleViews(record).find(name)["outputs"]
    printed = inspect(whole_run, "--id", name)
    signs = {"right": "✓ right", "wrong": "✗ wrong", "unparsed": "? unparsed"}
    for label, output in outputs.items():
        assert re.search(rf"^{re.escape(label)}$", printed, re.MULTILINE)
        assert f"{signs[output['verdict']]}  {output['tokens']} tokens" in printed


def test_a_terminal_has_colours_unless_they_are_not_wanted(whole_run):
    coloured = in_terminal("inspect", whole_run, "--id", "q0", env={"NO_COLOR": ""})
    assert "\x1b[36m" in coloured
    plain = in_terminal("inspect", whole_run, "--id", "q0", env={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", plain)
    assert "«" in plain


def test_an_unfinished_run_names_what_is_missing(run_copy):
    shutil.rmtree(run_copy / "evaluate/stt")
    done = call_cli("inspect", run_copy)
    assert "missing: evaluate/stt/s0: not finished" in done.stderr
    assert done.stdout.splitlines()[0].split() == ["id", "base", "base+sbc", "answer", "question"]
    assert (
        "stt with seed 0 is not evaluated yet"
        in call_cli("inspect", run_copy, "--wrong", "stt", check=2).stderr
    )


@pytest.mark.parametrize(
    "hostile", HOSTILE, ids=["escapes", "directions", "controls", "markup", "script", "long"]
)
def test_hostile_text_is_shown_and_not_obeyed(run_copy, hostile):
    """In every field of a sample and of an output, and in the names of recipe and folder."""
    for split, column in (("test", "question"), ("train", "rationale")):
        path = run_copy / "data" / f"{split}.parquet"
        table = pq.read_table(path)
        names = [f"{hostile[:200]} {row}" for row in range(table.num_rows)]
        place = table.column_names.index("id")
        table = table.set_column(place, "id", pa.array(names))
        values = [hostile + "\n" + text for text in table[column].to_pylist()]
        table = table.set_column(table.column_names.index(column), column, pa.array(values))
        pq.write_table(table, path)
    predicted = run_copy / "evaluate/stt/s0/predictions.parquet"
    table = pq.read_table(predicted)
    columns = {name: table[name] for name in table.column_names}
    columns["id"] = pa.array([f"{hostile[:200]} {row}" for row in range(table.num_rows)])
    for name in ("chain", "answer"):
        columns[name] = pa.array([hostile] * table.num_rows)
    pq.write_table(pa.table(columns), predicted)
    recipe = (run_copy / "recipe.yaml").read_text()
    (run_copy / "recipe.yaml").write_text(recipe.replace("name: small", "name: '[red]x'"))
    listed = call_cli("inspect", run_copy)
    shown = [
        inspect(run_copy, "--id", f"{hostile[:200]} 0"),
        inspect(run_copy, "--split", "train", "--grep", "look at"),
    ]
    for text in (listed.stdout, listed.stderr, *shown):
        assert not DANGEROUS.search(text)
        assert len(text) < 200_000
    assert visible(hostile[:50], keep="\n")[:20] in shown[0].replace("\n", "")


def test_visible_text():
    assert visible("a\x1b[31m\x00\u202e\ud800é漢😀") == "a\\x1b[31m\\x00\\u202e\\ud800é漢😀"
    assert visible("a\nb", keep="\n") == "a\nb"
    assert visible("abcdef", 4) == "abcd… (2 more characters)"
    assert in_a_line("a\nb" * 10, 8) == "a\\nba\\n…"


def test_a_bar_grows_with_the_loss():
    assert [bar(value, 4.0) for value in (0.0, 1.0, 2.0, 4.0)] == ["    ", "█   ", "██  ", "████"]
    assert bar(0.0, 0.0) == "    "


def test_votes_and_regrown_chunks_are_said(capsys):
    reply = {"vote": 0, "text": "x", "answer": "1", "verdict": "right", "tokens": 3, "regrown": True}
    question = {
        "chunk": 1,
        "dropped": [1],
        "right": False,
        "replies": [reply, {**reply, "vote": 1, "answer": None}],
    }
    gate = {
        "boundaries": [0, 1, 2],
        "skipped": [False, False],
        "continuation": "student",
        "questions": [question],
    }
    SamplePrinter(make_console()).gate("skip-data/s0", gate, {"steps": ["One. ", "Two."], "boundaries": []})
    printed = capsys.readouterr().out
    assert "(vote 2)" in printed
    assert "but it wrote elsewhere what was left out" in printed
    assert "(states no answer)" in printed
    assert "shown: [thought]" in printed
    assert printed.splitlines()[-1] == "skipped: no chunk"
