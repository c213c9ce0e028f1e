"""How skip data are made (method §6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import Ints


@dataclass(frozen=True)
class SkipSettings:
    """How chunks are judged.

    Attributes:
        continuation: "student": after a dropped chunk the student writes the later chunks itself; "teacher":
            it is shown the teacher's (an ablation that leaks the answer, method §6).
        max_growth: share by which the later chunks that the student writes may be longer than the teacher's, in
            tokens. Where they are longer, what was left out came back in them: the chunk is kept. None: no bound.
        votes: continuations a question; the majority decides. More than 1 needs a temperature.
        temperature: 0 for greedy decoding.
        batch_size: continuations generated side by side.
        keep_prefixes: whether what the student has read of a sample's prompts is kept from one of its questions to
            the next, where the student allows it.
        rules: step rules.
        tolerance: of numbers, see `skipthink.answers.check_answer`.
        relative_tolerance: of numbers.
    """

    continuation: str = "student"
    max_growth: float | None = 0.25
    votes: int = 1
    temperature: float = 0.0
    batch_size: int = 128
    keep_prefixes: bool = True
    rules: str | tuple[str, ...] = "auto"
    tolerance: float = 1e-6
    relative_tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.continuation not in ("student", "teacher"):
            raise InvalidInputError(f'continuation must be "student" or "teacher", got {self.continuation!r}')
        if self.max_growth is not None and not 0 <= self.max_growth < math.inf:
            raise InvalidInputError(f"max_growth must be a number from 0 up, or None, got {self.max_growth}")
        if self.votes < 1 or (self.votes > 1 and self.temperature <= 0):
            raise InvalidInputError(
                f"votes must be at least 1, and more than one vote needs a temperature above 0; "
                f"got votes={self.votes}, temperature={self.temperature}"
            )
        if self.batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {self.batch_size}")

    @property
    def block_size(self) -> int:
        """Samples judged side by side, so that all their votes fit into a batch."""
        return max(1, self.batch_size // self.votes)


def assign_folds(ids: list[str], n_folds: int, seed: int) -> Ints:
    """Deals samples out to folds of equal size (± 1), by chance, and whatever the order they come in.

    Args:
        ids: the samples' ids.
        n_folds: F, at least 1.
        seed: another one deals anew.

    Returns:
        The fold of each sample, 0 … F - 1, int64 (n,).

    Raises:
        InvalidInputError: more folds than samples.
    """
    if not 1 <= n_folds <= max(len(ids), 1):
        raise InvalidInputError(f"there must be 1 … {len(ids)} folds for {len(ids)} samples, got {n_folds}")
    folds = np.empty(len(ids), dtype=np.int64)
    order = sorted(range(len(ids)), key=lambda row: (number_of(seed, ids[row]), ids[row]))
    folds[order] = np.arange(len(ids)) % n_folds
    return folds


def number_of(seed: int, text: str) -> int:
    """A number of 64 bits that belongs to a seed and a text."""
    return int.from_bytes(sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()[:8], "little")
