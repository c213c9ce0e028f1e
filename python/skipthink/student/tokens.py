"""Texts to token ids: untrusted ones, in which nothing becomes a special token, and our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ids = tuple[int, ...]


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: list[str], *, offsets: bool = False) -> Any:
    """Tokenises untrusted text: nothing in it can become a special token (method §5).

    Returns:
        The tokenizer's batch encoding, without special tokens.
    """
    return tokenizer(
        texts,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=offsets,
        return_attention_mask=False,
        verbose=False,
    )


def token_starts(text: str, offsets: Ints) -> Ints:
    """Where each token starts: its first character that is not white space, int64 (n_tokens,), not decreasing."""
    if len(offsets) == 0:
        return np.empty(0, dtype=np.int64)
    solid = np.flatnonzero([not character.isspace() for character in text])
    first = np.searchsorted(solid, offsets[:, 0], side="left")
    next_solid = np.append(solid, len(text) + 1)[first]
    starts = np.where(next_solid < offsets[:, 1], next_solid, offsets[:, 0])
    return np.maximum.accumulate(starts)


def fixed_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """Ids of our own text, in which special tokens are special.

    Raises:
        InvalidInputError: the tokenizer loses some of it, white space aside.
    """
    ids = tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else ()
    _refuse_lost(tokenizer, text, ids)
    return ids


def line_ids(tokenizer: PreTrainedTokenizerBase, before: str, line: str) -> tuple[Ids, Ids]:
    """Ids of a line of ordinary text between what stands in front of it and a word behind it: of both, apart.

    Raises:
        InvalidInputError: the tokenizer joins the line with its neighbours, or loses some of it.
    """
    text = before + line
    encoded = encode_texts(tokenizer, [text + "a"], offsets=True)
    starts = token_starts(text + "a", np.asarray(encoded["offset_mapping"][0], np.int64).reshape(-1, 2))
    ids: list[int] = encoded["input_ids"][0]
    cut, end = np.searchsorted(starts, [len(before), len(text)], side="left")
    _refuse_lost(tokenizer, line, tuple(ids[cut:end]))
    return tuple(ids[:cut]), tuple(ids[cut:end])


def _refuse_lost(tokenizer: PreTrainedTokenizerBase, text: str, ids: Ids) -> None:
    back = str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
    if "".join(back.split()) != "".join(text.split()):
        raise InvalidInputError(
            f"tokenizer {tokenizer.name_or_path!r} cannot write {text!r}: it comes back as {back!r}; use markers: "
            "tokens, prompt_format: plain, or leave out think"
        )
