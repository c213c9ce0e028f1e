"""Recipes: strict YAML files of options.

A recipe's keys are the fields of an options dataclass (`skipthink.options`), nested ones its sections. From that
dataclass the strict pydantic model that reads the file is made, and its JSON schema for editors. Files are plain data,
read by a safe loader; an unknown or doubled key is an error that names the file, the key and the nearest key that
exists. Bounds are checked by the options themselves, once.
"""

from __future__ import annotations

import difflib
import functools
import operator
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar, Union

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator

from skipthink.exceptions import RecipeError
from skipthink.options import OptionError, Options, alternatives, hint_of, per_kind

O = TypeVar("O", bound=Options)  # noqa: E741

SCHEMA_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minItems",
    "pattern": "pattern",
}
"""Bounds of options as a JSON schema names them."""


class _Strict(BaseModel):
    """A section of a recipe: unknown keys are errors, and types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def parse_options(text: str, kind: type[O], *, name: str, changes: Sequence[str] = ()) -> O:
    """Parses the text of a recipe.

    Args:
        text: YAML.
        kind: the options it holds.
        name: the file, in messages.
        changes: keys that are to be otherwise than in the text, each `key.key=value`, the value YAML too.

    Raises:
        RecipeError: not valid YAML, or a wrong key or value; the message names file, key and nearest key.
    """
    return read_options(read_mapping(text, name=name, changes=changes), kind, name=name)


def read_text(path: Path) -> str:
    """The text of a recipe file.

    Raises:
        RecipeError: the file cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error


