"""A lesson: asks all questions in concurrent conversations until all are finished or asking is halted."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from skipthink.io.progress import Display, ProgressText, format_progress
from skipthink.teacher.asking import Asker
from skipthink.teacher.conversation import Conversations
from skipthink.teacher.cost import ESTIMATE_AFTER, format_cost
from skipthink.teacher.filter import Question
from skipthink.teacher.halting import BusyError, Halt, HaltedError, OpenError, WaitingError
from skipthink.teacher.requests import Reply

GRACE_SECONDS = 4.0
"""What is under way at Ctrl-C has so long to finish."""
_TICK_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.5
INTERRUPTED = "interrupted"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Sample = tuple[Question, int]


class Lesson:
    """Asks samples.

    Args:
        conversations: makes the requests of samples.
        asker: gets their replies.
        halt: signal that ends asking.
        display: stream for the progress.
        say: called with lines for the user.
        report: called at intervals with (samples done, number of samples).

    Attributes:
        open: reason why a sample is not finished, by row of the question and number of the sample.
        done: number of finished samples.
    """

    def __init__(
        self,
        conversations: Conversations,
        asker: Asker,
        halt: Halt,
        display: Display,
        say: Callable[[str], None],
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.conversations, self.asker, self.halt = conversations, asker, halt
        self.display, self.say, self.report = display, say, report
        self.open: dict[tuple[int, int], str] = {}
        self.done = 0
        self.waiting = 0
        self._n_from_store = 0
        self._busy: list[Sample] = []
        self._n_requests = 0
        self._has_estimate = False
        self._started = time.monotonic()

    async def run(self, samples: Iterable[Sample], n_samples: int) -> None:
        """Asks all samples.

        Args:
            samples: question and number of each.
            n_samples: how many there are.
        """
        self._n_requests = n_samples * len(self.conversations.prompt.turns)
        with _interruptible(self.halt):
            ticker = asyncio.create_task(self._tick(n_samples))
            try:
                await self._work_through(iter(samples))
                while self._busy and not self.halt.is_set:  # of another process: it answers them, or dies
                    await self._look_again()
            finally:
                ticker.cancel()
                self.display.clear()
                await self.asker.close()

    async def _work_through(self, samples: Iterator[Sample]) -> None:
        n_workers = self.asker.teacher.concurrency
        workers = [asyncio.create_task(self._work(samples)) for _ in range(n_workers)]
        everybody = asyncio.gather(*workers)
        hurry = asyncio.create_task(self.halt.hurry.wait())
        ends: set[asyncio.Future[Any]] = {everybody, hurry}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not everybody.done():
                await asyncio.wait({everybody}, timeout=GRACE_SECONDS)
            if everybody.done():
                everybody.result()
        finally:
            hurry.cancel()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, everybody, return_exceptions=True)

    async def _work(self, samples: Iterator[Sample]) -> None:
        for sample in samples:
            if self.halt.is_set:
                return
            await self._follow(sample)

    async def _follow(self, sample: Sample) -> None:
        question, number = sample
        replies: list[Reply] = []
        place = question.row, number
        n_fresh = self.asker.counts.fresh.answers
        self.open[place] = "under way"
        try:
            while (request := self.conversations.next_request(question.text, number, replies)) is not None:
                replies.append(await self.asker.ask(request))
        except BusyError:
            self._busy.append(sample)
            self.open[place] = "another process has it under way"
        except WaitingError as error:
            self.waiting += 1
            self.open[place] = str(error)
        except OpenError as error:
            self.open[place] = str(error)
        except HaltedError:
            del self.open[place]  # as all that are not asked
        except asyncio.CancelledError:
            del self.open[place]
            raise
        else:
            del self.open[place]
            self.done += 1
            self._n_from_store += self.asker.counts.fresh.answers == n_fresh
            self._estimate()

    async def _look_again(self) -> None:
        try:
            await self.halt.sleep(_LOOK_AGAIN_SECONDS)
        except HaltedError:
            return
        self.asker.store.refresh()
        samples, self._busy = self._busy, []
        await self._work_through(iter(samples))

    def _estimate(self) -> None:
        """Estimates after some answers the time and cost of all."""
        fresh = self.asker.counts.fresh
        if self._has_estimate or fresh.answers < ESTIMATE_AFTER:
            return
        self._has_estimate = True
        whole = fresh.estimate(self._n_requests - self.asker.counts.stored.answers)
        text = (
            f"estimate from the first {fresh.answers} answers: {whole.answers:,} requests read "
            f"{whole.prompt_tokens:,} and write {whole.tokens:,} tokens"
        )
        if self.asker.prices.input or self.asker.prices.output:
            text += f", for {format_cost(whole.cost)}"
        self.say(text)

    async def _tick(self, n_samples: int) -> None:
        while True:
            self.display.show([self.progress(n_samples)])
            if self.report is not None:
                self.report(self.done, n_samples)
            await asyncio.sleep(_TICK_SECONDS)

    def progress(self, n_samples: int) -> ProgressText:
        """Line of progress: samples done, rate, time left and cost so far."""
        work = format_progress(
            "teach",
            self.done,
            n_samples,
            time.monotonic() - self._started,
            kept=self._n_from_store,
            unit="samples",
        )
        line = str(work)
        prices, store = self.asker.prices, self.asker.store
        if prices.input or prices.output:
            line += f", {format_cost(self.asker.counts.fresh.cost)} paid"
            if prices.budget is not None:
                line += f", {format_cost(store.paid)} of {format_cost(prices.budget)} in all"
        n_open = len(self.open) - self.asker.teacher.concurrency
        if n_open > 0:
            line += f", {n_open} open"
        return ProgressText(line, work.share)


@contextmanager
def _interruptible(halt: Halt) -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end asking, if the loop runs in the main thread; otherwise that thread decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        halt.set(INTERRUPTED, hurry=True)

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
