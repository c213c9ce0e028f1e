"""Samples from files, folders and the hub: read, checked, filtered, counted, and split by question.

Formats, columns and what is counted are described in docs/how-to/data.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.core.steps import count_unsplit
from skipthink.data.cells import (
    COLUMNS,
    check_cells,
    name_columns,
    read_answers,
    read_ids,
    read_steps,
    select_rows,
)
from skipthink.data.formats import FORMATS, apply_format
from skipthink.data.sources import SPLITS, RawRows, check_splits, read_source
from skipthink.data.splits import question_key, split_samples
from skipthink.data.thoughts import take_rationale
from skipthink.exceptions import DataError, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "FORMATS",
    "ODD_ANSWERS",
    "SPLITS",
    "Samples",
    "load_samples",
    "question_key",
    "split_samples",
]

ODD_ANSWERS = ("error", "drop")


@dataclass(frozen=True)
class Samples:
    """Samples that passed the checks, and counts of those that did not.

    Attributes:
        table: columns id, question, rationale, answer (strings), split and correct where the source has
            them, then the source's other columns. Rationales may be null: those of evaluation rows, and all
            with `require_rationale=False`.
        report: "read" = "kept" + the sum of "dropped" (reason → rows), and further counts.
    """

    table: pa.Table
    report: dict[str, Any]


def load_samples(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    format: str | None = None,
    split: str | None = None,
    splits: Mapping[str, str] | None = None,
    teacher: str = "correct",
    answer: str | None = None,
    odd_answers: str = "error",
    require_rationale: bool = True,
) -> Samples:
    """Loads samples and checks each of them.

    Rows of a validation or test split are evaluation rows: they need no rationale, and a wrong teacher
    does not drop them. All other rows are training rows.

    Args:
        source: a .jsonl, .ndjson, .json, .csv, .tsv or .parquet file (text files also as .gz), a folder of
            `datasets` (`save_to_disk`, or with data files), or the name of a data set on the hub ("owner/name" or
            "owner/name:config").
        columns: our column (one of `COLUMNS`) → the source's name of it, or a path into its cells:
            "messages[-1].reasoning_content", "steps[*].text".
        format: layout of a source that does not have these columns: one of `FORMATS`, see docs/how-to/data.md.
        split: keep this split only.
        splits: our name of a split → the source's, {"train": "train_sft"}; rows of other splits are left out.
        teacher: "correct" drops training rows whose column `correct` is false; "all" keeps them.
        answer: kind of the answers; each gold answer must be of this kind.
        odd_answers: gold answers of another kind are an "error", or their rows are "drop"ped and counted.
        require_rationale: drop training rows without a rationale.

    Returns:
        The samples in the order of the source, and the report.

    Raises:
        DataError: the source cannot be read or breaks a rule of docs/how-to/data.md; names file, line or row.
        InvalidInputError: a wrong option.
    """
    for name, value, known in (
        ("teacher", teacher, ("correct", "all")),
        ("odd_answers", odd_answers, ODD_ANSWERS),
    ):
        if value not in known:
            raise InvalidInputError(
                f"{name} must be {' or '.join(_quoted(one) for one in known)}, got {value!r}"
            )
    check_splits(splits or {})
    raw = read_source(source, split, splits)
    left = {} if format is None else apply_format(raw, format, columns or {}, answer)
    named, left_out = name_columns(raw, columns or {}, require_rationale)
    rows = select_rows(raw, named.get("split"), split, splits or {})
    dropped = Counter({"other split": raw.n_rows - len(rows)})
    dropped.update(left[row] for row in rows.keys() & left.keys())
    rows = {row: name for row, name in rows.items() if row not in left}
    answers = read_answers(raw, named["answer"], rows, answer)
    n_joined = read_steps(named["rationale"], rows)
    odd = check_cells(raw, named, rows, answer, odd_answers)
    dropped["odd answer"] += len(odd)
    ids = read_ids(raw, named.get("id"), rows)
    rows = {row: name for row, name in rows.items() if row not in odd}
    thoughts, tags = Counter[str](), Counter[str]()
    rationales: dict[int, str | None] = {}
    for row, split_of_row in rows.items():
        rationale, problem = take_rationale(named["rationale"][row], thoughts, tags)
        evaluated = split_of_row in ("validation", "test")
        if teacher == "correct" and "correct" in named and named["correct"][row] is False:
            problem = "teacher wrong"
        if problem is None or evaluated or (problem == "no rationale" and not require_rationale):
            rationales[row] = rationale
        else:
            dropped[problem] += 1
    if not rationales:
        raise DataError(f"no sample of {source} is left: {dict(+dropped)} of {raw.n_rows} rows were dropped")
    table, as_text = _build_table(raw, named, ids, rows, rationales)
    report = {
        "source": str(source),
        "read": raw.n_rows,
        "kept": table.num_rows,
        "dropped": dict(+dropped),
        "without_rationale": sum(rationale is None for rationale in rationales.values()),
        "think": dict(thoughts),
        "tags": dict(tags),
        "answers_from": dict(answers),
        "lists_of_steps": n_joined,
        "long_rationales_of_one_step": count_unsplit(
            [text for text in rationales.values() if text is not None]
        ),
        "made_ids": "id" not in named,
        "columns_left_out": left_out,
        "columns_as_json": as_text,
        **raw.notes,
    }
    return Samples(table, report)


def _quoted(word: str) -> str:
    return f'"{word}"'


def _build_table(
    raw: RawRows,
    named: Mapping[str, list[Any]],
    ids: Mapping[int, str],
    splits: Mapping[int, str | None],
    rationales: Mapping[int, str | None],
) -> tuple[pa.Table, list[str]]:
    import pyarrow as pa

    kept = list(rationales)
    arrays = {
        "id": pa.array([ids[row] for row in kept], pa.string()),
        "question": pa.array([named["question"][row] for row in kept], pa.string()),
        "rationale": pa.array([rationales[row] for row in kept], pa.string()),
        "answer": pa.array([named["answer"][row] for row in kept], pa.string()),
    }
    if all(splits[row] is not None for row in kept):
        arrays["split"] = pa.array([splits[row] for row in kept], pa.string())
    if "correct" in named:
        arrays["correct"] = pa.array([named["correct"][row] for row in kept], pa.bool_())
    as_text = []
    for name, values in raw.columns.items():
        array = _simple_array([values[row] for row in kept])
        if array is None:
            as_text.append(name)
            array = pa.array(
                [None if values[row] is None else _json(values[row]) for row in kept], pa.string()
            )
        arrays[name] = array
    return pa.table(arrays), as_text


def _simple_array(values: list[Any]) -> pa.Array | None:
    """An Arrow array of values of one type, lists included; None where they are mixed or objects."""
    import pyarrow as pa

    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None
    kind = array.type
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return None if pa.types.is_nested(kind) else array


def _json(value: object) -> str:
    return json.dumps(value, default=str)
