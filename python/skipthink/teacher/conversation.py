"""The requests of a sample: one per turn of the prompt, made from the replies so far."""

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
        prompt: the prompt with its turns.
        sampling: sampling parameters.
        model: name of the teacher.
    """

    def __init__(self, prompt: Prompt, sampling: SamplingOptions, model: str) -> None:
        self.prompt, self.sampling, self.model = prompt, sampling, model

    def next_request(self, question: str, sample: int, replies: Sequence[Reply]) -> Request | None:
        """The request after the given replies; None if there is none.

        After a useless reply (cut off, refused) nothing more is asked, because it would be paid for nothing.
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
    """The seed of a sample, of 31 bits, which every endpoint accepts."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{sample}".encode()).digest()[:4]) >> 1
