"""Items of the baselines that are not made of chunks: single steps, shorter targets, chosen losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skipthink.core.codes import ANSWER, ANSWER_MARK, ANSWER_TEXT, END, QUESTION, RATIONALE, STAGE, STEP
from skipthink.core.planning import ItemPlan
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import Bools, EncodedSamples, Ints, Items, TokenRows, build_items, offsets_of
from skipthink.student.markers import Markers
from skipthink.training.items import loss_mask

PARTS = ("question", "rationale", "answer")
"""Parts of a one-pass item; the answer starts with its marker and ends with the end token."""


def stepwise_items(encoded: EncodedSamples, markers: Markers) -> Items:
    """Every step an item of its own, however many there are, then the end of the steps and the answer.

        step k    [1] q s_1 … s_{k-1}   | s_k <end>     k = 1 … K
        stop      [1] q s_1 … s_K       | <end>
        answer    [answer] q s_1 … s_K  | a <end>

    All steps are asked for by the one marker `[1]`: nothing tells the student which step it writes, or how many
    there are. A step without a token gives no item, since its target would say stop.

    Returns:
        Row by row, in this order; stages `STEP` (steps and stop) and `ANSWER`.
    """
    n_steps = encoded.n_steps
    n_items = n_steps + 2
    rows = np.repeat(np.arange(len(encoded)), n_items)
    step = np.arange(n_items.sum()) - np.repeat(offsets_of(n_items)[:-1], n_items)
    cuts, last = encoded.step_tokens.offsets[rows], n_steps[rows]
    starts = encoded.step_tokens.values[cuts + np.minimum(step, last)]
    ends = encoded.step_tokens.values[cuts + np.minimum(step + 1, last)]
    given = (ends > starts) | (step >= last)
    rows, starts, ends, is_answer = rows[given], starts[given], ends[given], (step > last)[given]
    n_answer, zero = encoded.answer.lengths[rows], np.zeros_like(rows)
    pieces = np.stack([
        _pieces(np.where(is_answer, ANSWER_MARK, STAGE), zero + 1, zero + 2),
        _pieces(zero + QUESTION, zero, encoded.question.lengths[rows]),
        _pieces(zero + RATIONALE, zero, starts),
        _pieces(
            np.where(is_answer, ANSWER_TEXT, RATIONALE),
            np.where(is_answer, 0, starts),
            np.where(is_answer, n_answer, ends),
        ),
        _pieces(zero + END, zero, zero + 1),
    ], axis=1)  # fmt: skip
    plan = ItemPlan(
        rows=rows,
        stages=np.where(is_answer, ANSWER, STEP),
        pieces=pieces.reshape(-1, 3),
        piece_offsets=np.arange(len(rows) + 1) * pieces.shape[1],
        n_prompt_pieces=zero + 3,
        prompt_lengths_tokens=1 + encoded.question.lengths[rows] + starts,
        target_lengths_tokens=np.where(is_answer, n_answer, ends - starts) + 1,
    )
    return build_items(encoded, plan, markers)


def _pieces(kinds: Ints, starts: Ints, ends: Ints) -> Ints:
    return np.stack([kinds, starts, ends], axis=1)


def cut_targets(items: Items, share: float) -> Items:
    """The first `share` of every target, rounded up to whole tokens; prompts stay.

    Raises:
        InvalidInputError: a share outside 0 < share ≤ 1.
    """
    kept = _share_of(items.n_target, share)
    return _without(items, items.target_places >= np.repeat(kept, items.tokens.lengths))


def cut_rationales(items: Items, n_rationale: Ints, share: float, *, n_open: int = 0) -> Items:
    """The first `share` of every rationale, rounded up to whole tokens; the answer behind it stays.

    Args:
        items: one-pass items, whose targets begin with the rationale.
        n_rationale: tokens of the rationale, one an item, int64 (n_items,).
        share: 0 < share ≤ 1.
        n_open: tokens of the target in front of the rationale.

    Raises:
        InvalidInputError: a share outside these bounds.
    """
    return _without_places(items, n_open + _share_of(n_rationale, share), n_open + n_rationale)


def drop_left(items: Items, n_rationale: Ints, n_dropped: Ints, *, n_open: int = 0) -> Items:
    """Drops the first tokens of the rationales, at most all of them; the answer behind them stays.

    Args:
        items: one-pass items, whose targets begin with the rationale.
        n_rationale: tokens of the rationale, one an item, int64 (n_items,).
        n_dropped: how many of them to drop, int64 (n_items,), not negative.
        n_open: tokens of the target in front of the rationale.
    """
    first = np.full_like(n_rationale, n_open)
    return _without_places(items, first, first + np.minimum(n_dropped, n_rationale))


def lose_on(items: Items, n_rationale: Ints, parts: tuple[str, ...], *, n_open: int = 0) -> Items:
    """One-pass items whose loss is taken on some of their `PARTS`.

    The first token of an item is never predicted, so it carries no loss in the question either.

    Args:
        items: one-pass items, whose targets begin with the rationale.
        n_rationale: tokens of the rationale, one an item, int64 (n_items,).
        parts: some of `PARTS`.
        n_open: tokens of the target in front of the rationale; they count as part of it.

    Raises:
        InvalidInputError: no part, an unknown one, or one named twice; the question of an encoder-decoder.
    """
    refuse_parts(parts, has_encoder=items.sources is not None)
    places, answer = items.target_places, np.repeat(n_open + n_rationale, items.tokens.lengths)
    of_part = {
        "question": places < 0,
        "rationale": (places >= 0) & (places < answer),
        "answer": places >= answer,
    }
    loss = np.logical_or.reduce([of_part[part] for part in parts])
    loss[items.tokens.offsets[:-1]] = False
    return replace(items, loss=loss)


def refuse_parts(parts: Sequence[str], *, has_encoder: bool) -> None:
    """Refuses parts of an item that cannot carry loss.

    Raises:
        InvalidInputError: no part, an unknown one, or one named twice; the question of an encoder-decoder.
    """
    if not parts or len(set(parts)) < len(parts) or not set(parts) <= set(PARTS):
        raise InvalidInputError(f"loss_on must name some of {', '.join(PARTS)}, each once; got {list(parts)}")
    if has_encoder and "question" in parts:
        raise InvalidInputError(
            "loss_on names the question, but this student reads it in its encoder, where no token is predicted; "
            "leave it out: loss_on: [rationale, answer]"
        )


def _share_of(lengths: Ints, share: float) -> Ints:
    """A share of lengths, rounded up: 0.1 of 30 is 3, though 0.1 · 30 is a little more in floats."""
    if not 0 < share <= 1:
        raise InvalidInputError(f"truncate must lie in 0 < truncate ≤ 1, got {share}")
    kept: Ints = np.ceil(lengths * share - 1e-9).astype(np.int64)
    return kept


def _without_places(items: Items, first: Ints, end: Ints) -> Items:
    """Drops the places `first` … `end - 1` of every target."""
    places, lengths = items.target_places, items.tokens.lengths
    return _without(items, (places >= np.repeat(first, lengths)) & (places < np.repeat(end, lengths)))


def _without(items: Items, dropped: Bools) -> Items:
    """Drops target tokens."""
    keep = ~dropped
    return replace(
        items,
        tokens=TokenRows(items.tokens.values[keep], offsets_of(keep)[items.tokens.offsets]),
        loss=None if items.loss is None else loss_mask(items)[keep],
    )
