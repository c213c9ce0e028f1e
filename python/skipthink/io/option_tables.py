"""Tables of options for the documentation, made from their declarations."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import Any

import yaml

from skipthink.options import Options, alternatives, choices_of, hint_of, plain

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def table_of(kind: type[Options], *, without: Iterable[type[Options]] = ()) -> str:
    """A set of options as a Markdown table: key, value, default, what it does; sections are left out.

    Args:
        kind: the options.
        without: kinds whose options are left out, because they have a table of their own.
    """
    known = {one.name for other in without for one in fields(other)}
    return markdown(
        ["key", "value", "default", "what it does"],
        (cells(kind, one) for one in fields(kind) if one.name not in known and not _is_section(kind, one)),
    )


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells as a Markdown table."""
    head = list(head)
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def cells(kind: type[Options], one: Field[Any]) -> list[str]:
    """What a table says of an option: key, value, default, what it does."""
    if one.default_factory is not MISSING:
        default = f"`{_yaml(one.default_factory())}`"
    else:
        default = "must be given" if one.default is MISSING else f"`{_yaml(one.default)}`"
    value = _value_in_words(hint_of(kind, one.name), one)
    return [f"`{one.name}`", value, default, one.metadata["help"].replace("|", "&#124;")]


def _is_section(kind: type[Options], one: Field[Any]) -> bool:
    parts = alternatives(hint_of(kind, one.name))
    return one.metadata["sections"] is not None or any(
        isinstance(part, type) and issubclass(part, Options) for part in parts
    )


def _value_in_words(hint: Any, one: Field[Any]) -> str:
    choices = choices_of(hint) or ()
    words = [f"`{choice}`" for choice in choices]
    names = {int: "integer", float: "number", str: "text", bool: "`true` or `false`"}
    for part in alternatives(hint):
        origin = typing.get_origin(part)
        if origin is tuple:
            entries = choices_of(typing.get_args(part)[0])
            words.append(f"list of {', '.join(f'`{entry}`' for entry in entries)}" if entries else "list")
        elif origin is not typing.Literal and part is not type(None):
            words.append(names.get(part, "mapping"))
    if type(None) in alternatives(hint):
        words.append("`null`")
    bounds = [f"{SIGNS[name]} {bound}" for name, bound in one.metadata["bounds"].items() if name in SIGNS]
    return ", ".join([*words, *bounds])


def _yaml(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(plain(value), default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
