"""Columns by our names, and the checks every cell of a sample goes through."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skipthink.answers import parse_gold
from skipthink.data.sources import SPLITS, RawRows, same_split, split_name
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.tasks.base import did_you_mean

COLUMNS = ("id", "question", "rationale", "answer", "split", "correct")


def name_columns(
    raw: RawRows, columns: Mapping[str, str], require_rationale: bool
) -> tuple[dict[str, list[Any]], list[str]]:
    """Our columns by our names, which leave `raw.columns`, and the names of columns left out.

    Left out is a column with one of our names where `columns` names another one for it.

    Raises:
        DataError: a column is missing, or has a name that is no valid text.
        InvalidInputError: `columns` names a column that is none of ours, or one column twice.
    """
    for name in columns:
        if name not in COLUMNS:
            hint = did_you_mean(str(name), COLUMNS)
            raise InvalidInputError(f"columns names {name!r}; {hint}our columns are {', '.join(COLUMNS)}")
    doubled = next((name for name, count in Counter(columns.values()).items() if count > 1), None)
    if doubled is not None:
        raise InvalidInputError(f"columns takes the column {doubled!r} twice")
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
                f"name the right one with columns={{{ours!r}: …}}"
            )
    named.setdefault("rationale", [None] * raw.n_rows)
    left_out = [name for name in columns if name in raw.columns and name not in taken]
    for ours in named:
        raw.columns.pop(columns.get(ours, ours), None)
    for name in left_out:
        del raw.columns[name]
    return named, left_out


def select_rows(raw: RawRows, column: list[Any] | None, wanted: str | None) -> dict[int, str | None]:
    """The rows of the wanted split, all where None is wanted, each with our name of its split.

    The name is None where the source has no splits, or where the wanted one is none of ours.

    Raises:
        DataError: a split that is no text or none of ours, or no row of the wanted one.
    """
    if column is None:
        if wanted is not None:
            raise DataError(f"{raw.source} has no splits, but split={wanted!r} is asked for; leave it out")
        return dict.fromkeys(range(raw.n_rows))
    selected: dict[int, str | None] = {}
    for row, value in enumerate(column):
        place = f"{raw.source}, {raw.place(row)}"
        if not isinstance(value, str):
            raise DataError(f"{place}: split is {value!r}, not text; write {', '.join(SPLITS)}")
        if wanted is None and split_name(value) is None:
            raise DataError(
                f"{place}: split is {value!r}, none of {', '.join(SPLITS)}; choose one with split=…"
            )
        if wanted is None or same_split(value, wanted):
            selected[row] = split_name(value)
    if not selected:
        has = ", ".join(sorted(set(column)))
        raise DataError(f"{raw.source} has no row of the split {wanted!r}; its splits are {has}")
    return selected


def check_cells(raw: RawRows, named: Mapping[str, list[Any]], rows: Iterable[int], kind: str | None) -> None:
    """Checks that texts are text, and that every row has a question and a gold answer of the kind.

    Raises:
        DataError: names the row, what was found and what to do.
    """
    for row in rows:
        place = f"{raw.source}, {raw.place(row)}"
        for name in ("question", "rationale", "answer"):
            value = named[name][row]
            if value is not None and not isinstance(value, str):
                raise DataError(
                    f"{place}: {name} is {value!r} ({type(value).__name__}), not text; write it as a string"
                )
            position = None if value is None else _surrogate(value)
            if value is not None and position is not None:
                found = f"the lone surrogate {value[position]!r} at position {position}"
                raise DataError(f"{place}: {name} holds {found}, which is no character; replace it")
        for name, call in (("question", "question is empty"), ("answer", "no gold answer")):
            value = named[name][row]
            if value is None or not value.strip():
                raise DataError(f"{place}: {call}; {name} is {value!r}, fill it in or remove the row")
        if "correct" in named and not isinstance(named["correct"][row], bool | None):
            raise DataError(f"{place}: correct is {named['correct'][row]!r}; write true, false or null")
        if kind is not None:
            try:
                parse_gold(kind, named["answer"][row])
            except InvalidInputError as error:
                raise DataError(f"{place}: {error}") from error


def _surrogate(text: str) -> int | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def read_ids(raw: RawRows, column: list[Any] | None, rows: Iterable[int]) -> dict[int, str]:
    """The id of each row; made from the source's name and the row where it has none. Integers become text."""
    if column is None:
        stem = Path(raw.source.partition(":")[0]).stem
        return {row: f"{stem}-{row}" for row in rows}
    ids: dict[int, str] = {}
    seen: dict[str, int] = {}
    for row in rows:
        value = column[row]
        place = f"{raw.source}, {raw.place(row)}"
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise DataError(
                f"{place}: id is {value!r}; write text or an integer, or leave out the whole column"
            )
        name = str(value)
        if _surrogate(name) is not None:
            raise DataError(f"{place}: id {name!r} holds a lone surrogate, which is no character; replace it")
        if name in seen:
            raise DataError(
                f"{place}: id {name!r} stands in {raw.place(seen[name])} already; make ids differ"
            )
        seen[name] = row
        ids[row] = name
    return ids


_THINK_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)


def take_rationale(text: str | None, counts: Counter[str]) -> tuple[str | None, str | None]:
    """The rationale in a cell, and what is wrong with it: None, or the reason to drop a training row."""
    if text is None or not text.strip():
        return None, "no rationale"
    tags = list(_THINK_TAG.finditer(text))
    if not tags:
        return text, None
    shape = "".join(tag[0].lower() for tag in tags)
    if shape == "<think>":
        return None, "unclosed <think>"
    if shape not in ("<think></think>", "</think>"):
        return None, "more than one <think> block"
    # chat templates often put the opening tag into the prompt; then the thought starts with the text
    start, end = (tags[0].end() if len(tags) == 2 else 0), tags[-1].start()
    thought = text[start:end].strip()
    outside = (text[: tags[0].start()] if len(tags) == 2 else "") + text[tags[-1].end() :]
    if not thought:
        counts["empty"] += 1
        return (outside.strip(), None) if outside.strip() else (None, "no rationale")
    counts["stripped"] += 1
    counts["text_outside_left_out"] += bool(outside.strip())
    return thought, None
