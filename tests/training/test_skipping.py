"""Skip data: against an oracle that asks one question at a time; kills, damage, folds, statistics, warnings."""

import os
import random
import shutil
import signal
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from ledger_records import read_ledger
from training_calls import skip_folders

from skipthink.answers import Verdict, check_answer
from skipthink.core.ledger import EMPTY, KEPT, OPEN, RIGHT, SKIPPED, WRONG
from skipthink.exceptions import InvalidInputError, LedgerError
from skipthink.skipping import assign_folds
from skipthink.skipping.statistics import find_warnings, group_skips
from skipthink.student.encoding import encode_samples
from skipthink.student.frame import read_student_file
from skipthink.student.markers import get_markers
from skipthink.student.models import load_student

M = 3


def boundaries_of(folder):
    return np.asarray(pq.read_table(folder / "chunks.parquet")["boundaries"].to_pylist())


def arguments_of(wavering, out, *, boundaries=None, **settings):
    folder, samples = wavering
    return {
        "judges": [folder / "model"], "samples": samples, "out": out, "n_chunks": M, "answer_kind": "number",
        "boundaries": boundaries_of(folder) if boundaries is None else boundaries,
        "settings": {"batch_size": 4, **settings},
    }  # fmt: skip


def gate(wavering, out, **settings):
    report = skip_folders(**arguments_of(wavering, out, **settings))
    return report, pq.read_table(out / "skip.parquet")


def batches(out):
    """What was asked and answered, batch by batch, less what a clock has measured."""
    found = []
    if not (out / "ledger.bin").exists():
        return found
    for rows, chunks, right, notes in read_ledger(out / "ledger.bin"):
        assert notes.pop("seconds") >= 0
        found.append((rows.tolist(), chunks.tolist(), right.tolist(), notes))
    return found


