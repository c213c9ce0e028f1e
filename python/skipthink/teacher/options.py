"""Options of the teacher: who answers, what is asked, what is kept, and what it may cost (docs/how-to/teacher.md)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from skipthink.options import OptionError, Options, option

Overlap = Literal["exact", "numbers", "13-grams"]
TokensName = Literal["max_tokens", "max_completion_tokens"]
RESERVED = frozenset(
    {
        "model",
        "messages",
        "n",
        "stream",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "seed",
    }
)
"""Keys of a request that `extra` may not set: they have options of their own, or one fixed value."""


@dataclass(frozen=True, kw_only=True)
class EndpointOptions(Options):
    """Options of an OpenAI-compatible endpoint: where it is, and how many requests it gets."""

    base_url: str = option(
        help="address of the API, e.g. http://127.0.0.1:8000/v1",
        pattern=r"https?://[^/\s]+.*",
        affects_results=False,
    )
    model: str = option(help="name of the model there", pattern=r".*\S.*")
    key_env: str | None = option(
        None, "environment variable that holds the key; without it none is sent", affects_results=False
    )
    concurrency: int = option(32, "requests pending at the same time", ge=1, affects_results=False)
    requests_per_minute: int | None = option(
        None, "most requests started in a minute", ge=1, affects_results=False
    )
    tokens_per_minute: int | None = option(
        None,
        "most tokens in a minute, those of prompts and those that may be written",
        ge=1,
        affects_results=False,
    )
    timeout: float = option(
        300.0, "seconds within which a reply has to be complete", gt=0, affects_results=False
    )
    retries: int = option(6, "further attempts after one that failed", ge=0, affects_results=False)
    max_wait: float = option(
        120.0,
        "longest pause between two attempts in seconds, that of Retry-After too",
        gt=0,
        affects_results=False,
    )
    tokens_name: TokensName = option("max_tokens", "the endpoint's name for the bound of a reply's tokens")

    def check(self) -> None:
        """Checks that `key_env` names an environment variable and is not a key."""
        parts = urlsplit(self.base_url)
        if parts.username or parts.password or parts.query:
            raise OptionError(
                "base_url", "holds a user, a password or a query; keys come from the environment: see key_env"
            )
        if self.key_env is not None and not self.key_env.isidentifier():
            raise OptionError("key_env", "must be the name of an environment variable such as OPENAI_API_KEY")


@dataclass(frozen=True, kw_only=True)
class LocalOptions(Options):
    """Options of a model that runs in this process."""

    path: str = option(
        help="folder, .gguf file, `package:NAME` of a Python package that holds one, or name on the hub",
        pattern=r".*\S.*",
    )
    batch_size: int = option(16, "replies written side by side", ge=1, affects_results=False)
    device: str | None = option(None, "cpu, cuda, …; null: a GPU if there is one", affects_results=False)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option("auto", "number format of the weights")


@dataclass(frozen=True, kw_only=True)
class BatchOptions(Options):
    """Options of offline batches: request files for a batch API, and the result files it returns."""

    model: str = option(help="name of the model that answers the batch", pattern=r".*\S.*")
    max_requests: int = option(
        50_000, "requests of one file; more make several files", ge=1, affects_results=False
    )
    tokens_name: TokensName = option("max_tokens", "the endpoint's name for the bound of a reply's tokens")


@dataclass(frozen=True, kw_only=True)
class PromptOptions(Options):
    """Options of the prompt."""

    name: str = option(
        "few-shot", "few-shot, zero-shot, concise, difficulty-aware, first-thought, or a .yaml file of yours"
    )
    task: str | None = option(None, "task whose examples are shown, or a .yaml file of yours")
    n_examples: int = option(8, "number of examples shown, from the first on", ge=1)


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(Options):
    """Options of sampling: samples per question, temperature, lengths."""

    n: int = option(1, "samples per question", ge=1)
    temperature: float = option(0.0, "0: the likeliest token each time", ge=0)
    top_p: float = option(1.0, "share of the probability that is sampled from", gt=0, le=1)
    seed: int | None = option(
        0, "seeds the samples, each its own; null, or at temperature 0: none is sent", ge=0
    )
    max_tokens: int = option(1024, "tokens of one reply at most, thoughts included", ge=1)
    extra: dict[str, Any] = option(dict, "further keys of the request, as the endpoint knows them")

    def check(self) -> None:
        """Checks that several samples have a temperature, and that `extra` sets no key that has an option."""
        if self.n > 1 and self.temperature == 0:
            raise OptionError(
                "n", f"is {self.n} at temperature 0, where all samples are the same; raise temperature"
            )
        taken = sorted(RESERVED & self.extra.keys())
        if taken:
            raise OptionError(
                "extra", f"sets {taken[0]!r}, which has an option of its own or one value; remove it"
            )


@dataclass(frozen=True, kw_only=True)
class FilterOptions(Options):
    """Options of the filter: which rationales are kept."""

    check_answers: bool = option(True, "whether the teacher's answer has to be right")
    keep: Literal["all", "shortest", "different"] = option(
        "all", "of a question's good rationales: all, the shortest, or up to k that differ"
    )
    k: int = option(4, "most rationales of a question with keep: different", ge=1)
    max_similarity: float = option(
        0.8, "rationales differ if they share at most this share of their words", ge=0, le=1
    )
    min_words: int = option(3, "smallest number of words in a rationale", ge=1)
    max_words: int | None = option(None, "largest number of words in a rationale", ge=1)
    language: str = option(
        "question",
        "script of the rationale: that of its question, any, or a name such as latin, cyrillic or han",
        pattern=r"[A-Za-z]+",
    )
    max_foreign: float = option(0.05, "largest share of letters of another script", ge=0, le=1)
    overlap: tuple[Overlap, ...] = option(
        ("exact",), "what training and test questions may not share: exact, numbers (all but them), 13-grams"
    )

    def check(self) -> None:
        """Checks that `max_words` is not below `min_words`."""
        if self.max_words is not None and self.max_words < self.min_words:
            raise OptionError("max_words", f"is {self.max_words}, below min_words ({self.min_words})")


@dataclass(frozen=True, kw_only=True)
class PriceOptions(Options):
    """Prices in any one currency, and the budget."""

    input: float = option(0.0, "price of a million prompt tokens", ge=0, affects_results=False)
    output: float = option(
        0.0, "price of a million written tokens, thoughts included", ge=0, affects_results=False
    )
    cached_input: float | None = option(
        None, "price of a million prompt tokens out of the endpoint's cache", ge=0, affects_results=False
    )
    budget: float | None = option(
        None, "the most that all answers of the store may cost together", ge=0, affects_results=False
    )

    def check(self) -> None:
        """Checks that a budget comes with prices."""
        if self.budget is not None and not (self.input or self.output):
            raise OptionError("budget", "needs prices: give input and output, per million tokens")

    def exact(self) -> ExactPrices:
        """The amounts as decimal numbers, whose sums are exact."""
        cached = self.input if self.cached_input is None else self.cached_input
        budget = None if self.budget is None else Decimal(str(self.budget))
        return ExactPrices(Decimal(str(self.input)), Decimal(str(self.output)), Decimal(str(cached)), budget)


@dataclass(frozen=True)
class ExactPrices:
    """Prices per million tokens and the budget, as decimal numbers."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    budget: Decimal | None


