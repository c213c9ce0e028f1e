"""Presets: how question, rationale and answer stand in chats and in OpenR1-Math."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from skipthink.answers import parse_answer
from skipthink.data.faults import Faults
from skipthink.data.paths import PathError, follow
from skipthink.data.sources import RawRows
from skipthink.data.thoughts import split_thought
from skipthink.exceptions import DataError, InvalidInputError

FORMATS = ("messages", "sharegpt", "openr1")
_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
}
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


def apply_format(raw: RawRows, name: str, columns: Mapping[str, str], answer: str | None) -> dict[int, str]:
    """Writes the columns that a preset finds into `raw.columns`; those that `columns` names are left to it.

    Args:
        raw: rows; a column of theirs that a preset takes the name of is hidden and noted.
        name: one of `FORMATS`.
        columns: our column → the source's.
        answer: kind of the answers, by which the answer of a reply is found.

    Returns:
        Row → why it is dropped.

    Raises:
        DataError: the source is not of this format; names the first such row and counts all.
        InvalidInputError: unknown preset.
    """
    if name not in FORMATS:
        raise InvalidInputError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    read = _openr1 if name == "openr1" else _chats
    made, reasons = read(raw, name, answer)
    for ours, values in made.items():
        if ours not in columns:
            if ours in raw.columns and not (name == "openr1" and ours == "answer"):
                raw.notes.setdefault("columns_hidden_by_format", []).append(ours)
            raw.columns[ours] = values
    return reasons


Made = tuple[dict[str, list[Any]], dict[int, str]]


def _chats(raw: RawRows, name: str, answer: str | None) -> Made:
    column = _column(
        raw, name, ("messages", "conversations") if name == "messages" else ("conversations", "messages")
    )
    keys = ("role", "content") if name == "messages" else ("from", "value")
    made: dict[str, list[Any]] = {"question": [], "rationale": [], "answer": []}
    reasons: dict[int, str] = {}
    faults = Faults(raw)
    for row, cell in enumerate(raw.columns[column]):
        question = thought = reply = None
        try:
            turns = _turns(cell, *keys)
            if [role for role, _, _ in turns] == ["user", "assistant"]:
                question, (_, reply, thought) = turns[0][1], turns[1]
            else:
                reasons[row] = "several turns" if len(turns) > 2 else "no question and reply"
        except PathError as error:
            faults.add(
                row,
                f"{column} is no chat",
                f"{column} is no chat: {error}; format: {name} reads {_SHAPES[name]}",
            )
        made["question"].append(question)
        made["rationale"].append(thought if thought is not None else reply)
        made["answer"].append(None if reply is None else _stated(reply, answer))
    faults.refuse()
    if "answer" in raw.columns:
        del made["answer"]
    else:
        raw.notes["answers_from_replies"] = sum(text is not None for text in made["answer"])
    return made, reasons


_SHAPES = {
    "messages": "a list of {role, content}",
    "sharegpt": "a list of {from, value}",
}


def _turns(cell: Any, role_key: str, text_key: str) -> list[tuple[str, str, str | None]]:
    """Role, text and thought of every turn that is not the system's."""
    messages = follow(cell, ("*",))
    if messages is None:
        raise PathError("it is null")
    turns = []
    for message in messages:
        said = follow(message, (f".{role_key}",))
        role = _ROLES.get(said.lower()) if isinstance(said, str) else None
        if role is None:
            raise PathError(f"{role_key} is {said!r:.40}, none of {', '.join(_ROLES)}")
        text, thought = _content(message.get(text_key))
        for key in _THOUGHTS:
            if thought is None and isinstance(message.get(key), str) and message[key].strip():
                thought = message[key]
        if role != "system":
            turns.append((role, text, thought))
    return turns


def _content(content: Any) -> tuple[str, str | None]:
    """Text and thought of a turn: text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", None
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        raise PathError(f"a turn holds {content!r:.40}, neither text nor a list of parts")
    texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
    thoughts = [part["thinking"] for part in content if isinstance(part.get("thinking"), str)]
    return "".join(texts), "".join(thoughts) or None


def _stated(reply: str, answer: str | None) -> str:
    """The answer of a reply; all that stands outside its thought where none is stated."""
    outside = split_thought(reply).outside.strip() or reply.strip()
    return (answer and parse_answer(answer, outside)) or outside


def _openr1(raw: RawRows, name: str, answer: str | None) -> Made:
    del answer
    for needed in ("problem", "answer", "generations"):
        _column(raw, name, (needed,))
    n_rows = raw.n_rows
    verdicts = [
        raw.columns.get(column, [None] * n_rows)
        for column in ("correctness_math_verify", "correctness_llama", "is_reasoning_complete")
    ]
    made: dict[str, list[Any]] = {"question": raw.columns["problem"], "rationale": [], "correct": []}
    if "uuid" in raw.columns and "id" not in raw.columns:
        made["id"] = raw.columns["uuid"]
    faults = Faults(raw)
    chosen: Counter[str] = Counter()
    for row, generations in enumerate(raw.columns["generations"]):
        if not isinstance(generations, list) or not all(isinstance(one, str) for one in generations):
            faults.add(
                row,
                "generations is no list of texts",
                f"generations is {generations!r:.40}, no list of texts",
            )
            continue
        right, checked = _first_right(len(generations), *(column[row] for column in verdicts))
        chosen["right" if right is not None else "none right" if checked else "not checked"] += 1
        index = right if right is not None else 0
        made["rationale"].append(generations[index] if index < len(generations) else None)
        made["correct"].append(True if right is not None else False if checked else None)
    faults.refuse()
    raw.notes["generations"] = dict(chosen)
    return made, {}


def _first_right(n: int, verified: Any, judged: Any, complete: Any) -> tuple[int | None, bool]:
    """The first generation that is complete and right, and whether any was checked at all."""

    def listed(values: Any) -> list[Any]:
        return values if isinstance(values, list) and len(values) == n else [None] * n

    by_llama = listed(judged)
    verdicts = [by_llama[at] if found is None else found for at, found in enumerate(listed(verified))]
    whole = listed(complete)
    right = next((at for at in range(n) if verdicts[at] is True and whole[at] is not False), None)
    return right, any(verdict is not None for verdict in verdicts)


def _column(raw: RawRows, name: str, names: tuple[str, ...]) -> str:
    found: Callable[[str], bool] = raw.columns.__contains__
    for one in names:
        if found(one):
            return one
    raise DataError(
        f"{raw.source} has no column {' or '.join(map(repr, names))}, which format: {name} reads; "
        f"it has {', '.join(raw.columns) or 'none'}"
    )
