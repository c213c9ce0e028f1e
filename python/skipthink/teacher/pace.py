"""Requests and tokens per minute, pauses that an endpoint asks for, and the time between two attempts."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Callable, Mapping

from skipthink.teacher.halting import Halt

FIRST_PAUSE = 0.5
"""Seconds before the second attempt; twice as many before each further one."""
_LOOK_AGAIN = 1.0


class Pace:
    """Lets requests start one after the other, no more of them and of their tokens per minute than allowed.

    Args:
        requests: a minute; None: no bound.
        tokens: a minute, those of prompts and those that may be written; None: no bound.
        halt: ends waiting.
        clock: seconds that only grow; replaced in tests.
    """

    def __init__(
        self,
        requests: int | None,
        tokens: int | None,
        halt: Halt,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request_seconds = 60 / requests if requests else 0.0
        self._token_seconds = 60 / tokens if tokens else 0.0
        self._halt, self._clock = halt, clock
        self._next_request = self._next_token = self._held_until = -math.inf
        self._turn = asyncio.Lock()

    def hold(self, seconds: float) -> None:
        """Starts nothing for so long: what an endpoint asks of one request it means for all of a key."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    async def wait(self, n_tokens: int) -> None:
        """Waits until a request of so many tokens may start.

        Raises:
            HaltedError: asking is to end.
        """
        if not self._seconds_left() and not self._turn.locked():
            self._start(n_tokens)
            return
        async with self._turn:  # in the order in which they came
            while (left := self._seconds_left()) > 0:
                await self._halt.sleep(min(left, _LOOK_AGAIN))
            self._start(n_tokens)

    def settle(self, n_reserved: int, n_used: int) -> None:
        """Gives back tokens that were reserved and not used."""
        self._next_token -= max(0, n_reserved - n_used) * self._token_seconds

    def _seconds_left(self) -> float:
        start = max(self._next_request, self._next_token, self._held_until)
        return max(0.0, start - self._clock())

    def _start(self, n_tokens: int) -> None:
        now = self._clock()
        self._next_request = max(now, self._next_request) + self._request_seconds
        self._next_token = max(now, self._next_token) + n_tokens * self._token_seconds


def pause_seconds(attempt: int, longest: float) -> float:
    """Seconds before the next attempt: doubled each time, drawn so that those who failed together do not return so.

    Args:
        attempt: number of attempts made.
        longest: bound of it.
    """
    return min(longest, FIRST_PAUSE * 2.0 ** min(attempt - 1, 30)) * random.uniform(0.5, 1)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds an endpoint asks to wait; None where it asks for none.

    `retry-after-ms` counts milliseconds, `retry-after` seconds, or names a date (RFC 9110 §10.2.3).
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, date.timestamp() - time.time())
