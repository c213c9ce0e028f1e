"""Recipes: strict YAML files of options.

A recipe's keys are the fields of an options dataclass (`skipthink.options`), nested ones its sections. From that
dataclass the strict pydantic model that reads the file is made, its JSON schema for editors, and the tables of the
documentation. Files are read by a safe loader; an unknown or doubled key is an error that names the file, the key and
the nearest key that exists.
"""

from __future__ import annotations

import functools
import operator
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from skipthink.exceptions import InvalidInputError, RecipeError
from skipthink.io.sections import _explain, _in_a_line, _load, _set
from skipthink.options import Options, alternatives, choices_of, hint_of

O = TypeVar("O", bound=Options)  # noqa: E741


class _Strict(BaseModel):
    """A section of a recipe: unknown keys are errors, types are taken as they stand."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_MODELS: dict[type[Options], type[BaseModel]] = {}


def model_of(kind: type[Options]) -> type[BaseModel]:
    """The strict pydantic model of a set of options; nested options become nested models.

    What the options check together is checked at the end, so an error has its place in the file.
    """
    if kind in _MODELS:
        return _MODELS[kind]
    entries: dict[str, Any] = {}
    for one in fields(kind):
        bounds = dict(one.metadata.get("bounds", {}))
        description = one.metadata.get("help") or None
        hint = _model_type(hint_of(kind, one.name))
        if one.default_factory is not MISSING:
            make = functools.partial(_make_as_given, one.default_factory)
            entry = Field(default_factory=make, description=description, **bounds)
        elif one.default is not MISSING:
            entry = Field(default=_as_given(one.default), description=description, **bounds)
        else:
            entry = Field(description=description, **bounds)
        entries[one.name] = (hint, entry)

    def check(self: BaseModel) -> BaseModel:
        to_options(self, kind)
        return self

    validators: Any = {"check": model_validator(mode="after")(check)}
    model: type[BaseModel] = create_model(
        kind.__name__, __base__=_Strict, __doc__=kind.__doc__, __validators__=validators, **entries
    )
    _MODELS[kind] = model
    return model


def to_options(model: BaseModel, kind: type[O]) -> O:
    """The options that a validated section says.

    Raises:
        InvalidInputError: its values do not go together.
    """
    return kind(
        **{one.name: _to_value(getattr(model, one.name), hint_of(kind, one.name)) for one in fields(kind)}
    )


def parse_options(text: str, kind: type[O], *, name: str, changes: Sequence[str] = ()) -> O:
    """Parses the text of a recipe.

    Args:
        text: YAML.
        kind: the options it holds.
        name: the file, in messages.
        changes: keys that are to be otherwise than in the text, each `key.key=value`, the value YAML too.

    Raises:
        RecipeError: no YAML, or a wrong key or value; the message names file, key and nearest key.
    """
    return read_options(read_mapping(text, name=name, changes=changes), kind, name=name)


def read_mapping(text: str, *, name: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The keys of a recipe as they stand, not yet checked.

    Raises:
        RecipeError: no YAML, no mapping, or a change that is none.
    """
    try:
        content = _load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{name} is not a valid recipe: {_in_a_line(error)}") from error
    if not isinstance(content, dict):
        raise RecipeError(
            f"{name} holds {type(content).__name__}, not sections; a recipe starts with `name: …`"
        )
    for change in changes:
        _set(content, change)
    return content


def read_options(content: dict[str, Any], kind: type[O], *, name: str) -> O:
    """Options out of plain data.

    Raises:
        RecipeError: a wrong key or value; the message names file, key and nearest key.
    """
    model = model_of(kind)
    try:
        return to_options(model.model_validate(content), kind)
    except ValidationError as error:
        raise RecipeError(f"{name}: {_explain(error, model)}") from error
    except InvalidInputError as error:
        raise RecipeError(f"{name}: {error}") from error


def to_yaml(options: Options) -> str:
    """Options as YAML, every default written out."""
    return yaml.safe_dump(options.to_dict(), sort_keys=False, allow_unicode=True)


def schema_of(kind: type[Options]) -> dict[str, Any]:
    """The JSON schema (2020-12) of a recipe, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model_of(kind).model_json_schema()}


def table_of(kind: type[Options]) -> str:
    """A set of options as a Markdown table: key, type, default, what it does; nested options are left out."""
    rows = ["| key | value | default | what it does |", "|---|---|---|---|"]
    for one in fields(kind):
        hint = hint_of(kind, one.name)
        if any(_is_options(part) for part in alternatives(hint)):
            continue
        if one.default_factory is not MISSING:
            default = f"`{_yaml(one.default_factory())}`"
        else:
            default = "" if one.default is MISSING else f"`{_yaml(one.default)}`"
        help_text = one.metadata.get("help", "")
        rows.append(f"| `{one.name}` | {_type_in_words(hint, one.metadata)} | {default} | {help_text} |")
    return "\n".join(rows)


def _yaml(value: Any) -> str:
    plain: Any = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _type_in_words(hint: Any, metadata: Any) -> str:
    choices = choices_of(hint)
    if choices is not None:
        words = ", ".join(f"`{choice}`" for choice in choices)
    else:
        names = {int: "integer", float: "number", str: "text", bool: "true or false"}
        parts = [part for part in alternatives(hint) if part is not type(None)]
        words = " or ".join(
            names.get(part, "list" if typing.get_origin(part) in (list, tuple) else "mapping")
            for part in parts
        )
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{signs[name]} {bound}" for name, bound in metadata.get("bounds", {}).items() if name in signs]
    if type(None) in alternatives(hint):
        words += " or null"
    return f"{words}, {', '.join(bounds)}" if bounds else words


def _container(hint: Any) -> str:
    return "list" if typing.get_origin(hint) in (list, tuple) else "mapping"


def _is_options(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Options)


def _model_type(hint: Any) -> Any:
    """The type of a recipe's key: options become models, and tuples lists, which YAML has."""
    if _is_options(hint):
        return model_of(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, Union):
        return functools.reduce(operator.or_, map(_model_type, arguments))
    if origin is tuple:
        return list[_model_type(arguments[0])]  # type: ignore[misc]
    if origin is list:
        return list[_model_type(arguments[0])]  # type: ignore[misc]
    return hint


def _as_given(value: Any) -> Any:
    """A default as it would stand in the file."""
    if isinstance(value, Options):
        return model_of(type(value)).model_validate(value.to_dict())
    return list(value) if isinstance(value, tuple) else value


def _make_as_given(make: Callable[[], Any]) -> Any:
    return _as_given(make())


def _to_value(value: Any, hint: Any) -> Any:
    if isinstance(value, BaseModel):
        kind = next(part for part in alternatives(hint) if _is_options(part))
        return to_options(value, kind)
    if isinstance(value, list) and any(typing.get_origin(part) is tuple for part in alternatives(hint)):
        return tuple(value)
    return value
