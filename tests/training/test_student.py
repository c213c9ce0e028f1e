"""A student as one object: loaded, saved, encoded, scored, asked."""

import numpy as np
import pytest

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.scoring import score_steps
from skipthink.student import Student
from skipthink.student.frame import Frame
from skipthink.student.models import save_student


@pytest.fixture(scope="module")
def trained(parrot):
    return Student.load(parrot[0] / "model")


def test_a_trained_student_knows_itself(trained, parrot):
    assert (trained.mode, trained.n_chunks, trained.frame) == ("full", 3, Frame())
    assert str(trained.device) == "cpu"
    assert trained.parameters == trained.model.num_parameters()
    assert trained.longest_input == 160
    said = repr(trained)
    assert "base+sbc, mode full" in said and "M = 3" in said and f"{trained.parameters:,} parameters" in said


def test_it_answers_questions(trained, parrot):
    rows = parrot[1].to_pylist()
    answers = trained.answer([row["question"] for row in rows])
    assert [answer.text for answer in answers] == [row["answer"] for row in rows]
    assert [answer.chain for answer in answers] == [row["rationale"] for row in rows]
    assert all(answer.written.n_unended == 0 for answer in answers)
    with pytest.raises(InvalidInputError, match="mode must be one of"):
        trained.answer(["What is 1 and 1?"], mode="backwards")
    with pytest.raises(InvalidInputError, match="the student was trained on the stages"):
        trained.answer(["What is 1 and 1?"], mode="skip")


def test_it_scores_tables_rows_and_encoded_samples_alike(trained, parrot, tmp_path):
    table = parrot[1]
    rows = [{name: row[name] for name in ("question", "rationale", "answer")} for row in table.to_pylist()]
    expected = trained.score(trained.encode(table))
    for found in (
        trained.score(table),
        trained.score(rows),
        score_steps(trained, trained.encode(rows), cache=tmp_path),
    ):
        np.testing.assert_array_equal(found.nll, expected.nll)
    assert trained.score(rows, passes="free").nll.shape[1] == 1
    assert trained.encode(rows).ids == ["0", "1", "2", "3", "4", "5"]
    with pytest.raises(InvalidInputError, match="sample '1' has no text for rationale"):
        trained.encode([rows[0], {**rows[1], "rationale": None}])


def test_it_comes_back_as_it_was_saved(trained, parrot, tmp_path):
    trained.save(tmp_path / "again")
    again = Student.load(tmp_path / "again")
    assert again.digest() == trained.digest()
    assert (again.about, again.markers) == (trained.about, trained.markers)
    question = parrot[1]["question"][0].as_py()
    assert again.answer([question])[0].text == trained.answer([question])[0].text


def test_a_fresh_student_is_told_its_chunks_or_has_them(student_dir, student_and_tokenizer, tmp_path):
    fresh = Student.load(student_dir)
    assert fresh.n_chunks == 3
    assert "not trained" in repr(fresh)
    with pytest.raises(InvalidInputError, match="does not know its max_target_tokens: it is not trained"):
        fresh.answer(["What is 1 and 1?"])
    grown = Student.load(student_dir, n_chunks=5)
    assert grown.n_chunks == 5
    assert len(grown.tokenizer) == len(fresh.tokenizer) + 2
    # new rows are drawn by the seed alone
    same, other = (Student.load(student_dir, n_chunks=5, seed=seed) for seed in (0, 1))
    assert same.digest() == grown.digest() != other.digest()
    with pytest.raises(DataError, match="cannot load a student"):
        Student.load(tmp_path / "nothing")


def test_a_student_without_markers_is_not_guessed(tmp_path, samples):
    from transformers import LlamaConfig, LlamaForCausalLM

    from skipthink.student.models import make_tokenizer

    tokenizer = make_tokenizer(samples["question"].to_pylist(), vocab_size=300)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=16)
    )  # fmt: skip
    save_student(model, tokenizer, tmp_path / "plain")
    with pytest.raises(InvalidInputError, match="has no markers yet; say for how many chunks"):
        Student.load(tmp_path / "plain")
    assert Student.load(tmp_path / "plain", n_chunks=2).n_chunks == 2
