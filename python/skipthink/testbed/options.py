"""Options of pre-training: what student, on how much of which primitives, trained how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skipthink.exceptions import InvalidInputError
from skipthink.io.recipes import parse_options, read_text
from skipthink.options import OptionError, Options, option
from skipthink.student.options import StudentOptions
from skipthink.testbed.corpus import check_shares
from skipthink.testbed.primitives import FAMILIES


def _equal_shares() -> dict[str, float]:
    return dict.fromkeys(FAMILIES, 1.0)


@dataclass(frozen=True, kw_only=True)
class CorpusOptions(Options):
    """What the student reads (`skipthink.testbed.corpus`)."""

    tokens: int = option(
        help="tokens to train on, padding included; rounded down to whole optimiser steps", ge=1
    )
    block_tokens: int = option(
        384, "tokens per block, the longest sequence the student learns to read", ge=64
    )
    shares: dict[str, float] = option(_equal_shares, "family of primitives to its share of the texts")
    opening_tokens: int = option(0, "number of `tokens` that come first, with `opening_shares`", ge=0)
    opening_shares: dict[str, float] = option(_equal_shares, "shares of the opening tokens, as in `shares`")
    tokenizer_texts: int = option(40_000, "texts the tokenizer is trained on", ge=1)
    seed: int = option(0, "seeds the texts", ge=0)

    def check(self) -> None:
        """Shares are of families there are."""
        for name in ("shares", "opening_shares"):
            try:
                check_shares(getattr(self, name))
            except InvalidInputError as error:
                raise OptionError(name, f"is wrong: {error}") from None


@dataclass(frozen=True, kw_only=True)
class PretrainingOptions(Options):
    """How the student is trained."""

    batch_blocks: int = option(12, "blocks per optimiser step, over all processes", ge=1)
    micro_batch_blocks: int = option(
        6, "blocks a process sees at once; small ones stay in a processor's caches", ge=1
    )
    learning_rate: float = option(3e-3, "highest learning rate", gt=0)
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = option(
        "cosine", "how the learning rate falls"
    )
    warmup_steps: float = option(0.02, "steps of warm-up; below 1, a share of all steps", ge=0)
    weight_decay: float = option(0.1, "AdamW's weight decay", ge=0)
    adam_beta2: float = option(0.98, "AdamW's second beta", gt=0, lt=1)
    max_grad_norm: float = option(1.0, "norm that gradients are clipped to", gt=0)
    bf16: bool = option(False, "whether to train with bfloat16 autocast")
    save_steps: int = option(200, "optimiser steps between two checkpoints", ge=1)
    log_steps: int = option(50, "optimiser steps between two lines of the log", ge=1)
    report_to: tuple[str, ...] = option(tuple, "trackers that get the curves, as transformers names them")


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe(Options):
    """A recipe of `skipthink pretrain`."""

    name: str = option(
        help="names the student; letters, digits, `.`, `_`, `-`", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*"
    )
    student: StudentOptions = option(help="sizes of a student made from a config")
    markers_up_to: int = option(8, "the markers of this number of chunks are part of the tokenizer", ge=1)
    corpus: CorpusOptions = option(help="what the student reads")
    training: PretrainingOptions = option(PretrainingOptions, "how the student is trained")
    lookup_heads: bool = option(
        False, "whether the first weights can look things up (docs/how-to/testbed.md); Llama students only"
    )
    seed: int = option(0, "seeds the first weights", ge=0)
    threads: int = option(1, "threads per process", ge=1, affects_results=False)

    def check(self) -> None:
        """A student that is made, and blocks that it can read."""
        if self.student.is_loaded:
            raise OptionError(
                "student",
                "is one to load, but pre-training starts from a student made from sizes; give sizes",
            )
        longest = self.student.sizes()["max_length_tokens"]
        if self.corpus.block_tokens > longest:
            raise OptionError(
                "corpus.block_tokens",
                f"is {self.corpus.block_tokens}, more than student.max_length_tokens, {longest}",
            )
        if self.n_steps < 1:
            raise OptionError(
                "corpus.tokens", f"is {self.corpus.tokens}, less than one step of {self.step_tokens} tokens"
            )

    @property
    def step_tokens(self) -> int:
        """Tokens per optimiser step, padding included."""
        return self.training.batch_blocks * self.corpus.block_tokens

    @property
    def n_steps(self) -> int:
        """Optimiser steps."""
        return self.corpus.tokens // self.step_tokens


def load_pretrain_recipe(path: str | Path, *, changes: Sequence[str] = ()) -> PretrainRecipe:
    """Reads a recipe of pre-training; `changes` as in `skipthink.run.recipe.load_recipe`.

    Raises:
        RecipeError: the file cannot be read, is not valid YAML, or has a wrong key or value.
    """
    path = Path(path)
    return parse_options(read_text(path), PretrainRecipe, name=str(path), changes=changes)
