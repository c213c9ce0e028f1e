"""Last letter concatenation: the last letters of some words, joined in order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import Draft, Role, Sentences, Task, check_int, check_share, check_words
from skipthink.tasks.words import NAMES, WORDS


@dataclass(frozen=True)
class TaskOptions:
    """Difficulty of last letter concatenation.

    Attributes:
        n_words: number of words per problem.
        words: words to draw from, without repetition within a problem; each ends with a letter.
        styles: styles of rationales: "tell" (one sentence per word, then a join), "list" (one line per word),
            "grow" (the string grows word by word), "brief" (one line per word, and no transitions).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    n_words: int = 4
    words: Sequence[str] = (*NAMES, *(word for word in WORDS if word.capitalize() not in NAMES))
    styles: Sequence[str] = ("tell", "list", "grow", "brief")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_int("n_words", self.n_words, 2, 20)
        check_words("words", self.words, self.n_words)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)
        wrong = next((word for word in self.words if " " in word or not word[-1].isalpha()), None)
        if wrong is not None:
            raise InvalidInputError(f"words must be single words that end with a letter, got {wrong!r}")


_QUESTIONS = (
    'Take the last letter of each word in "{words}" and join them.',
    'What do you get when you put the last letters of the words in "{words}" together?',
    'Write down the last letters of "{words}" as one string.',
    'Which string do the last letters of the words "{words}" form, in this order?',
    'Given the words "{words}", concatenate their last letters.',
)
_STATED = (
    'So the answer is "{answer}".',
    'Therefore, the last letters form "{answer}".',
    'The answer is "{answer}".',
)
_UNSTATED = (
    "These are all the letters, so the string is complete.",
    "That is the string the question asks for.",
    "No word is left, so we are done.",
)


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft:
    words = rng.sample(task_options.words, task_options.n_words)
    answer = "".join(word[-1].lower() for word in words)
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, words, answer)
    endings = _STATED if rng.random() < task_options.summary_states_answer else _UNSTATED
    return Draft(
        key=tuple(words),
        question=rng.choice(_QUESTIONS).format(words=" ".join(words)),
        answer=answer,
        sentences=(*sentences, (Role.SUMMARY, rng.choice(endings).format(answer=answer))),
        separator=separator,
    )


def _tell(rng: random.Random, words: Sequence[str], answer: str) -> tuple[str, Sentences]:
    """Writes one sentence per word, then one that joins the letters."""
    aim = (
        "To solve this, we look at the words one by one.",
        "Let us find the last letter of every word first.",
    )
    form = rng.choice(
        ('The last letter of "{word}" is "{letter}".', 'The word "{word}" ends with "{letter}".')
    )
    join = (
        "Now we put the letters together in the same order.",
        "Next, we write these letters one after the other.",
    )
    return " ", [
        (Role.SETUP, rng.choice(aim)),
        *((Role.REASONING, form.format(word=word, letter=word[-1].lower())) for word in words),
        (Role.TRANSITION, rng.choice(join)),
        (Role.REASONING, _joined(rng, answer)),
    ]


def _list_lines(rng: random.Random, words: Sequence[str], answer: str) -> tuple[str, Sentences]:
    """Writes one numbered line per word."""
    count = f"There are {len(words)} words, and we need the last letter of each one."
    aim = (count, "First comes a list of the words with their last letters.")
    form = rng.choice(
        ("{index}. {word} - {letter}", '{index}. {word} ends with "{letter}"', "{index}. {word}: {letter}")
    )
    join = (
        "All last letters are known now.",
        "The list is complete, and its letters stand in the right order.",
    )
    lines = [
        form.format(index=index, word=word, letter=word[-1].lower()) for index, word in enumerate(words, 1)
    ]
    return "\n", [
        (Role.SETUP, rng.choice(aim)),
        *((Role.REASONING, line) for line in lines),
        (Role.TRANSITION, rng.choice(join)),
        (Role.REASONING, _joined(rng, answer)),
    ]


def _brief(rng: random.Random, words: Sequence[str], answer: str) -> tuple[str, Sentences]:
    """Writes one line per word, directly followed by the result."""
    form = rng.choice(("{word} - {letter}", "{word}: {letter}", "{word} -> {letter}"))
    lines = [form.format(word=word, letter=word[-1].lower()) for word in words]
    return "\n", [
        (Role.SETUP, rng.choice(("The last letters:", "Each word and its last letter:"))),
        *((Role.REASONING, line) for line in lines),
        (Role.REASONING, _joined(rng, answer)),
    ]


def _grow(rng: random.Random, words: Sequence[str], answer: str) -> tuple[str, Sentences]:
    """Writes sentences in which the string grows by one letter each."""
    aim = (
        "We build the string letter by letter.",
        "We read the words from left to right and keep each last letter.",
    )
    sentences: Sentences = [(Role.SETUP, rng.choice(aim)), (Role.SETUP, f'The first word is "{words[0]}".')]
    sentences.append(
        (Role.REASONING, f'It ends with "{answer[0]}", so the string starts with "{answer[0]}".')
    )
    sentences.append(
        (Role.TRANSITION, rng.choice(("The other words follow.", "Now we add the letters of the others.")))
    )
    for index in range(1, len(words)):
        grown = f'"{words[index]}" adds "{answer[index]}", which makes "{answer[: index + 1]}".'
        sentences.append((Role.REASONING, f"The word {grown}"))
    return " ", sentences


def _joined(rng: random.Random, answer: str) -> str:
    forms = (
        'Joining {parts} gives "{answer}".',
        'Together, {parts} make "{answer}".',
        'Reading them in order, {parts} become "{answer}".',
    )
    return rng.choice(forms).format(parts=", ".join(f'"{letter}"' for letter in answer), answer=answer)


_STYLES = {"tell": _tell, "list": _list_lines, "grow": _grow, "brief": _brief}

TASK = Task(
    name="last_letter_concatenation",
    answer_kind="string",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: {"words": task_options.n_words},
)
