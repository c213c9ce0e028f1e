"""How asking ends before all is asked: on Ctrl-C, at the end of the budget, or on an error of the endpoint."""

from __future__ import annotations

import asyncio


class HaltedError(Exception):
    """Nothing more is asked."""


class OpenError(Exception):
    """A request stays open; its text says why."""


class WaitingError(OpenError):
    """A request whose answer comes later: it stands in a batch file."""


class BusyError(Exception):
    """Another process has the request under way."""


class Halt:
    """Says whether asking is to end, and why.

    Attributes:
        reason: why, for the user; None while it goes on.
        hurry: set where what is under way has only seconds left.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.hurry = asyncio.Event()
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        """Whether asking is to end."""
        return self._event.is_set()

    def set(self, reason: str, *, hurry: bool = False) -> None:
        """Ends asking; the first reason stays."""
        if self.reason is None:
            self.reason = reason
        if hurry:
            self.hurry.set()
        self._event.set()

    def check(self) -> None:
        """Raises where asking is to end.

        Raises:
            HaltedError: it is.
        """
        if self._event.is_set():
            raise HaltedError

    async def sleep(self, seconds: float) -> None:
        """Sleeps, but not on once asking is to end.

        Raises:
            HaltedError: it is.
        """
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return
        raise HaltedError
