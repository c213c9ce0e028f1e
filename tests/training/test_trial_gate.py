"""The gate trial: roles of chunks, backward elimination, what is skipped, and kills, by hand-made examples."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kept import trains
from training_calls import make_trainer

from skipthink.answers.options import CheckOptions
from skipthink.core.search import average_boundaries
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.io.job_progress import Report
from skipthink.options import OptionError
from skipthink.run import trials
from skipthink.run.trials import try_roles
from skipthink.scoring import ChunkOptions
from skipthink.skipping import SkipOptions
from skipthink.skipping.elimination import (
    Attempt,
    dropped_by,
    eliminate,
    floor_of,
    is_as_good,
    is_at_floor,
    least_new_first,
    skip_roles,
)
from skipthink.skipping.roles import NO_ROLE, Roles, cluster, common_words, find_roles, mask_text, terms_of
from skipthink.student.models import make_student, save_student
from skipthink.training.methods import own_methods
from skipthink.training.trainer import ItemTrainer

NUMBERS = [(2, 3), (4, 5), (6, 1), (7, 2)]
QUESTIONS = [f"Ann has {a} balls and finds {b} balls. How many?" for a, b in NUMBERS]
STEPS = [
    ["Let us see. ", f"Ann has {a} balls. ", f"So it is {a} + {b} = {a + b + 90}. ", "That is all."]
    for a, b in NUMBERS
]


def one_each(steps):
    return average_boundaries([len(row) for row in steps], max(map(len, steps)))


def test_what_a_text_repeats_from_its_question_is_masked():
    question = frozenset(terms_of("Ann has 3 balls and Bo has 1,000."))
    assert mask_text("Ann gives 3 balls, so 7 + 1,000.", question) == [
        "@",
        "gives",
        "#",
        "@",
        ",",
        "so",
        "##",
        "+",
        "#",
        ".",
    ]
    assert mask_text("Ann has 3", question, frozenset({"has"})) == ["@", "has", "#"]
    assert mask_text("Straße 3.5", question) == ["straße", "##"]


def test_words_of_most_questions_are_no_content():
    questions = [
        frozenset({"how", "many", thing}) for thing in ("balls", "pens", "cups", "hats", "figs", "cats")
    ]
    assert common_words(questions) == {"how", "many"}


def test_like_chunks_have_the_same_role_in_the_order_of_their_places():
    roles = find_roles(QUESTIONS, STEPS, one_each(STEPS), n_roles=4)
    assert roles.of.tolist() == [[0, 1, 2, 3]] * 4
    assert roles.examples[2] == "so it is # + # = ## ."
    assert roles.new == [0.0, 0.0, 1.0, 0.0]
    assert (
        find_roles(QUESTIONS, STEPS, one_each(STEPS), n_roles=9).n_roles == 4
    )  # no more than there are texts


def test_a_shorter_rationale_has_the_roles_of_its_texts_and_none_for_empty_chunks():
    steps = [*STEPS, [STEPS[0][0], STEPS[0][2]]]
    roles = find_roles([*QUESTIONS, QUESTIONS[0]], steps, one_each(steps), n_roles=4)
    assert roles.of[-1].tolist() == [0, 2, NO_ROLE, NO_ROLE]


def test_the_number_of_a_line_is_no_new_number():
    steps = [[f"{place}. {step}" for place, step in enumerate(row, 11)] for row in STEPS]
    roles = find_roles(QUESTIONS, steps, one_each(steps), n_roles=4)
    assert roles.of.tolist() == [[0, 1, 2, 3]] * 4
    assert roles.new == [0.0, 0.0, 1.0, 0.0]
    assert roles.examples[0] == "# . let us see ."


@pytest.mark.parametrize(("n_roles", "questions", "says"), [
    (0, QUESTIONS, "n_roles must be at least 1, got 0"),
    (2, QUESTIONS[1:], "must be of the same samples, got 3, 4 and 4"),
])  # fmt: skip
def test_roles_of_bad_input(n_roles, questions, says):
    with pytest.raises(InvalidInputError, match=says):
        find_roles(questions, STEPS, one_each(STEPS), n_roles=n_roles)


def test_clusters_are_those_one_sees_and_do_not_depend_on_chance():
    points = np.array([[0.0, 0], [0, 1], [9, 9], [9, 8], [-9, 9], [-9, 8]])
    labels, centres = cluster(points, 3, seed=0)
    assert [len(set(labels[pair : pair + 2])) for pair in (0, 2, 4)] == [1, 1, 1]
    assert len(set(labels)) == len(centres) == 3
    assert all(np.array_equal(labels, cluster(points, 3, seed=0)[0]) for _ in range(2))
    assert len(cluster(np.ones((4, 2)), 3, seed=1)[1]) == 1


def exam(accuracies, n=100):
    """Attempts by a table of accuracies in percent; the first questions are right. Also what was asked."""
    asked = []

    def attempt(dropped, *, again=False):
        key = (dropped, "again") if again else dropped
        asked.append(key)
        return Attempt(dropped, np.arange(n) < accuracies.get(key, 0), 10.0, 1000)

    return attempt, asked


def test_roles_go_one_after_the_other_on_top_of_those_that_are_gone():
    attempt, asked = exam({(): 80, (2,): 81, (2, 0): 60, (2, 1): 80})
    tried = eliminate([2, 0, 1], attempt)
    assert [(trial.roles, trial.may_go) for trial in tried] == [((2,), True), ((0,), False), ((1,), True)]
    assert dropped_by(tried) == (2, 1)
    assert asked == [(), (2,), (2, 0), (2, 1)]


def test_falls_do_not_add_up():
    # each set is one question worse than the one before; the second is beyond the error of the best
    attempt, _ = exam({(): 80, (0,): 79, (0, 1): 78, (0, 2): 79})
    assert dropped_by(eliminate([0, 1, 2], attempt)) == (0, 2)
    # a set that is better raises the bar
    attempt, _ = exam({(): 60, (0,): 80, (0, 1): 70})
    assert dropped_by(eliminate([0, 1], attempt)) == (0,)


def test_a_fall_within_its_standard_error_is_allowed_and_no_more():
    right = np.arange(100) < 80
    one_wrong, five_wrong = right.copy(), right.copy()
    one_wrong[0], five_wrong[:5] = False, False
    assert is_as_good(right, right)
    assert is_as_good(one_wrong, right)  # 1 point, error 1.0
    assert not is_as_good(five_wrong, right)  # 5 points, error 2.2
    assert is_as_good(right, five_wrong)
    assert is_as_good(np.array([True]), np.array([True]))
    assert not is_as_good(np.array([False]), np.array([True]))


def test_a_role_that_was_missed_is_tried_again_once_others_are_gone():
    exams = {(): 80, (0,): 60, (1,): 80, (1, 2): 50, (1, 0): 81, (1, 0, 2): 50}
    attempt, asked = exam(exams)
    assert dropped_by(eliminate([0, 1, 2], attempt, passes=2)) == (1, 0)
    assert asked == [(), (0,), (1,), (1, 2), (1, 0), (1, 0, 2)]
    attempt, asked = exam(exams)
    assert dropped_by(eliminate([0, 1, 2], attempt)) == (1,)
    assert len(asked) == 4
    # a third pass has nothing to try that was not tried
    attempt, asked = exam(exams)
    eliminate([0, 1, 2], attempt, passes=9)
    assert len(asked) == 6


def test_likely_roles_are_tried_at_once_and_single_trials_are_saved():
    attempt, asked = exam({(): 80, (0, 1): 85, (0, 1, 2): 20})
    tried = eliminate([0, 1, 2], attempt, likely=[1, 0])
    assert [trial.roles for trial in tried] == [(0, 1), (2,)]
    assert dropped_by(tried) == (0, 1)
    assert asked == [(), (0, 1), (0, 1, 2)]


def test_halves_of_what_belongs_together_are_missed_alone_and_not_at_once():
    halves = {(): 80, (2,): 80, (2, 0): 50, (2, 1): 50, (2, 0, 1): 90}
    attempt, _ = exam({**halves, (0, 1, 2): 60})
    assert dropped_by(eliminate([2, 0, 1, 3], attempt, likely=[0, 1], passes=2)) == (2, 0, 1)
    attempt, _ = exam({**halves, (0, 1): 60})  # not before the second pass, when 2 is gone
    assert dropped_by(eliminate([2, 0, 1, 3], attempt, likely=[0, 1], passes=2)) == (2, 0, 1)
    assert dropped_by(eliminate([2, 0, 1, 3], attempt, likely=[0, 1])) == (2,)


def test_all_that_is_left_is_not_tried_at_once():
    attempt, asked = exam({(): 80})
    eliminate([0, 1], attempt, likely=[0, 1])
    eliminate([0, 1], attempt, likely=[1])
    assert asked == [(), (0,), (1,)] * 2


def test_what_nothing_has_changed_for_is_not_tried_again():
    attempt, asked = exam({(): 80})
    assert dropped_by(eliminate([0, 1], attempt, passes=5)) == ()
    assert asked == [(), (0,), (1,)]


def test_what_was_missed_most_is_not_tried_again():
    """Neither alone nor among those that are tried at once."""
    exams = {(): 80, (0,): 39, (1,): 41, (2,): 80, (2, 3): 10, (2, 1): 40}
    attempt, asked = exam(exams)
    assert dropped_by(eliminate([0, 1, 2, 3], attempt, passes=3)) == (2,)
    assert asked == [(), (0,), (1,), (2,), (2, 3), (2, 1)]
    exams = {(): 80, (0,): 39, (1,): 50, (2,): 80, (2, 3): 50, (2, 4): 50, (2, 1, 3): 81, (2, 1, 3, 4): 20}
    attempt, asked = exam(exams)
    assert dropped_by(eliminate([0, 1, 2, 3, 4], attempt, likely=[0, 1, 3], passes=2)) == (2, 1, 3)
    assert asked == [(), (0, 1, 3), (0,), (1,), (2,), (2, 3), (2, 4), (2, 1, 3), (2, 1, 3, 4)]


def test_a_fall_within_the_tolerance_is_allowed():
    exams = {(): 80, (0,): 77, (0, 1): 76, (0, 2): 77}
    attempt, _ = exam(exams)
    assert dropped_by(eliminate([0, 1, 2], attempt, within=0.03)) == (0, 2)  # falls do not add up
    attempt, _ = exam(exams)
    assert dropped_by(eliminate([0, 1, 2], attempt, within=0.02)) == ()


def test_a_student_that_falls_a_little_short_is_trained_once_more():
    exams = {(): 80, (0,): 73, ((0,), "again"): 79, (0, 1): 72, ((0, 1), "again"): 71, (0, 2): 69}
    attempt, asked = exam(exams)
    tried = eliminate([0, 1, 2], attempt, doubt=0.1)
    assert dropped_by(tried) == (0,)
    assert asked == [(), (0,), ((0,), "again"), (0, 1), ((0, 1), "again"), (0, 2)]
    assert [trial.n_trainings for trial in tried] == [2, 2, 1]
    assert [trial.without.accuracy for trial in tried] == [0.79, 0.72, 0.69]
    attempt, asked = exam(exams)
    assert dropped_by(eliminate([0, 1, 2], attempt)) == ()
    assert len(asked) == 4


def test_a_best_student_that_is_left_far_behind_is_trained_once_more():
    """It may not have got going: then the first role would go, whatever it is."""
    exams = {(): 40, ((), "again"): 85, (0,): 64, (1,): 84, (1, 2): 30}
    attempt, asked = exam(exams)
    tried = eliminate([0, 1, 2], attempt, doubt=0.1)
    assert dropped_by(tried) == (1,)
    assert asked == [(), (0,), ((), "again"), (1,), (1, 2)]
    assert [trial.best.accuracy for trial in tried] == [0.85] * 3
    # the role was idle after all: its student is the better one of all
    attempt, asked = exam({**exams, ((), "again"): 50, (0, 1): 90, (0, 2): 20, (0, 1, 2): 20})
    assert dropped_by(eliminate([0, 1, 2], attempt, doubt=0.1)) == (0, 1)
    assert asked == [(), (0,), ((), "again"), (0, 1), ((0,), "again"), (0, 1, 2)]
    attempt, asked = exam(exams)
    eliminate([0, 1, 2], attempt)
    assert ((), "again") not in asked


def test_who_can_do_nothing_misses_nothing_and_drops_nothing():
    attempt, _ = exam({(): 2, (0,): 3, (0, 1): 3})
    tried = eliminate([0, 1], attempt)
    assert all(trial.may_go for trial in tried)
    assert is_at_floor(tried)
    assert dropped_by(tried) == ()
    attempt, _ = exam({(): 2, (0,): 30})
    assert dropped_by(eliminate([0, 1], attempt)) == (0,)


def test_who_guesses_misses_nothing_and_drops_nothing():
    assert floor_of(["7", "8", "9"] * 100) == pytest.approx(1 / 3 + (2 / 9 / 300) ** 0.5)
    assert floor_of([str(number) for number in range(100)]) == 0.1
    attempt, _ = exam({(): 52, (0,): 52, (0, 1): 53})
    tried = eliminate([0, 1], attempt)
    floor = floor_of(["yes", "no"] * 50)
    assert floor == pytest.approx(0.55)
    assert dropped_by(tried) == (0, 1)
    assert dropped_by(tried, floor) == ()


def test_roles_without_new_numbers_are_tried_first_and_of_those_the_longest():
    roles = Roles(np.array([[0, 1, 2], [1, 2, NO_ROLE]]), ["a", "b", "c"], [0.01, 0.9, 0.04])
    assert least_new_first(roles, np.array([[5, 2, 3], [30, 4, 0]])) == [2, 0, 1]


def test_a_sample_never_loses_all_its_chunks():
    roles = Roles(np.array([[0, 1, 2], [0, 1, NO_ROLE], [1, 0, 1], [2, 2, NO_ROLE]]), ["a", "b", "c"])
    skipped, n_rescued = skip_roles(roles, (1, 0))
    assert skipped.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]]
    assert n_rescued == 2
    everything, none = skip_roles(roles, (1, 0, 2))
    assert (everything == (roles.of != NO_ROLE)).all()
    assert none == 0
    assert not skip_roles(roles, ())[0].any()


def test_folds_are_of_judges():
    with pytest.raises(OptionError, match="crossfit is 2, but the gate trial asks no judge"):
        SkipOptions(gate="trial", crossfit=2)


RULED = pa.Table.from_pylist(
    [
        {
            "id": f"r{k}",
            "question": f"What is {k} and 1?",
            "rationale": f"Let us add. {k} + 1 = {k + 1}. Done.",
            "answer": str(k + 1),
        }
        for k in range(6)
    ]
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A tiny student that is not trained: its folder."""
    folder = tmp_path_factory.mktemp("fresh") / "student"
    texts = [str(value) for row in RULED.to_pylist() for value in row.values()]
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "max_length_tokens": 160}
    save_student(*make_student(texts, n_chunks=2, seed=0, vocab_size=300, **sizes), folder)
    return folder


