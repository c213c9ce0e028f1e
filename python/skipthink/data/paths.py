"""Paths into cells: `messages[-1].reasoning_content`, `steps[*].text`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from skipthink.exceptions import InvalidInputError

Path = tuple[str, tuple[str | int, ...]]
EACH = "*"
"""Stands for every element of a list."""

_NAME = re.compile(r"[^.\[\]]+")
_PART = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>-?[0-9]+|\*|)\]")


class PathError(ValueError):
    """A cell has another shape than a path says."""


def parse_path(text: str) -> Path:
    """Reads a path: the name of a column, then `.name` for a key, `[0]` or `[-1]` for an element, `[*]` for each.

    Raises:
        InvalidInputError: no path.
    """
    start = _NAME.match(text)
    parts: list[str | int] = []
    at = start.end() if start else 0
    while start and at < len(text):
        part = _PART.match(text, at)
        if part is None:
            start = None
        elif part["name"] is not None:
            parts.append("." + part["name"])
        else:
            parts.append(EACH if part["index"] in ("", EACH) else int(part["index"]))
        at = part.end() if part else len(text)
    if start is None:
        raise InvalidInputError(
            f"{text!r} is no path; write a column, then .name, [0], [-1] or [*], as in messages[-1].content"
        )
    return start[0], tuple(parts)


def follow(value: Any, parts: tuple[str | int, ...]) -> Any:
    """What a path leads to in one cell; None where a key or an element is not there.

    Text that is JSON is read as such where the path goes on inside.

    Raises:
        PathError: the path goes on inside something that is no list or object.
    """
    for number, part in enumerate(parts):
        if value is None:
            return None
        if isinstance(value, str):
            value = _read_json(value, part)
        if isinstance(part, str) and part != EACH:
            if not isinstance(value, Mapping):
                raise PathError(f"{_shown(part)} is asked of {_kind(value)}, which is no object")
            value = value.get(part[1:])
        elif not isinstance(value, list | tuple):
            raise PathError(f"{_shown(part)} is asked of {_kind(value)}, which is no list")
        elif part == EACH:
            return [follow(element, parts[number + 1 :]) for element in value]
        else:
            value = value[int(part)] if -len(value) <= int(part) < len(value) else None
    return value


def _read_json(text: str, part: str | int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise PathError(f"{_shown(part)} is asked of the text {text!r:.40}, which is no JSON") from None


def _shown(part: str | int) -> str:
    return part if isinstance(part, str) and part != EACH else f"[{part}]"


def _kind(value: Any) -> str:
    return f"{value!r:.40} ({type(value).__name__})"
