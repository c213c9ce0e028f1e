"""Owners of objects: finding them in a sentence, and one move of one object."""

from __future__ import annotations

import random

from skipthink.tasks.words import COLOURS, ITEMS, NAMES, POSITIONS, SUBJECTS, both_forms

_NOUNS = ("ball", "box", "book", "cup", "hat", "bag", "card", "coat", "scarf", "bottle", "pen", "flag")
_HAS = ("{name} has {thing}.", "{name} holds {thing}.", "{name} owns {thing}.")


def who_has(rng: random.Random) -> str:
    """Text about some people and their things, then questions about them."""
    people, things = _people_and_things(rng, rng.randint(2, 4))
    has = rng.choice(_HAS)
    lines = [has.format(name=name, thing=thing) for name, thing in zip(people, things, strict=True)]
    for index in rng.sample(range(len(people)), rng.randint(1, 2)):
        name, thing = people[index], things[index]
        lines.append(
            rng.choice(
                (
                    f"Who has {thing}? {name}.",
                    f"What does {name} have? {thing.capitalize()}.",
                    f"So {thing} belongs to {name}.",
                    f"{thing.capitalize()} is with {name}.",
                )
            )
        )
    return " ".join(lines)


def handing_over(rng: random.Random) -> str:
    """Text in which a thing goes from one person to another."""
    (giver, taker), (thing, _) = _people_and_things(rng, 2)
    move = rng.choice(
        (
            f"{giver} hands {thing} to {taker}.",
            f"{giver} gives {thing} to {taker}.",
            f"{taker} gets {thing} from {giver}.",
            f"{taker} takes {thing} from {giver}.",
        )
    )
    after = rng.choice(
        (f"Now {taker} has {thing}.", f"Then {thing} is with {taker}.", f"{taker} has {thing} now.")
    )
    return f"{rng.choice(_HAS).format(name=giver, thing=thing)} {move} {after}"


def swapping(rng: random.Random) -> str:
    """Text in which two people swap what they have, and a third one may keep theirs."""
    n = rng.choice((2, 2, 3, 3, 4))
    people, things = _people_and_things(rng, n)
    first, second = rng.sample(range(n), 2)
    after = list(things)
    after[first], after[second] = after[second], after[first]
    swap = rng.choice(
        ("{} and {} swap.", "{} and {} trade.", "{} swaps with {}.", "{} and {} exchange what they have.")
    )
    told = swap.format(people[first], people[second])
    if rng.random() < 0.5:
        before_line = ", ".join(f"{name}: {thing}" for name, thing in zip(people, things, strict=True))
        after_line = ", ".join(f"{name}: {thing}" for name, thing in zip(people, after, strict=True))
        return f"{before_line}\n{told}\n{after_line}"
    has = rng.choice(_HAS)
    before = " ".join(has.format(name=name, thing=thing) for name, thing in zip(people, things, strict=True))
    now = f"Now {people[first]} has {after[first]} and {people[second]} has {after[second]}."
    return f"{before} {told} {now}"


def told_anew(rng: random.Random) -> str:
    """Text about what people have, with updates, then questions: the latest statement counts."""
    n = rng.randint(2, 4)
    people, things = _people_and_things(rng, 2 * n)
    people, spare = people[:n], things[n:]
    has = rng.choice(_HAS)
    held = dict(zip(people, things[:n], strict=True))
    lines = [has.format(name=name, thing=thing) for name, thing in held.items()]
    for thing in spare[: rng.randint(1, n)]:
        name = rng.choice(people)
        held[name] = rng.choice((thing, held[rng.choice(people)]))
        lines.append(rng.choice(("", "Then ", "Now ", "Later ")) + has.format(name=name, thing=held[name]))
    back = has if rng.random() < 0.7 else rng.choice(_HAS)
    for name in rng.sample(people, rng.randint(1, n)):
        if rng.random() < 0.25:
            lines.append(f"What does {name} have? {held[name].capitalize()}.")
        else:
            lines.append(
                rng.choice(("", "So ", "Finally ", "By now ")) + back.format(name=name, thing=held[name])
            )
    return " ".join(lines)


