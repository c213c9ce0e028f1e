"""What evaluation measures: intervals, counts, loops, seconds one at a time, accuracy by stage."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from kept import trains
from training_calls import evaluate_folder

from skipthink.answers import Verdict
from skipthink.answers.options import CheckOptions
from skipthink.evaluation.intervals import wilson_interval
from skipthink.evaluation.measure import accuracy_by_stage
from skipthink.evaluation.options import EvaluationOptions
from skipthink.scoring import ChunkOptions
from skipthink.student.generation import LOOP_REPEATS, LOOP_TOKENS, Generated, ends_in_loop
from skipthink.student.student import Student


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [  # the figures of Newcombe 1998, table I, method 3, to four places
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(n_right, n, low, high):
    assert wilson_interval(n_right, n) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(n - n_right, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_interval_holds_the_share():
    for n in (1, 7, 300):
        for n_right in range(n + 1):
            low, high = wilson_interval(n_right, n)
            assert 0 <= low <= n_right / n <= high <= 1


@pytest.mark.parametrize(
    ("tokens", "loops"),
    [
        ([7] * LOOP_REPEATS, True),
        ([1, 2, 3, *[7] * LOOP_REPEATS], True),
        ([1, 2, 3] * LOOP_REPEATS, True),
        ([9, 9, *[1, 2, 3] * LOOP_REPEATS], True),
        ([1, 2, 3] * (LOOP_REPEATS - 1), False),
        ([*[1, 2, 3] * LOOP_REPEATS, 4], False),
        (list(range(LOOP_TOKENS)) * LOOP_REPEATS, True),
        (list(range(LOOP_TOKENS + 1)) * LOOP_REPEATS, False),
        ([], False),
        ([1], False),
    ],
)
def test_a_loop_is_one_piece_repeated_to_the_end(tokens, loops):
    tokens = np.asarray(tokens, dtype=np.int64)
    assert ends_in_loop(tokens) is loops
    assert Generated(tokens, ended=False).looped is loops
    assert not Generated(tokens, ended=True).looped


@pytest.fixture(scope="module")
@trains
def parrot(parrots, tmp_path_factory):
    """A student that learned six short samples by heart, and what it was trained on."""
    out, samples = parrots(tmp_path_factory.mktemp("parrot"), "base+ac", epochs=60, batching="shuffled")
    return out / "model", samples


def run(parrot, tmp_path, samples=None, **settings):
    model_dir, known = parrot
    samples = known if samples is None else samples
    return evaluate_folder(
        model_dir=model_dir, samples=samples, mode="full", n_chunks=3, answer_kind="number", out=tmp_path,
        settings=settings,
    )  # fmt: skip


def test_counts_add_up_and_agree_with_the_predictions(parrot, tmp_path):
    result = run(parrot, tmp_path, alone_questions=4)
    table = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    for verdict in ("right", "wrong", "unparsed"):
        assert result[verdict] == sum(row["verdict"] == verdict for row in table)
    assert result["right"] + result["wrong"] + result["unparsed"] == result["n"] == 6
    assert (result["accuracy_low"], result["accuracy_high"]) == wilson_interval(result["right"], 6)
    assert result["looped"] == sum(row["looped"] for row in table) <= result["unended"]
    assert result["timeouts"] == 0
    assert result["n_alone"] == 4
    assert result["seconds_per_answer_alone"] > 0


def test_nothing_is_timed_or_staged_that_was_not_asked_for(parrot, tmp_path):
    result = run(parrot, tmp_path, alone_questions=0, stage_questions=0)
    assert (result["seconds_per_answer_alone"], result["n_alone"]) == (None, 0)
    assert (result["stage_accuracy"], result["n_stage"]) == (None, 0)


def test_stages_with_the_teachers_chunks(parrot, tmp_path):
    """Entry 0 is the accuracy itself; a teacher whose chunks compute something else misleads from there on."""
    _, samples = parrot
    result = run(parrot, tmp_path, stage_questions=6)
    assert result["n_stage"] == 6
    assert len(result["stage_accuracy"]) == 4
    assert result["stage_accuracy"][0] == result["accuracy"]
    assert result["stage_accuracy"][3] >= 5 / 6
    # the teacher's second chunk is that of the next sample: given it, the student follows the teacher
    wrong = samples.set_column(
        2, "rationale", [[f"We add. {(k + 1) % 6} + 1 = {(k + 1) % 6 + 1}. Done." for k in range(6)]]
    )
    misled = run(parrot, tmp_path, wrong, stage_questions=6)["stage_accuracy"]
    assert misled[0] == result["stage_accuracy"][0]
    assert misled[3] <= result["stage_accuracy"][3] - 2 / 6


def test_answers_with_bfloat16_weights_are_as_good_and_said_to_be_so(parrot, tmp_path):
    plain = run(parrot, tmp_path / "plain", alone_questions=0)
    rounded = run(parrot, tmp_path / "rounded", alone_questions=0, bf16=True)
    assert (plain["device"], rounded["device"]) == ("cpu", "cpu, bfloat16")
    assert rounded["right"] >= plain["right"] - 1
    assert rounded["stage_accuracy"][3] >= 4 / 6


def test_a_new_option_leaves_the_answers_of_earlier_versions_valid():
    assert "bf16" not in EvaluationOptions().to_dict()
    assert EvaluationOptions(bf16=True).to_dict()["bf16"] is True


def test_stages_need_rationales_and_count_them(parrot, tmp_path):
    _, samples = parrot
    texts = samples["rationale"].to_pylist()
    some = samples.set_column(2, "rationale", [[None, *texts[1:3], " ", None, None]])
    assert run(parrot, tmp_path, some)["n_stage"] == 2
    none = run(parrot, tmp_path, samples.drop_columns(["rationale"]))
    assert (none["stage_accuracy"], none["n_stage"]) == (None, 0)


def test_held_out_rationales_are_cut_by_the_students_own_search(parrot):
    model_dir, samples = parrot
    student = Student.load(model_dir)
    chunks = ChunkOptions(M=3, method="optimal", objective="variance", passes="conditioned")
    shares = accuracy_by_stage(
        student, samples, check=CheckOptions(answer="number"), chunks=chunks, decoding=student.decoding
    )
    assert len(shares) == 4
    assert shares[3] >= 5 / 6
    # what the student answers by itself is not asked again where it is known
    known = accuracy_by_stage(
        student,
        samples,
        check=CheckOptions(answer="number"),
        chunks=chunks,
        decoding=student.decoding,
        alone=[Verdict.RIGHT, *[Verdict.WRONG] * 3],
    )
    assert known == [0.25, *shares[1:]]


def test_tolerance_reaches_the_check(parrot, tmp_path):
    _, samples = parrot
    shifted = samples.set_column(3, "answer", [[str(k + 1.4) for k in range(6)]])
    strict = run(parrot, tmp_path, shifted, stage_questions=0)
    assert strict["right"] == 0
    loose = run(parrot, tmp_path, shifted, stage_questions=0, tolerance=0.5)
    assert loose["right"] >= 5
    share = run(parrot, tmp_path, shifted, stage_questions=0, relative_tolerance=0.5)
    assert share["right"] >= 5
