"""Rules: one rule applied to one fact; a fact or rule found among others."""

from __future__ import annotations

import random

from skipthink.tasks.words import KINDS, NAMES, TRAITS, both_forms


def kinds(rng: random.Random) -> str:
    """Text that applies what is true of a kind to one of its members."""
    (kind, kinds_), trait = both_forms(rng.choice(KINDS)), rng.choice(TRAITS)
    name = rng.choice(NAMES)
    rule = rng.choice((f"Every {kind} is {trait}.", f"All {kinds_} are {trait}.", f"Each {kind} is {trait}."))
    fact = f"{name} is {_a(kind)}."
    lines = [rule, fact] if rng.random() < 0.5 else [fact, rule]
    return " ".join(
        [
            *lines,
            rng.choice((f"So {name} is {trait}.", f"Then {name} is {trait}.", f"Is {name} {trait}? Yes.")),
        ]
    )


def traits(rng: random.Random) -> str:
    """Text that leads from one property to another one, or to its opposite."""
    name = rng.choice(NAMES)
    first, second = rng.sample(TRAITS, 2)
    negated = rng.random() < 0.4
    told = f"not {second}" if negated else second
    rule = rng.choice(
        (
            f"Whoever is {first} is {told}.",
            f"If somebody is {first}, they are {told}.",
            f"{first.capitalize()} people are {told}.",
        )
    )
    answer = "No" if negated else "Yes"
    end = rng.choice((f"So {name} is {told}.", f"Is {name} {second}? {answer}."))
    return f"{rule} {name} is {first}. {end}"


def chains_of_kinds(rng: random.Random) -> str:
    """Text about a kind that belongs to a wider kind."""
    (first, firsts), (second, seconds) = (both_forms(kind) for kind in rng.sample(KINDS, 2))
    name = rng.choice(NAMES)
    rule = rng.choice((f"Every {first} is {_a(second)}.", f"All {firsts} are {seconds}."))
    return f"{rule} {name} is {_a(first)}. " + rng.choice(
        (f"So {name} is {_a(second)}.", f"Is {name} {_a(second)}? Yes.")
    )


def looking_up(rng: random.Random) -> str:
    """Text about several people, then what was said of one of them."""
    names = rng.sample(NAMES, rng.randint(2, 4))
    said = rng.sample(TRAITS, len(names))
    lines = [f"{name} is {trait}." for name, trait in zip(names, said, strict=True)]
    index = rng.randrange(len(names))
    other = rng.choice([trait for trait in said if trait != said[index]])
    lines.append(
        rng.choice(
            (
                f"Is {names[index]} {said[index]}? Yes.",
                f"Is {names[index]} {other}? No.",
                f"Who is {said[index]}? {names[index]}.",
                f"{names[index]}: {said[index]}.",
            )
        )
    )
    return " ".join(lines)


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


PRIMITIVES = (kinds, traits, chains_of_kinds, looking_up)
