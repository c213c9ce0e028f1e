"""Plain sentences: who does what, where, when and in what order; the same retold; questions about a sentence."""

from __future__ import annotations

import random

from skipthink.tasks.words import ITEMS, NAMES, PLACES, both_forms

_VERBS = (
    "buys",
    "finds",
    "sells",
    "brings",
    "loses",
    "wins",
    "borrows",
    "throws",
    "packs",
    "shares",
    "keeps",
    "paints",
    "counts",
    "carries",
    "needs",
    "likes",
    "sees",
    "draws",
    "cleans",
    "moves",
    "opens",
    "closes",
    "lifts",
    "drops",
    "wants",
    "trades",
    "follows",
    "checks",
    "reads",
    "writes",
    "joins",
    "adds",
    "removes",
)
_SPOTS = (
    "at home",
    "at school",
    "on the desk",
    "on the table",
    "on the lawn",
    "at the fair",
    "on the way home",
    "at the market",
    "by the door",
    "under the bed",
    "near the river",
    "at work",
)
_TIMES = (
    "in the morning",
    "in the evening",
    "at noon",
    "at first",
    "at last",
    "in the end",
    "at the start",
    "on Monday",
    "on Sunday",
    "every day",
    "today",
    "yesterday",
    "tomorrow",
    "now",
    "later",
    "soon",
    "again",
    "once more",
)
_ORDER = (
    ("First, ", "Then ", "Finally, "),
    ("To begin with, ", "Next, ", "At last, "),
    ("At first ", "After that, ", "In the end "),
)
_REMARKS = (
    "That is all.",
    "So we are done.",
    "This is what the question asks for.",
    "Now we go on.",
    "Let us look at the next one.",
    "Let us begin.",
    "We need the last one.",
    "We read it from left to right.",
    "Here is the list.",
    "These are all of them.",
    "Nothing else happens.",
    "No word is left.",
    "The order matters.",
    "We follow it step by step.",
    "It stays as it was.",
    "The rest is the same as before.",
    "The answer is known.",
    "Therefore, it is right.",
    "This settles it.",
    "We work it out one by one.",
    "Only the result counts.",
    "The story starts here.",
)


def sentences(rng: random.Random) -> str:
    """Text about a few things that a person does, in order."""
    name, friend = rng.sample(NAMES, 2)
    if rng.random() < 0.5:
        openers = rng.choice(_ORDER)
        return " ".join(
            _capitalised(f"{opener}{_clause(rng, rng.choice((name, friend)))}.") for opener in openers
        )
    return " ".join(f"{_clause(rng, rng.choice((name, friend)))}." for _ in range(rng.randint(2, 4)))


def retold(rng: random.Random) -> str:
    """Text about a few things that a person does, then the same word by word, with remarks in between."""
    people = rng.sample(NAMES, 2)
    openers = rng.choice(_ORDER) if rng.random() < 0.6 else ("",) * rng.randint(2, 3)
    told = [_capitalised(f"{opener}{_clause(rng, rng.choice(people))}.") for opener in openers]
    again = list(told)
    for place in range(len(told), 0, -1):
        if rng.random() < 0.5:
            again.insert(place, rng.choice(_REMARKS))
    numbered = rng.random() < 0.2
    lines = [f"{index}. {line}" for index, line in enumerate(again, 1)] if numbered else again
    return rng.choice((" ", "\n")).join((" ".join(told), ("\n" if numbered else " ").join(lines)))


def asked(rng: random.Random) -> str:
    """Text of a sentence and a question that it answers."""
    name = rng.choice(NAMES)
    verb, place, thing = rng.choice(_VERBS), _spot(rng), _a_thing(rng)
    told = f"{name} {verb} {thing} {place}."
    return told + rng.choice(
        (f" Who {verb} {thing}? {name}.", f" Where? {_capitalised(place)}.", f" What? {_capitalised(thing)}.")
    )


def remarks(rng: random.Random) -> str:
    """Text of remarks that people make between two steps of a thought."""
    return " ".join(rng.sample(_REMARKS, rng.randint(2, 4)))


def _clause(rng: random.Random, name: str) -> str:
    where = f" {_spot(rng)}" if rng.random() < 0.5 else ""
    when = f" {rng.choice(_TIMES)}" if rng.random() < 0.4 else ""
    return f"{name} {rng.choice(_VERBS)} {_a_thing(rng)}{where}{when}"


def _spot(rng: random.Random) -> str:
    return f"in the {rng.choice(PLACES)}" if rng.random() < 0.5 else rng.choice(_SPOTS)


def _a_thing(rng: random.Random) -> str:
    item, items = both_forms(rng.choice(ITEMS))
    if rng.random() < 0.5:
        return f"{rng.randint(2, 20)} {items}"
    return rng.choice((f"the {item}", f"{'an' if item[0] in 'aeiou' else 'a'} {item}", f"the {items}"))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


PRIMITIVES = (sentences, retold, retold, retold, asked, remarks)
