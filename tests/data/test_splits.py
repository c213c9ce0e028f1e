"""Splits: no question in two of them, whole questions, stable choices, every row counted."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipthink.data import question_key, split_samples
from skipthink.exceptions import DataError, InvalidInputError


def table_of(questions, splits=None):
    columns = {"id": [f"s{row}" for row in range(len(questions))], "question": questions}
    if splits is not None:
        columns["split"] = splits
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def numbered(n_questions, n_each=1):
    return [f"q{number}" for number in range(n_questions) for _ in range(n_each)]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "A ", "b", "c", "d", "e", "ﬁ", "fi"]),
            st.sampled_from(["train", "validation", "test"]),
        )
    ),
    st.integers(0, 3),
    st.sampled_from([0, 0.0, 0.3, 2]),
    st.sampled_from([0, 0.0, 0.3, 2]),
)
def test_no_question_stands_in_two_splits_and_every_row_is_counted(rows, seed, validation, test):
    table = table_of(
        [question for question, _ in rows] + ["always train"] * 2, [name for _, name in rows] + ["train"] * 2
    )
    try:
        splits, report = split_samples(table, validation=validation, test=test, seed=seed)
    except DataError:
        return
    keys = {
        name: {question_key(question) for question in part["question"].to_pylist()}
        for name, part in splits.items()
    }
    assert not keys["train"] & keys["validation"]
    assert not keys["train"] & keys["test"]
    assert not keys["validation"] & keys["test"]
    assert report["rows"] == len(rows) + 2 == sum(report["splits"].values()) + sum(report["dropped"].values())
    assert report["splits"] == {name: part.num_rows for name, part in splits.items()}
    ids = [name for part in splits.values() for name in part["id"].to_pylist()]
    assert len(set(ids)) == len(ids)
    assert all(set(part["split"].to_pylist()) <= {name} for name, part in splits.items())


def test_test_wins_over_validation_and_train():
    table = table_of(
        ["a", "b", "A", "b", "c", "a"], ["train", "train", "validation", "validation", "train", "test"]
    )
    splits, report = split_samples(table)
    assert {name: part["id"].to_pylist() for name, part in splits.items()} == {
        "train": ["s4"],
        "validation": ["s3"],
        "test": ["s5"],
    }
    assert report["dropped"] == {
        "validation: question stands in test": 1,
        "train: question stands in test": 1,
        "train: question stands in validation": 1,
    }


def test_rows_of_one_question_stay_together():
    _splits, report = split_samples(table_of(numbered(40, n_each=3)), validation=0.1, test=10)
    assert report["splits"] == {"train": 96, "validation": 12, "test": 12}
    assert report["questions"] == {"train": 32, "validation": 4, "test": 4}
    assert report["dropped"] == {}


def test_choices_depend_on_text_and_seed_alone():
    questions = numbered(60)
    splits, _ = split_samples(table_of(questions), seed=1)
    mirrored, _ = split_samples(table_of(questions[::-1]), seed=1)
    other, _ = split_samples(table_of(questions), seed=2)
    for name in ("train", "validation", "test"):
        assert splits[name]["question"].to_pylist() == mirrored[name]["question"].to_pylist()[::-1]
    assert splits["test"]["question"].to_pylist() != other["test"]["question"].to_pylist()


def test_rows_keep_their_order_and_columns():
    table = table_of(numbered(30)).append_column("level", pa.array(range(30)))
    for part in split_samples(table)[0].values():
        assert part.column_names == ["id", "question", "level", "split"]
        assert part["level"].to_pylist() == sorted(part["level"].to_pylist())


def test_counts_choose_from_the_splits_of_the_file():
    table = table_of(numbered(30), ["train"] * 10 + ["validation"] * 10 + ["test"] * 10)
    splits, report = split_samples(table, train=4, validation=3, test=2)
    assert report["splits"] == {"train": 4, "validation": 3, "test": 2}
    assert report["dropped"] == {"not asked for": 21}
    assert all(int(question[1:]) >= 20 for question in splits["test"]["question"].to_pylist())
    assert split_samples(table)[1]["splits"] == {"train": 10, "validation": 10, "test": 10}
    assert split_samples(table, test=0)[1]["splits"]["test"] == 0


TOO_FEW = [
    (table_of(numbered(5)), {"test": 6}, "test asks for 6 rows, but train has 5; ask for fewer"),
    (table_of(numbered(5)), {"train": 5, "test": 1}, "train asks for 5 rows, but 3 are left"),
    (table_of(["a"]), {"test": 1, "validation": 0}, "no training row is left"),
    (table_of(["a", "a"], ["train", "test"]), {}, "no training row is left"),
    (table_of(["a", "b"], ["train", "test"]), {"test": 2}, "test asks for 2 rows, but test has 1"),
]


@pytest.mark.parametrize(("table", "options", "message"), TOO_FEW, ids=range(len(TOO_FEW)))
def test_too_few_rows(table, options, message):
    with pytest.raises(DataError, match=message):
        split_samples(table, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"test": 1.0},
        {"test": -0.1},
        {"test": -1},
        {"test": True},
        {"validation": "0.1"},
        {"test": float("nan")},
        {"train": 0},
        {"train": 0.5},
        {"train": True},
    ],
    ids=str,
)
def test_bad_sizes(options):
    with pytest.raises(InvalidInputError, match=f"{next(iter(options))} must be"):
        split_samples(table_of(numbered(20)), **options)


def test_unknown_splits():
    with pytest.raises(
        InvalidInputError, match="row 1 has the split 'dev'; splits are train, validation, test"
    ):
        split_samples(table_of(["a", "b"], ["train", "dev"]))
