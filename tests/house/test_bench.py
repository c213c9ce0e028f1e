"""The benchmarks' own parts: fair turns, targets that can be missed, a report that keeps what is written by hand."""

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module", autouse=True)
def on_path():
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


def bench(name):
    return importlib.import_module(name)


def test_turns_start_with_another_call_each_time():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    times = bench("timing").race(calls, turns=3, seconds=0)
    assert "".join(order) == "aabbcc" + "abc" + "bca" + "cab"
    assert all(0 <= timing.best <= timing.median for timing in times.values())


def test_a_slower_call_takes_longer():
    times = bench("timing").race(
        {"short": lambda: sum(range(2_000)), "long": lambda: sum(range(40_000))}, turns=3
    )
    assert times["long"].median > 4 * times["short"].median


def test_targets_are_well_formed():
    loaded = bench("targets").load()
    assert len({target.id for target in loaded}) == len(loaded) > 15
    for target in loaded:
        assert (target.least is None) != (target.most is None), target.id
        assert not target.is_met(target.bound(1.0) * (0.9 if target.least else 1.1), 1.0), target.id
        assert target.is_met(target.bound(2.0), 2.0)


@pytest.mark.slow
def test_training_speed_prints_its_ratios(monkeypatch, capsys):
    """On sizes at which they mean nothing: that it runs, trains and measures all it prints."""
    script = bench("training_speed")
    for name in ("set_verbosity_error", "disable_progress_bar"):
        monkeypatch.setattr(script.logging, name, lambda: None)
    sizes = {
        "samples": 4,
        "batch-size": 4,
        "hidden-size": 16,
        "layers": 2,
        "vocabulary": 1200,
        "last-layers": 1,
    }
    words = [f"--{name}={value}" for name, value in {**sizes, "rounds": 1, "threads": 1}.items()]
    monkeypatch.setattr(sys, "argv", ["training_speed.py", *words])
    script.main()
    found = json.loads(capsys.readouterr().out)
    assert found["against_bare"] > 0
    assert found["last_layers"] > 0
    assert set(found["parts"]) == {*script.PARTS, "rest"}
    assert (found["layers"], found["trained_layers"], found["batch_size"]) == (2, 1, 4)


def measured(us_ours):
    """What a run measures where numba needs 60 µs and the machine is twice as slow as the one of the targets."""
    search = {"k": 512, "us_a_row": {"ours": us_ours, "numba": 60.0, "rustures": 1588.0, "ruptures": 2218.0}}
    times = {"variance": us_ours, "mean, weights": 20.0, "mean, weights, stages": 95.0}
    variants = {
        "objectives": [{"k": 512, "m": 8, "us_a_row": times}],
        "ragged": {"ours": 30.0},
        "moves": {"greedy, mean, K=12 M=4": 150.0, "anneal, mean, K=12 M=4": 31.0},
        "threads": {"split, short texts": 1.9},
    }
    splits = [
        {"texts": "short", "megabytes_a_second": {"ours, Arrow": 900, "ours, list": 400, "sentencex": 100}}
    ]
    return [search], variants, splits, {"float64": 0.0}


def test_what_was_measured_is_judged():
    targets = bench("targets")
    parts = measured(us_ours=6.0)
    factor = targets.machine_factor(parts[0])
    assert factor == pytest.approx(2.0)
    values = targets.values(*parts)
    assert values["variance-512"] == pytest.approx(10.0)
    assert values["mean-512"] == pytest.approx(2.0)
    assert values["stages-512"] == pytest.approx(9.5)
    met = {
        target.id: target.is_met(values[target.id], factor)
        for target in targets.load()
        if target.id in values
    }
    assert met == {
        "split-short": True, "split-list": False, "split-short-threads": True, "variance-512": True, "us-512": True,
        "ragged": True, "mean-512": True, "stages-512": False, "greedy-move": True, "anneal-move": False,
        "precision-float64": True,
    }  # fmt: skip
    table = targets.table(values, factor)
    assert table.count("**missed**") == 3
    assert "not measured" in table


def test_a_missed_target_says_why():
    """The report in the repository must not say that a target is missed and leave the reader without a reason."""
    assert "not said yet" not in (BENCH / "README.md").read_text(encoding="utf-8")


def test_the_report_keeps_what_is_written_by_hand(tmp_path):
    report = bench("report")
    path = tmp_path / "README.md"
    path.write_text(f"by hand\n{report.MARK}\nold\n")
    report.write("new", path)
    assert path.read_text() == f"by hand\n{report.MARK}\n\nnew\n"
    path.write_text("no mark\n")
    with pytest.raises(SystemExit, match="has no line"):
        report.write("new", path)
    assert path.read_text() == "no mark\n"
    assert report.MARK in report.README.read_text(encoding="utf-8")


