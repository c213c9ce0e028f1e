"""The sequences that are scored (question and rationale of a sample under one stage), and their batches.

Every sequence is a prompt and a target. What stands in the prompt is decided here and nowhere else, by the
layout of items (docs/explanation/design.md), so that what is scored is what is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import EncodedSamples
from skipthink.student.inputs import model_inputs
from skipthink.student.markers import Markers
from skipthink.student.prompts import make_prompt, max_positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Sequence:
    """One sequence.

    Attributes:
        row: the sample.
        slot: column of the losses: m - 1 under stage m, 0 stage-free.
        source: ids an encoder reads, int64; empty for a decoder-only student.
        ids: ids the decoder reads, int64: the rest of the prompt, then the target.
        n_prompt: leading ids that are prompt, at least 1.
        cuts: token offsets of the steps within the target, int64 (K + 1,).
    """

    row: int
    slot: int
    source: Ints
    ids: Ints
    n_prompt: int
    cuts: Ints

    @property
    def target(self) -> Ints:
        """The ids whose losses are asked for."""
        return self.ids[self.n_prompt :]


class SequenceSet:
    """All sequences of samples under all stages, made when they are asked for.

    Args:
        encoded: the samples.
        markers: marker ids, fitted to the student.
        model: the student; whether it has an encoder decides what the prompt is.
        conditioned: `[m]` in front, one sequence a stage; else nothing in front and one sequence a sample.

    Raises:
        InvalidInputError: an encoder-decoder that does not say what its decoder starts with, or a sequence longer
            than the model's positions.
    """

    def __init__(
        self, encoded: EncodedSamples, markers: Markers, model: PreTrainedModel, *, conditioned: bool
    ) -> None:
        self.encoded = encoded
        self.markers = markers
        self.prefixes = list(markers.stage_marks) if conditioned else [()]
        bare = make_prompt(self.markers, max(self.prefixes, key=len), [], markers.block_open)
        longest = max(len(prefix) for prefix in self.prefixes)
        lengths = encoded.question.lengths + encoded.rationale.lengths + len(bare) - longest
        leads = np.asarray([len(prefix) for prefix in self.prefixes])
        self.lengths_tokens: Ints = (lengths[:, None] + leads).ravel()
        sides = [lengths + longest]
        if len(bare.source):
            sides = [encoded.question.lengths + len(bare.source), encoded.rationale.lengths + len(bare.ids)]
        self._refuse_long(max_positions(model.config), np.max(sides, axis=0))

    @property
    def n_slots(self) -> int:
        """S, the number of sequences per sample."""
        return len(self.prefixes)

    def __len__(self) -> int:
        return len(self.lengths_tokens)

    def __getitem__(self, index: int) -> Sequence:
        row, slot = divmod(int(index), self.n_slots)
        rationale, cuts = self.encoded.rationale[row], self.encoded.step_tokens[row]
        prompt = make_prompt(
            self.markers, self.prefixes[slot], self.encoded.question[row], self.markers.block_open
        )
        return Sequence(
            row, slot, prompt.source, np.concatenate([prompt.ids, rationale]), len(prompt.ids), cuts
        )

    def _refuse_long(self, limit: int | None, lengths: Ints) -> None:
        if limit is None or not len(lengths) or lengths.max() <= limit:
            return
        worst = int(np.argmax(lengths))
        raise InvalidInputError(
            f"sample {self.encoded.ids[worst]!r} has {lengths[worst]} tokens, but the student reads at most {limit}; "
            "drop the sample or use a student with more positions"
        )


def plan_batches(lengths_tokens: Ints, batch_tokens: int) -> Iterator[Ints]:
    """Batches of at most `batch_tokens` padded tokens; a longer sequence goes alone.

    Longest first: sequences of like length stand together, padding is small, and memory runs out at once or never.

    Yields:
        Indices of sequences, int64.
    """
    order = np.argsort(-lengths_tokens, kind="stable")
    start = 0
    while start < len(order):
        fit = max(1, batch_tokens // max(int(lengths_tokens[order[start]]), 1))
        yield order[start : start + fit]
        start += fit


@dataclass(frozen=True)
class Batch:
    """Sequences as padded tensors.

    Attributes:
        inputs: keyword arguments of the model's forward pass; padding is on the right.
        rows: row of each position that predicts a target, int64 (n,); a token is predicted at the position before it.
        columns: its column, int64 (n,).
        targets: the token it predicts, int64 (n,); the end token at the last position of a sequence.
        counts: positions of each sequence, its target tokens and one more.
    """

    inputs: dict[str, torch.Tensor]
    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor
    counts: list[int]


def make_batch(sequences: list[Sequence], markers: Markers, device: torch.device) -> Batch:
    """Pads sequences into one batch."""
    inputs = model_inputs(
        [sequence.ids for sequence in sequences], [sequence.source for sequence in sequences], markers.pad_id
    )
    counts = [len(sequence.target) + 1 for sequence in sequences]
    columns = [np.arange(sequence.n_prompt - 1, len(sequence.ids)) for sequence in sequences]
    targets = [part for sequence in sequences for part in (sequence.target, [markers.end_id])]
    return Batch(
        {name: tensor.to(device) for name, tensor in inputs.items()},
        torch.from_numpy(np.repeat(np.arange(len(sequences)), counts)).to(device),
        torch.from_numpy(np.concatenate(columns)).to(device),
        torch.from_numpy(np.concatenate(targets)).to(device),
        counts,
    )
