"""Students that can be told how much to skip: nested sets, items by hand, prompts, templates and what is measured."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training_calls import PAPER, evaluate_folder, train_by_name

from skipthink.core.codes import Stage
from skipthink.evaluation.levels import obeys
from skipthink.exceptions import InvalidInputError
from skipthink.publish.folder import chat_template, dress_student
from skipthink.run.level_report import format_levels
from skipthink.skipping.levels import level_sets, turns_by_order, turns_by_position, turns_by_role
from skipthink.student.encoding import encode_samples
from skipthink.student.inference import Decoding, stage_prompt
from skipthink.student.student import Student
from skipthink.training.methods import own_methods
from skipthink.training.source import ItemSource

ROWS = [
    {"id": "a", "question": "What is 3 and 4?", "rationale": "We add. 3 + 4 = 7. Done.", "answer": "7"},
    {"id": "b", "question": "What is 2 and 5?", "rationale": "2 + 5 = 7.", "answer": "7"},
]
BOUNDARIES = np.asarray([[0, 1, 2, 3], [0, 1, 1, 1]])
SKIPPED = np.asarray([[True, False, True], [False, False, False]])


@pytest.fixture(scope="module")
def few(tokenizer, markers):
    return encode_samples(tokenizer, markers, pa.Table.from_pylist(ROWS))


def test_turns_are_shares_of_the_way():
    inf = np.inf
    skipped = np.asarray([[True, False, True, True], [False] * 4, [False, True, False, False]])
    assert np.allclose(turns_by_position(skipped), [[1 / 3, inf, 2 / 3, 1], [inf] * 4, [inf, 1, inf, inf]])
    order = np.asarray([[4, 1, 3, 2], [2, 1, 0, 0], [2, 1, 3, 0]])
    assert np.allclose(
        turns_by_order(order, skipped), [[2 / 3, inf, 1, 1 / 3], [inf] * 4, [inf, 1, inf, inf]]
    )
    roles = np.asarray([[0, 1, 2, 0], [1, 1, 1, 1], [0, 2, 0, 0]])
    assert np.allclose(
        turns_by_role(roles, (2, 0), skipped), [[1, inf, 0.5, 1], [inf] * 4, [inf, 0.5, inf, inf]]
    )
    assert np.isinf(turns_by_role(roles, (), np.zeros_like(skipped))).all()


def test_levels_are_nested_from_nothing_to_all():
    skipped = np.random.default_rng(0).random((50, 6)) < 0.6
    turns = turns_by_position(skipped)
    for n_levels in (2, 3, 5):
        sets = level_sets(turns, n_levels)
        assert len(sets) == n_levels
        assert not sets[0].any()
        assert np.array_equal(sets[-1], skipped)
        assert all((small <= large).all() for small, large in zip(sets[:-1], sets[1:], strict=True))


def source_of(few, markers, turns=None, **options):
    method = own_methods()["stt-levels"]
    chosen = method.Options(**{**PAPER, **options})
    return method, ItemSource(few, markers, chosen, BOUNDARIES, 0, 8, SKIPPED, turns=turns)


def steps_of(few, row, *steps):
    cuts = few.step_tokens[row]
    return [token for step in steps for token in few.rationale[row][cuts[step] : cuts[step + 1]].tolist()]


def test_each_level_asks_for_its_chunks(few, markers):
    turns = np.asarray([[1.0, np.inf, 0.5], [np.inf] * 3])  # the last chunk goes first
    method, source = source_of(few, markers, turns, skip_weight=1, levels=3)
    items = method.items(source, 0)
    thought, end = list(markers.thought_mark), markers.end_id
    kept = [
        steps_of(few, 0, 0, 1, 2),
        [*steps_of(few, 0, 0, 1), *thought],
        [*thought, *steps_of(few, 0, 1), *thought],
    ]
    for level, chain in enumerate(kept, 1):
        index = 2 * (level - 1)
        prompt = [*markers.skip_mark, *markers.stage_marks[level - 1], *few.question[0].tolist()]
        answer = [*markers.answer_lead, *few.answer[0].tolist(), end]
        assert items.tokens[index].tolist() == [*prompt, *chain, *answer]
        assert items.n_prompt[index] == len(prompt)
        assert prompt == stage_prompt(markers, Stage.SKIP, few.question[0], level=level).ids.tolist()
    assert items.rows.tolist() == [0, 1] * 3
    assert set(items.stages.tolist()) == {Stage.SKIP}
    lengths = [items.n_target[2 * level : 2 * level + 2] for level in range(3)]
    assert method.about(source)["levels"] == [
        {"max_target_tokens": int(pair.max()), "mean_target_tokens": float(pair.mean())} for pair in lengths
    ]


def test_without_an_order_chunks_go_from_the_front(few, markers):
    method, source = source_of(few, markers, skip_weight=1, thought="none")
    items = method.items(source, 0)
    target = items.tokens[2][items.n_prompt[2] :].tolist()
    assert target[: -len(few.answer[0]) - 1 - len(markers.answer_lead)] == steps_of(few, 0, 1, 2)


def test_level_items_stand_beside_full_ones(few, markers):
    method, source = source_of(few, markers, levels=2)
    items = method.items(source, 0)
    assert (items.stages == Stage.SKIP).sum() == 4
    assert (items.stages > 0).sum() == 6


def test_there_is_a_marker_for_each_level(markers):
    method = own_methods()["stt-levels"]
    method.refuse(method.Options(levels=3), markers)
    with pytest.raises(InvalidInputError, match=r"has 4 levels, .* the student has markers for 3 chunks"):
        method.refuse(method.Options(levels=4), markers)


ABOUT = {
    "mode": "skip", "method": "stt-levels", "n_chunks": 3, "max_target_tokens": {"-1": 40}, "empty_stages": [],
    "levels": [{"max_target_tokens": 40, "mean_target_tokens": 30.0}, {"max_target_tokens": 8, "mean_target_tokens": 8.0}],
}  # fmt: skip


def test_a_level_bounds_what_is_written():
    decoding = Decoding.of_student(ABOUT)
    assert (decoding.level, decoding.level_limits) == (2, (40, 8))
    assert decoding.max_new_tokens(Stage.SKIP) == 11
    assert decoding.at_level(1).max_new_tokens(Stage.SKIP) == 51
    with pytest.raises(InvalidInputError, match="level must be one of 1 … 2, got 3"):
        decoding.at_level(3)
    with pytest.raises(InvalidInputError, match="was not trained with levels"):
        Decoding.of_student({**ABOUT, "levels": []}).at_level(1)


@pytest.fixture
def scribbler(student_dir, tmp_path):
    """A student that was not trained, but can be told how much to skip."""
    Student.load(student_dir, device="cpu").save(tmp_path / "scribbler", ABOUT)
    return tmp_path / "scribbler"


def test_a_student_answers_at_the_level_asked_for(scribbler):
    student = Student.load(scribbler, device="cpu")
    questions = [row["question"] for row in ROWS]
    least, default, last = (student.answer(questions, level=level) for level in (1, None, 2))
    assert max(answer.written.n_generated for answer in least) > 11
    assert [answer.written.written for answer in default] == [answer.written.written for answer in last]
    assert default[0].written.n_prompt == least[0].written.n_prompt
    with pytest.raises(InvalidInputError, match="level is of the mode skip, not of full"):
        student.answer(questions, "full", level=1)


def test_a_server_asks_for_a_level(scribbler):
    dress_student(scribbler, facts={})
    student = Student.load(scribbler, device="cpu")
    message = [{"role": "user", "content": "What is 1 and [2]?"}]
    template = (scribbler / "chat_template.jinja").read_text()
    [question] = student.encode_questions(["What is 1 and [ 2]?"])
    for level, variables in ((2, {}), (1, {"level": 1}), (2, {"level": 2})):
        ids = student.tokenizer.apply_chat_template(
            message, chat_template=template, return_dict=False, **variables
        )
        assert ids == stage_prompt(student.markers, Stage.SKIP, question, level=level).ids.tolist()
    for wrong in (0, 3):
        with pytest.raises(Exception, match="level must be one of 1 to 2"):
            student.tokenizer.apply_chat_template(message, chat_template=template, level=wrong)
    # what is asked for later may be longer than what is asked for by default
    assert json.loads((scribbler / "generation_config.json").read_text())["max_new_tokens"] == 51
    card = (scribbler / "README.md").read_text()
    assert "`[1]` … `[2]`, which says how much it skips" in card
    plain = chat_template(student.tokenizer, "skip", 3)
    assert "level" not in plain


def test_every_level_is_measured(scribbler, samples, tmp_path):
    result = evaluate_folder(model_dir=scribbler, samples=samples.slice(0, 5), mode="skip", n_chunks=3,
                             answer_kind="number", out=tmp_path, settings={"alone_questions": 0, "confidence": True})  # fmt: skip
    first, last = result["levels"]
    assert (last["accuracy"], last["tokens_per_answer"]) == (result["accuracy"], result["tokens_per_answer"])
    assert first["tokens_per_answer"] > last["tokens_per_answer"]
    assert (first["level"], first["trained_tokens"], last["level"], last["trained_tokens"]) == (
        1,
        30.0,
        2,
        8.0,
    )
    table = pq.read_table(tmp_path / "levels.parquet")
    assert table.column_names == ["id", "level", "answer", "verdict", "tokens"]
    assert table["id"].to_pylist() == samples["id"].to_pylist()[:5] * 2
    assert sum(table["tokens"].to_pylist()[5:]) == pytest.approx(5 * last["tokens_per_answer"])


def level_rows(tokens, accuracy=0.5):
    return [
        {"level": place, "accuracy": accuracy, "accuracy_low": 0.4, "accuracy_high": 0.6, "tokens_per_answer": mean, "trained_tokens": trained}
        for place, (mean, trained) in enumerate(zip(tokens, (80, 50, 30), strict=True), 1)
    ]  # fmt: skip


def test_a_student_that_does_not_obey_is_told_of():
    assert obeys(level_rows((80, 50, 30)))
    assert not obeys(level_rows((60, 50, 40)))
    rows = [
        {"method": "base", "seed": 0, "levels": None},
        {"method": "stt-levels", "seed": 0, "levels": level_rows((80, 50, 30))},
        {"method": "stt-levels", "seed": 1, "levels": level_rows((60, 50, 40), 0.7)},
    ]
    head, *lines = format_levels(rows).splitlines()
    assert head.split() == [
        "levels",
        "of",
        "level",
        "accuracy",
        "%",
        "tokens/answer",
        "tokens",
        "trained",
        "on",
    ]
    assert " ".join(lines[0].split()) == "stt-levels 1 60.0 ± 14.1 70.0 ± 14.1 80.0 ± 0.0"
    assert lines[3].startswith("warning: stt-levels with seed 1 hardly obeys its levels")
    assert len(lines) == 4
    assert format_levels(rows[:1]) == ""


@pytest.mark.slow
def test_a_trained_student_knows_its_levels(student_dir, samples, encoded, tmp_path):
    from skipthink.core.search import average_boundaries

    boundaries = average_boundaries(encoded.n_steps, 3)
    skipped = np.zeros((len(encoded), 3), dtype=bool)
    skipped[:, :2] = True
    train_by_name("stt-levels", student=student_dir, samples=samples, out=tmp_path, boundaries=boundaries,
                  skipped=skipped, settings={"max_steps": 2, "skip_weight": 1, "levels": 3})  # fmt: skip
    about = json.loads((tmp_path / "model" / "skipthink.json").read_text())
    longest = [level["max_target_tokens"] for level in about["levels"]]
    assert longest == sorted(longest, reverse=True)
    assert about["max_target_tokens"] == {"-1": longest[0]}
    items = pq.read_table(tmp_path / "items.parquet")
    assert items.num_rows == 3 * 24
    assert (
        Student.load(tmp_path / "model", device="cpu")
        .answer(["What is 1 and 2?"], level=2)[0]
        .written.n_generated
    )
