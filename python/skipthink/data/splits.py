"""Splits that share no question."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Any

from skipthink.data.sources import SPLITS
from skipthink.exceptions import DataError, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa


def split_samples(
    table: pa.Table,
    *,
    train: int | None = None,
    validation: float | int = 0.1,
    test: float | int = 0.1,
    seed: int = 0,
) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Splits samples so that no question occurs in two splits.

    Rows that the column `split` puts into validation or test stay there. A split that the table does not have is taken
    from the training rows, by whole questions. Two questions are the same if they differ only in case, white space or
    Unicode form. The choice depends on texts and seed, not on the order of rows. A question of test is removed from
    train and validation, a question of validation from train.

    Args:
        table: samples as from `load_samples`.
        train: number of training rows to keep; None keeps all.
        validation: a float is the share of the training rows to take if the table has no validation rows; an integer is
            a number of rows, taken from train or chosen among those the table has. Whole questions are taken until this
            number is reached.
        test: the same for the test split.
        seed: seed of the choice.

    Returns:
        The tables "train", "validation" and "test" in the order of the rows, and a report, in which "rows" is the sum
        of "splits" plus the sum of "dropped".

    Raises:
        DataError: a split asks for more rows than there are, or no training row is left.
        InvalidInputError: a size is wrong.
    """
    import pyarrow as pa

    sizes = {"test": test, "validation": validation}
    for name, size in sizes.items():
        _check_size(name, size)
    if train is not None and (isinstance(train, bool) or not isinstance(train, int) or train < 1):
        raise InvalidInputError(f"train must be a number of rows, 1 or more, or None; got {train!r}")
    keys = [question_key(question) for question in table["question"].to_pylist()]
    given = table["split"].to_pylist() if "split" in table.column_names else ["train"] * len(keys)
    dropped = Counter[str]()
    rows = _rows_of_one_split(keys, given, dropped)
    n_train = len(rows["train"])
    for name, size in sizes.items():
        if isinstance(size, int):
            _fill(rows, name, size, keys, seed, dropped)
        elif not rows[name]:
            _fill(rows, name, ceil(size * n_train), keys, seed, dropped)
    if train is not None:
        if train > len(rows["train"]):
            raise DataError(f"train asks for {train} rows, but {len(rows['train'])} are left; ask for fewer")
        dropped["not asked for"] += len(rows["train"]) - train
        ids = table["id"].to_pylist()
        rows["train"] = sorted(
            sorted(rows["train"], key=lambda row: _draw(f"{seed}/train", ids[row]))[:train]
        )
    if not rows["train"]:
        raise DataError("no training row is left: every row stands in validation or test")
    tables = {}
    for name in SPLITS:
        part = table.take(pa.array(rows[name], pa.int64()))
        column = pa.array([name] * part.num_rows, pa.string())
        index = part.schema.get_field_index("split")
        tables[name] = (
            part.set_column(index, "split", column) if index >= 0 else part.append_column("split", column)
        )
    report = {
        "rows": table.num_rows,
        "splits": {name: len(rows[name]) for name in SPLITS},
        "questions": {name: len({keys[row] for row in rows[name]}) for name in SPLITS},
        "dropped": dict(+dropped),
    }
    return tables, report


def question_key(question: str) -> str:
    """The text of a question without differences of case, white space and Unicode form; equal for same questions."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())


def _check_size(name: str, size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int | float):
        raise InvalidInputError(f"{name} must be a share (float) or a number of rows (int), got {size!r}")
    if not (0 <= size < 1 if isinstance(size, float) else size >= 0):
        bounds = "a share from 0 to below 1" if isinstance(size, float) else "a number of rows, 0 or more"
        raise InvalidInputError(f"{name} must be {bounds}, got {size!r}")


def _rows_of_one_split(keys: list[str], given: list[str], dropped: Counter[str]) -> dict[str, list[int]]:
    """Rows of each split without those whose question stands in a split that wins: test, then validation."""
    rows: dict[str, list[int]] = {name: [] for name in SPLITS}
    for row, name in enumerate(given):
        if name not in rows:
            raise InvalidInputError(f"row {row} has the split {name!r}; splits are {', '.join(SPLITS)}")
        rows[name].append(row)
    for loser, winner in (("validation", "test"), ("train", "test"), ("train", "validation")):
        taken = {keys[row] for row in rows[winner]}
        kept = [row for row in rows[loser] if keys[row] not in taken]
        dropped[f"{loser}: question stands in {winner}"] += len(rows[loser]) - len(kept)
        rows[loser] = kept
    return rows


def _fill(
    rows: dict[str, list[int]], name: str, n_wanted: int, keys: list[str], seed: int, dropped: Counter[str]
) -> None:
    """Brings a split to the wanted number of rows, from its own where it has any, else from train."""
    source = name if rows[name] else "train"
    taken, rest = _take_questions(rows[source], keys, n_wanted, f"{seed}/{name}")
    if len(taken) < n_wanted:
        raise DataError(f"{name} asks for {n_wanted} rows, but {source} has {len(taken)}; ask for fewer")
    rows[name] = taken
    if source == "train":
        rows["train"] = rest
    else:
        dropped["not asked for"] += len(rest)


def _take_questions(
    rows: list[int], keys: list[str], n_wanted: int, salt: str
) -> tuple[list[int], list[int]]:
    """Takes whole questions, in an order that text and seed give, until `n_wanted` rows are reached."""
    of_question: dict[str, list[int]] = {}
    for row in rows:
        of_question.setdefault(keys[row], []).append(row)
    taken: list[int] = []
    for key in sorted(of_question, key=lambda key: _draw(salt, key)):
        if len(taken) >= n_wanted:
            break
        taken += of_question[key]
    left = set(taken)
    return sorted(taken), [row for row in rows if row not in left]


def _draw(salt: str, text: str) -> bytes:
    return hashlib.sha256(f"{salt}/{text}".encode()).digest()
