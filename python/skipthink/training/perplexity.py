"""Steps whose loss a student hardly notices: stepwise perplexity (SPIRIT, arXiv 2502.13260), kept on disk."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_bytes
from skipthink.student.encoding import EncodedSamples
from skipthink.student.forward import NllHead
from skipthink.student.losses import Floats
from skipthink.student.prompts import make_prompt
from skipthink.student.sequences import Sequence, make_batch, plan_batches
from skipthink.student.student import Student
from skipthink.student.token_rows import Bools, offsets_of
from skipthink.training.dropping import keep_one

UNTRAINED = 0.8
"""A student whose mean loss is above this share of a uniform guess knows no language."""


@dataclass
class Pruning:
    """Rationales on their way to fewer steps.

    Attributes:
        kept: the steps that stay by now, bool (total_steps,).
        going: samples that may still lose a step, bool (n,).
        limits: mean loss that a sample must not exceed, nats, float64 (n,); infinite before it is known.
    """

    kept: Bools
    going: Bools
    limits: Floats


def prune_by_perplexity(
    student: Student,
    encoded: EncodedSamples,
    file: Path,
    *,
    max_rise: float,
    autocast: str | None = None,
    batch_tokens: int = 8192,
) -> Bools:
    """Drops steps one by one, each time the one without which the perplexity is lowest, while it rises little.

    The perplexity is that of the steps that stay and the answer, given the question, without a marker: those are new to
    the student. It is compared with that of the whole rationale.

    Args:
        student: the student before it is trained.
        encoded: the samples.
        file: where the rounds are kept; a killed call goes on from the last one.
        max_rise: share by which the perplexity of a sample may rise in all.
        autocast: precision of forward passes, as `Student.score` names it.
        batch_tokens: most padded tokens of a forward pass.

    Returns:
        The steps that stay, bool (total_steps,); every rationale keeps one.

    Raises:
        InvalidInputError: a student from scratch, whose perplexity says nothing.
        DataError: the file is damaged.
    """
    offsets = offsets_of(encoded.n_steps)
    key = _key(student, encoded, max_rise)
    state = _load(file, key)
    if state is None:
        state = Pruning(
            np.ones(offsets[-1], dtype=np.bool_),
            np.ones(len(encoded), dtype=np.bool_),
            np.full(len(encoded), np.inf),
        )
    with NllHead(student.network, student.markers.end_id, autocast=autocast) as head:
        if np.isinf(state.limits).any():
            whole = _score(
                head, student, encoded, [(row, state.kept) for row in range(len(encoded))], batch_tokens
            )
            _refuse_untrained(student, whole)
            state.limits = whole + math.log1p(max_rise)
        while state.going.any():
            _drop_one(head, student, encoded, state, batch_tokens)
            _save(file, key, state)
    return keep_one(encoded, state.kept)


def _drop_one(
    head: NllHead, student: Student, encoded: EncodedSamples, state: Pruning, batch_tokens: int
) -> None:
    """One round: every sample that is still going loses a step, or stops."""
    offsets = offsets_of(encoded.n_steps)
    candidates: list[tuple[int, int]] = []
    tried: list[tuple[int, Bools]] = []
    for row in map(int, np.flatnonzero(state.going)):
        own = state.kept[offsets[row] : offsets[row + 1]]
        for step in map(int, np.flatnonzero(own) if own.sum() > 1 else ()):
            without = own.copy()
            without[step] = False
            candidates.append((row, int(offsets[row]) + step))
            tried.append((row, without))
    losses = _score(head, student, encoded, tried, batch_tokens)
    state.going[:] = False
    rows = np.asarray([row for row, _ in candidates], dtype=np.int64)
    for row in np.unique(rows):
        of_row = np.flatnonzero(rows == row)
        best = of_row[np.argmin(losses[of_row])]
        if losses[best] <= state.limits[row]:
            state.kept[candidates[best][1]] = False
            state.going[row] = True


def _score(
    head: NllHead,
    student: Student,
    encoded: EncodedSamples,
    tried: list[tuple[int, Bools]],
    batch_tokens: int,
) -> Floats:
    """The mean loss of kept steps and answer, nats per token, float64 (n_tried,).

    Args:
        head: of the student.
        student: the student.
        encoded: the samples.
        tried: samples with flags of their steps, of each alone or of all.
        batch_tokens: most padded tokens of a forward pass.
    """
    offsets = offsets_of(encoded.n_steps)
    sequences = []
    for row, flags in tried:
        own = flags if len(flags) == encoded.n_steps[row] else flags[offsets[row] : offsets[row + 1]]
        prompt = make_prompt(student.markers, (), encoded.question[row], student.markers.block_open)
        in_kept = np.repeat(own, np.diff(encoded.step_tokens[row]))
        target = np.concatenate([encoded.rationale[row][in_kept], encoded.answer[row]])
        ids = np.concatenate([prompt.ids, target])
        cuts = np.asarray([0, len(target)])
        sequences.append(Sequence(row, 0, prompt.source, ids, len(prompt.ids), cuts))
    losses = np.zeros(len(sequences))
    lengths: Ints = np.asarray([len(one.ids) + len(one.source) for one in sequences], dtype=np.int64)
    rows_at_once = head.max_rows()
    if rows_at_once is not None:
        batch_tokens = min(batch_tokens, rows_at_once)
    for batch in plan_batches(lengths, batch_tokens):
        made = make_batch([sequences[index] for index in batch], student.markers, student.device)
        nll, _ = head(made)
        for index, part in zip(batch, np.split(nll, np.cumsum(made.counts)[:-1]), strict=True):
            losses[index] = part[:-1].mean()  # the last one is of the end token
    if not np.isfinite(losses).all():
        worst = encoded.ids[sequences[int(np.flatnonzero(~np.isfinite(losses))[0])].row]
        raise InvalidInputError(f"the student's loss on sample {worst!r} is not finite; try without autocast")
    return losses


def _refuse_untrained(student: Student, losses: Floats) -> None:
    guess = math.log(student.network.config.vocab_size)
    if losses.mean() > UNTRAINED * guess:
        raise InvalidInputError(
            f"pruning by perplexity needs a student that knows language, but this one has a mean loss of "
            f"{losses.mean():.2f} nats per token, near a blind guess ({guess:.2f}); take a pre-trained student"
        )


def _key(student: Student, encoded: EncodedSamples, max_rise: float) -> str:
    digest = hashlib.sha256(f"{student.digest()} {max_rise!r}".encode())
    for rows in (encoded.question, encoded.rationale, encoded.answer, encoded.step_tokens):
        digest.update(rows.values.tobytes() + rows.offsets.tobytes())
    return digest.hexdigest()


def _save(file: Path, key: str, state: Pruning) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, key=np.asarray(key), kept=state.kept, going=state.going, limits=state.limits)
    write_bytes(file, buffer.getvalue())


def _load(file: Path, key: str) -> Pruning | None:
    """What the last round left; None before the first one, or of other samples."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            return Pruning(content["kept"], content["going"], content["limits"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {file}: {error}; delete it to prune anew") from error