def test_inputs_are_what_they_say():
    inputs = bench("inputs")
    lengths = inputs.ragged_lengths(20_000, 12)
    assert lengths.min() >= 1
    assert abs(lengths.mean() - 12) < 0.5
    texts = inputs.short_texts(200_000)
    sizes = [len(text.encode()) for text in texts]
    assert abs(np.mean(sizes) - 420) < 60
    assert sum(sizes) >= 200_000
    assert all(len(text.encode()) >= inputs.LONG_BYTES for text in inputs.long_texts(200_000))
    losses = inputs.losses(100, 40)
    assert losses.dtype == np.float32
    assert abs(losses.mean() - 1) < 0.05


def test_texts_are_made_where_there_are_no_real_ones(monkeypatch, tmp_path):
    inputs = bench("inputs")
    monkeypatch.setattr(inputs, "DATA", tmp_path / "missing")
    texts = inputs.short_texts(100_000)
    assert abs(np.mean([len(text.encode()) for text in texts]) - 420) < 80
    assert inputs.source() == "rationales of skipthink.tasks"


def test_the_gap_is_measured_from_the_optimum():
    gap = bench("gap")
    found = gap.excess(np.asarray([1.0, 2.5, 4.0]), np.asarray([1.0, 2.0, 4.0]))
    assert found["relative"] == pytest.approx(0.5 / 7)
    assert found["at_optimum"] == pytest.approx(2 / 3)
    with pytest.raises(AssertionError, match="below the optimum"):
        gap.excess(np.asarray([0.9]), np.asarray([1.0]))


def test_results_in_the_repository_are_readable():
    gap = bench("gap")
    if gap.RESULT.exists():
        assert gap.table(json.loads(gap.RESULT.read_text())).count("\n") > 5


def test_grown_counts_fail(capsys):
    instructions = bench("instructions")
    stored = {"rustc": "1.95.0", "path": "V3", "counts": {"a": 1000, "b": 1000, "gone": 5}}
    found = {"rustc": "1.95.0", "path": "V3", "counts": {"a": 1049, "b": 1051, "new": 7}}
    faults = instructions.judge(found, stored)
    assert [fault.split()[0] for fault in faults] == ["b", "new", "gone"]
    assert "5.1 % more than 1,000" in faults[0]
    assert instructions.judge(found, None)
    assert instructions.judge({**found, "path": "Scalar"}, stored) == []
    assert "not judged" in capsys.readouterr().out


def test_the_yardstick_has_every_operation():
    """The program's list of operations and the counts kept name the same ones."""
    kept = json.loads((BENCH / "instructions.json").read_text(encoding="utf-8"))["counts"]
    source = BENCH.parent / "rust" / "skipthink-core" / "examples" / "instructions.rs"
    text = source.read_text(encoding="utf-8")
    operations = re.findall(r'^    \("([\w-]+)", \d', text, re.MULTILINE) + re.findall(
        r'"([\w-]+)" => \w', text
    )
    assert sorted(kept) == sorted(operations)


def test_parts_of_a_calm_fleet_cost_what_they_must():
    """Without stragglers and losses the time is rounds × (fixed seconds + rows / rate), and nothing is repeated."""
    parts = bench("part_size")
    calm = parts.Fleet(workers=10, seconds_per_part=1.0, spread=0.0, slow_share=0.0, mean_life=1e12)
    found = parts.simulate(10_000, 10.0, 100, calm)
    assert (found.parts, found.losses, found.repeated) == (100, 0, 0.0)
    assert found.seconds == pytest.approx(10 * (1 + 10))
    assert found.ideal == pytest.approx(100)
    assert parts.simulate(950, 10.0, 100, calm).seconds == pytest.approx(11), "the last part is shorter"


def test_parts_are_neither_to_be_small_nor_large():
    parts = bench("part_size")
    fleet = parts.Fleet(workers=50, mean_life=600.0, replacement=30.0)
    small, middle, large = (parts.simulate(1e6, 100.0, rows, fleet, seed=1) for rows in (100, 1000, 50_000))
    assert middle.seconds < min(small.seconds, large.seconds)
    assert small.repeated < middle.repeated < large.repeated
    assert large.losses > 0
    assert parts.simulate(1e6, 100.0, 1000, fleet, seed=1) == middle, "seeded"
