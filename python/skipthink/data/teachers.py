"""Rationales compared with the gold answers: wrong teachers, and answers that are never stated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from skipthink.answers import Verdict, check_answer, infer_kind, parse_gold
from skipthink.data.facts import find_numbers, find_options
from skipthink.exceptions import InvalidInputError

MAX_EXAMPLES = 5
_WORDS = {"yes": re.compile(r"\b(?:yes|true)\b", re.I), "no": re.compile(r"\b(?:no|not|false)\b", re.I)}
_BARE_LETTER = re.compile(r"(?<![\w'’])([B-HJ-Z])(?![\w'’])|(?<![\w'’])([A-Z])(?=[).:,])")
_GAP = r"[\s,+.\-–\"'“”‘’`]*"
_MAX_SPELT = 20


@dataclass
class Teachers:
    """Counts of rows, and the ids of the first of them.

    Attributes:
        kind: kind of the answers.
        checked: rows with a rationale and a gold answer of the kind.
        right: rows whose rationale states the gold answer as its answer (`check_answer`).
        wrong: rows whose rationale states another answer.
        unparsed: rows whose rationale states no answer of the kind.
        flagged_wrong: rows whose column `correct` is false; None where there is no such column.
        absent: rows whose gold answer stands nowhere in the rationale.
        last_states: rows whose last step says the gold answer.
        odd_golds: rows whose gold answer is none of the kind, with or without a rationale.
        examples: ids of the first rows by the name of their count.
    """

    kind: str
    checked: int = 0
    right: int = 0
    wrong: int = 0
    unparsed: int = 0
    flagged_wrong: int | None = None
    absent: int = 0
    last_states: int = 0
    odd_golds: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._golds: dict[str, str | None] = {}  # gold answers repeat

    def normal_gold(self, gold: str) -> str | None:
        """The normal form of a gold answer, None where it is none of the kind."""
        if gold not in self._golds:
            try:
                self._golds[gold] = parse_gold(self.kind, gold)
            except InvalidInputError:
                self._golds[gold] = None
        return self._golds[gold]

    def note(self, count: str, name: str) -> None:
        """Adds one to a count, and the row to its examples while there are few."""
        setattr(self, count, (getattr(self, count) or 0) + 1)
        found = self.examples.setdefault(count, [])
        if len(found) < MAX_EXAMPLES:
            found.append(name)


def choose_kind(answers: Sequence[str], kind: str | None) -> str:
    """The kind asked for, else the one that all answers are of.

    Raises:
        InvalidInputError: no such kind, or its package is not installed.
    """
    if kind is None:
        return infer_kind(answers)
    parse_gold(kind, {"choice": "A", "yes_no": "yes", "date": "2020-01-31"}.get(kind, "1"))
    return kind


def check_rows(
    teachers: Teachers,
    ids: Sequence[str],
    rationales: Sequence[str | None],
    last_steps: Sequence[str],
    answers: Sequence[str],
    flags: Sequence[bool | None] | None,
) -> None:
    """Adds rows to the counts; all sequences hold one entry a row (`flags`: the column `correct`)."""
    if flags is not None and teachers.flagged_wrong is None:
        teachers.flagged_wrong = 0
    for row, (name, rationale, last, gold) in enumerate(
        zip(ids, rationales, last_steps, answers, strict=True)
    ):
        wanted = teachers.normal_gold(gold)
        if wanted is None:
            teachers.note("odd_golds", name)
            continue
        if rationale is None:
            continue
        teachers.checked += 1
        if flags is not None and flags[row] is False:
            teachers.note("flagged_wrong", name)
        verdict = check_answer(teachers.kind, rationale, gold)
        if verdict is Verdict.RIGHT:
            teachers.right += 1
        else:
            teachers.note(str(verdict), name)
            if not says_answer(teachers.kind, rationale, gold, wanted):
                teachers.note("absent", name)
        teachers.last_states += says_answer(teachers.kind, last, gold, wanted)


def says_answer(kind: str, text: str, gold: str, wanted: str) -> bool:
    """Whether the gold answer stands somewhere in a text, whatever the text makes of it.

    Args:
        kind: kind of the answer.
        text: a rationale or a step.
        gold: the gold answer.
        wanted: its normal form (`parse_gold`).
    """
    if kind == "number":
        numbers = find_numbers(wanted)
        return bool(numbers) and numbers <= find_numbers(text)
    if kind == "choice":
        letters = {first or second for first, second in _BARE_LETTER.findall(text)}
        return wanted in letters or f"({wanted})" in find_options(text)
    if kind == "yes_no":
        return _WORDS[wanted].search(text) is not None
    if kind == "date":
        return check_answer(kind, text, gold) is Verdict.RIGHT or gold.casefold() in text.casefold()
    lower = gold.strip().casefold()
    parts = [*lower] if lower.isalnum() and len(lower) <= _MAX_SPELT else [lower]
    spelt = _GAP.join(map(re.escape, parts))
    return re.search(rf"(?<!\w){spelt}(?!\w)", text.casefold()) is not None
