"""Tasks as data sets: of any size, reproducible, in memory or as a stream."""

import itertools

import pytest

from skipthink import tasks
from skipthink.data.task_datasets import SCHEMA, dataset, stream
from skipthink.exceptions import InvalidInputError


@pytest.mark.parametrize("name", tasks.NAMES)
def test_dataset_and_stream_hold_the_rows_of_the_task(name):
    rows = list(tasks.rows(name, split="validation", n=25, seed=4))
    made = dataset(name, split="validation", n=25, seed=4)
    assert made.to_list() == rows
    streamed = stream(name, split="validation", n=25, seed=4)
    assert list(streamed) == rows
    assert streamed.column_names == made.column_names == SCHEMA.names


def test_a_larger_one_begins_with_the_smaller():
    small, large = (
        dataset("date_understanding", split="train", n=n, seed=1, choices=False) for n in (10, 40)
    )
    assert small.to_list() == large.to_list()[:10]
    assert (
        small.to_list() != dataset("date_understanding", split="train", n=10, seed=2, choices=False).to_list()
    )


def test_many_rows_come_in_batches(monkeypatch):
    monkeypatch.setattr("skipthink.data.task_datasets._BATCH_ROWS", 7)
    made = dataset("single_operation", split="train", n=30)
    assert made["id"][:] == [f"single_operation-train-{index}" for index in range(30)]


def test_an_empty_one_has_all_columns():
    assert dataset("single_operation", split="train", n=0).column_names == SCHEMA.names


def test_a_stream_without_end_goes_on_and_begins_anew():
    endless = stream("single_operation", split="train", seed=3)
    first = list(itertools.islice(endless, 300))
    assert len({row["question"] for row in first}) == 300
    assert list(itertools.islice(endless, 300)) == first
    assert next(iter(endless.skip(299))) == first[299]


def test_a_stream_goes_on_from_its_state():
    endless = stream("multi_hop_yes_no", split="train")
    reader = iter(endless)
    before = [next(reader)["id"] for _ in range(5)]
    state = endless.state_dict()
    after = [next(reader)["id"] for _ in range(5)]
    again = stream("multi_hop_yes_no", split="train")
    again.load_state_dict(state)
    assert [row["id"] for row in itertools.islice(again, 5)] == after
    assert before[0].endswith("-0") and after[0].endswith("-5")


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (dataset, {"split": "train", "n": None}, "give n, or take stream"),
        (dataset, {"split": "train", "n": -1}, "train must be an integer from 0, got -1"),
        (stream, {"split": "tset"}, "did you mean 'test'"),
        (stream, {"split": "test", "max_nubmer": 3}, "did you mean 'max_number'"),
        (stream, {"split": "test", "seed": "0"}, "seed must be an integer from 0, got '0'"),
    ],
)
def test_mistakes_show_at_once(make, options, message):
    with pytest.raises(InvalidInputError, match=message):
        make("single_operation", **options)
