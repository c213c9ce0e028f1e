"""Letters of words: spelling, first and last letters, joined letters."""

from __future__ import annotations

import random
import string

from skipthink.tasks.words import NAMES, WORDS

_ENDS = (
    "{word} ends in {last}.",
    'The final letter of {word} is "{last}".',
    "{word} begins with {first} and ends with {last}.",
    '"{word}" has "{last}" at its end.',
    "{word}, last letter: {last}",
)
_JOINS = (
    "{spaced}: {joined}",
    '{quoted} make "{joined}"',
    '{quoted} -> "{joined}"',
    "{spaced} put together is {joined}.",
)


def spelling(rng: random.Random) -> str:
    """Text about words and their letters."""
    lines = []
    for _ in range(rng.randint(2, 5)):
        word = _word(rng)
        spelt = list(word.lower())
        lines.append(
            rng.choice(
                (
                    f"{word}: {' '.join(spelt)}",
                    f"{word} is spelt {', '.join(spelt)}.",
                    f"{' '.join(spelt)} spells {word}.",
                )
            )
        )
    return "\n".join(lines)


def ends(rng: random.Random) -> str:
    """Text about first and last letters."""
    lines = []
    for _ in range(rng.randint(3, 7)):
        word = _word(rng)
        lines.append(rng.choice(_ENDS).format(word=word, first=word[0].lower(), last=word[-1].lower()))
    return rng.choice((" ", "\n")).join(lines)


def joining(rng: random.Random) -> str:
    """Text about last letters joined into a string, and strings taken apart."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        letters = [_word(rng)[-1].lower() for _ in range(rng.randint(2, 5))]
        joined = "".join(letters)
        if rng.random() < 0.25:
            lines.append(f"{joined}: {' '.join(letters)}")
            continue
        lines.append(
            rng.choice(_JOINS).format(
                spaced=" ".join(letters), joined=joined, quoted=", ".join(f'"{letter}"' for letter in letters)
            )
        )
    return "\n".join(lines)


def growing(rng: random.Random) -> str:
    """Text in which a string grows by one letter at its end."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        before = "".join(_word(rng)[-1].lower() for _ in range(rng.randint(1, 4)))
        letter = _word(rng)[-1].lower()
        lines.append(
            rng.choice(
                (
                    '"{0}" and then "{1}": "{2}"',
                    '"{1}" after "{0}" makes "{2}".',
                    "{0} + {1} = {2}",
                )
            ).format(before, letter, before + letter)
        )
    return "\n".join(lines)


def alphabet(rng: random.Random) -> str:
    """Text with a part of the alphabet."""
    start = rng.randint(0, 18)
    row = string.ascii_lowercase[start : start + rng.randint(4, 8)]
    return rng.choice((" ", ", ")).join(row)


def _word(rng: random.Random) -> str:
    word = rng.choice(NAMES if rng.random() < 0.5 else WORDS)
    return word.capitalize() if rng.random() < 0.2 else word


PRIMITIVES = (spelling, ends, ends, ends, ends, ends, joining, joining, growing, alphabet)
