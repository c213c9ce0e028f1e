"""Columns by our names, and the checks every cell of a sample goes through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from skipthink.answers import parse_gold
from skipthink.data.faults import Faults
from skipthink.data.paths import PathError, follow, parse_path
from skipthink.data.sources import SPLITS, RawRows, same_split, source_stem, split_name
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.tasks.base import did_you_mean

COLUMNS = ("id", "question", "rationale", "answer", "split", "correct")


def name_columns(
    raw: RawRows, columns: Mapping[str, str], require_rationale: bool
) -> tuple[dict[str, list[Any]], list[str]]:
    """Our columns by our names, which leave `raw.columns`, and the names of columns left out.

    Left out is a column with one of our names where `columns` names another one for it. A column that a path goes
    into stays.

    Raises:
        DataError: a column is missing, has a name that is no valid text, or another shape than a path says.
        InvalidInputError: `columns` names a column that is none of ours, one column twice, or no path.
    """
    for name in columns:
        if name not in COLUMNS:
            hint = did_you_mean(str(name), COLUMNS)
            raise InvalidInputError(f"columns names {name!r}; {hint}our columns are {', '.join(COLUMNS)}")
    doubled = next((name for name, count in Counter(columns.values()).items() if count > 1), None)
    if doubled is not None:
        raise InvalidInputError(f"columns takes the column {doubled!r} twice")
    _follow_paths(raw, columns)
    unclean = next((name for name in raw.columns if _surrogate(name) is not None), None)
    if unclean is not None:
        raise DataError(f"{raw.source} has a column whose name is no valid text: {unclean!r}")
    named = {}
    needed = ("question", "rationale", "answer") if require_rationale else ("question", "answer")
    taken = set(columns.values())
    for ours in COLUMNS:
        theirs = columns.get(ours, ours)
        if theirs in raw.columns and (ours in columns or theirs not in taken):
            named[ours] = raw.columns[theirs]
        elif ours in needed or ours in columns:
            hint = did_you_mean(theirs, list(raw.columns))
            raise DataError(
                f"{raw.source} has no column {theirs!r}; {hint}it has {', '.join(raw.columns) or 'none'}; "
                f"name the right one with columns={{{ours!r}: …}}, in a recipe with data.columns"
            )
    named.setdefault("rationale", [None] * raw.n_rows)
    left_out = [name for name in columns if name in raw.columns and name not in taken]
    for ours in named:
        raw.columns.pop(columns.get(ours, ours), None)
    for name in left_out:
        del raw.columns[name]
    return named, left_out


def _follow_paths(raw: RawRows, columns: Mapping[str, str]) -> None:
    """Adds a column for every path, under the path itself as its name."""
    faults = Faults(raw)
    for ours, theirs in columns.items():
        if theirs in raw.columns or not any(mark in theirs for mark in ".["):
            continue
        name, parts = parse_path(theirs)
        if name not in raw.columns:
            continue
        found: list[Any] = []
        for row, cell in enumerate(raw.columns[name]):
            try:
                found.append(follow(cell, parts))
            except PathError as error:
                found.append(None)
                faults.add(row, f"{ours} cannot be read", f"{ours} cannot be read from {theirs}: {error}")
        raw.columns[theirs] = found
    faults.refuse()


def select_rows(
    raw: RawRows, column: list[Any] | None, wanted: str | None, splits: Mapping[str, str]
) -> dict[int, str | None]:
    """The rows of the wanted split, all where None is wanted, each with our name of its split.

    The name is None where the source has no splits, or where the wanted one is none of ours. Where `splits` says
    what ours are called, rows of others are left out.

    Raises:
        DataError: a split that is no text or none of ours, or no row of the wanted one.
    """
    if column is None:
        if wanted is not None or splits:
            asked = f"split={wanted!r}" if wanted is not None else f"splits={dict(splits)!r}"
            raise DataError(f"{raw.source} has no splits, but {asked} is asked for; leave it out")
        return dict.fromkeys(range(raw.n_rows))
    selected: dict[int, str | None] = {}
    faults = Faults(raw)
    for row, value in enumerate(column):
        if not isinstance(value, str):
            faults.add(row, "split is no text", f"split is {value!r}, not text; write {', '.join(SPLITS)}")
            continue
        ours = split_name(value, splits)
        if wanted is None and ours is None and not splits:
            faults.add(
                row,
                f"split {value!r}",
                f"split is {value!r}, none of {', '.join(SPLITS)}; choose one with split=…, or say which it is with "
                f"splits={{'train': {value!r}}}, in a recipe with data.splits",
            )
        elif same_split(value, wanted, splits) if wanted is not None else ours is not None:
            selected[row] = ours
    faults.refuse()
    missing = [name for name in splits.values() if wanted is None and name not in column]
    if not selected or missing:
        has = ", ".join(sorted(set(column)))
        raise DataError(
            f"{raw.source} has no row of the split {missing[0] if missing else wanted!r}; its splits are {has}"
        )
    return selected


def read_answers(raw: RawRows, column: list[Any], rows: Iterable[int], kind: str | None) -> Counter[str]:
    """Writes whole numbers, decimals and booleans of a column of answers as the text that says exactly that.

    Returns:
        How many there were, by type.
    """
    counts = Counter[str]()
    for row in rows:
        value = column[row]
        if isinstance(value, bool):
            yes_no = ("no", "yes") if kind == "yes_no" else ("false", "true")
            column[row], name = yes_no[value], "boolean"
        elif isinstance(value, int):
            column[row], name = str(value), "integer"
        elif isinstance(value, float) and isfinite(value):
            # the shortest text that is this number and no other, without an exponent
            column[row], name = _plain(Decimal(repr(value))), "float"
        elif isinstance(value, Decimal) and value.is_finite():
            column[row], name = _plain(value), "decimal"
        else:
            continue
        counts[name] += 1
    return counts


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_steps(column: list[Any], rows: Iterable[int]) -> int:
    """Joins rationales that are lists of steps; how many there were.

    A step that does not end in white space gets a line break behind it, so that it ends at its line.
    """
    n_joined = 0
    for row in rows:
        value = column[row]
        if isinstance(value, list) and all(isinstance(step, str) for step in value):
            ended = [step if step[-1:].isspace() else step + "\n" for step in value[:-1]]
            column[row] = "".join([*ended, *value[-1:]]) or None
            n_joined += 1
    return n_joined


def check_cells(
    raw: RawRows, named: Mapping[str, list[Any]], rows: Iterable[int], kind: str | None, odd_answers: str
) -> set[int]:
    """Checks that texts are text, and that every row has a question and a gold answer of the kind.

    Returns:
        The rows whose gold answer is none of the kind, with `odd_answers` "drop".

    Raises:
        DataError: names the first row, what was found and what to do, and counts all such rows.
    """
    faults, odd = Faults(raw), set[int]()
    for row in rows:
        fault = _fault_of_texts(named, row)
        if fault is None and "correct" in named:
            fault = _fault_of_correct(named["correct"], row)
        if fault is not None:
            faults.add(row, *fault)
        elif kind is not None:
            try:
                parse_gold(kind, named["answer"][row])
            except InvalidInputError as error:
                odd.add(row)
                if odd_answers == "error":
                    advice = (
                        'or leave such rows out with odd_answers="drop", in a recipe with data.odd_answers'
                    )
                    faults.add(row, f"gold answer that is no {kind}", f"{error}, {advice}")
    faults.refuse()
    return odd


def _fault_of_texts(named: Mapping[str, list[Any]], row: int) -> tuple[str, str] | None:
    for name in ("question", "rationale", "answer"):
        value = named[name][row]
        if value is not None and not isinstance(value, str):
            found = f"{name} is {value!r:.80} ({type(value).__name__}), not text"
            return f"{name} is no text", f"{found}; {_advice(name, value)}"
        position = None if value is None else _surrogate(value)
        if value is not None and position is not None:
            found = f"the lone surrogate {value[position]!r} at position {position}"
            return f"{name} with a surrogate", f"{name} holds {found}, which is no character; replace it"
    for name, call in (("question", "question is empty"), ("answer", "no gold answer")):
        value = named[name][row]
        if value is None or not value.strip():
            return call, f"{call}; {name} is {value!r}, fill it in or remove the row"
    return None


def _advice(name: str, value: object) -> str:
    keys = list(value[0]) if isinstance(value, list) and value and isinstance(value[0], dict) else None
    if isinstance(value, dict):
        return (
            f"name what is meant by a path such as columns={{{name!r}: '{name}.{next(iter(value), 'key')}'}}"
        )
    if keys is not None:
        return f"name what is meant by a path such as columns={{{name!r}: '{name}[*].{next(iter(keys), 'key')}'}}"
    return "write it as a string"


def _fault_of_correct(column: list[Any], row: int) -> tuple[str, str] | None:
    value = column[row]
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):  # what a table of text can say
        column[row] = value.strip().lower() == "true"
    elif not isinstance(value, bool | None):
        return "correct is no boolean", f"correct is {value!r}; write true, false or null"
    return None


def _surrogate(text: str) -> int | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def read_ids(raw: RawRows, column: list[Any] | None, rows: Iterable[int]) -> dict[int, str]:
    """The id of each row; made from the source's name and the row where it has none. Integers become text."""
    if column is None:
        stem = source_stem(raw.source)
        return {row: f"{stem}-{row}" for row in rows}
    ids: dict[int, str] = {}
    seen: dict[str, int] = {}
    faults = Faults(raw)
    for row in rows:
        value = column[row]
        name = str(value)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            fault = f"id is {value!r}; write text or an integer, or leave out the whole column"
        elif _surrogate(name) is not None:
            fault = f"id {name!r} holds a lone surrogate, which is no character; replace it"
        elif name in seen:
            first = raw.place(seen[name]).removeprefix(f"row {seen[name]}, ")
            fault = f"id {name!r} stands in {first} already; make ids differ"
        else:
            seen[name] = row
            ids[row] = name
            continue
        faults.add(row, "bad ids", fault)
    faults.refuse()
    return ids
