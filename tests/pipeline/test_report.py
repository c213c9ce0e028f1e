"""Results and table from measurements."""

import pytest

from skipthink.report import format_table, with_speedups


def row(method, seed, tokens, seconds, accuracy=0.5, unparsed=0):
    return {
        "method": method,
        "seed": seed,
        "n": 10,
        "accuracy": accuracy,
        "unparsed": unparsed,
        "tokens_per_answer": tokens,
        "prompt_tokens_per_answer": 5.0,
        "seconds_per_answer": seconds,
        "train_steps": 1,
        "train_target_tokens": 2,
    }


def results(rows):
    return {"recipe": "r", "task": "t", "methods": with_speedups(rows)}


def test_speedups_are_against_base_of_the_same_seed():
    rows = with_speedups(
        [row("base", 0, 40, 0.4), row("base", 1, 60, 0.9), row("stt", 0, 20, 0.1), row("stt", 1, 20, 0.3)]
    )
    assert [entry["speedup_tokens"] for entry in rows] == [1, 1, 2, 3]
    assert [entry["speedup_seconds"] for entry in rows] == pytest.approx([1, 1, 4, 3])


def test_without_base_there_is_no_speedup():
    rows = with_speedups([row("stt", 0, 20, 0.1)])
    assert rows[0]["speedup_tokens"] is None
    assert rows[0]["speedup_seconds"] is None
    assert format_table(results([row("stt", 0, 20, 0.1)])).splitlines()[-1].split()[-2:] == ["-", "-"]


def test_a_method_that_generates_nothing_has_no_speedup():
    assert with_speedups([row("base", 0, 4, 1.0), row("stt", 0, 0, 0.1)])[1]["speedup_tokens"] is None


def test_table_of_one_seed():
    table = format_table(
        results([row("base", 0, 40, 0.4, accuracy=0.725), row("stt", 0, 20, 0.1, unparsed=2)])
    )
    lines = table.splitlines()
    assert lines[0] == "r: t, n = 10, 1 seed"
    assert lines[2].split() == ["base", "72.5", "40.0", "400.0", "1.00x", "1.00x"]
    assert lines[3].split() == ["stt", "50.0", "20.0", "100.0", "2.00x", "4.00x"]
    assert lines[4] == "answers that could not be read: stt 2"
    assert len({len(line) for line in lines[1:4]}) == 1


def test_table_of_several_seeds_has_mean_and_standard_deviation():
    table = format_table(
        results(
            [row("base", seed, 40, 0.4, accuracy=accuracy) for seed, accuracy in enumerate((0.4, 0.5, 0.6))]
        )
    )
    assert "50.0 ± 10.0" in table
    assert "3 seeds" in table
