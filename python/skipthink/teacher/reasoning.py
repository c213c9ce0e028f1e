"""The rationale in a reply and the text that states the answer, wherever a server or model puts its thoughts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skipthink.teacher.requests import Reply

_TAG = re.compile(r"<(/?)(?:think|thinking)>", re.IGNORECASE)


@dataclass(frozen=True)
class Thought:
    """Contents of a reply.

    Attributes:
        rationale: the thoughts; the whole text if they are not separate.
        statement: the text that states the answer.
        problem: reason why there is no rationale, or None.
    """

    rationale: str
    statement: str
    problem: str | None = None


def find_thought(reply: Reply) -> Thought:
    """Finds the rationale of a reply.

    Thoughts are in a field of their own or in a `<think>` block, whose opening tag may be in the prompt only. An empty
    block does not count.
    """
    inline = _inline(reply.content)
    if reply.reasoning and reply.reasoning.strip():
        # a server that parses thoughts out may leave an empty block, or the closing tag
        return Thought(reply.reasoning.strip(), inline.statement)
    return inline


def _inline(text: str) -> Thought:
    tags = list(_TAG.finditer(text))
    if not tags:
        return Thought(text.strip(), text.strip())
    shape = "".join("c" if tag[1] else "o" for tag in tags)
    if shape == "o":
        return Thought(text[tags[0].end() :].strip(), "", "thought never ends")
    if shape not in ("oc", "c"):
        return Thought(text.strip(), "", "several thoughts")
    start = tags[0].end() if shape == "oc" else 0
    before = text[: tags[0].start()] if shape == "oc" else ""
    thought, statement = text[start : tags[-1].start()].strip(), (before + text[tags[-1].end() :]).strip()
    return Thought(thought or statement, statement)
