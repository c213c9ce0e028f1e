"""Several files of one kind as one data set whose splits share no question, nor one that differs in numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.data import load_samples
from skipthink.data.facts import question_keys
from skipthink.exceptions import DataError, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("id", "question", "rationale", "answer", "split", "correct", "file")
"""Columns of a pool; `file` is the name of the file a row is from, without its ending."""

_ORDER = {"test": 0, "validation": 1, "train": 2}


def pool_files(
    files: Sequence[Path],
    *,
    rationales: int | None = None,
    longest: int | None = None,
    answer: str | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Pools files. Rows of test win over those of validation, and these over rows of train.

    Questions are the same when they differ in case, white space and punctuation only; they are of one template when
    they differ in numbers too. A row leaves a split if its question stands in a split that wins, or is of the template
    of one there: test questions stay those that were published, and no template stands in two splits.

    Args:
        files: what `load_samples` reads, with a column `split`.
        rationales: most rows of one question in train, those with a right teacher answer first; None: all.
        longest: characters of the longest rationale that stays in train; None: all stay. What a student may write at
            inference is bounded by the longest rationale it has learnt: a few very long ones make every loop expensive.
        answer: kind of the answers.

    Returns:
        The rows in the order of the files, with the columns `COLUMNS`, and a report: "rows" = the sum of "splits" + the
        sum of "dropped".

    Raises:
        DataError: a file cannot be read, has no column `split`, or no row of train is left.
        InvalidInputError: no file, a file named twice, or `rationales` or `longest` below 1.
    """
    import pyarrow as pa

    for name, value in (("rationales", rationales), ("longest", longest)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} must be at least 1, got {value}")
    stems = [file.name.split(".")[0] for file in files]
    doubled = [stem for stem, count in Counter(stems).items() if count > 1]
    if not files or doubled:
        found = f"{doubled[0]!r} twice" if doubled else "no file"
        raise InvalidInputError(f"a pool is made of files of different names; there is {found}")
    rows = [row for file, stem in zip(files, stems, strict=True) for row in _read(file, stem, answer)]
    dropped = Counter[str]()
    kept = _without_leaks(rows, dropped)
    kept = _without_long(kept, longest, dropped)
    kept = _without_repeats(kept, rationales, dropped)
    _name_apart(kept)
    splits = Counter(row["split"] for row in kept)
    if not splits["train"]:
        raise DataError("no row of train is left: every question, or its template, stands in another split")
    report = {
        "rows": len(rows),
        "splits": {name: splits[name] for name in _ORDER if splits[name]},
        "questions": {
            name: len({row["key"] for row in kept if row["split"] == name}) for name in _ORDER if splits[name]
        },
        "dropped": dict(dropped),
    }
    schema = pa.schema([(name, pa.bool_() if name == "correct" else pa.string()) for name in COLUMNS])
    return pa.Table.from_pylist([{name: row[name] for name in COLUMNS} for row in kept], schema), report


def _read(file: Path, stem: str, answer: str | None) -> list[dict[str, Any]]:
    """The rows of a file, with their file and the keys of their question."""
    table = load_samples(file, teacher="all", answer=answer, require_rationale=False).table
    if "split" not in table.column_names:
        raise DataError(
            f"{file} has no column split; say of each row whether it is of train, validation or test"
        )
    known = [name for name in COLUMNS if name in table.column_names]
    rows: list[dict[str, Any]] = table.select(known).to_pylist()
    for row in rows:
        keys = question_keys(row["question"], frozenset())
        row |= {"file": stem, "key": keys.spelling, "template": keys.numbers, "correct": row.get("correct")}
    return rows


def _without_leaks(rows: list[dict[str, Any]], dropped: Counter[str]) -> list[dict[str, Any]]:
    """The rows whose question and template stand in no split that wins."""
    strongest: dict[tuple[str, str], str] = {}
    for row in sorted(rows, key=lambda row: _ORDER[row["split"]]):
        for kind in ("key", "template"):
            strongest.setdefault((kind, row[kind]), row["split"])
    kept = []
    for row in rows:
        owner = strongest["template", row["template"]]
        if owner == row["split"]:
            kept.append(row)
            continue
        same = strongest["key", row["key"]] != row["split"]
        what = "question" if same else "question but for its numbers"
        dropped[f"{row['split']}: {what} stands in {owner}"] += 1
    return kept


def _without_long(
    rows: list[dict[str, Any]], longest: int | None, dropped: Counter[str]
) -> list[dict[str, Any]]:
    """The rows without those of train whose rationale is too long."""
    if longest is None:
        return rows
    kept = [row for row in rows if row["split"] != "train" or len(row["rationale"] or "") <= longest]
    if len(kept) < len(rows):
        dropped[f"train: rationale of more than {longest} characters"] += len(rows) - len(kept)
    return kept


def _without_repeats(
    rows: list[dict[str, Any]], rationales: int | None, dropped: Counter[str]
) -> list[dict[str, Any]]:
    """One row per question of test and validation; of train as many as asked for, and none twice."""
    first_answers: dict[str, str] = {}
    counts: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    kept: set[int] = set()
    # a right teacher first; the order of the files otherwise
    for index in sorted(range(len(rows)), key=lambda index: rows[index]["correct"] is False):
        row = rows[index]
        gold = " ".join(row["answer"].split()).casefold()
        limit = rationales if row["split"] == "train" else 1
        if first_answers.setdefault(row["key"], gold) != gold:
            reason = "another answer to the same question"
        elif (row["key"], row["rationale"] or "") in seen:
            reason = "said before"
        elif limit is not None and counts[row["key"]] >= limit:
            reason = "further rationales" if row["split"] == "train" else "asked before"
        else:
            kept.add(index)
            counts[row["key"]] += 1
            seen.add((row["key"], row["rationale"] or ""))
            continue
        dropped[f"{row['split']}: {reason}"] += 1
    return [rows[index] for index in sorted(kept)]


def _name_apart(rows: list[dict[str, Any]]) -> None:
    """Puts the file in front of ids that are not unique."""
    taken = Counter(row["id"] for row in rows)
    for row in rows:
        if taken[row["id"]] > 1:
            row["id"] = f"{row['file']}/{row['id']}"
