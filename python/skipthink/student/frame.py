"""The frame: the text around a question in a prompt (markers as tokens or text, a chat template, a `<think>` block).

A frame is text. It is made once, for the fresh student, and kept beside it in `skipthink.json`; ids come from it by
`markers.get_markers`. So what a template gave is what all stages, all exports and all servers of a run use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, InvalidInputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STUDENT_FILE = "skipthink.json"
"""What a student knows of itself: its frame, and once it is trained method, mode, M, longest targets."""

THINK, END_THINK = "<think>", "</think>"
TEMPLATE_MARK = "this student answers one question"
"""Stands in the chat templates of trained students, which are no templates of a fresh one."""
_QUESTION, _REPLY, _SYSTEM = "How many is two and three?", "Two and three make five.", "system"


@dataclass(frozen=True)
class Frame:
    """The text around a question.

    Attributes:
        markers: "tokens": special tokens, new rows of the vocabulary; "text": ordinary text, nothing is added.
        prompt_format: "plain", or "chat": from the student's chat template.
        head: "chat": text in front of the marker, special tokens written out.
        tail: text between question and rationale, special tokens written out.
        think: whether the chain of thought stands in a `<think>` block.
    """

    markers: str = "tokens"
    prompt_format: str = "plain"
    head: str = ""
    tail: str = "\n"
    think: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("markers", self.markers, ("tokens", "text")),
            ("prompt_format", self.prompt_format, ("plain", "chat")),
        ):
            if value not in known:
                raise InvalidInputError(f"{name} must be one of {', '.join(known)}, got {value!r}")

    @property
    def as_text(self) -> bool:
        """Whether markers are ordinary text."""
        return self.markers == "text"

    @property
    def trims(self) -> bool:
        """Whether white space around a question is left out: templates do so, and it would melt into a marker."""
        return self.as_text or self.prompt_format == "chat"

    @property
    def open(self) -> str:
        """What a chain of thought begins with; nothing where the template has begun it."""
        return f"{THINK}\n" if self.think and not opens_block(self.tail) else ""

    @property
    def close(self) -> str:
        """What ends a chain of thought that stands in a block; Qwen's and DeepSeek's way of writing it."""
        return f"\n{END_THINK}\n\n" if self.think else ""

    @property
    def empty(self) -> str:
        """A block without a chain, in front of an answer that is asked for alone; in one piece for a tokenizer."""
        return f"{self.open}{self.close}" if self.open else self.close.lstrip()

    def question(self, text: str) -> str:
        """A question as it stands in prompts."""
        return text.strip() if self.trims else text

    def to_dict(self) -> dict[str, Any]:
        """For `skipthink.json`."""
        return asdict(self)

    def refuse(self, texts: Mapping[str, str], row: str) -> None:
        """Refuses a text in which ordinary words would be read as what they are not.

        Stage markers stand at the very beginning of a prompt and nowhere else, so `[2]` in a text is a text. What may
        stand amid a text must not be in one: with markers as text `[answer]` and `[thought]`, in a block its tags.

        Args:
            texts: name of a column → text.
            row: the sample's id, for the message.

        Raises:
            InvalidInputError: names sample, column and text, and says what to do.
        """
        taken = ["[answer]", "[thought]"] if self.as_text else []
        for name, text in texts.items():
            # a question is only read, and no tag is looked for in it
            tags = [THINK, END_THINK] if self.think and name != "question" else []
            found = next((mark for mark in (*taken, *tags) if mark in text), None)
            if found is None:
                continue
            reason = "markers: text" if found in taken else "think: true"
            remedy = "use markers: tokens" if found in taken else "leave out think"
            raise InvalidInputError(
                f"sample {row!r}: its {name} holds {found!r}, which a student with {reason} takes for its own mark; "
                f"{remedy}, or write it otherwise ({found[0] + ' ' + found[1:]!r})"
            )


PLAIN = Frame()


def make_frame(
    tokenizer: PreTrainedTokenizerBase,
    *,
    markers: str = "tokens",
    prompt_format: str = "plain",
    system: str | None = None,
    think: bool = False,
) -> Frame:
    """The frame of a fresh student.

    In a chat, the user turn holds marker and question, and the assistant turn, behind the generation prompt, the
    chunks. The template is rendered here and never again.

    Args:
        tokenizer: the student's; in a chat, the template's end-of-turn token becomes its end-of-sequence token.
        markers: see `Frame`.
        prompt_format: see `Frame`.
        system: text of a system message ("chat").
        think: see `Frame`.

    Raises:
        InvalidInputError: an unknown option, one that does not fit, or a chat template that is missing, does not
            render, or renders something that no student can be trained on; the message says what.
    """
    frame = Frame(markers, prompt_format, think=think)
    if prompt_format == "plain":
        if system is not None:
            raise InvalidInputError(
                "a system text needs prompt_format: chat; a plain prompt has no place for it"
            )
        return frame
    head, tail, after = render_chat(tokenizer, system=system, think=think)
    if opens_block(tail) and not think:
        raise InvalidInputError(
            f"the chat template of {tokenizer.name_or_path!r} ends its prompt with {THINK!r}: its student is to think "
            "in a block; set think: true"
        )
    end = next((token for token in special_texts(tokenizer) if after.startswith(token)), None)
    if end is None:
        raise InvalidInputError(
            f"the chat template of {tokenizer.name_or_path!r} ends a reply with {after[:40]!r}, which does not begin "
            "with a special token: the student could not tell where to end; mend the template or use prompt_format: "
            "plain"
        )
    tokenizer.eos_token = end
    return Frame(markers, prompt_format, head, tail, think)


def render_chat(
    tokenizer: PreTrainedTokenizerBase, *, system: str | None, think: bool
) -> tuple[str, str, str]:
    """What a chat template writes in front of a question, between question and reply, and behind the reply.

    Raises:
        InvalidInputError: there is no template, or it does not do its work.
    """
    name = tokenizer.name_or_path
    template = tokenizer.chat_template
    if template is None:
        raise InvalidInputError(
            f"student {name!r} has no chat template; use prompt_format: plain, or a student that has one"
        )
    if TEMPLATE_MARK in str(template):
        raise InvalidInputError(
            f"the chat template of {name!r} is that of a student that is trained already: it writes markers itself; "
            "name the model that student was made from"
        )
    messages = [] if system is None else [{"role": _SYSTEM, "content": system}]
    messages.append({"role": "user", "content": _QUESTION})
    # a template that knows no such switch leaves it alone
    options: dict[str, Any] = {"tokenize": False, "enable_thinking": think}
    try:
        prompt = str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, **options))
        reply = {"role": "assistant", "content": _REPLY}
        whole = str(tokenizer.apply_chat_template([*messages, reply], **options))
    except Exception as error:  # a template is a program of its author's
        raise InvalidInputError(
            f"the chat template of {name!r} does not render: {type(error).__name__}: {error}; mend the template, "
            f"{'leave out system, ' if system is not None else ''}or use prompt_format: plain"
        ) from error
    for what, text, rendered in (("question", _QUESTION, prompt), ("reply", _REPLY, whole)):
        if rendered.count(text) != 1:
            raise InvalidInputError(
                f"the chat template of {name!r} writes the {what} {rendered.count(text)} times as it stands, not once "
                f"(it renders {rendered[:200]!r}); mend the template or use prompt_format: plain"
            )
    if system is not None and system.strip() not in prompt:
        raise InvalidInputError(
            f"the chat template of {name!r} leaves the system text out (it renders {prompt[:200]!r}); leave out system"
        )
    head, tail = prompt.split(_QUESTION)
    return head, tail, whole.split(_REPLY)[1]


def opens_block(text: str) -> bool:
    """Whether a text ends within a `<think>` block."""
    return text.rfind(THINK) > text.rfind(END_THINK)


def special_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The special tokens of a tokenizer as text, longest first."""
    found = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted(found, key=len, reverse=True)