def arguments_of(student, out, **changes):
    training = own_methods()["stt"].Options(
        batch_size=3, learning_rate=1e-3, warmup_steps=0.0, skip_weight=1.0, thought="per-chunk"
    )
    options = SkipOptions(gate="trial", roles=3, trial_epochs=1.0)
    return {
        "student": student, "samples": RULED, "validation": RULED, "out": out, "training": training,
        "chunks": ChunkOptions(M=2, method="average"), "check": CheckOptions(answer="number"), "options": options,
        "seed": 1, **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
@trains
def tried(fresh, tmp_path_factory):
    """What the gate made of six samples: report and folder."""
    out = tmp_path_factory.mktemp("tried")
    return try_roles(**arguments_of(fresh, out)), out


def test_every_attempt_is_trained_on_as_many_tokens(tried):
    report, out = tried
    assert sorted(report["curve"][0]["roles"]) == [0, 2]  # what never comes to anything new, at once
    assert report["curve"][-1]["roles"] == [1]
    assert [role["chunks"] for role in report["roles"]] == [6, 6, 6]
    notes = {path.parent.name: json.loads(path.read_text()) for path in out.glob("attempts/*/attempt.json")}
    assert len(notes) == 3
    whole = notes["whole"]
    assert whole["train_steps"] == 2
    for note in notes.values():  # up to the end of a step
        assert 0.6 <= note["train_target_tokens"] / whole["train_target_tokens"] <= 1.5
    assert report["asked"] == 6 * len(notes)
    assert set(report["foreseen"]) == {"skipped", "skipped_by_place"}
    assert report["train_target_tokens"] == sum(note["train_target_tokens"] for note in notes.values())
    assert not list(out.glob("attempts/*/model"))


class Told(Report):
    """Keeps all that a job has said."""

    def __init__(self):
        super().__init__("trials")
        self.said = []

    def told(self, *, is_last):
        super().told(is_last=is_last)
        self.said.append(replace(self.state, losses=list(self.state.losses)))


@pytest.mark.slow
def test_a_reader_sees_trials_steps_losses_and_questions(tried, fresh, tmp_path):
    shutil.copytree(tried[1] / "attempts" / "whole", tmp_path / "attempts" / "whole")  # made before a kill
    report = Told()
    curve = try_roles(**arguments_of(fresh, tmp_path), progress=report)["curve"]
    counts = [(state.done, state.total) for state in report.said]
    assert report.said[0].kept == 0 and sorted(set(counts)) == [(1, 8), (2, 8), (3, 8)]
    phases = {state.phase: state.unit for state in report.said if state.phase_total}
    last = ", ".join(str(role + 1) for role in curve[-1]["dropped"])
    assert list(phases)[:2] == ["training without roles 1, 3", "answering, trained without roles 1, 3"]
    assert list(phases)[3] == f"answering, trained without role{'s' * (len(last) > 1)} {last}"
    assert list(phases.values()) == ["steps", "questions"] * 2
    steps = [state for state in report.said if state.phase == list(phases)[2]]
    assert max(state.phase_done for state in steps) == steps[-1].phase_total > 0
    assert report.state.phase is None


def test_chunks_are_skipped_if_their_role_may_go(tried):
    report, out = tried
    table = pq.read_table(out / "skip.parquet")
    assert table["boundaries"].to_pylist() == [[0, 1, 2, 3]] * 6
    dropped = [role["dropped"] for role in report["roles"]]
    went = [] if report["warnings"] else [trial["roles"] for trial in report["curve"] if trial["may_go"]]
    gone = [role for roles in went for role in roles]
    assert [role for role, is_gone in enumerate(dropped) if is_gone] == sorted(gone)
    expected, _ = skip_roles(Roles(np.tile(np.arange(3), (6, 1)), ["a", "b", "c"]), tuple(gone))
    assert table["skipped"].to_pylist() == expected.tolist()
    assert report == json.loads((out / "report.json").read_text())


@pytest.mark.slow
def test_what_was_made_before_a_kill_is_not_made_again_and_comes_out_the_same(
    tried, fresh, tmp_path, monkeypatch
):
    report, _ = tried
    made = []
    train = trials.train_method

    def train_or_die(*args, **kwargs):
        made.append(kwargs["out"].name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    monkeypatch.setattr(trials, "train_method", train_or_die)
    with pytest.raises(KeyboardInterrupt):
        try_roles(**arguments_of(fresh, tmp_path))
    again = try_roles(**arguments_of(fresh, tmp_path))
    assert made[:2] == ["whole", "without-0-2"]
    assert made[2] == made[3]  # what was killed
    assert len(set(made)) == len(made) - 1 == 3
    assert {**again, "seconds": 0} == {**report, "seconds": 0}


@pytest.mark.slow
def test_a_kill_while_questions_are_answered_repeats_no_step(tried, fresh, tmp_path, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trials, "answer_questions", die)
        with pytest.raises(KeyboardInterrupt):
            try_roles(**arguments_of(fresh, tmp_path))
    trained, step = [], ItemTrainer.training_step

    def noted(trainer, *args, **kwargs):
        trained.append(Path(trainer.args.output_dir).parent.name)
        return step(trainer, *args, **kwargs)

    monkeypatch.setattr(ItemTrainer, "training_step", noted)
    again = try_roles(**arguments_of(fresh, tmp_path))
    assert "whole" not in trained and trained
    assert {**again, "seconds": 0} == {**tried[0], "seconds": 0}
    assert not list(tmp_path.glob("attempts/*/checkpoints"))


def test_another_rule_of_decision_keeps_the_attempts(tried, fresh, monkeypatch):
    report, out = tried
    monkeypatch.setattr(trials, "train_method", None)
    given = arguments_of(fresh, out)
    options = given["options"].replace(trial_within=report["curve"][0]["accuracy"], trial_passes=1)
    assert try_roles(**{**given, "options": options})["asked"] == report["asked"]


def test_trainings_of_another_length_keep_the_attempts(tried, fresh, tmp_path, monkeypatch):
    """The length of a trial is its own."""
    shutil.copytree(tried[1], tmp_path / "out")
    monkeypatch.setattr(trials, "train_method", lambda *args, **kwargs: pytest.fail("trained again"))
    given = arguments_of(fresh, tmp_path / "out")
    longer = given["training"].replace(epochs=9, skip_weight=0.5)
    assert try_roles(**{**given, "training": longer})["curve"] == tried[0]["curve"]


def test_attempts_of_other_inputs_are_refused(tried, fresh):
    _, out = tried
    with pytest.raises(RunError, match="is of another student, other data or options"):
        try_roles(**arguments_of(fresh, out, seed=2))


def test_the_gate_needs_validation_questions(fresh, tmp_path):
    with pytest.raises(RunError, match=r"data\.sizes\.validation"):
        try_roles(**arguments_of(fresh, tmp_path, validation=RULED[:0]))


def test_steps_beyond_the_stages_have_skip_items_alone(whole, encoded, tmp_path):
    n_steps = int(encoded.n_steps.max())
    given = {
        "boundaries": average_boundaries(encoded.n_steps, n_steps),
        "skipped": np.zeros((len(encoded), n_steps), dtype=bool),
    }
    assert n_steps > whole.n_chunks
    trainer = make_trainer("stt", whole, encoded, tmp_path, skip_weight=1.0, **given)
    assert len(trainer.train_dataset) == len(encoded)
    with pytest.raises(InvalidInputError, match=rf"up to {n_steps} chunks, one per step.*skip_weight: 1"):
        make_trainer("stt", whole, encoded, tmp_path, skip_weight=0.5, **given)
