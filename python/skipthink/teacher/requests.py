"""A request to the teacher, the hash it is known by, and the reply to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

Message = Mapping[str, str]
"""`role` (system, user, assistant) and `content`."""


@dataclass(frozen=True)
class Request:
    """One request: all that the reply depends on.

    Attributes:
        model: name of the model.
        messages: what is said.
        parameters: max_tokens, temperature, seed, and what else the endpoint is told.
        sample: number of the sample; a second sample is a request of its own.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Mapping[str, Any]
    sample: int = 0

    @cached_property
    def key(self) -> str:
        """SHA-256 of model, messages, parameters and sample number: 64 hexadecimal digits.

        The address of an endpoint is not part of it: the same model elsewhere gives the same answers.
        """
        content = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The request as plain data."""
        return {
            "model": self.model,
            "messages": [dict(message) for message in self.messages],
            "parameters": dict(self.parameters),
            "sample": self.sample,
        }

    @property
    def max_tokens(self) -> int:
        """The most tokens the reply may have."""
        return int(self.parameters["max_tokens"])

    @cached_property
    def most_prompt_tokens(self) -> int:
        """Tokens the prompt cannot have more of: a token of text stands for a byte at least.

        Added are 16 tokens for what a chat template puts around a message, and 64 for what it begins with.
        """
        n_bytes = sum(len(message["content"].encode("utf-8", "surrogatepass")) for message in self.messages)
        return n_bytes + 16 * len(self.messages) + 64


@dataclass(frozen=True)
class Reply:
    """What the teacher wrote.

    Attributes:
        content: the text; empty where there is none.
        reasoning: the text of a field of its own for thoughts, or None.
        finish: why it ended: "stop", "length" (cut off), "content_filter", …
        refusal: text of a refusal, or None.
        n_prompt_tokens: tokens read; None where the teacher does not say.
        n_cached_tokens: of these, read from the endpoint's cache.
        n_tokens: tokens written, thoughts included; None where the teacher does not say.
        model: the name that the endpoint gives.
    """

    content: str
    reasoning: str | None = None
    finish: str = "stop"
    refusal: str | None = None
    n_prompt_tokens: int | None = None
    n_cached_tokens: int = 0
    n_tokens: int | None = None
    model: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The reply as plain data."""
        return asdict(self)
