"""Stage markers: the special tokens that say which item a prompt asks for (method §2, §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWER_TEXT = "[answer]"
SKIP_TEXT = "[skip]"
THOUGHT_TEXT = "[thought]"
END_TEXT = "<end>"
PAD_TEXT = "<pad>"


@dataclass(frozen=True)
class Markers:
    """Token ids of the markers of one tokenizer.

    Attributes:
        stages: ids of `[1]` … `[M]`.
        answer: id of `[answer]`.
        skip: id of `[skip]`.
        thought: id of `[thought]`, which stands for a skipped chunk.
        end: the tokenizer's end-of-sequence id; every target ends with it.
        pad: id used for padding.
        bos: id every prompt starts with, or None where the tokenizer adds none.
    """

    stages: tuple[int, ...]
    answer: int
    skip: int
    thought: int
    end: int
    pad: int
    bos: int | None

    @property
    def n_chunks(self) -> int:
        """M, the number of stages."""
        return len(self.stages)

    @property
    def reserved(self) -> frozenset[int]:
        """Ids that the text of a sample must never yield."""
        return frozenset((*self.stages, self.answer, self.skip, self.thought, self.end))


def marker_texts(n_chunks: int) -> list[str]:
    """The marker strings of M chunks, in the order in which they are added to a vocabulary."""
    return [f"[{stage}]" for stage in range(1, n_chunks + 1)] + [ANSWER_TEXT, SKIP_TEXT, THOUGHT_TEXT]


def add_markers(tokenizer: PreTrainedTokenizerBase, n_chunks: int) -> Markers:
    """Adds the markers to the tokenizer as special tokens, one id each.

    An end token and a padding token are added where the tokenizer has none. The caller resizes the
    model's embeddings where `len(tokenizer)` has grown.

    Args:
        tokenizer: a fast tokenizer; changed in place.
        n_chunks: M ≥ 1.

    Returns:
        The ids.

    Raises:
        InvalidInputError: M < 1, or the tokenizer has no fast backend (offset mappings are needed).
    """
    if n_chunks < 1:
        raise InvalidInputError(f"n_chunks must be at least 1, got {n_chunks}")
    if not tokenizer.is_fast:
        raise InvalidInputError(
            f"tokenizer {tokenizer.name_or_path!r} is slow: skipthink needs the offset mapping of a fast tokenizer"
        )
    if tokenizer.eos_token_id is None:
        tokenizer.add_special_tokens({"eos_token": END_TEXT})
    if tokenizer.pad_token_id is None:
        tokenizer.add_special_tokens({"pad_token": PAD_TEXT})
    tokenizer.add_tokens(marker_texts(n_chunks), special_tokens=True)
    return get_markers(tokenizer, n_chunks)


def get_markers(tokenizer: PreTrainedTokenizerBase, n_chunks: int) -> Markers:
    """Looks the markers of M chunks up in a tokenizer that has them.

    Raises:
        InvalidInputError: a marker is missing, or is not one token of its own.
    """
    vocabulary = tokenizer.get_added_vocab()
    missing = [text for text in marker_texts(n_chunks) if text not in vocabulary]
    if missing:
        raise InvalidInputError(
            f"tokenizer {tokenizer.name_or_path!r} lacks the markers {', '.join(missing)}; "
            f"add them with skipthink.markers.add_markers(tokenizer, {n_chunks})"
        )
    if tokenizer.eos_token_id is None or tokenizer.pad_token_id is None:
        raise InvalidInputError(f"tokenizer {tokenizer.name_or_path!r} has no end or no padding token")
    return Markers(
        stages=tuple(vocabulary[f"[{stage}]"] for stage in range(1, n_chunks + 1)),
        answer=vocabulary[ANSWER_TEXT],
        skip=vocabulary[SKIP_TEXT],
        thought=vocabulary[THOUGHT_TEXT],
        end=int(tokenizer.eos_token_id),
        pad=int(tokenizer.pad_token_id),
        bos=leading_bos(tokenizer),
    )


def leading_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The begin-of-sequence id, where this tokenizer puts one in front of ordinary text."""
    bos = tokenizer.bos_token_id
    if bos is None:
        return None
    ids = tokenizer("a").input_ids
    return int(bos) if len(ids) > 1 and ids[0] == bos else None
