"""The requests of a sample: each turn of the prompt is one, made of the replies before it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from skipthink.teacher.options import SamplingOptions
from skipthink.teacher.prompts import Prompt, Turn, take
from skipthink.teacher.requests import Reply, Request


class Conversations:
    """Makes requests.

    Args:
        prompt: what is said.
        sampling: parameters.
        model: the teacher's name.
    """

    def __init__(self, prompt: Prompt, sampling: SamplingOptions, model: str) -> None:
        self.prompt, self.sampling, self.model = prompt, sampling, model

    def next_request(self, question: str, sample: int, replies: Sequence[Reply]) -> Request | None:
        """The request after so many replies; None where there is none.

        After a reply that is of no use (cut off, refused) nothing more is asked: it would be paid for nothing.
        """
        taken = [take(turn, reply) for turn, reply in zip(self.prompt.turns, replies, strict=False)]
        if len(taken) == len(self.prompt.turns) or any(one.problem is not None for one in taken):
            return None
        turn = self.prompt.turns[len(taken)]
        messages = self.prompt.messages(question, taken)
        return Request(self.model, messages, self._parameters(turn, sample), sample)

    def _parameters(self, turn: Turn, sample: int) -> dict[str, Any]:
        sampling = self.sampling
        most = sampling.max_tokens if turn.max_tokens is None else min(turn.max_tokens, sampling.max_tokens)
        parameters: dict[str, Any] = {"max_tokens": most, "temperature": sampling.temperature}
        if sampling.top_p < 1:
            parameters["top_p"] = sampling.top_p
        if sampling.seed is not None and sampling.temperature > 0:
            parameters["seed"] = seed_of(sampling.seed, sample)
        return parameters | sampling.extra


def seed_of(seed: int, sample: int) -> int:
    """The seed of a sample: 31 bits, so that every endpoint takes it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{sample}".encode()).digest()[:4]) >> 1
