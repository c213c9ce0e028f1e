"""Loss scoring: the cache of per-step losses that boundary search runs on (method §4).

Teacher-forced, the loss of a step given everything before it does not depend on where earlier boundaries
lie, only on the stage marker in front. One forward pass a stage therefore prices every segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from skipthink.encoding import EncodedSamples, Ints, offsets_of
from skipthink.exceptions import InvalidInputError
from skipthink.markers import Markers
from skipthink.students import has_plain_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Floats = npt.NDArray[np.float64]

HEAD_CHUNK_TOKENS = 4096
"""Positions that pass the language-model head at once: bounds the logits held in memory."""


@dataclass(frozen=True)
class StepLosses:
    """Per-step losses of n samples under S stages (S = M conditioned, S = 1 stage-free).

    Attributes:
        nll: summed negative log-likelihood of a step in nats, float64 (total_steps, S).
        n_tokens: tokens of a step, int64 (total_steps,).
        offsets: row offsets into the steps, int64 (n + 1,).
        end_nll: nll of the end token after the first k steps, float64 (total_steps + n, S); None stage-free.
        end_offsets: row offsets into `end_nll`, int64 (n + 1,).
    """

    nll: Floats
    n_tokens: Ints
    offsets: Ints
    end_nll: Floats | None
    end_offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def losses(self) -> Floats:
        """Mean loss a token, nats, float64 (total_steps, S); 0 for a step without a token."""
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


def score_steps(
    model: PreTrainedModel,
    encoded: EncodedSamples,
    markers: Markers,
    *,
    stages: str = "conditioned",
    batch_tokens: int = 8192,
    progress: Callable[[int, int], None] | None = None,
) -> StepLosses:
    """Scores all steps of all samples in batched forward passes.

    Args:
        model: a causal language model; put into eval mode for the time of scoring.
        encoded: the samples.
        markers: marker ids of the model's tokenizer.
        stages: "conditioned": M passes, `[m] q r` for each m, with the losses of the end token at every step
            boundary; "free": one pass over `q r`.
        batch_tokens: padded tokens a forward pass may hold; a longer sequence goes alone.
        progress: called with (sequences done, sequences in all) after each batch.

    Returns:
        The losses; float32 log-likelihoods, summed in float64. Independent of batch size and row order up to
        float32 rounding.

    Raises:
        InvalidInputError: unknown `stages`, or a sequence longer than the model's positions.
    """
    if stages not in ("conditioned", "free"):
        raise InvalidInputError(f'stages must be "conditioned" or "free", got {stages!r}')
    prefixes = [[stage] for stage in markers.stages] if stages == "conditioned" else [[]]
    bos = [] if markers.bos is None else [markers.bos]
    sequences = [
        _Sequence(row, slot, bos + prefix, encoded)
        for row in range(len(encoded))
        for slot, prefix in enumerate(prefixes)
    ]
    _refuse_long(model, sequences, encoded)
    offsets = offsets_of(encoded.n_steps)
    end_offsets = offsets_of(encoded.n_steps + 1)
    nll = np.zeros((offsets[-1], len(prefixes)))
    end_nll = np.zeros((end_offsets[-1], len(prefixes)))
    done = 0
    plain_head = has_plain_head(model)
    with _evaluating(model), torch.inference_mode():
        for batch in _batches(sequences, batch_tokens):
            for sequence, token_nll, ends in _score_batch(model, batch, markers, plain_head=plain_head):
                row, slot = sequence.row, sequence.slot
                cuts = encoded.step_tokens[row]
                sums = np.concatenate([[0.0], np.cumsum(token_nll)])
                nll[offsets[row] : offsets[row + 1], slot] = np.diff(sums[cuts])
                end_nll[end_offsets[row] : end_offsets[row + 1], slot] = ends[cuts]
            done += len(batch)
            if progress is not None:
                progress(done, len(sequences))
    n_tokens = np.concatenate(
        [np.diff(encoded.step_tokens[row]) for row in range(len(encoded))] or [np.empty(0, int)]
    )
    return StepLosses(nll, n_tokens, offsets, end_nll if stages == "conditioned" else None, end_offsets)


def _states(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, *, plain_head: bool
) -> torch.Tensor:
    """Hidden states, to which the head is applied where needed; logits of all positions where it is no plain head."""
    module: Any = model
    if plain_head:
        hidden: torch.Tensor = module.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden
    logits: torch.Tensor = module(input_ids=ids, attention_mask=mask).logits
    return logits


class _Sequence:
    """One sequence to score: a row under one stage."""

    def __init__(self, row: int, slot: int, prefix: list[int], encoded: EncodedSamples) -> None:
        self.row, self.slot = row, slot
        question = encoded.question[row]
        self.n_prompt = len(prefix) + len(question)
        self.ids = np.concatenate([np.asarray(prefix, dtype=np.int64), question, encoded.rationale[row]])

    def __len__(self) -> int:
        return len(self.ids)


def _batches(sequences: list[_Sequence], batch_tokens: int) -> Iterator[list[_Sequence]]:
    """Longest first, so that padding is small and the largest batch comes first."""
    batch: list[_Sequence] = []
    for sequence in sorted(sequences, key=len, reverse=True):
        if batch and len(batch[0]) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(sequence)
    if batch:
        yield batch


def _score_batch(
    model: PreTrainedModel, batch: list[_Sequence], markers: Markers, *, plain_head: bool
) -> Iterator[tuple[_Sequence, Floats, Floats]]:
    """Yields, a sequence, the nll of its rationale tokens (T,) and of an end token before each of them (T + 1,)."""
    width = len(batch[0])
    ids = torch.full((len(batch), width), markers.pad, dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for index, sequence in enumerate(batch):
        ids[index, : len(sequence)] = torch.from_numpy(sequence.ids)
        mask[index, : len(sequence)] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    states = _states(model, ids, mask, plain_head=plain_head)
    # a token is predicted at the position before it; the last position predicts the end only
    positions = [np.arange(sequence.n_prompt - 1, len(sequence)) for sequence in batch]
    counts = np.asarray([len(run) for run in positions])
    rows = torch.from_numpy(np.repeat(np.arange(len(batch)), counts)).to(model.device)
    columns = torch.from_numpy(np.concatenate(positions)).to(model.device)
    targets = ids[rows, (columns + 1).clamp(max=width - 1)]
    head = model.get_output_embeddings() if plain_head else None
    token_nll, end_nll = _head_nll(head, states[rows, columns], targets, markers.end)
    for sequence, end in zip(batch, np.cumsum(counts), strict=True):
        start = end - (len(sequence) - sequence.n_prompt + 1)
        yield sequence, token_nll[start : end - 1], end_nll[start:end]


def _head_nll(head: Any, states: torch.Tensor, targets: torch.Tensor, end: int) -> tuple[Floats, Floats]:
    """Nll of the targets and of the end token at each position, without holding all logits at once."""
    token_parts, end_parts = [], []
    for part, target in zip(states.split(HEAD_CHUNK_TOKENS), targets.split(HEAD_CHUNK_TOKENS), strict=True):
        logits = (part if head is None else head(part)).float()
        normaliser = torch.logsumexp(logits, dim=-1)
        token_parts.append(normaliser - logits.gather(1, target[:, None])[:, 0])
        end_parts.append(normaliser - logits[:, end])
    return torch.cat(token_parts).double().cpu().numpy(), torch.cat(end_parts).double().cpu().numpy()


def _refuse_long(model: PreTrainedModel, sequences: list[_Sequence], encoded: EncodedSamples) -> None:
    limit = getattr(model.config, "max_position_embeddings", None)
    longest = max(sequences, key=len, default=None)
    if limit is not None and longest is not None and len(longest) > limit:
        raise InvalidInputError(
            f"sample {encoded.ids[longest.row]!r} has {len(longest)} tokens, but the student reads at most {limit}; "
            "drop the sample or use a student with more positions"
        )


class _evaluating:  # noqa: N801 - used as a context manager
    """Eval mode for the time of a block."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.training = model, model.training

    def __enter__(self) -> None:
        self.model.eval()

    def __exit__(self, *_: object) -> None:
        self.model.train(self.training)
