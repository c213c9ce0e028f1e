"""Answers of a student's own: which are usable, that they are drawn once, and what a kill leaves."""

import dataclasses
import json
import os
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest

from skipthink.answers.options import CheckOptions
from skipthink.core.codes import Stage
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.own_answers import OwnAnswersOptions, drawing, make_own_answers, read_chains
from skipthink.own_answers.answers import draws_table, shortest_usable
from skipthink.own_answers.drawing import Draw, form_of, without_lead
from skipthink.student.student import Student

NUMBER = CheckOptions(answer="number")


@pytest.fixture
def writer(whole):
    """A student that writes in skip mode."""
    return dataclasses.replace(whole, about={"mode": "skip"})


def ids_of(student, text):
    return student.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids


@pytest.mark.parametrize(
    ("parts", "skip", "base"),
    [
        (["thought", "3 + 4 = 7.", "thought"], "whole", "malformed"),
        (["3 + 4 = 7."], "whole", "whole"),
        (["thought", "thought"], "no step", "malformed"),
        ([], "no step", "no step"),
        (["  "], "no step", "no step"),
        (["3 + 4", "answer", "7"], "malformed", "malformed"),
        (["3 + 4", "skip"], "malformed", "malformed"),
        (["stage", "3 + 4 = 7."], "malformed", "malformed"),
        (["[thought] [answer] as text"], "whole", "whole"),
    ],
)
def test_what_may_be_learnt_from(writer, parts, skip, base):
    markers = writer.markers
    marks = {
        "thought": markers.thought_mark, "answer": markers.answer_mark, "skip": markers.skip_mark, "stage": markers.stage_marks[1],
    }  # fmt: skip
    chain = [token for part in parts for token in (marks.get(part) or ids_of(writer, part))]
    assert form_of(chain, writer) == skip
    assert form_of(chain, dataclasses.replace(writer, about={"mode": "base"})) == base


def test_what_stands_before_a_closing_tag_belongs_to_the_tag(markers):
    block = dataclasses.replace(markers, answer_lead=(5, 9, 6), answer_sign=(9,))
    assert without_lead([1, 2, 5], block) == [1, 2]
    assert without_lead([1, 2], block) == [1, 2]
    assert without_lead([1, 2], markers) == [1, 2]


def draw(name, number, length, verdict="right", form="whole"):
    return Draw(name, number, np.arange(length), "text", "7", verdict, form, length + 2)


def test_the_shortest_right_answer_stays():
    table = draws_table(
        [
            draw("a", 0, 9), draw("a", 1, 4), draw("a", 2, 4), draw("a", 3, 2, "wrong"), draw("a", 4, 1, form="unended"),
            draw("b", 0, 3, "unparsed"), draw("b", 1, 3, form="no step"),
        ]
    )  # fmt: skip
    assert {name: row["draw"] for name, row in shortest_usable(table).items()} == {"a": 1}


def scribbler(student_dir, folder, seed_limit=24):
    """A student that was not trained but may write: what it draws are tokens at random."""
    student = Student.load(student_dir, device="cpu")
    about = {
        "mode": "skip", "method": "stt", "n_chunks": 3, "max_target_tokens": {str(int(Stage.SKIP)): seed_limit}, "empty_stages": [],
    }  # fmt: skip
    student.save(folder, about)
    return folder


OPTIONS = OwnAnswersOptions(samples=3, batch_size=12)


def make(folder, samples, out, **changes):
    arguments = {
        "writers": [folder],
        "samples": samples,
        "options": OPTIONS,
        "check": NUMBER,
        "seed": 4,
    } | changes
    return make_own_answers(**arguments, out=out)


@pytest.fixture
def folder(student_dir, tmp_path):
    return scribbler(student_dir, tmp_path / "writer")


def drawn(out):
    return pq.read_table(out / "draws.parquet").to_pylist()


def test_every_question_is_answered_as_often_as_asked_for(folder, samples, tmp_path):
    seen = []
    report = make(folder, samples, tmp_path / "out", progress=lambda *done: seen.append(done))
    rows = drawn(tmp_path / "out")
    assert [(row["id"], row["draw"]) for row in rows] == [
        (name, number) for name in samples["id"].to_pylist() for number in range(3)
    ]
    assert len({tuple(row["chain"]) for row in rows}) == len(rows)
    assert seen[-1] == (24, 24)
    assert report["drawn"] == 72 == report["right"] + report["wrong"] + report["unparsed"]
    assert report["tokens_generated"] == sum(row["tokens"] for row in rows)
    own = pq.read_table(tmp_path / "out" / "own.parquet")
    assert own["id"].equals(samples["id"])
    assert (own["chain"].null_count, report["answered"]) == (
        24 - report["answered"],
        len(own["chain"].drop_null()),
    )
    assert len(read_chains(own)) == 24
    assert not (tmp_path / "out" / "parts").exists()
    assert "few samples get an answer of their own" in report["warnings"][0]


