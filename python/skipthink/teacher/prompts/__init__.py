"""Prompts of the teacher: prompts and examples are files, of the package or your own.

A prompt is a YAML file: `about`, `system`, `example` (how an example is asked and answered) and `turns`. A turn has

    ask             the text
    gives           a name for its reply; one turn gives `rationale`; one may give `answer`, otherwise the reply that
                    gives the rationale states it
    fresh           true: the conversation starts anew
    behind_thought  true: of a reasoning model, the text after its thoughts is taken instead of the thoughts
    label           the first line "Label: value" of the reply is a label and not part of it
    first_step      true: only the first step of the reply is taken
    max_tokens      largest number of tokens of the reply, if lower than that of the sampling

Texts may contain `{question}`, `{form}` (the form of an answer) and the names of earlier replies; `{{` and `}}` are
braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from skipthink.core.steps import split_steps
from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import did_you_mean
from skipthink.teacher.options import PromptOptions
from skipthink.teacher.reasoning import Thought, find_thought
from skipthink.teacher.requests import Message, Reply

FORMS = {
    "number": "a number",
    "choice": "the letter of a choice, such as (A)",
    "yes_no": "yes or no",
    "date": "a date, such as 05/17/2021",
    "string": "a word or a short text",
    "maths": "a formula or a number in \\boxed{}",
}
"""Kind of answers to what the teacher is told about their form."""

PROMPTS = ("few-shot", "zero-shot", "concise", "difficulty-aware", "first-thought")
MAX_LABEL = 40
_PLACE = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")
_TURN_KEYS = {"ask", "gives", "fresh", "behind_thought", "label", "first_step", "max_tokens"}
_PROMPT_KEYS = {"about", "system", "example", "turns"}
_EXAMPLE_KEYS = {"question", "rationale", "answer"}


@dataclass(frozen=True)
class Turn:
    """One turn of a prompt; its fields are described in the module."""

    ask: str
    gives: str
    fresh: bool = False
    behind_thought: bool = False
    label: str | None = None
    first_step: bool = False
    max_tokens: int | None = None


@dataclass(frozen=True)
class Prompt:
    """A prompt with its examples.

    Attributes:
        name: name in reports.
        opening: messages before the first question: system message and examples.
        turns: turns in order.
        form: description of the form of an answer.
    """

    name: str
    opening: tuple[Message, ...]
    turns: tuple[Turn, ...]
    form: str

    @property
    def label(self) -> str | None:
        """Name of the label in front of the rationale."""
        return next((turn.label for turn in self.turns if turn.gives == "rationale"), None)

    def messages(self, question: str, taken: Sequence[Taken]) -> tuple[Message, ...]:
        """The messages of the turn after the given replies.

        Args:
            question: text of the question; nothing in it is read as a placeholder.
            taken: what was taken from the replies so far.
        """
        names = {"question": question, "form": self.form}
        messages = list(self.opening)
        for number, turn in enumerate(self.turns[: len(taken) + 1]):
            if turn.fresh:
                messages = [message for message in self.opening[:1] if message["role"] == "system"]
            messages.append({"role": "user", "content": _encodable(_fill(turn.ask, names))})
            if number < len(taken):
                messages.append({"role": "assistant", "content": _encodable(taken[number].said)})
                names[turn.gives] = taken[number].text
        return tuple(messages)


@dataclass(frozen=True)
class Taken:
    """What a turn takes from its reply.

    Attributes:
        text: value of its name in later turns; for the turn "rationale" the rationale.
        said: the reply as later turns of the conversation show it, without thoughts.
        statement: text that states the answer.
        label: value of the label before the rationale.
        problem: reason why it cannot be used, or None; the conversation ends there.
    """

    text: str
    said: str
    statement: str
    label: str | None = None
    problem: str | None = None


def take(turn: Turn, reply: Reply) -> Taken:
    """What a turn takes from its reply."""
    thought = find_thought(reply)
    has_thoughts = thought.statement != thought.rationale
    text, label = thought.statement if turn.behind_thought else thought.rationale, None
    if turn.label is not None:
        found = re.match(rf"[\s*_#]*{re.escape(turn.label)}[\s*_]*:[\s*_]*([^\n]*)\n?", text, re.IGNORECASE)
        if found is not None:
            label, text = found[1].strip(" *_.").casefold()[:MAX_LABEL], text[found.end() :].strip()
    if turn.first_step:
        text = next((step.strip() for step in split_steps(_encodable(text))), "")
    statement = thought.statement if has_thoughts else text
    return Taken(
        text, thought.statement or thought.rationale, statement, label, _problem(turn, reply, thought, text)
    )


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced, with which a request could not be written."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _problem(turn: Turn, reply: Reply, thought: Thought, text: str) -> str | None:
    if reply.refusal is not None or reply.finish == "content_filter":
        return "refused"
    if turn.gives == "answer":
        return None
    if not turn.first_step:  # of a reply whose first step is taken the rest may be missing
        if reply.finish == "length":
            return "cut off"
        if thought.problem is not None:
            return thought.problem
    return None if text else "no rationale"


def load_prompt(options: PromptOptions, kind: str) -> Prompt:
    """Loads the prompt that the options name.

    Args:
        options: prompt, task of the examples, and their number.
        kind: kind of the answers, which decides how their form is described to the teacher.

    Raises:
        InvalidInputError: the prompt or the examples do not exist, or a file does not hold them.
    """
    content = _load(options.name, PROMPTS, "prompt", "")
    place = f"the prompt {options.name}"
    if not isinstance(content, dict) or not isinstance(content.get("turns"), list):
        raise InvalidInputError(f"{place} has no list of turns; docs/how-to/teacher.md shows one")
    _check_keys(content, _PROMPT_KEYS, place)
    turns = tuple(_turn(entry, f"{place}, turn {number}") for number, entry in enumerate(content["turns"], 1))
    _check_turns(turns, place)
    form = FORMS[kind]
    opening: list[Message] = []
    if content.get("system"):
        opening.append({"role": "system", "content": _fill(_text(content, "system", place), {"form": form})})
    if content.get("example") is not None:
        opening += _examples(content["example"], options, form, place)
    elif options.task is not None:
        raise InvalidInputError(f"{place} shows no examples; leave out task ({options.task})")
    return Prompt(Path(options.name).stem, tuple(opening), turns, form)


def example_tasks() -> tuple[str, ...]:
    """Tasks for which the package has examples."""
    folder = resources.files("skipthink.teacher.prompts") / "examples"
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    )


def _examples(shape: Any, options: PromptOptions, form: str, place: str) -> list[Message]:
    if options.task is None:
        raise InvalidInputError(
            f"{place} shows examples; name their task: one of {', '.join(example_tasks())}, or a file"
        )
    if not isinstance(shape, dict):
        raise InvalidInputError(f"{place}: example is no mapping; give it ask and reply")
    _check_keys(shape, {"ask", "reply"}, f"{place}, example")
    examples = _load(options.task, example_tasks(), "task", "examples")
    where = f"the examples of {options.task}"
    if not isinstance(examples, list) or not examples:
        raise InvalidInputError(f"{where} are no list of question, rationale and answer")
    if options.n_examples > len(examples):
        raise InvalidInputError(f"{where} are {len(examples)}, fewer than n_examples ({options.n_examples})")
    messages: list[Message] = []
    for number, example in enumerate(examples[: options.n_examples], 1):
        at = f"{where}, number {number}"
        if not isinstance(example, dict):
            raise InvalidInputError(f"{at} is {type(example).__name__}, not question, rationale and answer")
        _check_keys(example, _EXAMPLE_KEYS, at)
        names = {name: _text(example, name, at) for name in sorted(_EXAMPLE_KEYS)} | {"form": form}
        for role, key in (("user", "ask"), ("assistant", "reply")):
            messages.append({"role": role, "content": _fill(_text(shape, key, f"{place}, example"), names)})
    return messages


def _load(name: str, known: Sequence[str], what: str, folder: str) -> Any:
    """The YAML of a prompt of the package, or of a file."""
    import yaml

    if name in known:
        text = (resources.files("skipthink.teacher.prompts") / folder / f"{name}.yaml").read_text("utf-8")
    elif name.endswith((".yaml", ".yml")):
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"cannot read the {what} {name}: {error}") from error
    else:
        hint = did_you_mean(name, known)
        raise InvalidInputError(
            f"no {what} {name!r}; {hint}there are {', '.join(known)}, or name a .yaml file"
        )
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{name} is no YAML: {' '.join(str(error).split())}") from error


def _turn(entry: Any, place: str) -> Turn:
    if not isinstance(entry, dict):
        raise InvalidInputError(f"{place} is {type(entry).__name__}; give it ask and gives")
    _check_keys(entry, _TURN_KEYS, place)
    label = _text(entry, "label", place) if "label" in entry else None
    most = entry.get("max_tokens")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise InvalidInputError(f"{place}: max_tokens is {most!r}; give a whole number, 1 or more")
    for name in ("fresh", "behind_thought", "first_step"):
        if not isinstance(entry.get(name, False), bool):
            raise InvalidInputError(f"{place}: {name} is {entry[name]!r}; write true or false")
    return Turn(
        _text(entry, "ask", place),
        _text(entry, "gives", place),
        entry.get("fresh", False),
        entry.get("behind_thought", False),
        label,
        entry.get("first_step", False),
        most,
    )


def _check_turns(turns: Sequence[Turn], place: str) -> None:
    names = [turn.gives for turn in turns]
    if names.count("rationale") != 1:
        raise InvalidInputError(
            f"{place} has {names.count('rationale')} turns that give rationale; it needs one"
        )
    taken = {"question", "form"}
    for number, turn in enumerate(turns, 1):
        for found in _PLACE.finditer(turn.ask):
            if found[1] is not None and found[1] not in taken:
                hint = did_you_mean(found[1], sorted(taken))
                raise InvalidInputError(
                    f"{place}, turn {number} has {{{found[1]}}}; {hint}known there: {', '.join(sorted(taken))}; write "
                    "{{ and }} for braces"
                )
        if turn.gives in taken or not re.fullmatch(r"[a-z_]+", turn.gives):
            raise InvalidInputError(
                f"{place}, turn {number}: gives is {turn.gives!r}; take a new name of small letters"
            )
        taken.add(turn.gives)


def _fill(text: str, names: Mapping[str, str]) -> str:
    """Fills the placeholders of a text once; inserted text is not read for placeholders."""

    def put(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        if found[1] not in names:
            raise InvalidInputError(
                f"{found[0]} stands for nothing here; known: {', '.join(sorted(names))}; write {{{{ and }}}} for braces"
            )
        return names[found[1]]

    return _PLACE.sub(put, text)


def _check_keys(content: Mapping[str, Any], known: set[str], place: str) -> None:
    for name in content:
        if name not in known:
            hint = did_you_mean(str(name), sorted(known))
            raise InvalidInputError(
                f"{place}: unknown key {name!r}; {hint}known keys: {', '.join(sorted(known))}"
            )


def _text(content: Mapping[str, Any], name: str, place: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{place}: {name} is {value!r}; write a text")
    return value
