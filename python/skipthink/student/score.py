"""Losses of steps: what boundary search runs on (method §4).

Teacher-forced, the loss of a step given everything before it does not depend on where earlier boundaries
lie, only on the stage marker in front. One forward pass per stage therefore prices every segmentation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.student.devices import free_memory, is_out_of_memory
from skipthink.student.encoding import EncodedSamples
from skipthink.student.forward import NllHead
from skipthink.student.losses import Accumulator, Floats, StepLosses
from skipthink.student.markers import Markers
from skipthink.student.sequences import Sequence, SequenceSet, make_batch, plan_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Passes = Literal["conditioned", "free"]
PASSES: tuple[Passes, ...] = ("conditioned", "free")


class ScoreStore(Protocol):
    """A store of scores; `skipthink.scoring.cache.ScoreCache` keeps them on disk.

    Attributes:
        corrupted_files: files that could not be read.
    """

    corrupted_files: int

    def __len__(self) -> int:
        """Sequences whose scores are known."""

    def key(self, sequence: Sequence) -> bytes:
        """What a sequence is known by."""

    def get(self, key: bytes) -> tuple[Floats, Floats] | None:
        """The nll of the steps and of the end token after each, or None where they are not known."""

    def put(self, key: bytes, nll: Floats, end_nll: Floats) -> None:
        """Notes the scores of a sequence."""

    def write_due(self) -> None:
        """Writes what has come in, where it is time."""

    def write(self) -> None:
        """Writes what has come in."""


def score_sequences(
    model: PreTrainedModel,
    encoded: EncodedSamples,
    markers: Markers,
    *,
    passes: str = "conditioned",
    batch_tokens: int = 8192,
    autocast: str | None = None,
    store: ScoreStore | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StepLosses:
    """Scores all steps of all samples in batched forward passes; see `skipthink.student.Student.score`.

    Args:
        model: a causal language model or an encoder-decoder; put into eval mode for the time of scoring.
        encoded: the samples.
        markers: its marker ids, fitted to it.
        passes: "conditioned": M passes, `[m] q r` for each m, with the losses of the end token at every step
            boundary; "free": one pass over `q r`.
        batch_tokens: padded tokens a forward pass may hold; a longer sequence goes alone. Where memory runs out, a
            batch is halved, and those after it are as small.
        autocast: "bfloat16" or "float16": precision of the forward pass; None: that of the weights.
        store: scores found there are not computed again, those computed are put there.
        progress: called with (tokens done, tokens in all), first with what the store had, then after each batch.

    Returns:
        The losses; float32 log-likelihoods, summed in float64. Independent of batch size and row order up to
        float32 rounding, and bit by bit the same after a kill where memory did not run out.

    Raises:
        InvalidInputError: unknown options, a sequence longer than the model's positions, or a loss that is not finite.
        RunError: memory runs out on a single sequence, or the store cannot be written.
    """
    if passes not in PASSES:
        raise InvalidInputError(f'passes must be "conditioned" or "free", got {passes!r}')
    if batch_tokens < 1:
        raise InvalidInputError(f"batch_tokens must be at least 1, got {batch_tokens}")
    conditioned = passes == "conditioned"
    sequences = SequenceSet(encoded, markers, model, conditioned=conditioned)
    found = Accumulator(encoded, sequences.n_slots)
    with NllHead(model, markers.end_id, autocast=autocast) as head:
        run = _Run(head, sequences, markers, found, store)
        run.score(batch_tokens, progress)
    return found.losses(conditioned=conditioned, report=run.report())


class _Run:
    """One call of `score_sequences`."""

    def __init__(
        self,
        head: NllHead,
        sequences: SequenceSet,
        markers: Markers,
        found: Accumulator,
        store: ScoreStore | None,
    ) -> None:
        self.head, self.sequences, self.markers = head, sequences, markers
        self.found, self.store = found, store
        self.counts = {"scored": 0, "cached": 0, "tokens": 0, "passes": 0, "halved_batches": 0}
        self.limit_tokens = float("inf")
        self.started = time.monotonic()

    def score(self, batch_tokens: int, progress: Callable[[int, int], None] | None) -> None:
        """Scores what the store does not have, in batches that do not depend on what the store has."""
        lengths = self.sequences.lengths_tokens
        if (rows := self.head.max_rows()) is not None:
            batch_tokens = min(batch_tokens, rows)
        batches = list(plan_batches(lengths, batch_tokens))
        missing = [self._missing(batch) for batch in batches]
        total = int(lengths.sum())
        done = total - sum(int(lengths[batch].sum()) for batch in missing)
        if progress is not None:
            progress(done, total)
        try:
            for batch in missing:
                for piece in self._pieces(batch):
                    done += int(lengths[piece].sum())
                    if progress is not None:
                        progress(done, total)
                if self.store is not None:
                    self.store.write_due()
        finally:
            # what is scored is kept, whatever comes after
            if self.store is not None:
                self.store.write()

    def report(self) -> dict[str, float]:
        """See `StepLosses.report`."""
        seconds = time.monotonic() - self.started
        corrupted = 0 if self.store is None else self.store.corrupted_files
        return {
            "sequences": len(self.sequences),
            **self.counts,
            "corrupted_files": corrupted,
            "seconds": round(seconds, 3),
            "tokens_per_second": round(self.counts["tokens"] / max(seconds, 1e-9), 1),
        }

    def _missing(self, batch: Ints) -> Ints:
        """The sequences of a batch that the store does not have; the others are filled in."""
        if self.store is None or len(self.store) == 0:
            return batch
        missing = []
        for index in batch:
            sequence = self.sequences[index]
            known = self.store.get(self.store.key(sequence))
            if known is None:
                missing.append(index)
                continue
            self.found.put(sequence.row, sequence.slot, *known)
        self.counts["cached"] += len(batch) - len(missing)
        return np.asarray(missing, np.int64)

    def _pieces(self, batch: Ints) -> Iterator[Ints]:
        """Scores a batch, whole or, where memory runs out, in pieces; yields each piece once it is scored."""
        waiting = [batch] if len(batch) else []
        while waiting:
            piece = waiting.pop()
            padded = len(piece) * int(self.sequences.lengths_tokens[piece].max())
            if padded <= self.limit_tokens or len(piece) == 1:
                sequences = [self.sequences[index] for index in piece]
                if self._score_piece(sequences):
                    yield piece
                    continue
                if len(piece) == 1:
                    raise RunError(
                        f"out of memory on sample {self.found.encoded.ids[sequences[0].row]!r} alone, with {padded} "
                        "tokens; drop the sample, or use autocast, a smaller student or a machine with more memory"
                    )
                self.limit_tokens = padded // 2
                self.counts["halved_batches"] += 1
            middle = (len(piece) + 1) // 2
            waiting += [piece[middle:], piece[:middle]]

    def _score_piece(self, sequences: list[Sequence]) -> bool:
        """Scores sequences in one forward pass; False where memory runs out."""
        try:
            batch = make_batch(sequences, self.markers, self.head.model.device)
            nll, end_nll = self.head(batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            batch = None
        if batch is None:  # outside the handler: the error holds on to the tensors
            free_memory(self.head.model.device)
            return False
        self._note(sequences, batch.counts, nll, end_nll)
        return True

    def _note(self, sequences: list[Sequence], counts: list[int], nll: Floats, end_nll: Floats) -> None:
        """Sums a forward pass up over steps."""
        start = 0
        for sequence, count in zip(sequences, counts, strict=True):
            tokens, ends = nll[start : start + count - 1], end_nll[start : start + count]
            start += count
            sums = np.concatenate([[0.0], np.cumsum(tokens)])
            scores = np.diff(sums[sequence.cuts]), ends[sequence.cuts]
            if not all(np.isfinite(part).all() for part in scores):
                raise InvalidInputError(
                    f"the student's loss on sample {self.found.encoded.ids[sequence.row]!r} is not finite; its "
                    "training has diverged, or its logits overflow: try without autocast"
                )
            self.found.put(sequence.row, sequence.slot, *scores)
            if self.store is not None:
                self.store.put(self.store.key(sequence), *scores)
            self.counts["tokens"] += len(sequence.source) + len(sequence.ids)
        self.counts["scored"] += len(sequences)
        self.counts["passes"] += 1
