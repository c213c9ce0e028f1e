"""Stage markers: the special tokens that say which item a prompt asks for (method §2, §5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError
from skipthink.student.frame import END_THINK, PLAIN, Frame, split_at_tokens
from skipthink.student.tokens import Ids, fixed_ids, line_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWER_TEXT = "[answer]"
SKIP_TEXT = "[skip]"
THOUGHT_TEXT = "[thought]"
END_TEXT = "<end>"
PAD_TEXT = "<pad>"
LINE_END = "\n"
"""Ends the line that a marker as text stands on."""


@dataclass(frozen=True)
class Markers:
    """The markers of one tokenizer as token ids, with the frame around them (docs/reference/prompts.md).

    A marker is one special token, or with `frame.as_text` a few ordinary ones, the same wherever it stands.

    Attributes:
        stage_marks: `[1]` … `[M]`, in front of a question.
        answer_mark: `[answer]`, in front of a question.
        skip_mark: `[skip]`, in front of a question.
        thought_mark: `[thought]`, which stands for a skipped chunk.
        answer_lead: what stands between a chain and its answer in one target: `[answer]`, or the end of a block.
        answer_sign: the part of it by which an answer is found: the closing tag alone where that is one token.
        end_id: the tokenizer's end-of-sequence id; every target ends with it.
        pad_id: id used for padding.
        prompt_head: what every prompt starts with: a token of the beginning, the head of a chat.
        block_open: what a chain starts with; nothing without a block, or where the template has begun it.
        block_close: what ends the chain in prompts that ask for the answer; nothing without a block.
        block_empty: a block without a chain.
        frame: the text they come from.
        special_ids: special tokens among what stands around a question.
        decoder_start_id: id an encoder-decoder's decoder starts with; None for a student without an encoder.
    """

    stage_marks: tuple[Ids, ...]
    answer_mark: Ids
    skip_mark: Ids
    thought_mark: Ids
    answer_lead: Ids
    answer_sign: Ids
    end_id: int
    pad_id: int
    prompt_head: Ids
    block_open: Ids = ()
    block_close: Ids = ()
    block_empty: Ids = ()
    frame: Frame = PLAIN
    special_ids: frozenset[int] = frozenset()
    decoder_start_id: int | None = None

    def fitted_to(self, config: Any) -> Markers:
        """The same markers, laid out for a student.

        Args:
            config: the student's.

        Raises:
            InvalidInputError: the student has an encoder, but does not say what its decoder starts with, or is to
                think in a block, which no encoder-decoder was made for.
        """
        start = decoder_start(config)
        if start is not None and self.frame.think:
            raise InvalidInputError(
                f"this {config.model_type} is an encoder-decoder, and think: true puts chains of thought into the "
                "block of a chat model; leave out think"
            )
        return replace(self, decoder_start_id=start)

    @property
    def n_chunks(self) -> int:
        """M, the number of chunk stages."""
        return len(self.stage_marks)

    @cached_property
    def reserved_ids(self) -> frozenset[int]:
        """Ids that the text of a sample must never yield."""
        return self.special_ids | self.new_rows

    @property
    def new_rows(self) -> frozenset[int]:
        """Rows of the vocabulary that are untrained at first: markers that are tokens, and the end token."""
        if self.frame.as_text:
            return frozenset()
        marks = (*self.stage_marks, self.answer_mark, self.skip_mark, self.thought_mark)
        return frozenset((*chain.from_iterable(marks), self.end_id))


def marker_texts(n_chunks: int) -> list[str]:
    """The marker strings of M chunks, in the order in which they are added to a vocabulary."""
    return [f"[{stage}]" for stage in range(1, n_chunks + 1)] + [ANSWER_TEXT, SKIP_TEXT, THOUGHT_TEXT]


def add_markers(tokenizer: PreTrainedTokenizerBase, n_chunks: int, frame: Frame = PLAIN) -> Markers:
    """Adds the markers to the tokenizer as special tokens, one id each; markers that are text add nothing.

    An end token and a padding token are added where the tokenizer has none. The caller resizes the
    model's embeddings where `len(tokenizer)` has grown.

    Args:
        tokenizer: a fast tokenizer; changed in place.
        n_chunks: M ≥ 1.
        frame: what stands around questions.

    Returns:
        The ids.

    Raises:
        InvalidInputError: M < 1, or the tokenizer has no fast backend (offset mappings are needed), or no end token
            where markers are text.
    """
    if n_chunks < 1:
        raise InvalidInputError(f"n_chunks must be at least 1, got {n_chunks}")
    if not tokenizer.is_fast:
        raise InvalidInputError(
            f"tokenizer {tokenizer.name_or_path!r} is slow: skipthink needs the offset mapping of a fast tokenizer"
        )
    if not frame.as_text:
        if tokenizer.eos_token_id is None:
            tokenizer.add_special_tokens({"eos_token": END_TEXT})
        if tokenizer.pad_token_id is None:
            tokenizer.add_special_tokens({"pad_token": PAD_TEXT})
        tokenizer.add_tokens(marker_texts(n_chunks), special_tokens=True)
    return get_markers(tokenizer, n_chunks, frame)


def get_markers(tokenizer: PreTrainedTokenizerBase, n_chunks: int, frame: Frame = PLAIN) -> Markers:
    """Looks the markers of M chunks up in a tokenizer that has them.

    Args:
        tokenizer: a student's.
        n_chunks: M.
        frame: what stands around questions; `frame.read_frame` has that of a student in a folder.

    Raises:
        InvalidInputError: a marker is missing, is not one token of its own, or cannot be written as text.
    """
    if tokenizer.eos_token_id is None or (tokenizer.pad_token_id is None and not frame.as_text):
        raise InvalidInputError(f"tokenizer {tokenizer.name_or_path!r} has no end or no padding token")
    end = int(tokenizer.eos_token_id)
    # padding is masked out and carries no loss: where nothing may be added the end token serves
    pad = end if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    open_, close, empty = (fixed_ids(tokenizer, text) for text in (frame.open, frame.close, frame.empty))
    if frame.as_text:
        *stages, answer, skip, thought = _as_text(tokenizer, n_chunks, frame)
        stated = close or fixed_ids(tokenizer, ANSWER_TEXT)
    else:
        *stages, answer, skip, thought = _as_tokens(tokenizer, n_chunks)
        stated = close or answer
    head = _head(tokenizer, frame)
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    fixed = {end, *head, *fixed_ids(tokenizer, frame.tail), *open_, *close}
    return Markers(
        stage_marks=tuple(stages),
        answer_mark=answer,
        skip_mark=skip,
        thought_mark=thought,
        answer_lead=stated,
        answer_sign=_sign(tokenizer, stated) if close else stated,
        end_id=end,
        pad_id=pad,
        prompt_head=head,
        block_open=open_,
        block_close=close,
        block_empty=empty,
        frame=frame,
        special_ids=frozenset(special & fixed),
    )


def _as_tokens(tokenizer: PreTrainedTokenizerBase, n_chunks: int) -> list[Ids]:
    vocabulary = tokenizer.get_added_vocab()
    texts = marker_texts(n_chunks)
    missing = [text for text in texts if text not in vocabulary]
    if missing:
        raise InvalidInputError(
            f"tokenizer {tokenizer.name_or_path!r} lacks the markers {', '.join(missing)}; "
            f"add them with skipthink.student.markers.add_markers(tokenizer, {n_chunks})"
        )
    return [(vocabulary[text],) for text in texts]


def _as_text(tokenizer: PreTrainedTokenizerBase, n_chunks: int, frame: Frame) -> list[Ids]:
    """Markers in front of a question stand on a line of their own; `[thought]` may stand anywhere."""
    *leads, thought = marker_texts(n_chunks)
    before = _context(tokenizer, frame)
    lines = [line_ids(tokenizer, before, lead + LINE_END)[1] for lead in leads]
    return [*lines, fixed_ids(tokenizer, thought)]


def _sign(tokenizer: PreTrainedTokenizerBase, stated: Ids) -> Ids:
    """The closing tag, where a vocabulary has it: what stands around it may come in other tokens."""
    tag = tokenizer.get_added_vocab().get(END_THINK)
    return stated if tag is None else (tag,)


def lead_in(tokenizer: PreTrainedTokenizerBase, frame: Frame) -> tuple[str, Ids]:
    """What a question is tokenised behind, so that it gets the ids it has in prompts: text, and its ids.

    Nothing where markers are tokens: tokenizers cut there. Text markers take the tokenizer's habits at the beginning
    of a text, and stand for the text of any marker.
    """
    if not frame.as_text:
        return "", ()
    before, line = _context(tokenizer, frame), marker_texts(1)[0] + LINE_END
    front, ids = line_ids(tokenizer, before, line)
    return before + line, front + ids


def _head(tokenizer: PreTrainedTokenizerBase, frame: Frame) -> Ids:
    """The ids every prompt starts with. A template writes its own beginning-of-sequence token, if it wants one."""
    if frame.prompt_format == "plain":
        bos = leading_bos(tokenizer)
        return () if bos is None else (bos,)
    if not frame.as_text:
        return fixed_ids(tokenizer, frame.head)
    before = _context(tokenizer, frame)
    tokens = frame.head.removesuffix(before)
    return fixed_ids(tokenizer, tokens) + line_ids(tokenizer, before, marker_texts(1)[0] + LINE_END)[0]


def _context(tokenizer: PreTrainedTokenizerBase, frame: Frame) -> str:
    """The text in front of a marker that is text, in one piece with it for a tokenizer."""
    before, tokens, after = split_at_tokens(tokenizer, frame.head)
    return after if tokens else before


def leading_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The begin-of-sequence id, where this tokenizer puts one in front of ordinary text."""
    bos = tokenizer.bos_token_id
    if bos is None:
        return None
    ids = tokenizer("a").input_ids
    return int(bos) if len(ids) > 1 and ids[0] == bos else None


def decoder_start(config: Any) -> int | None:
    """The id an encoder-decoder's decoder starts with; None for a decoder-only student.

    Args:
        config: the student's.

    Raises:
        InvalidInputError: the student has an encoder, but its config names no such id.
    """
    if not getattr(config, "is_encoder_decoder", False):
        return None
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise InvalidInputError(
            f"the config of this {config.model_type} has no decoder_start_token_id; "
            "set it to the id its decoder starts with"
        )
    return int(start)
