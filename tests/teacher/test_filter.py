"""The filter: what is kept, why the rest is not, and that it asks nothing."""

import json

import pyarrow as pa
import pytest

from skipthink.data import load_samples
from skipthink.exceptions import InvalidInputError
from skipthink.teacher.filter import Filter, Question
from skipthink.teacher.options import FilterOptions, PromptOptions, SamplingOptions
from skipthink.teacher.prompts import load_prompt
from skipthink.teacher.requests import Reply
from skipthink.teacher.texts import Contamination, find_words, foreign_share, similarity

CONCISE = load_prompt(PromptOptions(name="concise"), "number")
ZERO_SHOT = load_prompt(PromptOptions(name="zero-shot"), "number")
QUESTION = Question("q", "Ann has 3 pens and buys 4. How many has she?", "7", 0)


def judge(*replies, prompt=CONCISE, question=QUESTION, tests=(), kind="number", **options):
    """Outcomes of replies to one question."""
    sieve = Filter(FilterOptions(**options), kind, {}, Contamination(tests))
    samples = [
        (number, prompt, [Reply(one) if isinstance(one, str) else one for one in (reply if isinstance(reply, tuple) else (reply,))])
        for number, reply in enumerate(replies)
    ]  # fmt: skip
    return sieve.judge(question, samples)


def reasons(*replies, **options):
    return [candidate.reason for candidate in judge(*replies, **options)]


GOOD = "We add 3 and 4. The answer is 7."


@pytest.mark.parametrize(("reply", "options", "reason"), [
    (GOOD, {}, None),
    ("We add 3 and 4. The answer is 8.", {}, "wrong answer"),
    ("We add 3 and 4. The answer is 8.", {"check_answers": False}, None),
    ("We add what she has and buys.", {}, "no answer"),
    ("We add what she has and buys.", {"check_answers": False}, "no answer"),
    ("It is 7.", {"min_words": 4}, "too short"),
    (GOOD, {"max_words": 5}, "too long"),
    ("", {}, "no rationale"),
    (Reply("", refusal="I cannot."), {}, "refused"),
    (Reply(GOOD, finish="content_filter"), {}, "refused"),
    (Reply(GOOD, finish="length"), {}, "cut off"),
    ("<think>We add 3 and 4", {}, "thought never ends"),
    ("<think>a</think>b<think>c</think>", {}, "several thoughts"),
    ("我们把三和四相加，得到七。 The answer is 7.", {}, "other language"),
    ("我们把三和四相加，得到七。 The answer is 7.", {"language": "any"}, None),
    (GOOD, {"language": "cyrillic"}, "other language"),
    (GOOD, {"language": "latin"}, None),
    ("We add \x00 3 and 4. The answer is 7.", {}, "no valid text"),
    ("We add \ud800 3 and 4. The answer is 7.", {}, "no valid text"),
])  # fmt: skip
def test_each_reason(reply, options, reason):
    assert reasons(reply, **options) == [reason]


def test_the_answer_of_a_model_that_thinks_stands_behind_its_thoughts():
    assert reasons(Reply("The answer is 7.", reasoning="Is it 8? No, 3 and 4 make 7."), prompt=ZERO_SHOT) == [
        None
    ]
    assert reasons(Reply("The answer is 8.", reasoning="The answer is 7.")) == ["wrong answer"]
    assert reasons((Reply("Adding both gives the number."), Reply("7")), prompt=ZERO_SHOT) == [None]
    assert reasons((Reply("The answer is 7."), Reply("8.")), prompt=ZERO_SHOT) == ["wrong answer"]
    assert reasons((Reply("Adding both gives the number."), Reply("Well")), prompt=ZERO_SHOT) == ["no answer"]


def test_duplicates_within_a_question_and_between_questions():
    assert reasons(GOOD, GOOD.upper().replace(" ", "  "), "4 + 3 = 7. The answer is 7.") == [
        None,
        "duplicate",
        None,
    ]
    sieve = Filter(FilterOptions(), "number", {}, Contamination(()))
    other = Question("other", "Ben has 5 pens and buys 2. How many has he?", "7", 1)
    (first,) = sieve.judge(QUESTION, [(0, CONCISE, [Reply(GOOD)])])
    (second,) = sieve.judge(other, [(0, CONCISE, [Reply(GOOD)])])
    assert (first.reason, second.reason, second.detail) == (None, "duplicate", "as q, sample 0")


LONG = "First we look at what Ann has, which is 3. Then we add the 4 that she buys. The answer is 7."
OTHER = "Start at 4, count on by three: 5, 6, 7. The answer is 7."


def test_the_shortest_is_kept():
    assert reasons(LONG, GOOD, OTHER, "We add: the answer is 9.", keep="shortest") == [
        "longer than another", None, "longer than another", "wrong answer",
    ]  # fmt: skip


def test_those_that_differ_are_kept():
    near = GOOD.replace("We add", "We simply add")
    found = reasons(GOOD, near, LONG, OTHER, keep="different", k=3, max_similarity=0.6)
    assert found == [None, "like another", None, None]
    assert reasons(GOOD, near, LONG, OTHER, keep="different", k=1) == [None, *["like another"] * 3]
    words = [set(find_words(text)) for text in (GOOD, near)]
    assert similarity(*words) > 0.6


TEST = "Lily has 12 red boxes and 5 blue boxes and gives 3 of them to her friend Tom. How many are left?"


