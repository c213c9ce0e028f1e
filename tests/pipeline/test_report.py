"""Results and table from measurements."""

import pytest

from skipthink.run.report import format_stages, format_table, summarise, with_speedups


def row(method, seed, tokens, seconds, accuracy=0.5, unparsed=0, alone=None, stages=None):
    return {
        "method": method,
        "seed": seed,
        "n": 10,
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.1,
        "accuracy_high": accuracy + 0.1,
        "unparsed": unparsed,
        "unparsed_rate": unparsed / 10,
        "loop_rate": 0.3,
        "tokens_per_answer": tokens,
        "prompt_tokens_per_answer": 5.0,
        "seconds_per_answer": seconds,
        "seconds_per_answer_alone": alone,
        "stage_accuracy": stages,
        "n_stage": 0 if stages is None else 6,
        "train_steps": 1,
        "train_target_tokens": 2,
    }


def results(rows):
    return {"recipe": "r", "task": "t", "methods": with_speedups(rows, "base")}


def test_speedups_are_against_base_of_the_same_seed():
    rows = with_speedups(
        [row("base", 0, 40, 0.4), row("base", 1, 60, 0.9), row("stt", 0, 20, 0.1), row("stt", 1, 20, 0.3)],
        "base",
    )
    assert [entry["speedup_tokens"] for entry in rows] == [1, 1, 2, 3]
    assert [entry["speedup_seconds"] for entry in rows] == pytest.approx([1, 1, 4, 3])


def test_without_base_there_is_no_speedup():
    rows = with_speedups([row("stt", 0, 20, 0.1)], None)
    assert rows[0]["speedup_tokens"] is None
    assert rows[0]["speedup_seconds"] is None
    assert format_table(results([row("stt", 0, 20, 0.1)])).splitlines()[-1].split()[-5:] == [
        "-",
        "-",
        "-",
        "30.0",
        "0.0",
    ]


def test_a_method_that_generates_nothing_has_no_speedup():
    assert with_speedups([row("base", 0, 4, 1.0), row("stt", 0, 0, 0.1)], "base")[1]["speedup_tokens"] is None


def test_table_of_one_seed():
    table = format_table(
        results(
            [
                row("base", 0, 40, 0.4, accuracy=0.725, alone=2.0),
                row("stt", 0, 20, 0.1, unparsed=2, alone=0.5),
            ]
        )
    )
    lines = table.splitlines()
    assert lines[0] == "r: t, n = 10, 1 seed"
    assert lines[2].split() == [
        "base",
        "72.5",
        "[62.5,",
        "82.5]",
        "40.0",
        "400.0",
        "2000.0",
        "1.00x",
        "1.00x",
        "1.00x",
        "30.0",
        "0.0",
    ]
    assert lines[3].split() == [
        "stt",
        "50.0",
        "[40.0,",
        "60.0]",
        "20.0",
        "100.0",
        "500.0",
        "2.00x",
        "4.00x",
        "4.00x",
        "30.0",
        "20.0",
    ]
    assert len({len(line) for line in lines[1:4]}) == 1


def test_table_of_several_seeds_has_mean_and_standard_deviation():
    table = format_table(
        results(
            [row("base", seed, 40, 0.4, accuracy=accuracy) for seed, accuracy in enumerate((0.4, 0.5, 0.6))]
        )
    )
    assert "50.0 ± 10.0" in table
    assert "3 seeds" in table
    assert "[" not in table


def test_summary_over_seeds():
    rows = with_speedups(
        [row("base", seed, 40, 0.4, accuracy=share) for seed, share in enumerate((0.4, 0.5, 0.6))], "base"
    )
    found = summarise([*rows, *with_speedups([row("stt", 0, 20, 0.1)], None)])
    assert found["base"]["accuracy"] == {"mean": pytest.approx(0.5), "sd": pytest.approx(0.1), "n": 3}
    assert found["stt"]["accuracy"] == {"mean": 0.5, "sd": None, "n": 1}
    assert "seconds_per_answer_alone" not in found["base"]
    assert "speedup_seconds" not in found["stt"]


def test_accuracy_by_stage_is_a_table_of_its_own():
    rows = [
        row("base", 0, 40, 0.4),
        row("base+ac", 0, 40, 0.4, stages=[0.5, 0.75, 1.0]),
        row("base+ac", 1, 40, 0.4, stages=[0.5, 0.25, 1.0]),
    ]
    lines = format_stages(rows).splitlines()
    assert lines[0].split() == ["accuracy", "%", "given", "chunks", "n", "0", "1", "2"]
    assert lines[1].split() == ["base+ac", "6", "50.0", "±", "0.0", "50.0", "±", "35.4", "100.0", "±", "0.0"]
    assert format_stages(rows[:1]) == ""
