"""Replies of OpenAI-compatible endpoints: read from any server, refused if they are not an answer."""

from __future__ import annotations

import json
from typing import Any

from skipthink.teacher.requests import Reply


class FaultyReplyError(Exception):
    """A response that is not an answer; asking again may help. Its text is the kind of fault, which is counted."""


def read_reply(content: bytes) -> Reply:
    """Reads the reply in the body of a response.

    Raises:
        FaultyReplyError: the body is cut off or otherwise not JSON, or holds no choice.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise FaultyReplyError("body is no JSON") from None
    return parse_reply(body)


def parse_reply(body: Any) -> Reply:
    """Reads the first choice of a chat completion.

    Servers differ: thoughts are in `reasoning_content` (DeepSeek, SGLang, llama.cpp) or `reasoning` (Ollama, newer
    vLLM), a text may be a list of parts, counts of tokens may be missing.

    Raises:
        FaultyReplyError: it is not an object, or holds no choice with a message.
    """
    if not isinstance(body, dict):
        raise FaultyReplyError("body is no object")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise FaultyReplyError("no choice")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise FaultyReplyError("no message")
    content = _text(message.get("content"))
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    refusal = _text(message.get("refusal"))
    finish = choices[0].get("finish_reason")
    if not (content or reasoning or refusal) and finish not in ("length", "content_filter"):
        raise FaultyReplyError("empty message")
    usage = _mapping(body.get("usage"))
    cached = _mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    return Reply(
        content=content,
        reasoning=reasoning or None,
        finish=finish if isinstance(finish, str) else "stop",
        refusal=refusal or None,
        n_prompt_tokens=_count(usage.get("prompt_tokens")),
        n_cached_tokens=_count(cached) or 0,
        n_tokens=_count(usage.get("completion_tokens")),
        model=_text(body.get("model")),
    )


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