def test_what_is_drawn_depends_on_seed_sample_and_number(folder, samples, tmp_path):
    make(folder, samples, tmp_path / "one")
    make(folder, samples.take(np.arange(24)[::-1]), tmp_path / "two", options=OPTIONS.replace(batch_size=6))
    make(folder, samples, tmp_path / "three", options=OPTIONS.replace(samples=2))
    make(folder, samples, tmp_path / "four", seed=5)
    one, two, three, four = (
        {(row["id"], row["draw"]): row for row in drawn(tmp_path / name)}
        for name in ("one", "two", "three", "four")
    )
    assert one == two
    assert three == {key: row for key, row in one.items() if key[1] < 2}
    assert not any(one[key]["chain"] == four[key]["chain"] for key in one)


def test_each_fold_has_a_student_of_its_own(student_dir, folder, samples, tmp_path):
    other = scribbler(student_dir, tmp_path / "other", seed_limit=6)
    folds = np.arange(24) % 2
    report = make(folder, samples, tmp_path / "out", writers=[folder, other], folds=folds)
    longest = [max(row["tokens"] for row in drawn(tmp_path / "out")[3 * k : 3 * k + 3]) for k in range(24)]
    assert report["writers"] == 2
    assert max(longest[1::2]) <= 8 < max(longest[::2])
    with pytest.raises(InvalidInputError, match="give folds"):
        make(folder, samples, tmp_path / "else", writers=[folder, other])


def test_a_killed_drawing_goes_on(folder, samples, tmp_path, in_child, monkeypatch):
    whole = make(folder, samples, tmp_path / "whole")

    def killed(done, total):
        if done >= 12:
            os.kill(os.getpid(), signal.SIGKILL)

    child = in_child(lambda: make(folder, samples, tmp_path / "out", progress=killed) and 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list((tmp_path / "out" / "parts").glob("*.parquet"))) == 3
    asked = []
    write = drawing.Writer.write
    monkeypatch.setattr(
        drawing.Writer, "write", lambda self, ids, *rest: asked.extend(ids) or write(self, ids, *rest)
    )
    report = make(folder, samples, tmp_path / "out")
    assert len(asked) == 12
    assert drawn(tmp_path / "out") == drawn(tmp_path / "whole")
    assert {**report, "seconds": 0} == {**whole, "seconds": 0}
    make(folder, samples, tmp_path / "out")  # finished: nothing is drawn
    assert len(asked) == 12


def test_what_is_left_of_others_is_refused(folder, samples, tmp_path):
    make(folder, samples, tmp_path / "out")
    with pytest.raises(
        DataError, match=r"report\.json is of other students, samples or options; delete .* to draw anew"
    ):
        make(folder, samples, tmp_path / "out", seed=9)
    parts = tmp_path / "more" / "parts"
    parts.mkdir(parents=True)
    (parts / "0000-000000.parquet").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"cannot read .*0000-000000\.parquet: .*; delete it to draw"):
        make(folder, samples, tmp_path / "more")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    make(
        folder, samples, tmp_path / "again", options=OPTIONS.replace(rounds=3)
    )  # a round does not know of others
    assert json.loads((tmp_path / "again" / "report.json").read_text())["inputs"] == report["inputs"]


def test_students_without_a_cache_of_their_own_draw_too(folder, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "supports_kv_cache", lambda model: False)
    make(folder, samples, tmp_path / "one")
    make(folder, samples, tmp_path / "two")
    assert drawn(tmp_path / "one") == drawn(tmp_path / "two")
    assert len({tuple(row["chain"]) for row in drawn(tmp_path / "one")}) > 60


@pytest.mark.slow
def test_a_student_that_knows_its_samples_is_warned_of(parrots, tmp_path):
    """Trained on whole rationales, it answers right; what is kept are its own words, and they train a student."""
    from training_calls import train_by_name

    folder, samples = parrots(tmp_path / "parrot", method="base", epochs=60)
    out = tmp_path / "own"
    report = make(folder / "model", samples, out, options=OPTIONS.replace(temperature=0.1))
    assert report["right"] >= 17
    assert "may know its training samples by heart" in report["warnings"][0]
    assert (report["answered"], report["usable"]) == (6, report["right"])
    own = pq.read_table(out / "own.parquet")
    assert own["text"][0].as_py().split() == samples["rationale"][0].as_py().split()
    summary = train_by_name("base-own", student=folder / "fresh", samples=samples, out=tmp_path / "trained",
                            own=read_chains(own), settings={"max_steps": 1})  # fmt: skip
    # it says what the teacher says: nothing new to learn
    assert summary["report"]["own_same"] + summary["report"]["own_items"] == 6
    assert summary["items"] == {"-2": 6 + summary["report"]["own_items"]}
