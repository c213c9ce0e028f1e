"""Options: one declaration, and what is made from it: checks, YAML, JSON schema, tables."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from skipthink.exceptions import InvalidInputError, RecipeError
from skipthink.io.option_tables import table_of
from skipthink.io.recipes import parse_options, schema_of, to_yaml
from skipthink.options import (
    OptionError,
    Options,
    choices_of,
    default_of,
    first_difference,
    help_of,
    hint_of,
    merge,
    option,
    pick,
)


@dataclass(frozen=True, kw_only=True)
class Inner(Options):
    """Inner options."""

    rank: int = option(4, "rank", ge=1)
    names: str | tuple[str, ...] = option("all", "names")


@dataclass(frozen=True, kw_only=True)
class Outer(Options):
    """Outer options."""

    share: float = option(0.5, "a share", ge=0, lt=1)
    count: int = option(help="a count, which must be given", gt=0)
    kind: Literal["a", "b"] = option("a", "which one")
    limit: float | None = option(1.0, "a limit | or none", gt=0)
    tags: tuple[Literal["x", "y", "z"], ...] = option(("x", "y"), "tags", min_length=1)
    path: str | None = option(None, "a path", pattern="[a-z]+")
    free: dict[str, Any] = option(dict, "anything")
    inner: Inner = option(Inner, "inner options")
    maybe: Inner | None = option(None, "inner options or none")
    flag: bool = option(False, "a flag")
    speed: int = option(1, "how fast", affects_results=False)

    def check(self) -> None:
        """Flags need a path."""
        if self.flag and self.path is None:
            raise OptionError("flag", "is set, which needs path")


MISTAKES = {
    "below a bound": ({"share": -0.1}, "share must be at least 0, got -0.1"),
    "at a bound that is excluded": ({"share": 1}, "share must be below 1, got 1.0"),
    "not above a bound": ({"count": 0}, "count must be above 0, got 0"),
    "no number": ({"share": float("nan")}, "share must be at least 0, got nan"),
    "no finite number": ({"limit": float("inf")}, "limit must be a finite number, got inf"),
    "a text for a number": ({"count": "3"}, "count must be a whole number, got '3'"),
    "true for a number": ({"count": True}, "count must be a whole number, got True"),
    "a fraction for an integer": ({"count": 1.5}, "count must be a whole number, got 1.5"),
    "None where it has no meaning": ({"share": None}, "share must be a number, got None"),
    "no choice": ({"kind": "c"}, 'kind must be "a" or "b", got \'c\''),
    "no choice in a list": ({"tags": ["x", "w"]}, "tags must be a list"),
    "an empty list": ({"tags": []}, "tags must have at least 1 entry, got []"),
    "a text of another form": ({"path": "A"}, "path must match [a-z]+, got 'A'"),
    "a mapping for options": ({"inner": {"rank": 1}}, "inner must be Inner, got {'rank': 1}"),
    "what does not go together": ({"flag": True}, "flag is set, which needs path"),
}


@pytest.mark.parametrize(("values", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_wrong_value_is_named(values, message):
    with pytest.raises(OptionError) as caught:
        Outer(**{"count": 1} | values)
    assert str(caught.value).startswith(message)
    assert caught.value.name == message.split()[0]


def test_values_have_one_form():
    made = Outer(count=1, share=0, tags=["z"], limit=None, inner=Inner(names=["q"]))
    assert (made.share, type(made.share), made.tags, made.limit) == (0.0, float, ("z",), None)
    assert made.inner.names == ("q",)
    assert made == Outer(count=1, share=0.0, tags=("z",), limit=None, inner=Inner(names=("q",)))
    assert made.to_dict()["inner"] == {"rank": 4, "names": ["q"]}
    with pytest.raises(AttributeError):
        made.share = 0.2


def test_replace_checks_again():
    made = Outer(count=1)
    assert made.replace(count=2).count == 2
    assert made.count == 1
    with pytest.raises(OptionError, match="count must be above 0"):
        made.replace(count=0)


def test_what_a_declaration_says():
    assert (help_of(Outer, "share"), default_of(Outer, "share"), default_of(Outer, "free")) == (
        "a share",
        0.5,
        {},
    )
    assert choices_of(hint_of(Outer, "kind")) == ("a", "b")
    assert choices_of(hint_of(Outer, "share")) is None
    with pytest.raises(KeyError, match="count has no default"):
        default_of(Outer, "count")


TEXT = "count: 3\ntags: [y]\ninner: {names: [p, q]}\nmaybe: {rank: 7}\nshare: 1e-1\n"


def test_yaml_there_and_back():
    made = parse_options(TEXT, Outer, name="o.yaml")
    assert made == Outer(count=3, tags=("y",), inner=Inner(names=("p", "q")), maybe=Inner(rank=7), share=0.1)
    assert parse_options(to_yaml(made), Outer, name="again") == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: 0", "o.yaml: count must be above 0, got 0"),
        ("count: 1\ninner: {rank: 0}", "o.yaml: inner.rank must be at least 1, got 0"),
        ("count: 1\nmaybe: {rank: 0}", "o.yaml: maybe.rank must be at least 1, got 0"),
        ("count: 1\nflag: true", "o.yaml: flag is set, which needs path"),
        ("count: 1\ninner: {rang: 0}", "o.yaml: unknown key inner.rang; did you mean inner.rank?"),
        ("share: 0.1", "o.yaml: key count is missing"),
        ("count: 1\nkind: c", "o.yaml: kind is 'c', but must be 'a' or 'b'"),
        ("count: '1'", "o.yaml: count is '1': Input should be a valid integer"),
        ("count: 1\nflag: 1", "o.yaml: flag is 1: Input should be a valid boolean"),
        ("count: 0\nshare: x\nkind: c", "o.yaml: share is 'x': Input should be a valid number (and 1 more)"),
    ],
)
def test_a_mistake_in_a_file_has_its_place(text, message):
    with pytest.raises(RecipeError) as caught:
        parse_options(text, Outer, name="o.yaml")
    assert str(caught.value) == message


def test_the_schema_has_types_bounds_defaults_and_helps():
    schema = schema_of(Outer)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["required"], schema["additionalProperties"]) == (["count"], False)
    found = schema["properties"]
    assert found["share"] == {
        "default": 0.5, "description": "a share", "minimum": 0, "exclusiveMaximum": 1, "title": "Share", "type": "number",
    }  # fmt: skip
    assert found["kind"]["enum"] == ["a", "b"]
    assert (found["tags"]["minItems"], found["tags"]["type"]) == (1, "array")
    assert found["path"]["pattern"] == "[a-z]+"
    assert schema["$defs"]["Inner"]["properties"]["rank"]["minimum"] == 1


def test_the_table_has_a_row_per_option_but_sections():
    lines = table_of(Outer).splitlines()
    assert lines[2:8] == [
        "| `share` | number, ≥ 0, < 1 | `0.5` | a share |",
        "| `count` | integer, > 0 | must be given | a count, which must be given |",
        "| `kind` | `a`, `b` | `a` | which one |",
        "| `limit` | number, `null`, > 0 | `1.0` | a limit &#124; or none |",
        "| `tags` | list of `x`, `y`, `z` | `[x, y]` | tags |",
        "| `path` | text, `null` | `null` | a path |",
    ]
    assert "inner" not in "".join(lines[2:])
    assert len(table_of(Outer, without=[Outer]).splitlines()) == 2


def test_the_first_difference_leaves_out_what_does_not_affect_results():
    one = Outer(count=1)
    assert first_difference(one, one.replace(speed=2)) is None
    assert first_difference(one, one.replace(inner=Inner(rank=5))) == ("inner.rank", 4, 5)
    assert first_difference(one, one.replace(free={"a": 1})) == ("free.a", None, 1)
    assert first_difference(one, one.replace(tags=("z",))) == ("tags", ["x", "y"], ["z"])


@dataclass(frozen=True, kw_only=True)
class Base(Options):
    """What the others share."""

    rate: float = option(0.1, "rate", gt=0)

    def check(self) -> None:
        """Rates stay small."""
        if self.rate > 10:
            raise OptionError("rate", "is too high")


@dataclass(frozen=True, kw_only=True)
class Left(Base):
    """With an option of its own."""

    left: int = option(1, "left", ge=0)

    def check(self) -> None:
        """Left is odd."""
        if self.left % 2 == 0:
            raise OptionError("left", "is even")


@dataclass(frozen=True, kw_only=True)
class Lefter(Left):
    """With one more."""

    more: int = option(3, "more")


@dataclass(frozen=True, kw_only=True)
class Right(Base):
    """With another one."""

    right: int = option(2, "right", ge=0)


@dataclass(frozen=True, kw_only=True)
class Section(Base):
    """All of them, and changes."""

    changes: dict[str, dict[str, Any]] = option(dict, "changes", sections={"left": Left, "a+b": Right})


def test_kinds_are_merged_and_picked_apart():
    both = merge("Both", [Base, Left, Lefter, Right, Left], Section, "Both.")
    made = both(left=3, right=4, rate=1)
    assert set(both.__dataclass_fields__) == {"rate", "left", "more", "right", "changes"}
    assert pick(Lefter, made) == Lefter(rate=1.0, left=3, more=3)
    assert pick(Right, made, right=9) == Right(rate=1.0, right=9)
    with pytest.raises(TypeError):
        pick(Right, made, left=1)
    for values, message in (({"rate": 11}, "rate is too high"), ({"left": 2}, "left is even")):
        with pytest.raises(OptionError, match=message):  # each class checks what it declares
            both(**values)


def test_one_name_is_one_declaration():
    @dataclass(frozen=True, kw_only=True)
    class Other(Base):
        right: int = option(3, "another right")

    with pytest.raises(
        InvalidInputError, match="Right and Other both declare the option right; give one of them"
    ):
        merge("Both", [Right, Other], Section, "Both.")


def test_sections_hold_what_is_set_alone():
    both = merge("Both", [Left, Right], Section, "Both.")
    made = parse_options("changes: {left: {left: 5}, a+b: {rate: 1, right: 0}}", both, name="o")
    assert made.changes == {"left": {"left": 5}, "a+b": {"rate": 1.0, "right": 0}}
    assert parse_options(to_yaml(made), both, name="o") == made
    for text, message in (
        ("changes: {lef: {}}", r"o: unknown key changes\.lef; did you mean changes\.left\?"),
        ("changes: {a+b: {left: 1}}", r"o: unknown key changes\.a\+b\.left; known keys: rate, right"),
        ("changes: {left: {left: x}}", r"o: changes\.left\.left is 'x': Input should be a valid integer"),
    ):
        with pytest.raises(RecipeError, match=message):
            parse_options(text, both, name="o")
