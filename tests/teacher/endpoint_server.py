"""OpenAI-compatible endpoints on loopback that answer sums, and misbehave as often as they are told to.

    python endpoint_server.py PORT_FILE

It writes its port into the file. `POST /new` with {"log": PATH, "faults": {"429": 0.1, …}, "delay": 0.01, …} makes an endpoint,
and answers with its path; a line about each of its requests is in the log before the request is answered. The server ends
when its standard input does, so it never outlives the test.
"""

import asyncio
import hashlib
import json
import random
import re
import sys
import time
from pathlib import Path

from aiohttp import web

SUM = re.compile(r"What is (\d+) \+ (\d+)\?")
FAULTS = ("429", "429-retry-after", "500", "reset", "hang", "truncated", "no-choices", "duplicate")


def reply_text(question, style, wrong):
    """A rationale of a sum; with a share of wrong ones, which the question decides."""
    left, right = map(int, SUM.search(question).groups())
    total = left + right + (1 if draw(question, "wrong") < wrong else 0)
    thought = f"We add the two numbers {left} and {right}. That gives {left} + {right} = {total}."
    statement = f"The answer is {total}."
    return {
        "plain": ({"content": f"{thought} {statement}"}),
        "reasoning_content": ({"content": statement, "reasoning_content": thought}),
        "reasoning": ({"content": statement, "reasoning": thought}),
        "think": ({"content": f"<think>\n{thought}\n</think>\n\n{statement}"}),
        "unopened": ({"content": f"{thought}\n</think>\n\n{statement}"}),
    }[style]


def draw(*parts):
    """A number from 0 to 1 that the parts decide."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


class Endpoint:
    def __init__(self, options):
        self.log = Path(options["log"]).open("a", buffering=1)  # noqa: SIM115 - open as long as the endpoint is
        self.faults = options.get("faults", {})
        self.delay = options.get("delay", 0.0)
        self.style = options.get("style", "plain")
        self.wrong = options.get("wrong", 0.0)
        self.usage = options.get("usage", True)
        self.status = options.get("status")
        self.retry_after = options.get("retry_after", 0.2)
        self.echo_key = options.get("echo_key", False)
        self.finish = options.get("finish", "stop")
        self.random = random.Random(options.get("seed", 0))
        self.last = None
        self.under_way = 0

    def fault(self):
        """The fault of the next request, or None."""
        number = self.random.random()
        for name, share in self.faults.items():
            if number < share:
                return name
            number -= share
        return None

    async def complete(self, request):
        self.under_way += 1
        try:
            return await self._complete(request)
        finally:
            self.under_way -= 1

    async def _complete(self, request):
        body = json.loads(await request.read())
        question = body["messages"][-1]["content"]
        fault = self.fault()
        entry = {"time": time.time(), "question": question, "seed": body.get("seed"), "fault": fault,
                 "under_way": self.under_way, "body": body if self.delay == 0.011 else None,
                 "has_key": "none" not in request.headers.get("Authorization", "none")}  # fmt: skip
        self.log.write(json.dumps(entry) + "\n")
        key = request.headers.get("Authorization", "")
        if self.status is not None:
            error = {"message": f"no, not with {key}", "code": "refused"}
            return web.json_response({"error": error}, status=self.status)
        if self.delay:
            await asyncio.sleep(self.delay)
        if fault == "429":
            return web.json_response({"error": {"message": f"slow down, {key}"}}, status=429)
        if fault == "429-retry-after":
            headers = {"Retry-After": str(self.retry_after)}
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)
        if fault == "500":
            return web.Response(text=f"<h1>oops {key}</h1>", status=500, content_type="text/html")
        if fault == "hang":
            await asyncio.sleep(3600)
        return await self._answer(request, body, question, fault, key if self.echo_key else "")

    async def _answer(self, request, body, question, fault, key):
        message = {"role": "assistant", **reply_text(question, self.style, self.wrong)}
        message["content"] = key + message["content"]
        answer = {
            "id": f"chatcmpl-{self.random.randrange(1000)}",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish, "logprobs": None}],
        }
        if self.usage:
            n_prompt = sum(len(one["content"].split()) for one in body["messages"])
            n_written = sum(len(text.split()) for name, text in message.items() if name != "role")
            answer["usage"] = {
                "prompt_tokens": n_prompt,
                "completion_tokens": n_written,
                "total_tokens": n_prompt + n_written,
            }
        if fault == "no-choices":
            answer["choices"] = []
        if fault == "duplicate" and self.last is not None:  # the answer to the question before
            answer = self.last
        if fault is None:
            self.last = answer
        content = json.dumps(answer).encode()
        if fault == "truncated":
            return web.Response(body=content[: len(content) // 2], content_type="application/json")
        if fault == "reset":
            response = web.StreamResponse(
                headers={"Content-Length": str(len(content)), "Content-Type": "application/json"}
            )
            await response.prepare(request)
            await response.write(content[:20])
            request.transport.abort()
            return response
        return web.Response(body=content, content_type="application/json")


async def main(port_file):
    endpoints = []

    async def make(request):
        endpoints.append(Endpoint(await request.json()))
        return web.Response(text=f"/{len(endpoints) - 1}/v1")

    async def complete(request):
        return await endpoints[int(request.match_info["number"])].complete(request)

    app = web.Application()
    app.router.add_post("/new", make)
    app.router.add_post("/{number}/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    scratch = Path(port_file + ".tmp")
    scratch.write_text(str(port))
    scratch.rename(port_file)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the test closes it
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