def split_at_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[str, str, str]:
    """Cuts a text in three: before its first added token, from there to behind its last one, and the rest.

    Tokenizers cut texts there too, before anything else; what has no such token is all before. White space beside a
    token that takes it in (Phi's do) is left out, as it is of the whole text.
    """
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    pattern = "|".join(map(re.escape, sorted(added, key=len, reverse=True)))
    found = list(re.finditer(pattern, text)) if added else []
    if not found:
        return text, "", ""
    first, last = found[0], found[-1]
    before, after = text[: first.start()], text[last.end() :]
    before = before.rstrip() if added[first[0]].lstrip else before
    after = after.lstrip() if added[last[0]].rstrip else after
    return before, text[first.start() : last.end()], after


def read_student_file(folder: str | Path) -> dict[str, Any]:
    """Reads what a student knows of itself.

    Raises:
        DataError: the file is missing or unreadable.
    """
    path = Path(folder) / STUDENT_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds {type(content).__name__}, not an object")
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {path}: {error}; name the folder of a student that skipthink made"
        ) from error
    return content


def frame_of(about: Mapping[str, Any], name: str) -> Frame:
    """The frame of a student; the plain one where its file names none.

    Args:
        about: what it knows of itself; empty for a student without a file.
        name: its folder, for the message.

    Raises:
        DataError: its frame is none of ours.
    """
    try:
        return Frame(**about.get("prompt", {}))
    except (TypeError, InvalidInputError) as error:
        raise DataError(f"the prompt in {Path(name) / STUDENT_FILE} is none of ours: {error}") from error