@dataclass(frozen=True, kw_only=True)
class TeacherOptions(Options):
    """Options of a teacher: exactly one of `endpoint`, `local` and `batch`, and what all of them share."""

    endpoint: EndpointOptions | None = option(None, "an OpenAI-compatible endpoint")
    local: LocalOptions | None = option(None, "a model run in this process")
    batch: BatchOptions | None = option(None, "offline batches")
    prompt: PromptOptions = option(PromptOptions, "what it is told")
    sampling: SamplingOptions = option(SamplingOptions, "samples, temperature, seeds")
    filter: FilterOptions = option(FilterOptions, "which rationales are kept")
    price: PriceOptions = option(PriceOptions, "prices and budget")
    max_open: float = option(
        0.0,
        "in a run: largest share of samples that may be left without an answer; with more of them the run stops",
        ge=0,
        le=1,
        affects_results=False,
    )
    store: str | None = option(
        None,
        "folder of the answers, which several recipes may share; null: in the output",
        affects_results=False,
    )

    def check(self) -> None:
        """Checks that exactly one teacher is given."""
        named = [name for name in ("endpoint", "local", "batch") if getattr(self, name) is not None]
        if len(named) != 1:
            found = " and ".join(named) or "none of them"
            raise OptionError("teacher", f"must have one of endpoint, local and batch, got {found}")

    def beside(self, folder: Path) -> TeacherOptions:
        """The same options with absolute paths; relative paths are relative to the folder of the recipe."""

        def found(name: str | None) -> str | None:
            return name if name is None or not (folder / name).exists() else str((folder / name).resolve())

        local = self.local and self.local.replace(path=str(found(self.local.path)))
        prompt = self.prompt.replace(name=str(found(self.prompt.name)), task=found(self.prompt.task))
        store = None if self.store is None else str((folder / self.store).resolve())
        return self.replace(local=local, prompt=prompt, store=store)

    @property
    def own_files(self) -> tuple[str, ...]:
        """Files of prompts and examples that the user has written."""
        return tuple(
            name for name in (self.prompt.name, self.prompt.task or "") if name.endswith((".yaml", ".yml"))
        )