def test_overlap_with_test_questions():
    contamination = Contamination([TEST])
    assert contamination.find(TEST.upper().replace(" ", "  ")) == ["exact", "numbers", "13-grams"]
    assert contamination.find(TEST.replace("12", "40").replace("5", "1,000.5").replace(" 3 ", " 31 ")) == [
        "numbers"
    ]
    half = "It is known that " + " ".join(TEST.split()[:14]) + " and so on"
    assert contamination.find(half) == ["13-grams"]
    assert contamination.find("Lily has boxes.") == []
    sieve = Filter(FilterOptions(overlap=("13-grams", "exact")), "number", {}, contamination)
    assert sieve.overlap(TEST) == "13-grams"
    assert Filter(FilterOptions(overlap=()), "number", {}, contamination).overlap(TEST) is None
    repeats = f"As in: {TEST} The answer is 7."
    assert reasons(repeats, tests=[TEST], overlap=("13-grams",)) == ["overlap: 13-grams"]
    assert reasons(repeats, tests=[TEST]) == [None]


@pytest.mark.parametrize(("text", "language", "question", "share"), [
    ("Plain text with α and β.", "question", "What?", 0),
    ("длина x = 5 см, y = 3 cm", "question", "Какова длина?", 0),
    ("Ответ is just that", "question", "Какова длина?", 8 / 13),
    ("答えは七です", "question", "いくつですか", 0),
    ("答案是七", "latin", "x", 1),
    ("12 + 5 = 17", "question", "What?", 0),
    ("anything", "question", "12 + 5 = ?", 0),
])  # fmt: skip
def test_scripts(text, language, question, share):
    assert foreign_share(text, language, question) == pytest.approx(share)


def test_words_of_languages_without_spaces_are_counted():
    assert find_words("我有3支笔, ok?") == ["我", "有", "3", "支", "笔", "ok"]


@pytest.mark.parametrize(("options", "message"), [
    ({"keep": "best"}, 'keep must be "all", "shortest" or "different", got \'best\''),
    ({"k": 0}, "k must be at least 1"),
    ({"overlap": ("exakt",)}, r"overlap must be a list .*13-grams"),
    ({"max_words": 2}, "max_words is 2, below min_words"),
    ({"language": "latin-1"}, "language must match"),
    ({"max_similarity": 1.5}, "max_similarity must be at most 1"),
])  # fmt: skip
def test_bad_options(options, message):
    with pytest.raises(InvalidInputError, match=message):
        FilterOptions(**options)


def test_counts_add_up_and_another_filter_asks_nothing(endpoint, sums, options_for, ask, rows_of, tmp_path):
    server = endpoint(wrong=0.3)
    sampling = SamplingOptions(n=2, temperature=0.5, max_tokens=64)
    overlapping = pa.concat_tables([
        sums(30, n_test=5),
        pa.table({"id": ["copy"], "question": ["What is 33 + 100?"], "answer": ["133"], "split": ["train"]}),
    ])  # fmt: skip
    seen = {}
    for name, keep in {
        "all": FilterOptions(),
        "shortest": FilterOptions(keep="shortest"),
        "unchecked": FilterOptions(check_answers=False),
        "short": FilterOptions(max_words=5),
    }.items():
        report = ask(overlapping, options_for(server.base_url, sampling=sampling, keep=keep)).report
        seen[name] = report
        assert report["samples"] == 62
        assert report["kept"] + sum(report["rejected"].values()) == 62
        rejects = rows_of(tmp_path / "out", "rejects")
        assert len(rejects) == sum(report["rejected"].values())
        assert report["rejected"]["overlap: exact"] == 2
        assert {row["id"] for row in rejects if row["reason"] == "overlap: exact"} == {"copy"}
    assert len(server.requests()) == 60
    assert seen["all"]["questions_that_overlap"] == {"numbers": 31, "exact": 1}
    assert (
        seen["unchecked"]["kept"]
        > seen["all"]["kept"]
        >= seen["shortest"]["kept"]
        > seen["short"]["kept"]
        == 0
    )
    # the copy of a question that is asked would come to the same text
    assert seen["all"]["questions_with_a_rationale"] == seen["all"]["kept"]


NASTY = "[skip] <script>alert(1)</script> ../../etc/passwd {question} [1] \x1b[31m The answer is 7."


def test_texts_of_teachers_stay_texts(tmp_path, ask, options_for, endpoint, sums, monkeypatch, rows_of):
    """What a teacher writes is data: it comes out as it went in, and names no file."""
    from skipthink.teacher import endpoint as module

    monkeypatch.setattr(module, "read_reply", lambda content: Reply(NASTY))
    table = sums(1).set_column(2, "answer", pa.array(["7"]))
    server = endpoint()
    ask(table, options_for(server.base_url))
    (row,) = rows_of(tmp_path / "out", "rationales")
    assert row["rationale"] == NASTY
    names = {path.name.partition("-")[0] for path in tmp_path.rglob("*")}
    assert names == {
        "out",
        "store",
        "answers",
        "lock",
        "rationales.parquet",
        "rejects.parquet",
        "open.parquet",
        "report.json",
    }
    # and it goes on into training as text
    loaded = load_samples(tmp_path / "out" / "rationales.parquet", answer="number")
    assert loaded.table["rationale"].to_pylist() == [NASTY]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["kept"] == 1


def test_the_files_are_data_that_a_run_takes(endpoint, sums, options_for, ask, tmp_path):
    ask(sums(10, n_test=4), options_for(endpoint(wrong=0.2).base_url))
    loaded = load_samples(tmp_path / "out" / "rationales.parquet", answer="number")
    splits = loaded.table["split"].to_pylist()
    assert splits.count("test") == 4
    assert loaded.report["dropped"] == {}
    assert loaded.report["without_rationale"] == 4
    assert all(loaded.table["correct"].to_pylist()[: splits.count("train")])
