"""Fallback: the curve of thresholds by hand, and the confidence beside a plain loop over tokens."""

import numpy as np
import pytest
import torch
from kept import trains
from training_calls import evaluate_folder

from skipthink.core.codes import Stage
from skipthink.evaluation.cascade import Cascade, Point
from skipthink.evaluation.confidence import confidences, tokens_that_matter
from skipthink.exceptions import InvalidInputError
from skipthink.student import Student
from skipthink.student.inference import Answered, answer_questions, stage_prompt


@pytest.fixture
def four():
    """Four questions: the first answers cost 10 tokens and are right where they are sure, the second ones cost 30."""
    return Cascade(
        np.asarray([-0.1, -2.0, -0.5, -np.inf]),
        np.asarray([[True, True], [False, True], [True, False], [False, True]]),
        np.asarray([[10, 30]] * 4),
    )


def test_the_curve_by_hand(four):
    assert four.curve() == [
        Point(-np.inf, 0.0, 0.5, 10.0),
        Point(-2.0, 0.25, 0.75, 17.5),
        Point(-0.5, 0.5, 1.0, 25.0),
        Point(-0.1, 0.75, 0.75, 32.5),
        Point(np.inf, 1.0, 0.75, 40.0),
    ]


@pytest.mark.parametrize(("within", "threshold"), [(0.0, -2.0), (25.0, -np.inf), (24.0, -2.0)])
def test_the_threshold_is_the_cheapest_within_reach(four, within, threshold):
    """Second answers alone are right in 75 %."""
    assert four.calibrate(within).threshold == threshold


def test_a_threshold_is_taken_to_other_questions(four):
    other = Cascade(
        np.asarray([-1.0, -3.0]), np.asarray([[True, True], [False, True]]), np.asarray([[8, 40]] * 2)
    )
    assert other.at(four.calibrate(0.0).threshold) == Point(-2.0, 0.5, 1.0, 28.0)


def test_equal_confidences_stay_together():
    cascade = Cascade(np.full(3, -1.0), np.ones((3, 2), dtype=bool), np.full((3, 2), 5))
    assert [point.again for point in cascade.curve()] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        (np.empty(0), np.empty((0, 2), dtype=bool), "at least one question"),
        (np.zeros(2), np.ones((2, 1), dtype=bool), r"right must have the shape \(2, 2\), got \(2, 1\)"),
        (np.asarray([0.0, np.nan]), np.ones((2, 2), dtype=bool), "the confidence of question 1 is NaN"),
    ],
)
def test_bad_input(confidence, right, message):
    with pytest.raises(InvalidInputError, match=message):
        Cascade(confidence, right, np.ones((len(confidence), 2), dtype=np.int64))


@pytest.fixture(scope="module")
@trains
def writer(parrots, tmp_path_factory):
    """A student that answers in one pass: (folder, samples)."""
    return parrots(tmp_path_factory.mktemp("writer"), method="base", epochs=60)


@pytest.mark.slow
@pytest.mark.parametrize("batch_tokens", [1, 8192])
def test_the_confidence_is_that_of_the_worst_token_that_matters(writer, batch_tokens):
    folder, samples = writer
    student = Student.load(folder / "model")
    questions = student.encode_questions(samples["question"].to_pylist())
    answered = answer_questions(
        student.model, student.markers, questions, mode="base", decoding=student.decoding
    )
    found = confidences(student, questions, answered, "base", batch_tokens=batch_tokens)
    for row, (question, answer) in enumerate(zip(questions, answered, strict=True)):
        if answer.answer is None:
            assert found[row] == -np.inf
            continue
        ids = list(stage_prompt(student.markers, Stage.BASE, question).ids)
        worst = 0.0
        first_of_answer = len(answer.written) - len(answer.answer)
        for place, token in enumerate(answer.written):
            with torch.inference_mode():
                scores = student.model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            has_digit = any(character.isdigit() for character in student.tokenizer.decode([token]))
            if has_digit or place >= first_of_answer:
                worst = min(worst, float(scores[token]))
            ids.append(token)
        assert found[row] == pytest.approx(worst, abs=1e-4)
    assert np.isfinite(found).any()


@pytest.mark.slow
def test_answers_that_never_come_are_the_least_sure(writer):
    student = Student.load(writer[0] / "model")
    questions = student.encode_questions(["What is 1 and 1?"] * 2)
    answered = [Answered(written=[5, 6], chain=[5, 6]), Answered()]
    assert confidences(student, questions, answered, "base").tolist() == [-np.inf, -np.inf]
    assert tokens_that_matter(student, answered[1]).shape == (0,)


@pytest.mark.slow
def test_predictions_hold_the_confidence(writer, tmp_path):
    import pyarrow.parquet as pq

    folder, samples = writer
    common = {
        "model_dir": folder / "model",
        "samples": samples,
        "mode": "base",
        "n_chunks": 3,
        "answer_kind": "number",
    }
    quick = {"alone_questions": 0, "stage_questions": 0}
    evaluate_folder(out=tmp_path / "with", settings={**quick, "confidence": True}, **common)
    evaluate_folder(out=tmp_path / "without", settings=quick, **common)
    table = pq.read_table(tmp_path / "with" / "predictions.parquet")
    assert max(table["confidence"].to_pylist()) <= 0
    assert "confidence" not in pq.read_table(tmp_path / "without" / "predictions.parquet").column_names
