"""Messages about rows: the row by its place in the data set and by its id, in place of its place in a batch.

Messages of the package say "row N" where they speak of a row, and say it before they quote anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from skipthink.exceptions import SkipthinkError

_ROW = re.compile(r"\brow (\d+)")


def placed(
    error: SkipthinkError, indices: Sequence[int] | None, ids: Any, n_rows: int, start: int = 0
) -> SkipthinkError:
    """The error with the row's number in the data set, and its id.

    Args:
        error: speaks of a row of a part of a batch.
        indices: numbers of the part's rows in the data set; None: not known.
        ids: their ids, a sequence or an Arrow array; None: there are none.
        n_rows: rows of the part.
        start: row of the batch that the part begins at.
    """
    text = str(error)
    found = _ROW.search(text)
    if found is None or (row := int(found[1])) >= n_rows:
        return error
    number = start + row if indices is None else indices[row]
    named = "" if ids is None else f" (id {_value(ids[row])!r:.60})"
    text = f"{text[: found.start(1)]}{number}{named}{text[found.end(1) :]}"
    if indices is None:
        text += f" (rows of a batch of {start + n_rows}; map with_indices=True to have those of the data set)"
    return type(error)(text)


def without_row(error: SkipthinkError) -> str:
    """The message about a row that is alone in its batch, for the column of errors: it does not depend on batches."""
    return _ROW.sub("this row", str(error), count=1)


def _value(item: Any) -> Any:
    return item.as_py() if hasattr(item, "as_py") else item
