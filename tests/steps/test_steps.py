"""Step splitting: a table of cases, parity with the reference, invariants, real rationales, linear time."""

import json
import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink import reference

CASES = json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real rationales are not beside the checkout")

FRAGMENTS = [
    "He has 3 pens. ", "so it is 4", "Dr. ", "e.g. ", "J. K. ", "U.S. ", "p.m. ", "No. ", "etc. ", "1. ", "a) ",
    "- ", "**Step 2:**",
    "is B. ", "Then ", "Alice ", "...", "… ", "5! = 120", "? ", "! ", "\"", "’ ", "(", ") ", "$",
    "$x. y$ ", "$5 ", "$$", "`", "```",
    "\\(", "\\)", "\\[", "\\]", "\\begin{a}", "\\end{a}", "<<4. ", ">>", "。", "！", "日本", "é",
    "😀", "\n", "\n\n", "\r\n", " ",
    "\u3000", "3.14 ",
    "1,000.50. ", "http://a.b/c. ", "### ", "*", "_", "x", ".", "Case 2", "Wait, ",
]  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=25).map("".join)
rules = st.sampled_from(["auto", "lines", "sentences"]) | st.lists(
    st.sampled_from(["\n", ". ", "$", "日", "ab", "a"]), min_size=1
)


@pytest.mark.parametrize("split", [skipthink.split_steps, reference.split_steps], ids=["core", "reference"])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case, split):
    assert split("".join(case["steps"]), rules=case.get("rules", "auto")) == case["steps"]


def test_the_table_is_no_stub():
    assert len(CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)


def assert_tiles(text, steps):
    assert "".join(steps) == text or (not steps and not text.strip())
    assert all(step.strip() for step in steps)
    assert all(not step[0].isspace() for step in steps[1:])


@settings(max_examples=400, deadline=None)
@given(text=texts, rules=rules)
def test_core_equals_reference(text, rules):
    steps = skipthink.split_steps(text, rules=rules)
    assert steps == reference.split_steps(text, rules=rules)
    assert_tiles(
        text.translate(dict.fromkeys(range(28, 32), " ")),
        [s.translate(dict.fromkeys(range(28, 32), " ")) for s in steps],
    )


@settings(max_examples=50, deadline=None)
@given(batch=st.lists(texts, max_size=150))
def test_batch_equals_one_by_one_for_every_thread_count(batch):
    expected = [skipthink.split_steps(text) for text in batch]
    for threads in (1, 2, 7):
        spans = skipthink.split_steps_batch(batch, num_threads=threads)
        found = [[text[start:end] for start, end in spans[row]] for row, text in enumerate(batch)]
        assert found == expected


def test_spans_are_code_points():
    text = "été 😀 ok. 日本。No"
    spans = skipthink.split_steps_batch(["", text])
    assert spans[0] == []
    assert [text[start:end] for start, end in spans[1]] == ["été 😀 ok. ", "日本。", "No"]
    assert spans.starts.tolist() == [0, 10, 13]
    assert spans.n_steps.tolist() == [0, 3]


@needs_data
def test_real_rationales_tile_and_have_plausible_steps():
    """Mean steps a file, as a reader would count them; LLC and TSO have about one a line or sentence."""
    expected = {"addsub": (3, 4.5), "last_letter_concatenation": (5, 7), "tracking_shuffled_objects": (6, 12),
                "multiarith_gpt4omini": (12, 32), "gsm8k": (3, 5),
                "gsm8k_r1distill7b": (5, 30), "strategyqa": (4, 8)}  # fmt: skip
    for name, (low, high) in expected.items():
        texts = [
            json.loads(line)["rationale"]
            for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        spans = skipthink.split_steps_batch(texts)
        for row in range(0, len(texts), 7):
            assert_tiles(texts[row], [texts[row][start:end] for start, end in spans[row]])
        assert low <= spans.n_steps.mean() <= high, name


@needs_data
def test_finer_rationales_have_more_steps():
    by_level = defaultdict(list)
    for line in (DATA / "svamp_granularity.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_level[row["level"]].append(len(skipthink.split_steps(row["rationale"])))
    means = [sum(counts) / len(counts) for _, counts in sorted(by_level.items())]
    assert means == sorted(means)
    assert means[-1] > 2 * means[0]


@pytest.mark.parametrize(
    "unit",
    ["$", "`", ".", "\\[", "\\(", "<<", "$$", "```", "$ ", "\\begin{a}", "1. ", "\n", "$a", "é. ", "<"],
)
def test_time_is_linear_on_hostile_text(unit):
    def seconds(size):
        text = unit * (size // len(unit))
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            skipthink.split_steps(text)
            best = min(best, time.perf_counter() - started)
        return best

    # 8 times the text: a quadratic splitter takes 64 times as long (and hours on the first of these)
    assert seconds(400_000) < 24 * seconds(50_000) + 0.05