def read_mapping(text: str, *, name: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The keys of a recipe as written, unchecked; for the arguments see `parse_options`.

    Raises:
        RecipeError: not valid YAML, not a mapping, or not a change.
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


def read_options(content: Mapping[str, Any], kind: type[O], *, name: str) -> O:
    """Options from plain data.

    Raises:
        RecipeError: a wrong key or value; the message names file, key and nearest key.
    """
    model = model_of(kind)
    try:
        return _to_options(model.model_validate(content), kind)
    except ValidationError as error:
        raise RecipeError(f"{name}: {_explain(error, model)}") from error


def to_yaml(options: Options) -> str:
    """Options as YAML, every default written out."""
    return yaml.safe_dump(options.to_dict(), sort_keys=False, allow_unicode=True)


def schema_of(kind: type[Options]) -> dict[str, Any]:
    """The JSON schema (2020-12) of a recipe, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model_of(kind).model_json_schema()}


# ---- models ----


@per_kind
def model_of(kind: type[Options]) -> type[BaseModel]:
    """The strict pydantic model of a set of options; nested options become nested models.

    The options are made at the end of each model's validation, so that what they refuse has its place in the file.
    """
    entries = {one.name: _entry(kind, one) for one in fields(kind)}

    def check(self: BaseModel) -> BaseModel:
        _to_options(self, kind)
        return self

    validators: Any = {"check": model_validator(mode="after")(check)}
    return _create(kind, entries, validators)


@per_kind
def _partial_model_of(kind: type[Options]) -> type[BaseModel]:
    """A model in which every key may be left out; what is set is checked where it is put to use."""
    entries = {
        one.name: (
            _model_type(hint_of(kind, one.name)),
            pydantic.Field(default_factory=_nothing, description=one.metadata.get("help") or None),
        )
        for one in fields(kind)
    }
    return _create(kind, entries, {})


def _nothing() -> None:
    return None


def _create(kind: type[Options], entries: dict[str, Any], validators: Any) -> type[BaseModel]:
    made: type[BaseModel] = create_model(
        kind.__name__, __base__=_Strict, __doc__=kind.__doc__, __validators__=validators, **entries
    )
    return made


def _entry(kind: type[Options], one: Field[Any]) -> tuple[Any, Any]:
    """Type and field of one option in a model."""
    sections = one.metadata.get("sections")
    if sections is not None:
        hint: Any = _sections_model(kind, one.name, sections)
        return hint, pydantic.Field(default_factory=hint, description=one.metadata.get("help"))
    hint = _model_type(hint_of(kind, one.name))
    about: dict[str, Any] = {
        "description": one.metadata.get("help") or None,
        "json_schema_extra": {
            SCHEMA_BOUNDS[name]: bound for name, bound in one.metadata.get("bounds", {}).items()
        },
    }
    if one.default_factory is not MISSING:
        return hint, pydantic.Field(default_factory=functools.partial(_made, one.default_factory), **about)
    if one.default is not MISSING:
        return hint, pydantic.Field(default=_as_given(one.default), **about)
    return hint, pydantic.Field(**about)


def _sections_model(kind: type[Options], name: str, sections: Mapping[str, type[Options]]) -> type[BaseModel]:
    """A model of named sections, each of which may hold some of its options."""
    entries: dict[str, Any] = {
        key: (_partial_model_of(inner), pydantic.Field(default_factory=_partial_model_of(inner)))
        for key, inner in sections.items()
    }
    made: type[BaseModel] = create_model(f"{kind.__name__}_{name}", __base__=_Strict, **entries)
    return made


def _model_type(hint: Any) -> Any:
    """The type of a recipe's key: options become models, and tuples lists, which YAML has."""
    if _is_options(hint):
        return model_of(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, Union):
        return functools.reduce(operator.or_, map(_model_type, arguments))
    if origin in (tuple, list):
        return list[_model_type(arguments[0])]  # type: ignore[misc]
    return hint


def _made(make: Any) -> Any:
    return _as_given(make())


def _as_given(value: Any) -> Any:
    """A default as it would stand in the file."""
    if isinstance(value, Options):
        return model_of(type(value)).model_validate(value.to_dict())
    return list(value) if isinstance(value, tuple) else value


def _to_options(model: BaseModel, kind: type[O]) -> O:
    """The options of a validated section.

    Raises:
        OptionError: its values are out of bounds or do not go together.
    """
    values = {}
    for one in fields(kind):
        value, sections = getattr(model, one.name), one.metadata.get("sections")
        if sections is not None:
            values[one.name] = {
                name: _set_values(getattr(value, name), inner)
                for name, inner in sections.items()
                if name in value.model_fields_set
            }
        else:
            values[one.name] = _to_value(value, hint_of(kind, one.name))
    return kind(**values)


def _set_values(model: BaseModel, kind: type[Options]) -> dict[str, Any]:
    """What a section of a partial model sets."""
    return {
        one.name: _to_value(getattr(model, one.name), hint_of(kind, one.name))
        for one in fields(kind)
        if one.name in model.model_fields_set
    }


def _to_value(value: Any, hint: Any) -> Any:
    if isinstance(value, BaseModel):
        return _to_options(value, next(part for part in alternatives(hint) if _is_options(part)))
    return value


def _is_options(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Options)


# ---- YAML ----


class _StrictLoader(yaml.SafeLoader):
    """Safe loading; a key that stands twice in a mapping is an error, `1e-3` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice in one mapping", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-3 as text; everybody who writes a learning rate means the number
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _load(text: str) -> Any:
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _set(content: dict[str, Any], change: str) -> None:
    """Sets one key; sections on the way to it that are not there yet are made."""
    path, equals, value = change.partition("=")
    *sections, key = path.strip().split(".")
    if not equals or not all([*sections, key]):
        raise RecipeError(f"--set takes key=value, e.g. training.epochs=5, got {change!r}")
    for index, name in enumerate(sections):
        if content.get(name) is None:
            content[name] = {}
        content = content[name]
        if not isinstance(content, dict):
            raise RecipeError(f"--set {change}: {'.'.join(sections[: index + 1])} is a value, no section")
    try:
        content[key] = _load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {change}: the value is not valid YAML: {_in_a_line(error)}") from error


# ---- messages ----


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line on the first error, and how many more there are."""
    # a misspelt key is also a missing one: the misspelling is the news
    errors = sorted(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    first = errors[0]
    location = [str(part) for part in first["loc"] if part != "[key]"]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        text = f"unknown key {key}; {_nearest(location, model)}"
    elif first["type"] == "missing":
        text = f"key {key} is missing"
    elif first["type"] == "literal_error":
        text = f"{key} is {first['input']!r}, but must be {first['ctx']['expected']}"
    elif first["type"] == "value_error":
        text = _refused(location, first["ctx"]["error"])
    else:
        text = f"{key} is {first['input']!r}: {first['msg']}"
    return text + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else "")


def _refused(location: list[str], error: Exception) -> str:
    """What a section said to its values."""
    if isinstance(error, OptionError):
        return f"{'.'.join([*location, error.name])} {error.problem}"
    return f"{'.'.join(location)}: {error}" if location else str(error)


def _nearest(location: list[str], model: type[BaseModel]) -> str:
    """The key that was probably meant, or all keys."""
    for part in location[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        sections = [kind for kind in (inner, *typing.get_args(inner)) if isinstance(kind, type)]
        model = next((kind for kind in sections if issubclass(kind, BaseModel)), model)
    keys = sorted(model.model_fields)
    close = difflib.get_close_matches(location[-1], keys, n=1, cutoff=0.5)
    if close:
        return f"did you mean {'.'.join([*location[:-1], close[0]])}?"
    return f"known keys: {', '.join(keys)}"