def places_swapped(rng: random.Random) -> str:
    """Text in which two things in a row change places."""
    row = _things(rng, rng.randint(3, 5))
    first, second = sorted(rng.sample(range(len(row)), 2))
    after = list(row)
    after[first], after[second] = after[second], after[first]
    return f"{', '.join(row)}\n{row[first]} and {row[second]} change places\n{', '.join(after)}"


def positions(rng: random.Random) -> str:
    """Text about where people stand, and two of them changing places."""
    people = rng.sample(NAMES, rng.randint(2, 4))
    spots = rng.sample(POSITIONS, len(people))
    lines = [f"{name} stands at the {spot}." for name, spot in zip(people, spots, strict=True)]
    if rng.random() < 0.3:
        index = rng.randrange(len(people))
        return " ".join([*lines, f"Who is at the {spots[index]}? {people[index]}."])
    first, second = rng.sample(range(len(people)), 2)
    lines.append(f"{people[first]} and {people[second]} change places.")
    lines.append(f"Now {people[first]} is at the {spots[second]}, {people[second]} at the {spots[first]}.")
    return " ".join(lines)


def options(rng: random.Random) -> str:
    """Text of things with letters, and the letter of one of them."""
    things = _things(rng, rng.randint(3, 6))
    listed = " ".join(f"({letter}) {thing}" for letter, thing in zip("ABCDEFG", things, strict=False))
    lines = []
    for index in rng.sample(range(len(things)), 2):
        letter = "ABCDEFG"[index]
        lines.append(
            rng.choice(
                (
                    f"{things[index].capitalize()} is ({letter}).",
                    f"({letter}) is {things[index]}.",
                    f"Choice ({letter}): {things[index]}.",
                )
            )
        )
    return f"{listed}\n{' '.join(lines)}"


def how_many(rng: random.Random) -> str:
    """Text about the number of a person's things, repeated."""
    lines, known = [], []
    for name in rng.sample(NAMES, rng.randint(1, 3)):
        number = rng.randint(2, 99)
        known.append((name, both_forms(rng.choice(ITEMS))[1], number))
        lines.append(
            rng.choice(("{} has {} {}.", "{} owns {} {}.", "{} counts {} {}.")).format(
                name, number, known[-1][1]
            )
        )
    name, items, number = rng.choice(known)
    lines.append(
        rng.choice(
            (
                f"How many {items} has {name}? {number}.",
                f"The {items} of {name}: {number}.",
                f"So {name} has {number}.",
            )
        )
    )
    return " ".join(lines)


def _people_and_things(rng: random.Random, n: int) -> tuple[list[str], list[str]]:
    people = rng.sample(NAMES, n)
    kind = rng.random()
    if kind < 0.4:
        colours, noun = rng.sample(COLOURS, n), rng.choice(_NOUNS)
        return people, [f"the {colour} {noun}" for colour in colours]
    if kind < 0.6:
        return people, [f"the {subject} book" for subject in rng.sample(SUBJECTS, n)]
    return people, [f"the {both_forms(item)[0]}" for item in rng.sample(ITEMS, n)]


def _things(rng: random.Random, n: int) -> list[str]:
    """Draws different things, with or without a colour."""
    found: dict[str, None] = {}
    while len(found) < n:
        plain = rng.random() < 0.5
        item = both_forms(rng.choice(ITEMS))[0]
        found[f"the {item}" if plain else f"the {rng.choice(COLOURS)} {rng.choice(_NOUNS)}"] = None
    return list(found)


PRIMITIVES = (
    who_has,
    who_has,
    handing_over,
    swapping,
    swapping,
    swapping,
    swapping,
    told_anew,
    told_anew,
    told_anew,
    told_anew,
    places_swapped,
    positions,
    options,
    options,
    options,
    how_many,
)
