"""Answer checks against the flags `correct` of real teachers: every row that disagrees is known by its id.

`disagreements.json` holds ids only, without the name of their file. A verdict that changes is a failure either way:
look at the row, and write the new list with `python tests/data/test_answers_real.py`.
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from skipthink.answers import Verdict, check_answer, infer_kind, parse_gold
from skipthink.exceptions import InvalidInputError

DATA = Path(__file__).parents[3] / "shared" / "data"
REPORTED = Path(__file__).parents[3] / "shared" / "cases" / "reports-2.jsonl"
PINNED = Path(__file__).with_name("disagreements.json")
FILES = {
    "addsub": "number",
    "singleeq": "number",
    "multiarith": "number",
    "multiarith_gpt4omini": "number",
    "svamp": "number",
    "svamp_granularity": "number",
    "gsm8k_r1distill7b": "number",
    "last_letter_concatenation": "string",
    "tracking_shuffled_objects": "choice",
    "date_understanding": "choice",
    "strategyqa": "yes_no",
}
COUNTS = {  # (flag, verdict) → rows; the table of docs/reference/answers.md
    "addsub": {(True, "right"): 370, (False, "wrong"): 25},
    "singleeq": {(True, "right"): 484, (False, "wrong"): 24},
    "multiarith": {(True, "right"): 560, (False, "wrong"): 40},
    "multiarith_gpt4omini": {(True, "right"): 537, (True, "wrong"): 5, (False, "wrong"): 55, (False, "right"): 3},
    "svamp": {(True, "right"): 1509, (True, "wrong"): 444},
    "svamp_granularity": {(True, "right"): 1172, (False, "wrong"): 18},
    "gsm8k_r1distill7b": {
        (True, "right"): 897, (True, "wrong"): 177, (True, "unparsed"): 13,
        (False, "right"): 10, (False, "wrong"): 178, (False, "unparsed"): 2,
    },
    "last_letter_concatenation": {
        (True, "right"): 1128, (True, "wrong"): 6, (False, "right"): 5, (False, "wrong"): 61,
    },
    "tracking_shuffled_objects": {
        (True, "right"): 1051, (True, "wrong"): 14, (True, "unparsed"): 72,
        (False, "wrong"): 43, (False, "unparsed"): 69,
    },
    "date_understanding": {
        (True, "right"): 799, (True, "wrong"): 8, (True, "unparsed"): 43,
        (False, "wrong"): 15, (False, "unparsed"): 14,
    },
    "strategyqa": {
        (True, "right"): 194, (True, "wrong"): 10, (True, "unparsed"): 659,
        (False, "right"): 5, (False, "wrong"): 27, (False, "unparsed"): 105,
    },
}  # fmt: skip


def read_rows(stem):
    path = DATA / f"{stem}.jsonl"
    if not path.is_file():
        pytest.skip(f"needs the real rationales at {DATA}")
    # some texts hold U+2028, at which `splitlines` would cut
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [row for row in rows if row["rationale"] and row.get("correct") is not None]


def judge(rows, kind):
    return [check_answer(kind, row["rationale"], row["answer"]) for row in rows]


def disagreements(rows, verdicts):
    """Ids by what disagrees: "right" of a row flagged wrong, "wrong" or "unparsed" of a row flagged right."""
    found = {"right": [], "wrong": [], "unparsed": []}
    for row, verdict in zip(rows, verdicts, strict=True):
        if (verdict is Verdict.RIGHT) != row["correct"] and (row["correct"] or verdict is Verdict.RIGHT):
            found[str(verdict)].append(re.sub(r"^.*?-(?=(?:train|test|eval)-|\d+$)", "", row["id"]))
    return {verdict: ids for verdict, ids in found.items() if ids}


@pytest.mark.parametrize("stem", FILES)
def test_every_disagreement_is_known(stem):
    rows = read_rows(stem)
    assert infer_kind(row["answer"] for row in rows) == FILES[stem]
    verdicts = judge(rows, FILES[stem])
    assert disagreements(rows, verdicts) == json.loads(PINNED.read_text(encoding="utf-8"))[stem]
    counts = Counter((row["correct"], str(verdict)) for row, verdict in zip(rows, verdicts, strict=True))
    assert counts == COUNTS[stem]


def test_dates_of_real_rationales():
    """The gold choice's date against the last date of the rationale; where both are read they mostly agree."""
    verdicts = Counter()
    for row in read_rows("date_understanding"):
        gold = dict(re.findall(r"\(([A-F])\) ([0-9/]+)", row["question"]))[row["answer"]]
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", parse_gold("date", gold))
        verdicts[row["correct"], str(check_answer("date", row["rationale"], gold))] += 1
    assert verdicts == {
        (True, "right"): 787, (True, "wrong"): 59, (True, "unparsed"): 4, (False, "wrong"): 27, (False, "right"): 2,
    }  # fmt: skip


def test_maths_of_real_rationales():
    """On formulas in LaTeX math-verify and the number check agree, where words do not fill the formula."""
    pytest.importorskip("math_verify", reason="needs the extra math")
    rows = read_rows("multiarith_gpt4omini")[:60]
    pairs = zip(judge(rows, "maths"), judge(rows, "number"), strict=True)
    assert sum(maths == number for maths, number in pairs) >= 55


class Case(dict):
    """A reported case, named in test ids by its line."""

    def __str__(self):
        return f"line-{self['line']}"


def reported_cases():
    if not REPORTED.is_file():
        return []
    lines = REPORTED.read_text(encoding="utf-8").split("\n")
    cases = [Case(json.loads(line), line=number) for number, line in enumerate(lines, 1) if line]
    return [case for case in cases if case["call"] in ("parse_gold", "check_answer")]


@pytest.mark.skipif(not REPORTED.is_file(), reason=f"needs the reported cases at {REPORTED}")
@pytest.mark.parametrize("case", reported_cases() or [None], ids=str)
def test_reported_cases(case):
    if case["kind"] == "maths":
        pytest.importorskip("math_verify", reason="needs the extra math")
    if case["call"] == "check_answer":
        assert check_answer(case["kind"], case["text"], case["gold"]) == case["expected"]
    elif case["expected"] == "error":
        with pytest.raises(InvalidInputError, match="maths"):
            parse_gold(case["kind"], case["gold"])
    else:
        assert parse_gold(case["kind"], case["gold"]) == case["expected"]


if __name__ == "__main__":
    found = {stem: disagreements(rows := read_rows(stem), judge(rows, kind)) for stem, kind in FILES.items()}
    text = json.dumps(found, indent=1)
    PINNED.write_text(re.sub(r'",\n\s+"', '", "', text) + "\n", encoding="utf-8")
