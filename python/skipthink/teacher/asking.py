"""Asking: replies come from the store or the teacher, within the budget, and are written before they count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from skipthink.teacher.cost import Totals, cost_of, most_cost
from skipthink.teacher.halting import BusyError, Halt, HaltedError, OpenError, WaitingError
from skipthink.teacher.options import ExactPrices
from skipthink.teacher.requests import Reply, Request
from skipthink.teacher.store import Claim, Store

_POLL_SECONDS = 0.5
_FLUSH_SECONDS = 0.2
"""What a power cut can lose, at most: answers of this time and of one write to disk."""
BUDGET_REACHED = "the budget"

Lost = Callable[[], None]
"""Called for an attempt that ended without an answer and may have to be paid for all the same.

Raises:
    OpenError: the budget does not allow another attempt.
"""


class Teacher(Protocol):
    """A teacher, as the asker sees it.

    Attributes:
        model: name of the model, part of the hash of a request.
        concurrency: number of requests that it answers at a time.
        faults: number of failed attempts by kind.
    """

    model: str
    concurrency: int
    faults: Counter[str]

    async def answer(self, request: Request, lost: Lost) -> Reply:
        """The reply to a request.

        Raises:
            OpenError: there is none; says why.
            HaltedError: asking is to end.
        """
        ...

    async def close(self) -> None:
        """Ends its connections, frees its memory."""
        ...


@dataclass
class Counts:
    """What asking came to.

    Attributes:
        fresh: number and cost of the answers of this call.
        stored: number of answers that the store had, and what they cost when they were asked for.
        refusals: number of refusals among all answers.
        without_usage: number of answers that do not count their tokens.
        finishes: number of answers by the reason why they ended.
    """

    fresh: Totals = field(default_factory=Totals)
    stored: Totals = field(default_factory=Totals)
    refusals: int = 0
    without_usage: int = 0
    finishes: Counter[str] = field(default_factory=Counter)

    def add(self, request: Request, reply: Reply, cost: Decimal, *, fresh: bool) -> None:
        """Counts an answer."""
        (self.fresh if fresh else self.stored).add(request, reply, cost)
        self.refusals += reply.refusal is not None or reply.finish == "content_filter"
        self.without_usage += reply.n_tokens is None or reply.n_prompt_tokens is None
        self.finishes[reply.finish] += 1


class Asker:
    """Gets replies; no request is asked twice.

    Args:
        teacher: the teacher.
        store: store of the answers.
        prices: prices and budget.
        halt: signal that ends asking.
    """

    def __init__(self, teacher: Teacher, store: Store, prices: ExactPrices, halt: Halt) -> None:
        self.teacher, self.store, self.prices, self.halt = teacher, store, prices, halt
        self.counts = Counts()
        self._under_way: dict[str, asyncio.Future[Reply]] = {}
        self._is_flushed = True
        self._flusher: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._waiting: list[Request] = []

    async def ask(self, request: Request) -> Reply:
        """The reply to a request, from the store or the teacher.

        Raises:
            BusyError: another process has it under way.
            OpenError: there is no reply; says why.
            HaltedError: asking is to end.
        """
        under_way = self._under_way.get(request.key)
        if under_way is not None:  # a question that stands in the file twice
            return await asyncio.shield(under_way)
        stored = self._stored(request)
        if stored is not None:
            return stored
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._under_way[request.key] = future
        try:
            reply = await self._claim_and_ask(request)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # nobody may be waiting for it
            raise
        else:
            future.set_result(reply)
            return reply
        finally:
            del self._under_way[request.key]

    async def close(self) -> None:
        """Ends the teacher, and waits until the disk has what was answered."""
        await self.teacher.close()
        for request in self._waiting:
            self._free(request)
        if self._flusher is not None:
            await self._flusher

    def _stored(self, request: Request) -> Reply | None:
        record = self.store.record(request.key)
        if record is None:
            return None
        reply = Reply(**record["reply"])
        self.counts.add(request, reply, Decimal(record["cost"]), fresh=False)
        return reply

    async def _claim_and_ask(self, request: Request) -> Reply:
        while True:
            self.halt.check()
            claim = self.store.claim(request.key, most_cost(self.prices, request), self.prices.budget)
            if claim is Claim.TAKEN:
                break
            if claim is Claim.BUSY:
                raise BusyError
            if claim is Claim.ANSWERED:
                stored = self._stored(request)
                if stored is not None:
                    return stored
            await self._wait_for_budget()
        try:
            reply = await self.teacher.answer(request, lambda: self._lose(request))
        except WaitingError:
            self._waiting.append(
                request
            )  # it may have to be paid for: it stays claimed as long as this call lasts
            raise
        except asyncio.CancelledError:
            self.store.lose(request.key)
            self._free(request)
            raise
        except BaseException:
            self._free(request)
            raise
        cost = cost_of(self.prices, request, reply)
        self._keep(request, reply, cost)
        self.counts.add(request, reply, cost, fresh=True)
        self._pulse()
        return reply

    def _lose(self, request: Request) -> None:
        self.store.lose(request.key)
        budget = self.prices.budget
        if budget is not None and self.store.paid + self.store.reserved > budget:
            raise OpenError(BUDGET_REACHED)

    def _free(self, request: Request) -> None:
        self.store.free(request.key)
        self._pulse()

    def _pulse(self) -> None:
        self._settled.set()
        self._settled = asyncio.Event()

    async def _wait_for_budget(self) -> None:
        """Waits for a request under way, which may cost less than the most it can; there is none: the end."""
        if self.store.under_way <= len(self._waiting):
            self.halt.set(
                f"the budget of {self.prices.budget} does not allow another request: {self.store.paid} are paid, and "
                f"{self.store.reserved} may have to be paid for requests that have no answer"
            )
            raise HaltedError
        try:
            await asyncio.wait_for(self._settled.wait(), _POLL_SECONDS)
        except TimeoutError:
            self.store.refresh()

    def _keep(self, request: Request, reply: Reply, cost: Decimal) -> None:
        """Writes a reply, so that a kill no longer loses it. It is flushed to disk soon after, together with others.

        The conversation continues meanwhile, because waiting for the disk would leave the endpoint idle.
        """
        self.store.put(request, reply, cost)
        self._is_flushed = False
        if self._flusher is None or self._flusher.done():
            if self._flusher is not None:
                self._flusher.result()  # a disk that is full
            self._flusher = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while not self._is_flushed:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._is_flushed = True
            await asyncio.to_thread(self.store.flush)
