"""The corpus the test bed's students are pre-trained on: blocks of short texts, made when they are asked for.

A block is made of its seed and number alone, so that any part of the corpus can be made again, in any order and by
any process; nothing is stored.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skipthink.exceptions import InvalidInputError
from skipthink.testbed.primitives import FAMILIES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token without loss, as torch's cross entropy knows it."""


class Corpus:
    """Blocks of tokens, each filled with whole texts.

    Args:
        tokenizer: the student's; its end token follows every text.
        n_blocks: how many there are.
        block_tokens: tokens of a block; what the last text leaves free is padding without loss.
        shares: family → its share of the texts; they need not add up to 1.
        seed: seeds every block.
        opening: how many blocks come first with other shares, and these shares.

    Raises:
        InvalidInputError: an unknown family, a share that is negative, or none above 0.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        n_blocks: int,
        block_tokens: int,
        shares: Mapping[str, float],
        seed: int,
        opening: tuple[int, Mapping[str, float]] = (0, {}),
    ) -> None:
        check_shares(shares)
        self.n_opening, self.opening_shares = opening
        if self.n_opening:
            check_shares(self.opening_shares)
        self.tokenizer, self.shares, self.seed = tokenizer, dict(shares), seed
        self.n_blocks, self.block_tokens = n_blocks, block_tokens

    def __len__(self) -> int:
        """Number of blocks."""
        return self.n_blocks

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:
        """Block `index`: input_ids and labels, int64 (block_tokens,)."""
        if not 0 <= index < self.n_blocks:
            raise IndexError(f"block {index} of {self.n_blocks}")
        end = self.tokenizer.eos_token_id
        ids: list[int] = []
        shares = self.opening_shares if index < self.n_opening else self.shares
        for text in texts(shares, f"{self.seed}/{index}"):
            # text is text: what looks like a marker in it is not one
            new = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
            if len(ids) + len(new) + 1 > self.block_tokens:
                break
            ids += [*new, end]
        block = np.full(self.block_tokens, self.tokenizer.pad_token_id, dtype=np.int64)
        block[: len(ids)] = ids
        labels = block.copy()
        labels[len(ids) :] = IGNORED
        return {"input_ids": block, "labels": labels}


def texts(shares: Mapping[str, float], seed: object) -> Iterator[str]:
    """Texts without end; the same shares and seed give the same ones."""
    rng = random.Random(str(seed))
    families, weights = list(shares), list(shares.values())
    while True:
        family = rng.choices(families, weights)[0]
        yield rng.choice(FAMILIES[family])(rng)


def check_shares(shares: Mapping[str, float]) -> None:
    """Checks the shares of the families.

    Raises:
        InvalidInputError: an unknown family, a share that is negative, or none above 0.
    """
    unknown = next((name for name in shares if name not in FAMILIES), None)
    if unknown is not None:
        raise InvalidInputError(f"no primitives {unknown!r}; there are {', '.join(FAMILIES)}")
    if any(share < 0 for share in shares.values()) or not sum(shares.values()) > 0:
        raise InvalidInputError(f"shares must be 0 or more, and one above 0, got {dict(shares)!r}")
