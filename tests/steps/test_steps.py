"""Step splitting: a table of cases, parity with the reference, invariants, real rationales, linear time."""

import json
import re
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import skipthink
from skipthink import reference
from skipthink.exceptions import InvalidInputError
from skipthink.reference import steps as rules_as_written

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
TABLE = json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))
CASES = TABLE["cases"]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real rationales are not beside the checkout")
both = pytest.mark.parametrize(
    "split", [skipthink.split_steps, reference.split_steps], ids=["core", "reference"]
)

WORD_LISTS = {
    "Never end a sentence": rules_as_written.NEVER_END,
    "End none where a digit follows": rules_as_written.BEFORE_NUMBER,
    "End none where a digit or a label follows": rules_as_written.BEFORE_LABEL,
    "End one only where an upper-case letter follows": rules_as_written.BEFORE_UPPER,
    "End one only where a starter follows": rules_as_written.BEFORE_STARTER,
    "Titles, in this case alone": rules_as_written.TITLES,
    "Starters, where they begin with a capital": rules_as_written.STARTERS,
    "Before letters": rules_as_written.BEFORE_LETTER,
    "Months and days": rules_as_written.DATES,
    "Months and days that are English words too": rules_as_written.SHARED_DATES,
    "Before the ordinal number of a date": rules_as_written.BEFORE_DATE,
    "Before other ordinal numbers": rules_as_written.BEFORE_ORDINAL,
    "Behind no ordinal number, beside the starters": rules_as_written.BEHIND_NONE,
    "Go with what follows them": rules_as_written.GO_ON,
    "Go with what stands before them": rules_as_written.JOIN,
}
ABBREVIATIONS = list(WORD_LISTS.values())[:5]
WORDS = sorted(set().union(*WORD_LISTS.values()))
FRAGMENTS = [
    *(
        "He has 3 pens. ",
        "so it is 4",
        "J. K. ",
        "U.S. ",
        "is B. ",
        "1. ",
        "2.1. ",
        "a) ",
        "iv. ",
        "- ",
        "Case 2",
    ),
    *(
        "**Step 2:**",
        "### ",
        ": 1. ",
        "Then ",
        "Alice ",
        "then ",
        "cups.The ",
        "cups.2. ",
        "...",
        "… ",
        "5! = 120",
    ),
    *(
        "?",
        "!",
        ".",
        "? ",
        "! ",
        ". ",
        "؟ ",
        "۔ ",
        "। ",
        "。",
        "！",
        '"',
        "’ ",
        "(",
        ") ",
        "*",
        "_",
        ",",
        "+",
        "=",
    ),
    *("$", "$x. y$ ", "$5 ", "$5. So ", "$$", "`", "```", "\\(", "\\)", "\\[", "\\]", "\\", "\\\\", "\\$"),
    *(
        "\\begin{a}",
        "\\begin{b*}",
        "\\end{a}",
        "\\end{",
        "<<4. ",
        "<<",
        ">>",
        "<",
        ">",
        "3.14 ",
        "1,000.50. ",
    ),
    *(
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "\t",
        "\u3000",
        "\x1c",
        "\x85",
        "\u2028",
        "日本",
        "é",
        "É",
        "ß",
        "ǅ",
        "😀",
        "x",
    ),
    *("http://a.b/c. ", "a@b.c", "Wait, ", "A", "B. ", "12", "\u200b"),
    *(
        "．",
        "｡",
        "॥",
        "។",
        "။",
        "３",
        "设",
        "是",
        "の",
        "그",
        "的",
        "A.",
        "n!",
        "?",
        "!",
        "「",
        "：1.",
        "1．",
    ),
    *(
        "z. B. ",
        "p. ej. ",
        "d. h. ",
        "J.-C. ",
        "c.-à-d. ",
        "Hr. ",
        "MM. ",
        "S. 5 ",
        "Fig. A ",
        "Ch. IV ",
        "et al. ",
    ),
    *(
        "am 3. ",
        "Mai ",
        "der 5. ",
        "August ",
        "im 2. ",
        "Schritt ",
        "1. und ",
        "2. Platz ",
        "Er ",
        "12. ",
        ", 3. ",
    ),
    *("Wow!", "So ", "Ann ", "I'm ", "¿", "¡", "Élan ", "don't?", "OK!", "núm. ", "pág. ", "Sra. ", "é. "),
    *("ก", "ข ", "และ", " ดังนั้น ", "ๆ ", "ກ ", "ក ", "ក", "က ", "က", "ถ้า\n"),
]
# characters that this Python knows: the core may know newer ones, and their case
characters = st.characters(exclude_categories=["Cn", "Cs"])
words = st.sampled_from(WORDS).flatmap(
    lambda word: st.sampled_from([f"{word}. ", f"{word.title()} ", f" {word}."])
)
fragments = st.sampled_from(FRAGMENTS) | words | st.text(characters, max_size=3)
texts = st.lists(fragments, max_size=25).map("".join)
rules = st.sampled_from(["auto", "lines", "sentences"]) | st.lists(
    st.sampled_from(["\n", "\n\n", ". ", "$", "日", "ab", "a", " "]), min_size=1
)


