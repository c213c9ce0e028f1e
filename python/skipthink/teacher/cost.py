"""Cost of requests: maximum, actual and estimated, in exact decimal numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from skipthink.teacher.options import ExactPrices
from skipthink.teacher.requests import Reply, Request

MILLION = Decimal(1_000_000)
ESTIMATE_AFTER = 20
"""Answers after which the whole is estimated."""


def most_cost(prices: ExactPrices, request: Request) -> Decimal:
    """Maximum cost of a request: one token per byte of the prompt, and the largest allowed reply."""
    return (request.most_prompt_tokens * prices.input + request.max_tokens * prices.output) / MILLION


def cost_of(prices: ExactPrices, request: Request, reply: Reply) -> Decimal:
    """Cost of a reply; if it does not count its tokens, the maximum by its bytes."""
    n_prompt, n_written = count_tokens(request, reply)
    cached = min(reply.n_cached_tokens, n_prompt)
    return (
        (n_prompt - cached) * prices.input + cached * prices.cached_input + n_written * prices.output
    ) / MILLION


def count_tokens(request: Request, reply: Reply) -> tuple[int, int]:
    """Tokens read and written; if the reply does not count them, the maximum by its bytes."""
    n_prompt = request.most_prompt_tokens if reply.n_prompt_tokens is None else reply.n_prompt_tokens
    if reply.n_tokens is not None:
        return n_prompt, reply.n_tokens
    text = reply.content + (reply.reasoning or "")
    return n_prompt, min(len(text.encode("utf-8", "surrogatepass")) + 1, request.max_tokens)


@dataclass
class Totals:
    """Number of answers so far, with their tokens and cost."""

    answers: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    cost: Decimal = Decimal(0)

    def add(self, request: Request, reply: Reply, cost: Decimal) -> None:
        """Counts an answer."""
        n_prompt, n_written = count_tokens(request, reply)
        self.answers += 1
        self.prompt_tokens += n_prompt
        self.tokens += n_written
        self.cost += cost

    def estimate(self, n_requests: int) -> Totals:
        """Estimated cost and tokens of a number of requests, if they are like those so far."""
        if not self.answers:
            return Totals(n_requests)
        return Totals(
            n_requests,
            round(self.prompt_tokens * n_requests / self.answers),
            round(self.tokens * n_requests / self.answers),
            self.cost * n_requests / self.answers,
        )


def exact_text(amount: Decimal) -> str:
    """An amount with all digits, without an exponent."""
    return format(amount.normalize(), "f")


def format_cost(cost: Decimal) -> str:
    """An amount with two decimals, or with two significant digits if it is small."""
    return f"{cost:.{max(2, 1 - cost.adjusted())}f}" if cost else "0"
