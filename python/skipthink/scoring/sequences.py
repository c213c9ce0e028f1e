"""The sequences that are scored: a sample's question and rationale under one stage, and their batches.

Every sequence is a prompt and a target. What stands in the prompt is decided here and nowhere else, by the
layout of items (docs/design.md), so that what is scored is what is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skipthink.encoding import EncodedSamples, Ints
from skipthink.exceptions import InvalidInputError
from skipthink.markers import Markers

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
        markers: marker ids.
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
        self.prefixes = list(markers.stages) if conditioned else [()]
        self._head, self._open = markers.head, markers.open
        self._end = markers.end
        self._start = decoder_start(model)
        fixed = len(self._head) + len(self._open) + (0 if self._start is None else 2)
        lengths = encoded.question.lengths + encoded.rationale.lengths + fixed
        leads = np.asarray([len(prefix) for prefix in self.prefixes])
        self.lengths_tokens: Ints = (lengths[:, None] + leads).ravel()
        self._refuse_long(model, lengths + leads.max())

    @property
    def n_slots(self) -> int:
        """S, the sequences a sample."""
        return len(self.prefixes)

    def __len__(self) -> int:
        return len(self.lengths_tokens)

    def __getitem__(self, index: int) -> Sequence:
        row, slot = divmod(int(index), self.n_slots)
        rationale, cuts = self.encoded.rationale[row], self.encoded.step_tokens[row]
        prompt = [*self._head, *self.prefixes[slot], *self.encoded.question[row].tolist()]
        source: list[int] = []
        if self._start is not None:
            source, prompt = [*prompt, self._end], [self._start]
        prompt += self._open
        ids = np.concatenate([np.asarray(prompt, np.int64), rationale])
        return Sequence(row, slot, np.asarray(source, np.int64), ids, len(prompt), cuts)

    def _refuse_long(self, model: PreTrainedModel, lengths: Ints) -> None:
        limit = getattr(model.config, "max_position_embeddings", None)
        if limit is None or not len(lengths) or lengths.max() <= limit:
            return
        worst = int(np.argmax(lengths))
        raise InvalidInputError(
            f"sample {self.encoded.ids[worst]!r} has {lengths[worst]} tokens, but the student reads at most {limit}; "
            "drop the sample or use a student with more positions"
        )


def decoder_start(model: PreTrainedModel) -> int | None:
    """The id an encoder-decoder's decoder starts with; None for a decoder-only model.

    Raises:
        InvalidInputError: the model has an encoder, but its config names no such id.
    """
    config: Any = model.config
    if not getattr(config, "is_encoder_decoder", False):
        return None
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise InvalidInputError(
            f"the config of this {config.model_type} has no decoder_start_token_id; "
            "set it to the id its decoder starts with"
        )
    return int(start)


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
    ids, mask = _pad([sequence.ids for sequence in sequences], markers.pad)
    if len(sequences[0].source):
        source, source_mask = _pad([sequence.source for sequence in sequences], markers.pad)
        inputs = {"input_ids": source, "attention_mask": source_mask, "decoder_input_ids": ids}
    else:
        inputs = {"input_ids": ids, "attention_mask": mask}
    counts = [len(sequence.target) + 1 for sequence in sequences]
    columns = [np.arange(sequence.n_prompt - 1, len(sequence.ids)) for sequence in sequences]
    targets = [part for sequence in sequences for part in (sequence.target, [markers.end])]
    return Batch(
        {name: tensor.to(device) for name, tensor in inputs.items()},
        torch.from_numpy(np.repeat(np.arange(len(sequences)), counts)).to(device),
        torch.from_numpy(np.concatenate(columns)).to(device),
        torch.from_numpy(np.concatenate(targets)).to(device),
        counts,
    )


def _pad(rows: list[Ints], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.from_numpy(row)
        mask[index, : len(row)] = 1
    return ids, mask
