"""Options: a frozen dataclass beside the code that uses it, from which everything else is made.

An option is declared once, with its type, its default, its bounds and one sentence of help. The recipe's sections and
their JSON schema (`skipthink.io.recipes`), the tables of the documentation and the help of the command line are made
from the declaration.

    @dataclass(frozen=True, kw_only=True)
    class SearchOptions(Options):
        eta: float = option(0.1, "least gain of an accepted change, in nats", ge=0)
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, Self, TypeVar, cast

from skipthink.exceptions import InvalidInputError, InvalidTypeError

BOUNDS = ("ge", "gt", "le", "lt", "min_length", "pattern")
"""Bounds an option may have, named as in pydantic."""


class OptionError(InvalidInputError):
    """An option has a value it must not have.

    Attributes:
        name: the option; one of nested options with a dot, "lora.rank".
        problem: the rest of the message, e.g. "must be at least 0, got -1".
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


class OptionTypeError(OptionError, InvalidTypeError):
    """An option has a value of the wrong type."""


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
    affects_results: bool = True,
    sections: Mapping[str, type[Options]] | None = None,
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
        affects_results: whether work done with another value of it is other work; not so of how many threads do it.
        sections: of a mapping of mappings: the names it may have, and the options of which each may hold some.
    """
    given = dict(zip(BOUNDS, (ge, gt, le, lt, min_length, pattern), strict=True))
    metadata = {
        "help": help,
        "bounds": {name: bound for name, bound in given.items() if bound is not None},
        "affects_results": affects_results,
        "sections": sections,
    }
    if callable(default):
        return field(default_factory=cast("Callable[[], Any]", default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all options.

    When the object is made, a value out of bounds raises `OptionError`, one of the wrong type `OptionTypeError`.
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            hint = hint_of(type(self), one.name)
            value = normalised(hint, getattr(self, one.name))
            object.__setattr__(self, one.name, value)
            if not fits(hint, value):
                wrong = OptionError if typing.get_origin(hint) is Literal else OptionTypeError
                raise wrong(one.name, f"must be {in_words(hint)}, got {value!r}")
            problem = find_problem(one, value)
            if problem is not None:
                raise OptionError(one.name, problem)
        for kind in reversed(type(self).__mro__):
            # each class checks what it declares, also where several are put together
            if "check" in vars(kind):
                vars(kind)["check"](self)

    def check(self) -> None:
        """Checks what the options say together; a class checks its own, those of its bases are checked before.

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


def pick(kind: type[O], source: Any, **changes: Any) -> O:
    """Options of one kind out of a larger set that declares them too.

    Args:
        kind: what to make.
        source: an object with attributes of the same names.
        **changes: options that are to be otherwise.

    Raises:
        OptionError: the values do not go together.
        TypeError: a change is no option of the kind.
    """
    return kind(**{one.name: getattr(source, one.name) for one in fields(kind)} | changes)


def merge(name: str, kinds: Iterable[type[Options]], base: type[O], doc: str) -> type[O]:
    """One kind of options with those of several kinds.

    Args:
        name: of the new class.
        kinds: kinds whose options it has; an option that two of them have must be declared once, in a class that both
            inherit from.
        base: class that the new one is a subclass of too.
        doc: its docstring.

    Raises:
        InvalidInputError: two kinds declare the same name on their own.
    """
    distinct = tuple(dict.fromkeys(kinds))
    leaves = [
        kind
        for kind in distinct
        if not any(other is not kind and issubclass(other, kind) for other in (*distinct, base))
    ]
    declared: dict[str, tuple[Field[Any], type[Options]]] = {}
    for kind in leaves:
        for one in fields(kind):
            known, other = declared.setdefault(one.name, (one, kind))
            if known is not one:  # classes share the fields they inherit
                raise InvalidInputError(
                    f"{other.__name__} and {kind.__name__} both declare the option {one.name}; give one of them "
                    "another name, or let both inherit it from one class"
                )
    made = type(name, (base, *leaves), {"__doc__": doc, "__module__": __name__})
    return cast("type[O]", dataclass(frozen=True, kw_only=True)(made))


