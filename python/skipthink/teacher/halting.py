"""Halting: asking ends early on Ctrl-C, when the budget is used up, or on an error of the endpoint."""

from __future__ import annotations

import asyncio


class HaltedError(Exception):
    """Nothing more is asked."""


class OpenError(Exception):
    """A request stays open; its text says why."""


class FullMemoryError(OpenError):
    """The device has too little memory for a request by itself."""


class WaitingError(OpenError):
    """A request in a batch file, whose answer comes later."""


class BusyError(Exception):
    """The request is pending in another process."""


class Halt:
    """A signal that asking should end, with the reason.

    Attributes:
        reason: reason for the user; None while asking continues.
        hurry: set if pending requests have only seconds left.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.hurry = asyncio.Event()
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        """Whether asking should end."""
        return self._event.is_set()

    def set(self, reason: str, *, hurry: bool = False) -> None:
        """Ends asking; the first reason is kept."""
        if self.reason is None:
            self.reason = reason
        if hurry:
            self.hurry.set()
        self._event.set()

    def check(self) -> None:
        """Raises an error if asking should end.

        Raises:
            HaltedError: asking should end.
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
