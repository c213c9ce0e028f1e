"""Tokens of steps, counted with the tokenizer of a student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.core.steps import StepSpans
from skipthink.exceptions import DataError
from skipthink.student.tokens import encode_texts, token_starts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    """Loads a fast tokenizer by itself; needs `transformers`, but no torch.

    Raises:
        DataError: it cannot be loaded, or does not say where its tokens stand.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot load a tokenizer from {name_or_path!r}: {error}") from error
    if not tokenizer.is_fast:
        raise DataError(
            f"the tokenizer of {name_or_path!r} does not say where its tokens stand; name one with a tokenizer.json"
        )
    return tokenizer


def load_counter(name_or_path: str) -> Callable[[Sequence[str], StepSpans], Ints]:
    """Loads a tokenizer to count with; needs `transformers`, but no torch.

    Raises:
        DataError: it cannot be loaded, or does not say where its tokens stand.
    """
    tokenizer = load_tokenizer(name_or_path)
    return lambda texts, spans: count_tokens(tokenizer, texts, spans)


def count_tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], spans: StepSpans) -> Ints:
    """Counts the tokens of each step, int64 (total_steps,).

    A text is tokenised whole; a token belongs to the step in which its first character that is no white space stands.
    """
    counts = np.zeros(len(spans.ends), np.int64)
    encoded = encode_texts(tokenizer, list(texts), offsets=True)["offset_mapping"] if len(texts) else []
    for row, (text, offsets) in enumerate(zip(texts, encoded, strict=True)):
        first, end = spans.offsets[row], spans.offsets[row + 1]
        if end > first:
            starts = token_starts(text, np.asarray(offsets, np.int64).reshape(-1, 2))
            steps = np.searchsorted(spans.ends[first:end], starts, side="right")
            counts[first:end] = np.bincount(np.minimum(steps, end - first - 1), minlength=end - first)
    return counts
