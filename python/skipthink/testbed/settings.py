"""Recipes of pre-training: what student, on how much of which primitives, trained how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from skipthink.exceptions import InvalidInputError
from skipthink.io.sections import Section, parse_sections, read_recipe_text
from skipthink.student.options import StudentSection
from skipthink.testbed.corpus import check_shares
from skipthink.testbed.primitives import FAMILIES


class CorpusSection(Section):
    """What the student reads (`skipthink.testbed.corpus`).

    Attributes:
        tokens: tokens to train on, padding included; rounded down to whole optimiser steps.
        block_tokens: tokens of a block, the longest sequence the student learns to read.
        shares: family of primitives → its share of the texts.
        opening_tokens: tokens, of all, that are read first, with shares of their own.
        opening_shares: these.
        tokenizer_texts: texts the tokenizer is trained on.
        seed: seeds the texts.
    """

    tokens: int = Field(ge=1)
    block_tokens: int = Field(default=384, ge=64)
    shares: dict[str, float] = Field(default_factory=lambda: dict.fromkeys(FAMILIES, 1.0))
    opening_tokens: int = Field(default=0, ge=0)
    opening_shares: dict[str, float] = Field(default_factory=lambda: dict.fromkeys(FAMILIES, 1.0))
    tokenizer_texts: int = Field(default=40_000, ge=1)
    seed: int = Field(default=0, ge=0)

    @field_validator("shares", "opening_shares")
    @classmethod
    def _known(cls, shares: dict[str, float]) -> dict[str, float]:
        try:
            check_shares(shares)
        except InvalidInputError as error:
            raise ValueError(f"is wrong: {error}") from None
        return shares


class PretrainingSection(Section):
    """How the student is trained.

    Attributes:
        batch_blocks: blocks an optimiser step, over all processes.
        micro_batch_blocks: blocks a process sees at once; small ones stay in a processor's caches.
    """

    batch_blocks: int = Field(default=12, ge=1)
    micro_batch_blocks: int = Field(default=6, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup_steps: float = Field(default=0.02, ge=0)
    weight_decay: float = Field(default=0.1, ge=0)
    adam_beta2: float = Field(default=0.98, gt=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    bf16: bool = False
    save_steps: int = Field(default=200, ge=1)
    log_steps: int = Field(default=50, ge=1)
    report_to: list[str] = Field(default_factory=list)


class PretrainRecipe(Section):
    """A whole recipe of `skipthink pretrain`.

    Attributes:
        name: names the student; letters, digits, ".", "_", "-".
        student: sizes of a student made from a config.
        markers_up_to: the markers of so many chunks are part of the tokenizer.
        lookup_heads: the first weights can look things up (`skipthink.testbed.first_weights`); Llama students only.
        seed: of the first weights.
        threads: threads of a process.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    student: StudentSection
    markers_up_to: int = Field(default=8, ge=1)
    corpus: CorpusSection
    training: PretrainingSection = PretrainingSection()
    lookup_heads: bool = False
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> PretrainRecipe:
        if self.student.is_loaded:
            raise ValueError("has a student to load; pre-training starts from one made from a config")
        if self.corpus.block_tokens > self.student.max_length_tokens:
            raise ValueError(
                f"has blocks of {self.corpus.block_tokens} tokens, more than the {self.student.max_length_tokens} of "
                "student.max_length_tokens"
            )
        if self.n_steps < 1:
            raise ValueError(
                f"has corpus.tokens {self.corpus.tokens}, less than one step of {self.step_tokens}"
            )
        return self

    @property
    def step_tokens(self) -> int:
        """Tokens of an optimiser step, padding included."""
        return self.training.batch_blocks * self.corpus.block_tokens

    @property
    def n_steps(self) -> int:
        """Optimiser steps."""
        return self.corpus.tokens // self.step_tokens


def load_pretrain_recipe(path: str | Path, *, changes: Sequence[str] = ()) -> PretrainRecipe:
    """Reads a recipe of pre-training; `changes` as in `skipthink.run.recipe.load_recipe`.

    Raises:
        RecipeError: the file cannot be read, is no YAML, or holds a wrong key or value.
    """
    path = Path(path)
    return parse_sections(read_recipe_text(path), PretrainRecipe, name=str(path), changes=changes)
