"""Strict YAML files of known keys: every recipe is read here.

Files are plain data, read by a safe loader. An unknown or doubled key is an error that names the file, the key and
the nearest key that exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from skipthink.exceptions import RecipeError


class Section(BaseModel):
    """A section of a recipe: unknown keys are errors, types are taken as they stand."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def to_yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(exclude_unset=False), sort_keys=False, allow_unicode=True)


UNCOMPARED_KEYS = ("workers", "threads", "data.file")
"""Keys that may change between two runs of one folder: how it is run, and where the data lie (a content hash
of the file is compared instead)."""

S = TypeVar("S", bound=Section)


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


def read_recipe_text(path: Path) -> str:
    """The text of a recipe file.

    Raises:
        RecipeError: the file cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error


def parse_sections(text: str, model: type[S], *, name: str, changes: Sequence[str] = ()) -> S:
    """Parses the text of a recipe.

    Args:
        text: YAML.
        model: what its keys are.
        name: the file, in messages.
        changes: what is to be otherwise than in the text, each `key.key=value`, the value YAML too.

    Raises:
        RecipeError: no YAML, or a wrong key or value; the message names file, key and nearest key.
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
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{name}: {_explain(error, model)}") from error


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
        raise RecipeError(f"--set {change}: the value is no YAML: {_in_a_line(error)}") from error


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
        text = f"{key or 'the recipe'} {first['ctx']['error']}"
    else:
        text = f"{key} is {first['input']!r}: {first['msg']}"
    return text + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else "")


def _nearest(location: list[str], model: type[BaseModel]) -> str:
    """Which key was meant, or which keys there are."""
    for part in location[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        sections = [kind for kind in (inner, *get_args(inner)) if isinstance(kind, type)]
        model = next((kind for kind in sections if issubclass(kind, BaseModel)), model)
    keys = sorted(model.model_fields)
    close = difflib.get_close_matches(location[-1], keys, n=1, cutoff=0.5)
    if close:
        return f"did you mean {'.'.join([*location[:-1], close[0]])}?"
    return f"known keys: {', '.join(keys)}"


def first_difference(old: Section, new: Section) -> tuple[str, Any, Any] | None:
    """The first key whose value differs, with both values; `UNCOMPARED_KEYS` aside."""
    left, right = (dict(_flatten(recipe.model_dump())) for recipe in (old, new))
    for key in [*left, *(key for key in right if key not in left)]:
        if left.get(key) != right.get(key) and key not in UNCOMPARED_KEYS:
            return key, left.get(key), right.get(key)
    return None


def _flatten(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + str(key), value