def plain(value: Any) -> Any:
    """A value of an option as plain data."""
    if isinstance(value, Options):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


R = TypeVar("R")


def per_kind(make: Callable[[type[Options]], R]) -> Callable[[type[Options]], R]:
    """Calls a function once per kind of options."""
    return cast("Callable[[type[Options]], R]", functools.cache(make))


@per_kind
def _hints(kind: type[Options]) -> dict[str, Any]:
    """Resolved annotations: resolving them takes longer than making an object."""
    return typing.get_type_hints(kind)


def hint_of(kind: type[Options], name: str) -> Any:
    """The resolved type annotation of an option."""
    return _hints(kind)[name]


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


def normalised(hint: Any, value: Any) -> Any:
    """A value in the one form that its type has: lists as tuples, integers as floats where a float is declared."""
    parts = alternatives(hint)
    if isinstance(value, Real) and not isinstance(value, bool):  # NumPy's numbers are no int or float
        if isinstance(value, Integral):
            return int(value) if int in parts or float not in parts else float(value)
        return float(value)
    if isinstance(value, list):
        entry = next((part for part in parts if typing.get_origin(part) is tuple), None)
        if entry is not None:
            return tuple(normalised(typing.get_args(entry)[0], one) for one in value)
    return value


def find_problem(one: Field[Any], value: Any) -> str | None:
    """Which of its bounds the value of an option does not keep; None where it keeps them all."""
    if value is None:
        return None
    for name, bound in one.metadata.get("bounds", {}).items():
        if not _holds(name, bound, value):
            return f"must {_bound_in_words(name, bound)}, got {plain(value)!r}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, got {value!r}"
    return None


def fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a type; `True` is no number."""
    if hint is Any:
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(part, value) for part in arguments)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(arguments[0], entry) for entry in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            fits(arguments[0], key) and fits(arguments[1], entry) for key, entry in value.items()
        )
    if hint in (int, float):
        return isinstance(value, hint) and not isinstance(value, bool)
    return bool(isinstance(value, hint))


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    dict: "a mapping",
}


def in_words(hint: Any) -> str:
    """A type in words: 'an integer or null'."""
    words: list[str] = []
    for part in alternatives(hint):
        origin, arguments = typing.get_origin(part), typing.get_args(part)
        if origin is Literal:
            words += [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in arguments]
        elif origin is tuple:
            words.append(f"a list ({in_words(arguments[0])} each)")
        else:
            words.append(_NAMES.get(origin or part, getattr(part, "__name__", str(part))))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bound_in_words(name: str, bound: Any) -> str:
    if name == "min_length":
        return f"have at least {bound} {'entry' if bound == 1 else 'entries'}"
    words = {"ge": "be at least", "gt": "be above", "le": "be at most", "lt": "be below", "pattern": "match"}
    return f"{words[name]} {bound}"


def _holds(name: str, bound: Any, value: Any) -> bool:
    """Whether a value keeps a bound; NaN keeps none."""
    if name == "min_length":
        return bool(len(value) >= bound)
    if name == "pattern":
        return re.fullmatch(bound, value) is not None
    return bool({"ge": value >= bound, "gt": value > bound, "le": value <= bound, "lt": value < bound}[name])


def first_difference(old: Options, new: Options) -> tuple[str, Any, Any] | None:
    """The first option whose value differs, with both values; those that do not affect results aside."""
    left, right = dict(_flatten(old)), dict(_flatten(new))
    for key in [*left, *(key for key in right if key not in left)]:
        if left.get(key) != right.get(key):
            return key, left.get(key), right.get(key)
    return None


def results_part(options: Options) -> dict[str, Any]:
    """The values that results depend on, as plain data by dotted names."""
    return dict(_flatten(options))


def _flatten(content: Options | Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options one by one, nested ones by dotted names."""
    if isinstance(content, Options):
        content = {
            one.name: getattr(content, one.name) for one in fields(content) if one.metadata["affects_results"]
        }
    for key, value in content.items():
        if isinstance(value, (Options, Mapping)):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", plain(value)