@both
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case, split):
    text = case.get("text", "".join(case["steps"]))
    assert split(text, rules=case.get("rules", "auto")) == case["steps"]


def test_the_table_has_several_cases_of_every_kind():
    assert len(CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert {case["kind"] for case in CASES} == set(TABLE["kinds"])
    for kind in TABLE["kinds"]:
        assert sum(case["kind"] == kind for case in CASES) >= 4, kind


@both
@pytest.mark.parametrize("bad", [[], [""], ["a", ""], "words"])
def test_bad_rules(bad, split):
    with pytest.raises(InvalidInputError):
        split("a. B", rules=bad)


# ── every word of the lists ──


def test_lists_of_the_docs_are_those_of_the_reference():
    docs = (
        (ROOT / "docs" / "reference" / "steps.md")
        .read_text(encoding="utf-8")
        .split("## Word lists")[1]
        .split("\n## ")[0]
    )
    written = {name: set(found.split()) for name, found in re.findall(r"- ([^:`]+): `([^`]+)`", docs)}
    assert written == {name: set(found) for name, found in WORD_LISTS.items()}


@pytest.mark.parametrize("word", WORDS)
def test_word(word):
    """A word behaves the same in core and reference, before and after a period and in any case."""
    for form in (word, word.capitalize(), word.upper(), f"{word}s", f"x{word}"):
        for text in (f"It is {form}. Bob", f"It is {form}. The", f"It is {form}. 5 x", f"It is {form}. x",
                     f"U.S. {form} y", f"So by J. {form} y", f"We {form} B. Bob", f"ten cups.{form} y"):  # fmt: skip
            assert skipthink.split_steps(text) == reference.split_steps(text), text


@pytest.mark.parametrize(
    ("words", "follows", "ends"),
    [
        ("NEVER_END", "Then", False),
        ("BEFORE_NUMBER", "5 men", False),
        ("BEFORE_NUMBER", "Bob", True),
        ("BEFORE_LABEL", "5 men", False),
        ("BEFORE_LABEL", "B shows", False),
        ("BEFORE_LABEL", "IV shows", False),
        ("BEFORE_LABEL", "Bob", True),
        ("BEFORE_UPPER", "men", False),
        ("BEFORE_UPPER", "Bob", True),
        ("BEFORE_STARTER", "Bob", False),
        ("BEFORE_STARTER", "Then", True),
    ],
)
def test_abbreviations_end_sentences_as_documented(words, follows, ends):
    for word in getattr(rules_as_written, words):
        assert len(skipthink.split_steps(f"It has {word}. {follows}")) == 1 + ends, word


# ── core and reference, invariants ──


def assert_tiles(text, steps):
    white = rules_as_written.SPACES
    assert "".join(steps) == (text if text.strip(white) else "")
    assert all(step.strip(white) for step in steps)
    assert all(step[0] not in white for step in steps[1:])


@settings(max_examples=1000, deadline=None)
@given(text=texts, rules=rules)
def test_core_equals_reference(text, rules):
    steps = skipthink.split_steps(text, rules=rules)
    assert steps == reference.split_steps(text, rules=rules)
    assert_tiles(text, steps)


@settings(max_examples=60, deadline=None)
@example(text="so it is 4im 2. ", lead=0, times=2)
@given(text=texts, lead=st.integers(0, 5000), times=st.integers(1, 40))
def test_core_equals_reference_on_long_texts(text, lead, times):
    """The core reads 64 bytes and 4096 bytes at a time: rules hold over these edges too."""
    text = "word " * (lead // 5) + "x" * (lead % 5) + text * times
    assert skipthink.split_steps(text) == reference.split_steps(text)


@pytest.mark.parametrize("word", sorted(rules_as_written.BEFORE_ORDINAL | {"und", "bis", "am", "ab", "seit"}))
def test_core_equals_reference_whatever_stands_before_an_ordinal(word):
    """The core looks at the last letters of a word first, and must not rely on what stands in front of it."""
    for front in ("", " ", "(", "*", '"', "„", "4", "-", "x", "é", "\n", "—"):
        for written in (word, word.capitalize(), word.upper()):
            for behind in ("Schritt ist", "so it is", "Mai war", '"sonnabend', "(mai", "**März**", "„Mai"):
                text = f"Das ist {front}{written} 2. {behind} gut."
                assert skipthink.split_steps(text) == reference.split_steps(text), text


@settings(max_examples=30, deadline=None)
@given(batch=st.lists(texts, max_size=100))
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


# ── real rationales ──

#: File to the range in which a reader's mean number of steps lies.
PLAUSIBLE = {
    "addsub": (3, 4.5),
    "date_understanding": (3, 5.5),
    "gsm8k": (3, 4.5),
    "gsm8k_r1distill7b": (6, 11),
    "last_letter_concatenation": (5, 7),
    "multiarith": (3.5, 5),
    "multiarith_gpt4omini": (14, 22),
    "singleeq": (3, 4.5),
    "strategyqa": (4.5, 7),
    "svamp": (4, 7.5),
    "svamp_granularity": (3, 6),
    "tracking_shuffled_objects": (8, 12),
}


def rationales(name):
    # some texts hold U+2028, at which `splitlines` would cut
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    return [row for row in map(json.loads, filter(None, lines)) if row["rationale"]]


@needs_data
@pytest.mark.parametrize("name", PLAUSIBLE)
def test_real_rationales(name):
    rows = [row["rationale"] for row in rationales(name)]
    for rules in ("auto", "lines", "sentences"):
        spans = skipthink.split_steps_batch(rows, rules=rules)
        steps = [[text[start:end] for start, end in spans[row]] for row, text in enumerate(rows)]
        for text, found in zip(rows, steps, strict=True):
            assert_tiles(text, found)
        for row in range(0, len(rows), 10):
            assert steps[row] == reference.split_steps(rows[row], rules=rules)
        if rules == "auto":
            low, high = PLAUSIBLE[name]
            assert low <= spans.n_steps.mean() <= high


@needs_data
def test_finer_rationales_have_more_steps():
    by_level = defaultdict(list)
    for row in rationales("svamp_granularity"):
        by_level[row["level"]].append(len(skipthink.split_steps(row["rationale"])))
    means = [mean(by_level[level]) for level in range(1, 7)]
    # level 1 is no coarser than level 2: of 200 pairs 68 have more steps at level 1, 50 at level 2
    assert means[1:] == sorted(means[1:])
    assert abs(means[0] - means[1]) < 0.1
    assert means[-1] > 2 * means[0]


@needs_data
@pytest.mark.parametrize("name", ["last_letter_concatenation", "tracking_shuffled_objects"])
def test_there_is_about_a_step_a_line_or_sentence(name):
    """Counted independently: lines, and in them periods with white space behind that close no list number."""
    steps = lines_and_sentences = 0
    for row in rationales(name):
        lines = [line.strip() for line in row["rationale"].split("\n") if line.strip()]
        lines_and_sentences += len(lines)
        lines_and_sentences += sum(len(re.findall(r"[^\d\s][.!?]\)?\s+\S", line)) for line in lines)
        steps += len(skipthink.split_steps(row["rationale"]))
    assert steps == pytest.approx(lines_and_sentences, rel=0.02)


# ── linear time ──


@pytest.mark.parametrize(
    "unit",
    ["$", "`", ".", "\\[", "\\(", "<<", "$$", "```", "$ ", "\\begin{a}", "\\end{", "1. ", "\n", "$a", "é. ", "<", " ",
     "\\", "\\[\\(", "$$ \n\n", "$5 and ", "- \n", ". (", ".'", "a.", "…", "A. ", "... ", "。", "\n ", "🙂!"],
)  # fmt: skip
@pytest.mark.parametrize("rules", ["auto", "sentences", ["$", ".."]], ids=["auto", "sentences", "separators"])
def test_time_is_linear_on_hostile_text(unit, rules):
    def seconds(size):
        text = unit * (size // len(unit)) + "x"
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            skipthink.split_steps_batch([text], rules=rules, num_threads=1)
            best = min(best, time.perf_counter() - started)
        return best

    # 4 times the text: a quadratic splitter takes 16 times as long, and minutes on 1 MB
    assert seconds(1_000_000) < 8 * seconds(250_000) + 0.05
