"""The result of scoring: the losses of steps, as boundary search reads them (method §4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints
from skipthink.student.encoding import EncodedSamples
from skipthink.student.token_rows import offsets_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StepLosses:
    """Per-step losses of n samples under S stages (S = M conditioned, S = 1 stage-free).

    Attributes:
        nll: summed negative log-likelihood of a step in nats, float64 (total_steps, S).
        n_tokens: tokens of a step, int64 (total_steps,).
        offsets: row offsets into the steps, int64 (n + 1,).
        end_nll: nll of the end token after the first k steps, float64 (total_steps + n, S); None stage-free.
        end_offsets: row offsets into `end_nll`, int64 (n + 1,).
        report: how the scores came about: `sequences` in all, of them `scored` now and `cached` before, `tokens` of the
            sequences scored now, forward `passes` they took, `halved_batches` (memory ran out), `corrupted_files` of
            the cache, `seconds`, `tokens_per_second`.
    """

    nll: Floats
    n_tokens: Ints
    offsets: Ints
    end_nll: Floats | None
    end_offsets: Ints
    report: dict[str, float] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def losses(self) -> Floats:
        """Mean loss per token, nats, float64 (total_steps, S); 0 for a step without a token."""
        return self.nll / np.maximum(self.n_tokens, 1)[:, None]

    def chunk_arguments(self) -> dict[str, Any]:
        """The losses as arguments of `skipthink.chunk`."""
        conditioned = self.end_nll is not None
        arguments: dict[str, Any] = {
            "losses": (self.losses if conditioned else self.losses[:, 0], self.offsets),
            "n_tokens": (self.n_tokens.astype(np.float64), self.offsets),
        }
        if conditioned:
            arguments["end_losses"] = (self.end_nll, self.end_offsets)
        return arguments

    def row(self, row: int) -> dict[str, Any]:
        """One sample as lists by the column names that `skipthink chunk` reads: losses, n_tokens, end_losses."""
        steps = slice(self.offsets[row], self.offsets[row + 1])
        losses = self.losses[steps]
        columns = {
            "losses": losses[:, 0] if self.end_nll is None else losses,
            "n_tokens": self.n_tokens[steps],
        }
        if self.end_nll is not None:
            columns["end_losses"] = self.end_nll[self.end_offsets[row] : self.end_offsets[row + 1]]
        return {name: values.tolist() for name, values in columns.items()}


class Accumulator:
    """Fills in the losses of sequences, in whatever order they are scored.

    Args:
        encoded: the samples.
        n_slots: S, the stages that are scored.
    """

    def __init__(self, encoded: EncodedSamples, n_slots: int) -> None:
        self.encoded = encoded
        self.offsets = offsets_of(encoded.n_steps)
        self.end_offsets = offsets_of(encoded.n_steps + 1)
        self.nll = np.full((self.offsets[-1], n_slots), np.nan)
        self.end_nll = np.full((self.end_offsets[-1], n_slots), np.nan)

    def put(self, row: int, slot: int, nll: Floats, end_nll: Floats) -> None:
        """Adds one sequence: nll per step (K,), nll of the end token after k steps (K + 1,)."""
        self.nll[self.offsets[row] : self.offsets[row + 1], slot] = nll
        self.end_nll[self.end_offsets[row] : self.end_offsets[row + 1], slot] = end_nll

    def losses(self, *, conditioned: bool, report: dict[str, float]) -> StepLosses:
        """All losses; stage-free ones have no end losses, for no item ends inside a rationale there."""
        n_tokens = np.diff(self.encoded.step_tokens.values)
        # between two rows stands a difference that belongs to neither
        inside = np.delete(np.arange(len(n_tokens)), self.encoded.step_tokens.offsets[1:-1] - 1)
        ends = self.end_nll if conditioned else None
        return StepLosses(self.nll, n_tokens[inside], self.offsets, ends, self.end_offsets, report)
