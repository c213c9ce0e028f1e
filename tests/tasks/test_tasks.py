"""Tasks: every answer is recomputed from the question's words, splits share nothing, options are checked."""

import importlib.util
import itertools
import json
import re
import subprocess
import sys
from collections import Counter

import pytest

from skipthink import tasks
from skipthink.answers import Verdict, check_answer, infer_kind
from skipthink.data import question_key
from skipthink.exceptions import InvalidInputError
from skipthink.tasks.splits import SPLITS, split_of
from skipthink.tasks.words import NAMES, WORDS, all_words

SIZES = {"train": 300, "validation": 40, "test": 60}
ROW_KEYS = ["id", "task", "question", "rationale", "answer", "split", "steps", "roles", "correct"]
OPTIONS = {
    "multi_step_arithmetic": [{}, {"operations": ["+", "-", "*", "/"], "n_operations": 5, "min_number": 1}],
    "last_letter_concatenation": [{}, {"n_words": 2}, {"n_words": 8}],
    "tracking_shuffled_objects": [
        {},
        {"n_objects": 5, "n_swaps": 5, "shuffle_options": True},
        {"choices": False, "styles": ["remind"]},
    ],
    "single_operation": [{}, {"min_number": 10, "max_number": 60, "max_value": 100}],
    "distractor_arithmetic": [
        {},
        {"operations": ["+", "-", "*", "/"], "min_operations": 2, "max_operations": 3, "n_distractors": 3},
    ],
    "date_understanding": [{}, {"choices": False, "max_days": 28}],
    "multi_hop_yes_no": [{}, {"n_hops": 1, "n_irrelevant": 0}, {"n_hops": 4, "n_irrelevant": 3}],
}
CASES = [(name, task_options) for name in tasks.NAMES for task_options in OPTIONS[name]]


@pytest.fixture(
    scope="module", params=CASES, ids=[f"{name}-{index}" for index, (name, _) in enumerate(CASES)]
)
def made(request):
    name, task_options = request.param
    return name, task_options, tasks.make(name, **SIZES, seed=5, **task_options)


def all_rows(splits):
    return [row for rows in splits.values() for row in rows]


def test_rows_are_whole(made):
    name, _, splits = made
    assert {split: len(rows) for split, rows in splits.items()} == SIZES
    for split, rows in splits.items():
        for row in rows:
            assert list(row) == ROW_KEYS
            assert (row["task"], row["split"], row["correct"]) == (name, split, True)
            assert "".join(row["steps"]) == row["rationale"]
            assert len(row["roles"]) == len(row["steps"])
            assert row["roles"][0] == "setup" and row["roles"][-1] == "summary"
            assert {"setup", "reasoning", "summary"} <= set(row["roles"])
            assert "{" not in row["question"] + row["rationale"]
    assert {role for row in all_rows(splits) for role in row["roles"]} == set(tasks.Role)
    ids = [row["id"] for row in all_rows(splits)]
    assert len(set(ids)) == len(ids)
    json.dumps(splits)


def test_no_question_stands_twice(made):
    questions = [question_key(row["question"]) for row in all_rows(made[2])]
    assert len(set(questions)) == len(questions)


def test_answers_are_of_the_stated_kind(made):
    name, task_options, splits = made
    answers = [row["answer"] for row in all_rows(splits)]
    assert infer_kind(answers) == tasks.answer_kind(name, **task_options)


def test_rationales_lead_to_the_answer(made):
    name, task_options, splits = made
    kind = tasks.answer_kind(name, **task_options)
    if kind == "yes_no":
        return all_conclude(all_rows(splits))
    for row in all_rows(splits):
        reasoning = [
            step for step, role in zip(row["steps"], row["roles"], strict=True) if role == "reasoning"
        ]
        if name == "tracking_shuffled_objects" and kind == "string":  # a sentence says it, without quotes
            assert reasoning[-1].endswith(f" {row['answer']}. "), row
        else:
            assert check_answer(kind, reasoning[-1], row["answer"]) is Verdict.RIGHT, row


def all_conclude(rows):
    """The last reasoning sentence says of the person and the trait asked about what the answer says."""
    for row in rows:
        name, trait = re.search(r"(?:Is|that) ([A-Z]\w+) (?:is )?(\w+)\?$", row["question"]).groups()
        last = [step for step, role in zip(row["steps"], row["roles"], strict=True) if role == "reasoning"][
            -1
        ]
        said = f"{name} is {trait}." if row["answer"] == "yes" else f"{name} is not {trait}."
        assert last.strip().endswith(said), row


