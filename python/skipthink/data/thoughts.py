"""Blocks of thought in teachers' texts: `<think>` and the tags of other families of models."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

# tags that stand for nothing else, wherever they are; chat templates may have put the opening one into the prompt
_TAG = re.compile(
    r"<(?P<end1>/?)think>|(?-i:\[(?P<end2>/?)THINK\])|<(?P<end3>/?)seed:think>|◁(?P<end4>/?)think▷"
    r"|<\|(?P<edge>begin|end)_of_thought\|>",
    re.IGNORECASE,
)
# words that may also be meant: a block only where the text begins with one
_WORD = re.compile(r"\s*<(thinking|thought|thoughts|reasoning|reflection|scratchpad)>", re.IGNORECASE)
_SOLUTION = re.compile(r"<\|(?:begin|end)_of_solution\|>")
_OTHER = re.compile(r"\s*(<(?!/)[\w:|-]{1,30}>|\[[A-Z_]{3,30}\])")


@dataclass(frozen=True)
class Thought:
    """A text with its block of thought taken out.

    Attributes:
        inside: the thought without outer white space; None where there is no block.
        outside: the rest, without tags of a solution; the text as it is where there is no block.
        problem: why the block cannot be told from the rest, or None.
        tag: the opening tag in the form of its family.
    """

    inside: str | None
    outside: str
    problem: str | None = None
    tag: str = ""


def split_thought(text: str) -> Thought:
    """Takes the one block of thought out of a text."""
    tags, name = _tags(text)
    if not tags:
        return Thought(None, text)
    shape = "".join("/" if is_end else "o" for _, is_end in tags)
    if shape == "o":
        return Thought(None, "", f"unclosed {name}", name)
    if shape not in ("o/", "/"):
        return Thought(None, "", f"more than one {name} block", name)
    first, last = tags[0][0], tags[-1][0]
    start = first.end() if len(tags) == 2 else 0
    before = text[: first.start()] if len(tags) == 2 else ""
    outside = _SOLUTION.sub("", before + text[last.end() :]).strip()
    return Thought(text[start : last.start()].strip(), outside, None, name)


def _tags(text: str) -> tuple[list[tuple[re.Match[str], bool]], str]:
    """The tags of thought in a text, each with whether it closes, and the name of the first one's family."""
    word = _WORD.match(text)
    if word is not None:
        tag = re.compile(rf"<(?P<end>/?){word[1]}>", re.IGNORECASE)
        return [(found, bool(found["end"])) for found in tag.finditer(text)], f"<{word[1].lower()}>"
    found = list(_TAG.finditer(text))
    if not found:
        return [], ""
    name = found[0][0].replace("/", "").replace("end_of", "begin_of")
    tags = [(tag, "/" in tag[0] or (tag["edge"] or "").lower() == "end") for tag in found]
    return tags, name if name.startswith("[") else name.lower()


def take_rationale(
    text: str | None, counts: Counter[str], tags: Counter[str]
) -> tuple[str | None, str | None]:
    """The rationale in a cell, and what is wrong with it: None, or the reason to drop a training row.

    Args:
        text: the cell.
        counts: where blocks are counted.
        tags: where texts are counted by the tag they have, other than `<think>`, or begin with.
    """
    if text is None or not text.strip():
        return None, "no rationale"
    thought = split_thought(text)
    if thought.tag and thought.tag != "<think>":
        tags[thought.tag] += 1
    if thought.problem is not None:
        return None, thought.problem
    if thought.inside is None:
        other = _OTHER.match(text)
        if other is not None:
            tags[f"{other[1]} left in the text"] += 1
        return text, None
    if not thought.inside:
        counts["empty"] += 1
        return (thought.outside, None) if thought.outside else (None, "no rationale")
    counts["stripped"] += 1
    counts["text_outside_left_out"] += bool(thought.outside)
    return thought.inside, None
