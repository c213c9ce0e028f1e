"""Pace: requests and tokens per minute, pauses that an endpoint asks for, and the time between two attempts."""

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
    """Starts requests one after the other, within the allowed requests and tokens per minute.

    Args:
        requests: largest number of requests per minute; None: no bound.
        tokens: largest number of tokens per minute, of prompts and possible replies; None: no bound.
        halt: signal that ends waiting.
        clock: monotonic clock in seconds; replaced in tests.
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
        """Starts nothing for some seconds: an endpoint's request to wait applies to all requests of a key."""
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
        """Returns tokens that were reserved but not used."""
        self._next_token -= max(0, n_reserved - n_used) * self._token_seconds

    def _seconds_left(self) -> float:
        start = max(self._next_request, self._next_token, self._held_until)
        return max(0.0, start - self._clock())

    def _start(self, n_tokens: int) -> None:
        now = self._clock()
        self._next_request = max(now, self._next_request) + self._request_seconds
        self._next_token = max(now, self._next_token) + n_tokens * self._token_seconds


def pause_seconds(attempt: int, longest: float) -> float:
    """Seconds before the next attempt: doubled each time, with a random part that spreads failed requests.

    Args:
        attempt: number of attempts made.
        longest: longest pause in seconds.
    """
    return min(longest, FIRST_PAUSE * 2.0 ** min(attempt - 1, 30)) * random.uniform(0.5, 1)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an endpoint asks to wait; None if it does not ask.

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
