"""Options of a student: where it comes from and what stands around its questions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from skipthink.io.sections import Section

FRAME_KEYS = ("markers", "prompt_format", "system", "think")
"""Keys of a student that say what stands around questions: arguments of `skipthink.student.frame.make_frame`."""


class StudentSection(Section):
    """The student: of the hub or of a folder (`path`), of the test bed, or a small one made from a config.

    Attributes:
        path: folder, or name on the hub.
        testbed: name of a pre-trained student that comes with the package, e.g. "S".
        markers: new special tokens, or ordinary text: nothing is added to the vocabulary.
        prompt_format: plain, or by the student's chat template.
        system: text of the chat's system message.
        think: whether chains of thought stand in a `<think>` block.
    """

    path: str | None = None
    testbed: str | None = None
    markers: Literal["tokens", "text"] = "tokens"
    prompt_format: Literal["plain", "chat"] = "plain"
    system: str | None = None
    think: bool = False
    architecture: Literal["llama", "gpt2", "t5"] = "llama"
    vocab_size: int = Field(default=1024, ge=258)
    hidden_size: int = Field(default=96, ge=1)
    num_layers: int = Field(default=3, ge=1)
    num_heads: int = Field(default=4, ge=1)
    intermediate_size: int | None = Field(default=None, ge=1)
    max_length_tokens: int = Field(default=1024, ge=8)

    @model_validator(mode="after")
    def _path_or_config(self) -> StudentSection:
        config = sorted(self.model_fields_set - {"path", "testbed", *FRAME_KEYS})
        if self.path is not None and self.testbed is not None:
            raise ValueError("has path and testbed; give one of them")
        if self.prompt_format == "chat" and self.path is None:
            raise ValueError("has prompt_format chat, but a student made from a config has no chat template")
        if self.system is not None and self.prompt_format != "chat":
            raise ValueError("has system, which a plain prompt has no place for; set prompt_format: chat")
        source = "path" if self.path is not None else "testbed"
        if self.is_loaded and config:
            raise ValueError(f"has {source} and {', '.join(config)}; a loaded student has its sizes already")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"has hidden_size {self.hidden_size}, not a multiple of num_heads {self.num_heads}"
            )
        return self

    @property
    def is_loaded(self) -> bool:
        """Whether the student is loaded, not made from a config."""
        return self.path is not None or self.testbed is not None

    @model_serializer(mode="wrap")
    def _no_sizes_of_a_loaded_student(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Sizes that say nothing are left out: written into a run folder, they would contradict its source."""
        content: dict[str, Any] = dump(self)
        keys = {"path", "testbed", *FRAME_KEYS} if self.is_loaded else set(content)
        return {key: value for key, value in content.items() if key in keys}
