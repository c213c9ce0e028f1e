"""A teacher behind an OpenAI-compatible endpoint: rate limits, retries, and a key that is never written or shown."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from typing import Any

from skipthink.exceptions import InvalidInputError
from skipthink.teacher.asking import Lost
from skipthink.teacher.cost import count_tokens
from skipthink.teacher.halting import Halt, HaltedError, OpenError
from skipthink.teacher.options import EndpointOptions
from skipthink.teacher.pace import Pace, pause_seconds, retry_after
from skipthink.teacher.replies import FaultyReplyError, read_reply
from skipthink.teacher.requests import Reply, Request

_AGAIN = frozenset({408, 409, 425, 429})
_REFUSES_ALL = {
    401: "does not accept the key",
    402: "wants to be paid",
    403: "does not accept the key",
    404: "does not know the model or the address",
}
MOST_REFUSALS = 20
"""Requests refused one after the other, with no answer between them, after which nothing more is asked."""
_SHOWN = 300


class _FailedError(Exception):
    """A failed attempt; another one may succeed.

    Attributes:
        kind: name under which it is counted.
        pause: seconds to wait, as the endpoint asks, or None.
        may_cost: whether it may be charged.
    """

    def __init__(self, kind: str, pause: float | None = None, *, may_cost: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.pause, self.may_cost = kind, pause, may_cost


class EndpointTeacher:
    """Asks an endpoint through `openai.AsyncOpenAI`.

    Args:
        options: options of the endpoint.
        halt: signal that ends waiting; it is set on errors that every other request would get, too.

    Raises:
        InvalidInputError: the environment variable of the key is not set.
    """

    def __init__(self, options: EndpointOptions, halt: Halt) -> None:
        import openai

        # its debug log shows requests and replies; those of a user's data are nobody's business
        logging.getLogger("openai").setLevel(logging.WARNING)
        self.options, self.halt = options, halt
        self.model, self.concurrency = options.model, options.concurrency
        self.faults: Counter[str] = Counter()
        self._key = read_key(options.key_env)
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute, halt)
        self._refused_in_a_row = 0
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=options.base_url,
            max_retries=0,  # attempts are counted, paced and claimed here
            timeout=options.timeout,
            http_client=openai.DefaultAsyncHttpxClient(limits=_limits(options.concurrency)),
        )

    async def answer(self, request: Request, lost: Lost) -> Reply:
        """The reply, after as many attempts as it needs and as there may be."""
        for attempt in range(1, self.options.retries + 2):
            try:
                return await self._attempt(request)
            except _FailedError as failed:
                self.faults[failed.kind] += 1
                if failed.may_cost:
                    lost()
                if attempt > self.options.retries:
                    raise OpenError(f"failed {attempt} times, at last: {failed.kind}") from None
                await self._pause(failed, attempt)
        raise AssertionError("the loop returns or raises")

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _pause(self, failed: _FailedError, attempt: int) -> None:
        if failed.pause is None:
            await self.halt.sleep(pause_seconds(attempt, self.options.max_wait))
            return
        if failed.pause > self.options.max_wait:
            self.halt.set(
                f"the endpoint asks to wait {failed.pause:.0f} seconds, longer than max_wait "
                f"({self.options.max_wait:.0f}); come back then"
            )
            raise HaltedError
        self._pace.hold(failed.pause)
        await self.halt.sleep(failed.pause)

    async def _attempt(self, request: Request) -> Reply:
        import httpx2
        import openai

        n_reserved = request.most_prompt_tokens // 3 + request.max_tokens
        await self._pace.wait(n_reserved)
        try:
            async with asyncio.timeout(
                self.options.timeout
            ):  # the client's own bounds silence, not the whole
                # the response as it is: what servers add to the schema stays, and half the time of a request is saved
                response = await self._client.post(
                    "/chat/completions",
                    body=body_of(request, self.options.tokens_name),
                    cast_to=httpx2.Response,
                )
            reply = read_reply(response.content)
        except (TimeoutError, openai.APITimeoutError):
            raise _FailedError("timeout", may_cost=True) from None
        except openai.APIStatusError as error:
            raise self._status(error) from None
        except openai.APIConnectionError as error:
            connected = not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
            kind = "connection lost" if connected else "no connection"
            raise _FailedError(kind, may_cost=connected) from None
        except FaultyReplyError as error:
            raise _FailedError(str(error), may_cost=True) from None
        self._refused_in_a_row = 0
        self._pace.settle(n_reserved, sum(count_tokens(request, reply)))
        return self._without_key(reply)

    def _status(self, error: Any) -> Exception:
        """Turns an unsuccessful status into a failure to retry, or halts."""
        status: int = error.status_code
        text = self._clean(str(error))
        if status in _REFUSES_ALL or getattr(error, "code", None) == "insufficient_quota":
            says = _REFUSES_ALL.get(status, "says that the quota is used up")
            key = f" in {self.options.key_env}" if "key" in says and self.options.key_env else ""
            self.halt.set(f"{self.options.base_url} {says}{key}: {text}")
            return HaltedError()
        if status in _AGAIN or status >= 500:
            return _FailedError(f"status {status}", retry_after(error.response.headers))
        self.faults[f"status {status}"] += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= MOST_REFUSALS:
            self.halt.set(
                f"{self.options.base_url} has refused {MOST_REFUSALS} requests in a row, at last: {text}"
            )
        return OpenError(f"refused: {text}")

    def _clean(self, text: str) -> str:
        """A message of an endpoint as one line of bounded length, without the key."""
        line = " ".join((text.replace(self._key, "…") if self._key else text).split())
        return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"

    def _without_key(self, reply: Reply) -> Reply:
        """The reply with the key masked, so that a server that repeats it cannot bring it into a file."""
        if not self._key or self._key not in f"{reply.content}{reply.reasoning}{reply.refusal}{reply.model}":
            return reply
        texts = {
            name: None if text is None else text.replace(self._key, "…")
            for name, text in reply.as_dict().items()
            if isinstance(text, str | None) and name not in ("n_prompt_tokens", "n_tokens")
        }
        return Reply(**{**reply.as_dict(), **texts})


def body_of(request: Request, tokens_name: str) -> dict[str, Any]:
    """The body of a request; `tokens_name` is the endpoint's name for the largest number of tokens of a reply."""
    parameters = dict(request.parameters)
    messages = [dict(message) for message in request.messages]
    return {
        "model": request.model,
        "messages": messages,
        tokens_name: parameters.pop("max_tokens"),
        **parameters,
    }


def read_key(variable: str | None) -> str | None:
    """The key in an environment variable.

    Raises:
        InvalidInputError: the variable is not set; the message names the variable, never a key.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InvalidInputError(
            f"the environment variable {variable} is not set; put the key of the endpoint there"
        )
    return key


def _limits(concurrency: int) -> Any:
    import httpx2

    return httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
