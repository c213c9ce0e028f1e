"""`bench/testbed.py`: figures of a run folder whose chunks and skips were written by hand."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

STEPS = ["We begin. ", "3 + 4 = 7. ", "Now on. ", "7 - 2 = 5. ", "So it is 5."]
ROLES = ["setup", "reasoning", "transition", "reasoning", "summary"]
CORE = sum(len(step) for step, role in zip(STEPS, ROLES, strict=True) if role == "reasoning")
ALL = sum(map(len, STEPS))


@pytest.fixture(scope="module")
def bench(load_bench):
    return load_bench("testbed")


@pytest.fixture
def run(tmp_path):
    """Two seeds and two samples: chunks (setup, sum + transition, difference, summary)."""
    write(
        tmp_path / "data" / "train.parquet", [{"id": name, "steps": STEPS, "roles": ROLES} for name in "ab"]
    )
    chunks = [{"id": name, "boundaries": [0, 1, 3, 4, 5]} for name in "ab"]
    skipped = {
        0: [[True, False, True, False], [True, False, False, False]],
        1: [[True, False, True, False], [False, False, False, False]],
    }
    for seed, flags in skipped.items():
        write(tmp_path / "train" / "base+sbc" / f"s{seed}" / "chunks.parquet", chunks)
        rows = [{"id": name, "skipped": row} for name, row in zip("ab", flags, strict=True)]
        write(tmp_path / "skip-data" / f"s{seed}" / "skip.parquet", rows)
        report = {"rows": 2, "base_right": 2 - seed}
        (tmp_path / "skip-data" / f"s{seed}" / "report.json").write_text(json.dumps(report))
    results = {
        "recipe": "made",
        "task": "sums",
        "methods": [
            {
                "method": method,
                "seed": seed,
                "n": 10,
                "accuracy": accuracy + 0.1 * seed,
                "unparsed_rate": 0.1,
                "tokens_per_answer": tokens,
                "seconds_per_answer": 0.01,
                "speedup_tokens": 40 / tokens,
                "speedup_seconds": None,
                "train_steps": 5,
                "train_target_tokens": 1000,
            }
            for method, accuracy, tokens in (("base", 0.5, 40.0), ("base+sbc", 0.6, 50.0))
            for seed in (0, 1)
        ],
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_chunks_are_held_against_the_core(bench, run):
    found = bench.measure(bench.read_run(run))["isolation"]["base+sbc"]
    mixed = len("Now on. ")
    assert found["purity"] == pytest.approx(CORE / (CORE + mixed))
    assert found["freed"] == pytest.approx((ALL - CORE - mixed) / (ALL - CORE))
    assert found["core"] == pytest.approx(CORE / ALL)
    assert found["variety"] == 0.0  # both samples are built and cut alike


def test_cuts_vary_as_far_as_the_build_does_not_settle_them(bench, run):
    cuts = [[0, 1, 3, 4, 5], [0, 2, 3, 4, 5]]
    for seed in (0, 1):
        rows = [
            {"id": name, "boundaries": own} for name, own in zip("ab", cuts[: seed + 1] * 2, strict=False)
        ]
        write(run / "train" / "base+sbc" / f"s{seed}" / "chunks.parquet", rows)
    found = bench.measure(bench.read_run(run))["isolation"]["base+sbc"]
    assert found["variety"] == pytest.approx(0.5)  # seed 0: always the same; seed 1: one of two, a bit


def test_skips_are_held_against_the_core(bench, run):
    found = bench.measure(bench.read_run(run))
    skips = found["skips"]
    assert skips["share"] == pytest.approx(5 / 16)
    assert skips["without_core"] == pytest.approx(3 / 5)
    assert skips["expected"] == pytest.approx(1 / 2)
    assert skips["restated"] == 1.0  # "5" also stands in the summary, which is kept
    assert skips["by_stage"] == {0: [1.0, 0.0, 0.5, 0.0], 1: [0.5, 0.0, 0.5, 0.0]}
    # of 10 steps the seeds skip 3 and 2, and agree on 9
    chance = 0.3 * 0.2 + 0.7 * 0.8
    assert found["agreement"]["kappa"] == pytest.approx((0.9 - chance) / (1 - chance))


def test_tables_give_means_and_spread(bench, run):
    text = bench.render({"made": bench.measure(bench.read_run(run))})
    assert "| base | 55.0 ± 7.1 | 10.0 | 40.0 | 10.0 | 1.00 | - | 5 | 1,000 |" in text
    assert "| base+sbc | 65.0 ± 7.1 | 10.0 | 50.0 | 10.0 | 0.80 | - | 5 | 1,000 |" in text
    assert "| 0 | 100.0 | 100.0 | 0.0 | 50.0 | 0.0 |" in text
    assert "| 1 | 50.0 | 50.0 | 0.0 | 50.0 | 0.0 |" in text
    assert "sums, 2 rationales, 2 seeds, 10 questions" in text


def test_runs_stand_beside_each_other(bench, run):
    found = bench.measure(bench.read_run(run))
    found["methods"]["stt"] = found["methods"]["base+sbc"]
    lines = bench.brief({"made": found, "again": found}).splitlines()
    assert "| made | base | 55.0 ± 7.1 | 1.00 | 5 | 1,000 |  |  |  |" in lines
    assert (
        f"| again | stt | 65.0 ± 7.1 | 0.80 | 5 | 1,000 | 31.2 | 60.0 (50.0) | {found['agreement']['kappa']:.2f} |"
        in lines
    )
    assert len(lines) == 2 + 2 * 3


def test_what_says_nothing_is_no_agreement(bench):
    same = bench.np.array([True, False, True])
    assert bench.kappa(same, same) == 1.0
    assert bench.kappa(same & False, same & False) == 0.0
    assert bench.kappa(same, ~same) < 0


def test_an_unfinished_run_is_refused(bench, tmp_path):
    with pytest.raises(SystemExit, match=r"holds no results\.json"):
        bench.read_run(tmp_path)