def judge_one_by_one(wavering, boundaries):
    """The gate as method §6 says it: a sample at a time, a chunk at a time, a token at a time."""
    folder, samples = wavering
    model, tokenizer = load_student(folder / "model")
    model.eval()
    markers = get_markers(tokenizer, M)
    encoded = encode_samples(tokenizer, markers, samples)
    about = read_student_file(folder / "model")
    longest = {int(stage): limit for stage, limit in about["max_target_tokens"].items()}
    assert about["empty_stages"] == []  # no stage ends at once
    n_asked = n_generated = n_prompt = 0

    def write(stage, prompt):
        nonlocal n_generated, n_prompt
        n_prompt += len(prompt)
        ids = list(prompt)
        for _ in range(longest[stage] + longest[stage] // 4 + 1):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
                if len(ids) == len(prompt):
                    logits[markers.end_id] = -torch.inf
            token = int(logits.argmax())
            n_generated += 1
            if token == markers.end_id:
                break
            ids.append(token)
        return ids[len(prompt) :]

    def is_right(row, thought, first, may_write=np.inf):
        nonlocal n_asked
        n_asked += 1
        n_shown = len(thought)
        question = encoded.question[row].tolist()
        for stage in range(first, M + 1):
            thought = thought + write(stage, [*markers.stage_marks[stage - 1], *question, *thought])
        answer = tokenizer.decode(
            write(0, [*markers.answer_mark, *question, *thought]), skip_special_tokens=True
        )
        right = check_answer("number", answer, samples["answer"][row].as_py()) is Verdict.RIGHT
        return right and len(thought) - n_shown <= may_write

    skipped = np.zeros((len(encoded), M), dtype=bool)
    for row in range(len(encoded)):
        if not is_right(row, [], 1):
            continue
        shown = []
        for chunk in range(1, M + 1):
            start, end = encoded.step_tokens[row][boundaries[row, chunk - 1 : chunk + 1]]
            tokens = encoded.rationale[row][start:end].tolist()
            if not tokens:
                continue
            teachers = len(encoded.rationale[row]) - int(end)
            skipped[row, chunk - 1] = is_right(
                row, [*shown, *markers.thought_mark], chunk + 1, 1.25 * teachers
            )
            shown += markers.thought_mark if skipped[row, chunk - 1] else tokens
    return skipped, n_asked, n_generated, n_prompt


def test_the_gate_finds_what_asking_one_by_one_finds(wavering, tmp_path):
    boundaries = boundaries_of(wavering[0]).copy()
    boundaries[1] = [0, 1, 1, 3]  # an empty chunk in the middle
    folder, samples = wavering
    answers = samples["answer"].to_pylist()
    answers[4] = "77"  # an answer the judge cannot find
    wavering = folder, samples.set_column(3, "answer", pa.array(answers))
    expected, n_asked, n_generated, n_prompt = judge_one_by_one(wavering, boundaries)
    kept, table = gate(wavering, tmp_path / "kept", boundaries=boundaries)
    plain, plain_table = gate(wavering, tmp_path / "plain", boundaries=boundaries, keep_prefixes=False)
    assert table["skipped"].to_pylist() == plain_table["skipped"].to_pylist() == expected.tolist()
    assert 0 < expected.sum() < kept["asked"] - 6, "some chunks were needed, some were not"
    assert kept["base_right"] < 6
    for report in (kept, plain):
        assert report["asked"] == n_asked
        assert (report["tokens_generated"], report["prompt_tokens"]) == (n_generated, n_prompt)
    assert (kept["prefixes_kept"], plain["prefixes_kept"]) == (True, False)
    assert plain["prompt_tokens_read"] == n_prompt
    assert kept["prompt_tokens_read"] < n_prompt


def test_what_comes_back_later_was_needed(parrots, tmp_path):
    """A judge that goes on with all it knows: of its right answers those count that are no longer than the teacher's."""
    judge = parrots(tmp_path, epochs=80)
    found = {limit: gate(judge, tmp_path / str(limit), max_growth=limit) for limit in (None, 0.25, 0.0)}
    n_skipped = [np.sum(table["skipped"].to_pylist()) for _, table in found.values()]
    assert found[None][0]["regrown"] == 0
    assert found[0.25][0]["regrown"] > 0
    assert n_skipped[0] > n_skipped[1] >= n_skipped[2]
    with pytest.raises(InvalidInputError, match="max_growth must be at least 0, got -1"):
        gate(judge, tmp_path / "negative", max_growth=-1)


def test_each_question_is_asked_once(wavering, tmp_path):
    report, _ = gate(wavering, tmp_path)
    questions = [
        (row, chunk)
        for rows, chunks, *_ in batches(tmp_path)
        for row, chunk in zip(rows, chunks, strict=True)
    ]
    assert len(questions) == len(set(questions)) == report["asked"]
    assert sum(notes["tokens"] for *_, notes in batches(tmp_path)) == report["tokens_generated"]


@pytest.mark.parametrize("settings", [{}, {"votes": 3, "temperature": 0.8}], ids=["greedy", "votes"])
def test_votes_and_batches_do_not_change_answers(wavering, tmp_path, settings):
    found = [gate(wavering, tmp_path / str(size), **settings, batch_size=size)[1] for size in (3, 64)]
    assert found[0]["skipped"] == found[1]["skipped"]


def test_the_teachers_chunks_and_plain_votes(wavering, tmp_path):
    report, table = gate(wavering, tmp_path / "teacher", continuation="teacher")
    # after a question with nothing dropped, each one is a single pass: the answer
    assert len(table) == 6
    plain, plain_table = gate(wavering, tmp_path / "plain", continuation="teacher", keep_prefixes=False)
    assert plain_table["skipped"] == table["skipped"]
    assert plain["tokens_generated"] == report["tokens_generated"]
    voted, _ = gate(wavering, tmp_path / "votes", votes=3, temperature=0.7, keep_prefixes=False)
    assert voted["votes"] == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"votes": 3}, "votes is 3 at temperature 0, where all votes are the same"),
        ({"continuation": "gold"}, "continuation must be"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_wrong_settings(wavering, tmp_path, settings, message):
    with pytest.raises(InvalidInputError, match=message):
        gate(wavering, tmp_path, **settings)


# ---- kills and damage ----


def test_a_ledger_cut_anywhere_is_continued_to_the_same_end(wavering, tmp_path):
    """Answers and what is noted of them, bit by bit; a torn end is told."""
    settings = {"votes": 2, "temperature": 0.8}
    _, expected = gate(wavering, tmp_path / "whole", **settings)
    content = (tmp_path / "whole" / "ledger.bin").read_bytes()
    for share in (0.3, 0.55, 0.7, 0.9):
        out = tmp_path / str(share)
        out.mkdir()
        (out / "ledger.bin").write_bytes(content[: int(len(content) * share)])
        report, table = gate(wavering, out, **settings)
        assert table == expected
        assert batches(out) == batches(tmp_path / "whole")
        assert report["torn_bytes"] > 0
        assert f"torn record of {report['torn_bytes']} bytes" in report["warnings"][0]


def test_a_torn_end_is_told(wavering, tmp_path, caplog):
    gate(wavering, tmp_path)
    ledger = tmp_path / "ledger.bin"
    ledger.write_bytes(ledger.read_bytes()[:-1])
    gate(wavering, tmp_path)
    assert "ledger.bin: the ledger ended in a torn record of" in caplog.text
    assert gate(wavering, tmp_path)[0]["warnings"] == []


def test_a_corrupt_ledger_is_refused_and_left_alone(wavering, tmp_path):
    gate(wavering, tmp_path)
    ledger = tmp_path / "ledger.bin"
    content = bytearray(ledger.read_bytes())
    content[len(content) // 2] ^= 1
    ledger.write_bytes(content)
    with pytest.raises(
        LedgerError, match=r"ledger\.bin: the record at byte \d+ is damaged .*; restore the file, or cut"
    ):
        gate(wavering, tmp_path)
    assert ledger.read_bytes() == content


def test_a_ledger_of_other_settings_is_refused(wavering, tmp_path):
    gate(wavering, tmp_path)
    with pytest.raises(LedgerError, match="another judge, other chunks, data or options; move the file away"):
        gate(wavering, tmp_path, continuation="teacher")


def test_killed_at_random_moments(wavering, tmp_path, in_child):
    """SIGKILL, again and again: answers on disk stay, nothing is asked twice, the end is the same."""
    settings = {"batch_size": 1}
    gate(wavering, tmp_path / "whole", **settings)
    rng, out, before, kills, done = random.Random(5), tmp_path / "killed", [], 0, False
    while not done:
        child = in_child(lambda: skip_folders(**arguments_of(wavering, out, **settings)) and None)
        while not (done := os.waitpid(child, os.WNOHANG)[0] == child) and (
            kills == 10 or len(batches(out)) == len(before)
        ):
            time.sleep(0.002)
        if not done:
            time.sleep(rng.uniform(0, 0.005))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
        found = batches(out)
        assert found[: len(before)] == before, "an answer on disk was lost"
        before = found
    assert kills >= 5
    assert batches(out) == batches(tmp_path / "whole")
    assert pq.read_table(out / "skip.parquet") == pq.read_table(tmp_path / "whole" / "skip.parquet")


# ---- cross-fitting ----


def test_folds_are_equal_and_belong_to_samples():
    ids = [f"r{k}" for k in range(11)]
    folds = assign_folds(ids, 3, seed=4)
    assert sorted(np.bincount(folds)) == [3, 4, 4]
    assert assign_folds(ids[::-1], 3, seed=4)[::-1].tolist() == folds.tolist()
    assert assign_folds(ids, 3, seed=5).tolist() != folds.tolist()
    with pytest.raises(InvalidInputError, match="there must be 1 … 11 folds for 11 samples, got 12"):
        assign_folds(ids, 12, seed=0)


def test_each_sample_is_asked_its_own_judge(parrot, tmp_path):
    """One judge knows the samples, the other one knows nothing: the latter's samples keep all their chunks."""
    folder, _ = parrot
    fresh = tmp_path / "fresh"
    shutil.copytree(folder / "fresh", fresh)
    shutil.copy(folder / "model" / "skipthink.json", fresh)
    _, table = gate(parrot, tmp_path / "alone")
    folds = np.array([0, 1, 1, 0, 1, 0])
    arguments = arguments_of(parrot, tmp_path / "both") | {
        "judges": [folder / "model", fresh],
        "folds": folds,
    }
    report = skip_folders(**arguments)
    found = np.asarray(pq.read_table(tmp_path / "both" / "skip.parquet")["skipped"].to_pylist())
    assert found[folds == 0].tolist() == np.asarray(table["skipped"].to_pylist())[folds == 0].tolist()
    assert not found[folds == 1].any()
    assert (report["judges"], report["base_right"]) == (2, 3)
    with pytest.raises(InvalidInputError, match="there are 2 judges; give folds"):
        skip_folders(**arguments | {"folds": None})
    with pytest.raises(
        InvalidInputError, match=r"one of 2 judges \(from 0\) for each of 6 samples, got 6 values from 0 to 2"
    ):
        skip_folders(**arguments | {"folds": folds * 2})


# ---- statistics and warnings ----


def test_skips_by_position_number_of_chunks_and_task(wavering, tmp_path):
    named = wavering[1].append_column("task", pa.array(["a", "a", "b", "a", None, "b"]))
    report = skip_folders(**arguments_of(wavering, tmp_path) | {"samples": named})
    skipped = np.asarray(pq.read_table(tmp_path / "skip.parquet")["skipped"].to_pylist())
    by_task = {row["group"]: row for row in report["groups"] if row["by"] == "task"}
    assert {name: row["rows"] for name, row in by_task.items()} == {"(none)": 1, "a": 3, "b": 2}
    assert by_task["a"]["skipped"] == skipped[[0, 1, 3]].sum()
    assert report["groups"][0]["skip_rate"] == report["skip_rate"]


def test_groups_by_hand():
    base = np.array([RIGHT, RIGHT, WRONG, RIGHT], np.uint8)
    states = np.array([[SKIPPED, KEPT], [KEPT, EMPTY], [KEPT, KEPT], [SKIPPED, OPEN]], np.uint8)
    everything, one, two = group_skips(base, states, None)
    assert everything == {
        "by": "all", "group": "all", "rows": 4, "judge_right": 3, "asked": 4, "skipped": 2,
        "asked_by_chunk": [3, 1], "skip_rate": [2 / 3, 0.0],
    }  # fmt: skip
    assert (one["by"], one["group"], one["rows"], one["skip_rate"]) == ("chunks", "1", 1, [0.0, None])
    assert (two["group"], two["rows"], two["judge_right"], two["skip_rate"]) == ("2", 3, 2, [1.0, 0.0])


def test_a_weak_judge_and_one_that_knows_all_are_told():
    total = {"rows": 100, "judge_right": 49, "asked": 80, "skipped": 40}
    (weak,) = find_warnings(total, 7, n_judges=1, torn_bytes=0)
    assert (
        "the judge is weak: with nothing dropped it is right on 49 of 100 training samples (49.0 %)" in weak
    )
    assert "Train the judge longer" in weak
    (unseen,) = find_warnings(total, 7, n_judges=2, torn_bytes=0)
    assert "training samples it was not trained on" in unseen
    assert find_warnings(total | {"judge_right": 50}, 0, n_judges=1, torn_bytes=0) == []
    knows = total | {"judge_right": 99, "skipped": 79}
    (by_heart,) = find_warnings(knows, 0, n_judges=1, torn_bytes=0)
    assert "nearly every chunk looks dispensable (79 of 80)" in by_heart
    assert find_warnings(knows, 0, n_judges=3, torn_bytes=0) == []