def test_equations_of_rationales_hold():
    task_options = {"operations": ["+", "-", "*", "/"], "n_operations": 4}
    for row in all_rows(tasks.make("multi_step_arithmetic", **SIZES, **task_options)):
        equations = re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)", row["rationale"])
        assert len(equations) == 4
        before = None
        for left, sign, right, result in equations:
            assert before in (None, left)
            assert (
                int(result)
                == {
                    "+": int(left) + int(right),
                    "-": int(left) - int(right),
                    "*": int(left) * int(right),
                    "/": int(left) / int(right),
                }[sign]
            )
            before = result
        assert before == row["answer"]


def test_the_same_seed_gives_the_same_samples_in_another_process():
    script = (
        "import json; from skipthink import tasks;"
        "print(json.dumps([tasks.make(n, train=5, validation=2, test=3, seed=9) for n in tasks.NAMES]))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=env(seed)).stdout
        for seed in ("1", "2")
    ]
    here = [tasks.make(name, train=5, validation=2, test=3, seed=9) for name in tasks.NAMES]
    assert [json.loads(run) for run in runs] == [here, here]


def env(hash_seed):
    return {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": hash_seed}


@pytest.mark.parametrize("name", tasks.NAMES)
def test_the_test_split_does_not_depend_on_the_other_sizes(name):
    small = tasks.make(name, train=3, validation=7, test=20, seed=2)
    large = tasks.make(name, train=200, validation=7, test=20, seed=2)
    assert small["test"] == large["test"] and small["validation"] == large["validation"]
    assert small["train"] == large["train"][:3]
    assert tasks.make(name, train=3, validation=7, test=20, seed=3)["test"] != small["test"]


@pytest.mark.parametrize("name", tasks.NAMES)
@pytest.mark.parametrize("share", [0, 1])
def test_summary_states_answer_is_a_share(name, share):
    kind = tasks.answer_kind(name)
    for row in tasks.make(name, train=80, validation=0, test=0, summary_states_answer=share)["train"]:
        stated = check_answer(kind, row["steps"][-1], row["answer"]) is Verdict.RIGHT
        assert stated == bool(share), row["steps"][-1]


# steps and words of the mean rationale: within half and twice those of the real ones (docs/how-to/tasks.md)
SHAPES = {
    "date_understanding": (4.3, 44),
    "distractor_arithmetic": (5.9, 73),
    "last_letter_concatenation": (6.0, 36),
    "multi_hop_yes_no": (5.5, 106),
    "multi_step_arithmetic": (4.4, 43),
    "single_operation": (3.6, 33),
    "tracking_shuffled_objects": (10.5, 94),
}


@pytest.mark.parametrize("name", tasks.NAMES)
def test_rationales_have_the_shape_of_real_ones(name):
    rows = tasks.make(name, train=600, validation=0, test=0)["train"]
    words = Counter()
    for row in rows:
        assert 3 <= len(row["steps"]) <= 10
        for step, role in zip(row["steps"], row["roles"], strict=True):
            words[role] += len(step.split())
    real_steps, real_words = SHAPES[name]
    assert 0.5 <= sum(len(row["steps"]) for row in rows) / len(rows) / real_steps <= 2
    assert 0.5 <= words.total() / len(rows) / real_words <= 2
    assert 0.3 <= words["reasoning"] / words.total() <= 0.65
    assert len({"\n" in row["rationale"] for row in rows}) == 2
    shapes = {tuple(row["roles"]) for row in rows}
    assert len(shapes) >= 2


@pytest.mark.skipif(importlib.util.find_spec("skipthink._core") is None, reason="needs the built core")
def test_steps_are_those_split_steps_finds(made):
    from skipthink.core.steps import split_steps

    for row in all_rows(made[2]):
        assert split_steps(row["rationale"]) == row["steps"]


@pytest.mark.parametrize(
    ("name", "task_options", "n_answers"),
    [
        ("multi_hop_yes_no", {}, 2),
        ("multi_hop_yes_no", {"n_hops": 1}, 2),
        ("date_understanding", {}, 6),
        ("tracking_shuffled_objects", {"shuffle_options": True}, 3),
        ("tracking_shuffled_objects", {"n_objects": 5}, 5),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_answers_are_balanced(name, task_options, n_answers, split):
    counts = Counter(row["answer"] for row in tasks.rows(name, split=split, n=900, **task_options))
    assert len(counts) == n_answers
    # five standard deviations of a fair draw
    share = 1 / n_answers
    bound = 5 * (900 * share * (1 - share)) ** 0.5
    assert all(abs(count - 900 * share) < bound for count in counts.values()), counts


def test_word_lists():
    for words in all_words().values():
        assert len(set(words)) == len(words)
    assert len(NAMES) >= 200 and len(WORDS) >= 150
    assert len({name[-1] for name in NAMES + WORDS}) >= 20


def test_problems_of_a_small_space_are_all_found_and_no_more():
    task_options = {"operations": ["+"], "n_operations": 1, "min_number": 1, "max_number": 5}
    everything = {(left, right) for left in range(1, 6) for right in range(1, 6)}
    own = {split: {pair for pair in everything if split_of(pair) == split} for split in SPLITS}
    assert all(own.values())
    for split, pairs in own.items():
        found = {
            tuple(map(int, re.findall(r"(\d+) \+ (\d+)", row["rationale"])[0]))
            for row in tasks.rows("multi_step_arithmetic", split=split, n=len(pairs), **task_options)
        }
        assert found == pairs
        one_more = len(pairs) + 1
        with pytest.raises(
            InvalidInputError,
            match=rf"found {len(pairs)} different problems for {split}, but {one_more} are asked for; ask",
        ):
            list(tasks.rows("multi_step_arithmetic", split=split, n=one_more, **task_options))
        endless = tasks.rows("multi_step_arithmetic", split=split, **task_options)
        assert len(list(itertools.islice(endless, len(pairs)))) == len(pairs)
        with pytest.raises(InvalidInputError, match="an endless stream is asked for"):
            next(endless)


def test_options_that_lead_nowhere_end_in_a_message():
    with pytest.raises(InvalidInputError, match="found 0 different problems"):
        # after 3 no number up to 4 divides without a remainder more than once
        tasks.make(
            "multi_step_arithmetic",
            train=1, validation=0, test=0, operations=["/"], min_number=3, max_number=3, n_operations=2,
        )  # fmt: skip


BAD = [
    ("multi_step_arithmetics", {}, "did you mean 'multi_step_arithmetic'"),
    ("chess", {}, "tasks are date_understanding, distractor_arithmetic, last_letter_concatenation"),
    (None, {"n_operation": 3}, "has no option 'n_operation'; did you mean 'n_operations'"),
    (None, {"name": "Ada"}, "has no option 'name'; did you mean 'names'"),
    (None, {"n_operations": 0}, "n_operations must be an integer from 1 to 20, got 0"),
    (None, {"n_operations": True}, "n_operations must be an integer"),
    (None, {"n_operations": "3"}, "n_operations must be an integer from 1 to 20, got '3'"),
    (None, {"operations": ["+", "^"]}, r"operations knows \+, -, \*, /, got '\^'"),
    (None, {"operations": []}, "operations must hold at least 1 different words"),
    (None, {"operations": "+-"}, "operations must be a list of words, got '\\+-'"),
    (None, {"max_number": 1}, "max_number must be an integer from 2, got 1"),
    (None, {"max_factor": 1}, "max_factor must be an integer from 2, got 1"),
    (None, {"names": ["Ada"]}, "names must hold at least 2 different words"),
    (None, {"names": ["Ada", "Ada"]}, "names must hold at least 2 different words"),
    (None, {"names": ["Ada", "<b>"]}, "names must hold words of letters, got '<b>'"),
    (None, {"names": ["Ada", "Bo. X"]}, "names must hold words of letters"),
    (None, {"names": ["Ada", 3]}, "names must hold words of letters, got 3"),
    (None, {"items": ["box/"]}, "items must be a singular or singular/plural, got 'box/'"),
    (None, {"items": ["a/b/c"]}, "items must be a singular or singular/plural"),
    (None, {"summary_states_answer": 1.5}, "summary_states_answer must be a number from 0 to 1, got 1.5"),
    (None, {"summary_states_answer": float("nan")}, "summary_states_answer must be a number from 0 to 1"),
    (None, {"seed": -1}, "seed must be an integer from 0, got -1"),
    (None, {"train": -1}, "train must be an integer from 0, got -1"),
    (None, {"train": 1.0}, "train must be an integer from 0, got 1.0"),
    (None, {"train": 0, "validation": 0, "test": 0}, "are all 0"),
    ("last_letter_concatenation", {"n_words": 1}, "n_words must be an integer from 2 to 20, got 1"),
    ("last_letter_concatenation", {"words": ["ab", "cd"]}, "words must hold at least 4"),
    (
        "last_letter_concatenation",
        {"words": ["a b", "c", "d", "e"]},
        "must be single words that end with a letter",
    ),
    (
        "last_letter_concatenation",
        {"words": ["a-", "c", "d", "e"]},
        "must be single words that end with a letter",
    ),
    (
        "multi_step_arithmetic",
        {"names": [*NAMES[:5]]},
        "names holds 5 words, but each of the three splits needs 2",
    ),
    ("single_operation", {"shapes": ["joined"]}, "shapes knows join, separate, .*, got 'joined'"),
    ("single_operation", {"min_number": 1}, "min_number must be an integer from 2, got 1"),
    ("single_operation", {"places": "attic"}, "places must be a list of words, got 'attic'"),
    ("single_operation", {"max_value": 0}, "max_value must be an integer from 1, got 0"),
    ("distractor_arithmetic", {"max_operations": 0}, "max_operations must be an integer from 1 to 20, got 0"),
    ("distractor_arithmetic", {"n_distractors": 4}, "n_distractors must be an integer from 1 to 3, got 4"),
    (
        "distractor_arithmetic",
        {"n_distractors": 2, "distractors": ["age"]},
        "n_distractors must be an integer from 1 to 1, got 2",
    ),
    ("distractor_arithmetic", {"items": ["pen"]}, "items must hold at least 2 different words"),
    ("distractor_arithmetic", {"names": ["A", "B"]}, "names must hold at least 3 different words"),
    ("date_understanding", {"choices": 1}, "choices must be true or false, got 1"),
    ("date_understanding", {"max_days": 29}, "max_days must be an integer from 2 to 28, got 29"),
    ("date_understanding", {"first_year": 2030}, "last_year must be an integer from 2030 to 9990, got 2029"),
    ("date_understanding", {"asked": ["decade"]}, "asked knows day, days, week, month, year, weekday"),
    ("multi_hop_yes_no", {"n_hops": 7}, "n_hops must be an integer from 1 to 6, got 7"),
    ("multi_hop_yes_no", {"n_irrelevant": -1}, "n_irrelevant must be an integer from 0 to 6, got -1"),
    ("multi_hop_yes_no", {"traits": ["kind"]}, "traits must hold at least 2 different words"),
    ("multi_hop_yes_no", {"kinds": ["cook", "poet"]}, "kinds must hold at least 7 different words"),
    ("tracking_shuffled_objects", {"colours": ["red"]}, "colours must hold at least 3 different words"),
    ("tracking_shuffled_objects", {"choices": "no"}, "choices must be true or false, got 'no'"),
    ("tracking_shuffled_objects", {"n_objects": 8}, "n_objects must be an integer from 2 to 7, got 8"),
    ("tracking_shuffled_objects", {"n_swaps": 0}, "n_swaps must be an integer from 1 to 20, got 0"),
    (
        "tracking_shuffled_objects",
        {"kinds": ["cars"]},
        "kinds knows balls, gifts, books, positions, got 'cars'",
    ),
    ("tracking_shuffled_objects", {"names": ["A", "B"]}, "names must hold at least 3 different words"),
]


@pytest.mark.parametrize(("name", "options", "message"), BAD)
def test_bad_input(name, options, message):
    with pytest.raises(InvalidInputError, match=message):
        tasks.make(name or "multi_step_arithmetic", **{"train": 1, "validation": 1, "test": 1} | options)


@pytest.mark.parametrize("name", tasks.NAMES)
def test_styles_are_an_option(name):
    def lines(style):
        rows = tasks.make(name, train=40, validation=0, test=0, styles=[style])["train"]
        return {"\n" in row["rationale"] for row in rows}

    assert lines("list") == {True}
    assert lines("tell") == {False}
    with pytest.raises(InvalidInputError, match=r"styles knows .*, got 'rhyme'"):
        lines("rhyme")


def test_own_names_and_items_are_used():
    rows = tasks.make(
        "multi_step_arithmetic",
        train=20,
        validation=0,
        test=0,
        names=["Zé", "Jo-Ann", *NAMES[:4]],
        items=["fox/foxes", "ox/oxen", "goose/geese"],
    )["train"]
    text = " ".join(row["question"] for row in rows)
    assert "foxes" in text or "oxen" in text or "geese" in text
    assert not {"foxs", "oxs", "gooses"} & set(re.findall(r"\w+", text))
    own = {"Zé", "Jo-Ann", *NAMES[:4]}
    assert set(re.findall(r"[A-Z][\w-]+", text)) & set(NAMES) <= own


def test_importing_tasks_loads_nothing_heavy():
    heavy = ["torch", "datasets", "pyarrow"]
    script = f"import sys, skipthink.tasks; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, env=env("0")
    )
    assert run.stdout.strip() == "[]"
