"""Item planning: chunks and skip states to training items as spans of token ids (method §5, §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skipthink import _core
from skipthink.core.ragged import Ints, check_offsets, to_boundaries, to_ints
from skipthink.exceptions import InvalidInputError, InvalidTypeError


@dataclass(frozen=True)
class ItemPlan:
    """Planned items: which spans and markers make up each prompt and target.

    Attributes:
        rows: sample of each item, int64 (n_items,).
        stages: 1 … M, or a `skipthink.core.codes.Stage`, int64 (n_items,).
        pieces: (kind, start, end), int64 (n_pieces, 3); kinds are `skipthink.core.codes.Piece`.
        piece_offsets: pieces of each item, int64 (n_items + 1,).
        n_prompt_pieces: leading pieces that are the prompt, int64 (n_items,).
        prompt_lengths_tokens: int64 (n_items,), markers included.
        target_lengths_tokens: int64 (n_items,), the end token included.
    """

    rows: Ints
    stages: Ints
    pieces: Ints
    piece_offsets: Ints
    n_prompt_pieces: Ints
    prompt_lengths_tokens: Ints
    target_lengths_tokens: Ints

    def __len__(self) -> int:
        return len(self.rows)


def plan_items(
    boundaries: Any,
    *,
    step_token_offsets: tuple[Any, Any],
    n_question_tokens: Any,
    n_answer_tokens: Any,
    scheme: str,
    skipped: Any = None,
    thought: str = "per-chunk",
    chunk_dropout: float = 0.0,
    seed: int = 0,
    num_threads: int | None = None,
) -> ItemPlan:
    """Plans the items of n samples, row by row; within a row by stage, the answer item last.

    Args:
        boundaries: chunks, integers (n, M + 1).
        step_token_offsets: ragged (values, offsets), K + 1 per row: token offsets of the steps in the rationale.
        n_question_tokens: integers (n,).
        n_answer_tokens: integers (n,).
        scheme: "chunkwise" (M stage items and an answer item per row), "skip", "base" or "answer-only" (one each).
        skipped: bool (n, M), for the skip scheme.
        thought: what stands for skipped chunks in a skip target: "per-chunk", "collapse" or "none".
        chunk_dropout: probability that an earlier chunk of a prompt becomes `[thought]`, in [0, 1).
        seed: seeds chunk dropout, which depends only on (seed, row, stage, chunk).
        num_threads: threads; results do not depend on it.

    Returns:
        The plan.

    Raises:
        InvalidInputError: lengths differ, boundaries do not fit the steps, or options are out of range.
    """
    cuts = to_boundaries(boundaries)
    tokens, offsets = (to_ints("step_token_offsets", part) for part in step_token_offsets)
    check_offsets("step_token_offsets", offsets, len(tokens))
    flags = None if skipped is None else check_skipped(skipped, (len(cuts), cuts.shape[1] - 1))
    return ItemPlan(
        *_core.plan_items(
            cuts.ravel(),
            cuts.shape[1] - 1,
            tokens,
            offsets,
            to_ints("n_question_tokens", n_question_tokens),
            to_ints("n_answer_tokens", n_answer_tokens),
            scheme=scheme,
            skipped=flags,
            thought=thought,
            chunk_dropout=float(chunk_dropout),
            seed=seed,
            num_threads=num_threads,
        )
    )


def check_skipped(skipped: Any, shape: tuple[int, int]) -> Any:
    """Skip flags, row after row, bool (n · M,)."""
    array = np.asarray(skipped)
    if array.dtype != np.bool_:
        raise InvalidTypeError(f"skipped must hold booleans, got dtype {array.dtype}")
    if array.shape != shape:
        raise InvalidInputError(f"skipped must have the shape (n, M) = {shape}, got {array.shape}")
    return np.ascontiguousarray(array).ravel()
