"""Options: a frozen dataclass beside the code that uses it, from which everything else is made.

An option is declared once, with its type, its default, its bounds and one sentence of help. The recipe's sections and
their JSON schema (`skipthink.io.sections`), the tables of the documentation and the help of the command line are made
from the declaration.

    @dataclass(frozen=True, kw_only=True)
    class SearchOptions(Options):
        eta: float = option(0.1, "least gain of an accepted change, in nats", ge=0)
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, Self, TypeVar

from skipthink.exceptions import InvalidInputError, InvalidTypeError

BOUNDS = ("ge", "gt", "le", "lt", "min_length", "pattern")
"""Bounds an option may have, named as in pydantic."""


class OptionError(InvalidInputError):
    """An option has a value it must not have.

    Attributes:
        name: the option.
        problem: the rest of the message, e.g. "must be at least 0, got -1".
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


def option(
    default: Any = MISSING,
    help: str = "",
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
    pattern: str | None = None,
) -> Any:
    """A field of an options dataclass.

    Args:
        default: its default; a function (a type, a lambda) is called for each new object. Without one, the option must
            be given.
        help: what it does, in one sentence without a full stop at its end.
        ge: least value; every bound may be left out, and None as a value is not checked.
        gt: value that it must exceed.
        le: greatest value.
        lt: value that it must stay below.
        min_length: least number of entries.
        pattern: regular expression that the whole text must match.
    """
    given = dict(zip(BOUNDS, (ge, gt, le, lt, min_length, pattern), strict=True))
    metadata = {"help": help, "bounds": {name: bound for name, bound in given.items() if bound is not None}}
    if isinstance(default, Callable):  # type: ignore[arg-type]
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all options.

    When the object is made, a value that is out of bounds raises `OptionError`, something else where a number belongs
    `InvalidTypeError`.
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            hint, value = hint_of(type(self), one.name), getattr(self, one.name)
            if not _is_number_where_due(hint, value):
                kind = "number" if float in alternatives(hint) else "whole number"
                raise InvalidTypeError(f"{one.name} must be a {kind}, got {value!r}")
            problem = find_problem(one, hint, value)
            if problem is not None:
                raise OptionError(one.name, problem)
        self.check()

    def check(self) -> None:
        """Checks what the options say together; each set of options has its own.

        Raises:
            OptionError: two of them contradict each other.
        """

    def replace(self, **changes: Any) -> Self:
        """The same options but for some values."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data (dicts, lists, numbers, texts), in the order of declaration."""
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}


O = TypeVar("O", bound=Options)  # noqa: E741


def pick(kind: type[O], source: Any) -> O:
    """Options of one kind out of a larger set that declares them too.

    Args:
        kind: what to make.
        source: an object with attributes of the same names.
    """
    return kind(**{one.name: getattr(source, one.name) for one in fields(kind)})


def plain(value: Any) -> Any:
    """A value of an option as plain data."""
    if isinstance(value, Options):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


_HINTS: dict[type[Options], dict[str, Any]] = {}
"""Resolved annotations: resolving them takes longer than making an object."""


def hint_of(kind: type[Options], name: str) -> Any:
    """The resolved type annotation of an option."""
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind][name]


def help_of(kind: type[Options], name: str) -> str:
    """The help of an option."""
    return str(field_of(kind, name).metadata["help"])


def default_of(kind: type[Options], name: str) -> Any:
    """The default of an option.

    Raises:
        KeyError: there is no such option, or it has no default.
    """
    one = field_of(kind, name)
    if one.default_factory is not MISSING:
        return one.default_factory()
    if one.default is MISSING:
        raise KeyError(f"{name} has no default")
    return one.default


def field_of(kind: type[Options], name: str) -> Field[Any]:
    """The dataclass field of an option.

    Raises:
        KeyError: there is no such option.
    """
    return {one.name: one for one in fields(kind)}[name]


def choices_of(hint: Any) -> tuple[Any, ...] | None:
    """The values of a `Literal`, None of other types; `Literal[…] | None` counts as its `Literal`."""
    found = [part for part in alternatives(hint) if typing.get_origin(part) is Literal]
    return typing.get_args(found[0]) if found else None


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of a union; a type alone stands for itself."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.get_args(hint)
    return (hint,)


def _is_number_where_due(hint: Any, value: Any) -> bool:
    """Whether a value can be compared with bounds; all other types are left to who reads a file."""
    kinds = {kind for kind in alternatives(hint) if kind is not type(None)}
    if value is None or not kinds or not kinds <= {int, float}:
        return True
    return isinstance(value, Real if float in kinds else Integral) and not isinstance(value, bool)


def find_problem(one: Field[Any], hint: Any, value: Any) -> str | None:
    """What is wrong with the value of an option; None where nothing is."""
    if value is None:
        return None if type(None) in alternatives(hint) or hint is Any else "must not be None"
    choices = choices_of(hint)
    is_only_choice = len([part for part in alternatives(hint) if part is not type(None)]) == 1
    if choices is not None and is_only_choice and value not in choices:
        names = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        return f"must be {listed}, got {value!r}"
    for name, bound in one.metadata.get("bounds", {}).items():
        if not _holds(name, bound, value):
            return f"must {_IN_WORDS[name]} {bound}, got {value!r}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, got {value!r}"
    return None


_IN_WORDS = {
    "ge": "be at least",
    "gt": "be above",
    "le": "be at most",
    "lt": "be below",
    "min_length": "have at least this number of entries:",
    "pattern": "match",
}


def _holds(name: str, bound: Any, value: Any) -> bool:
    """Whether a value keeps a bound; NaN keeps none."""
    if name == "min_length":
        return bool(len(value) >= bound)
    if name == "pattern":
        return re.fullmatch(bound, value) is not None
    return bool({"ge": value >= bound, "gt": value > bound, "le": value <= bound, "lt": value < bound}[name])
