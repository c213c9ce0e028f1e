"""Token ids as pieces of text, each with whether it carries loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from skipthink.io.visible import visible

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Token(NamedTuple):
    """A token of an item.

    Attributes:
        text: the part of the text that it stands for; a character that several tokens share stands at the last.
        id: its id.
        is_trained: whether it carries loss.
        is_marker: whether it is a special token: a marker, an end token, a part of a template.
    """

    text: str
    id: int
    is_trained: bool
    is_marker: bool


def token_texts(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """The part of a text that each id stands for; joined, they are the whole text."""
    from tokenizers.decoders import DecodeStream

    texts, stream, n_said = [], DecodeStream(skip_special_tokens=False), 0
    for place, token in enumerate(ids):
        text = stream.step(tokenizer, token)
        texts.append(text or "")
        n_said = place + 1 if text else n_said
    if n_said < len(ids) and (rest := tokenizer.decode(list(ids[n_said:]), skip_special_tokens=False)):
        texts[-1] = rest  # bytes that are no whole character
    return texts


def special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """The ids of special tokens."""
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(number for number, token in added.items() if token.special)


def as_tokens(
    tokenizer: Tokenizer, ids: Sequence[int], trained: Sequence[bool], special: frozenset[int]
) -> list[Token]:
    """Ids with their texts.

    Args:
        tokenizer: the tokenizer.
        ids: the ids.
        trained: whether each of them carries loss.
        special: see `special_ids`.
    """
    texts = token_texts(tokenizer, ids)
    return [
        Token(text, int(token), bool(counts), token in special)
        for text, token, counts in zip(texts, ids, trained, strict=True)
    ]


OPEN, CLOSE = "«", "»"
"""Stand around what is trained, so that it shows without colours."""


def item_text(text: str) -> str:
    """Text of a token as it is shown: line ends can be seen, and the signs around what is trained cannot be faked."""
    shown = visible(text.replace("\n", "↵"))
    return shown.replace(OPEN, "\\xab").replace(CLOSE, "\\xbb")


def marked_text(tokens: Sequence[Token], longest: int | None = None) -> str:
    """Tokens as one line, what is trained between « and »; about `longest` characters of it."""
    parts = []
    for is_trained, run in groupby(tokens, key=lambda token: token.is_trained):
        body = "".join(item_text(token.text) for token in run)
        parts.append(f"{OPEN}{body}{CLOSE}" if is_trained else body)
    shown = "".join(parts)
    if longest is None or len(shown) <= longest:
        return shown
    return f"{shown[:longest]}… ({len(shown) - longest:,} more characters)"
