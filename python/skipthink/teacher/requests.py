"""A request to the teacher, its hash, and the reply."""

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
    """One request: everything that the reply depends on.

    Attributes:
        model: name of the model.
        messages: messages of the conversation.
        parameters: max_tokens, temperature, seed and further parameters.
        sample: number of the sample; every sample is a separate request.
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
        """Largest number of tokens of the reply."""
        return int(self.parameters["max_tokens"])

    @cached_property
    def most_prompt_tokens(self) -> int:
        """Upper bound of the prompt's tokens: a token of text is at least one byte.

        16 tokens per message are added for the chat template, and 64 for its beginning.
        """
        n_bytes = sum(len(message["content"].encode("utf-8", "surrogatepass")) for message in self.messages)
        return n_bytes + 16 * len(self.messages) + 64


@dataclass(frozen=True)
class Reply:
    """The teacher's reply.

    Attributes:
        content: the text; empty if there is none.
        reasoning: the text of a separate field for thoughts, or None.
        finish: reason why it ended: "stop", "length" (cut off), "content_filter", …
        refusal: text of a refusal, or None.
        n_prompt_tokens: tokens read; None if unknown.
        n_cached_tokens: those read from the endpoint's cache.
        n_tokens: tokens written, including thoughts; None if unknown.
        model: name of the model as the endpoint gives it.
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
