"""Weekdays, months and dates: their names, and one step forwards or backwards."""

from __future__ import annotations

import random
from datetime import date, timedelta

from skipthink.tasks.words import EVENTS, MONTHS, WEEKDAYS

_FIRST, _LAST = date(1980, 1, 1), date(2029, 12, 31)
_STEPS = (
    ("day after {}", 1),
    ("day before {}", -1),
    ("second day after {}", 2),
    ("second day before {}", -2),
    ("date a week after {}", 7),
    ("date a week before {}", -7),
    ("date ten days after {}", 10),
    ("date ten days before {}", -10),
)


def weekdays(rng: random.Random) -> str:
    """Text about the days of the week, in order and by steps."""
    if rng.random() < 0.3:
        start = rng.randrange(7)
        return ", ".join(WEEKDAYS[(start + index) % 7] for index in range(rng.randint(3, 7)))
    return " ".join(_step(rng, WEEKDAYS, "day") for _ in range(rng.randint(3, 6)))


def months(rng: random.Random) -> str:
    """Text about months: in order, by number, by steps, and their days."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        index = rng.randrange(12)
        days = (date(2001 + index // 11, (index + 1) % 12 + 1, 1) - timedelta(1)).day
        lines.append(
            rng.choice(
                (
                    f"{MONTHS[index]} is month {index + 1}.",
                    f"Month {index + 1} is {MONTHS[index]}.",
                    f"{MONTHS[index]} has {days} days.",
                    _step(rng, MONTHS, "month"),
                )
            )
        )
    return " ".join(lines)


def writing_dates(rng: random.Random) -> str:
    """Text with one date in words and in numbers."""
    lines = []
    for _ in range(rng.randint(2, 4)):
        day = _day(rng)
        numbers, words = _numbers(day), f"{MONTHS[day.month - 1]} {day.day}, {day.year}"
        lines.append(rng.choice((f"{words} is {numbers}.", f"{numbers} is {words}.", f"{words}: {numbers}")))
    return "\n".join(lines)


def stepping_dates(rng: random.Random) -> str:
    """Text about one step from a date to another one."""
    lines = []
    for _ in range(rng.randint(2, 4)):
        day = _day(rng)
        name, days = rng.choice(_STEPS)
        lines.append(f"The {name.format(_numbers(day))} is {_numbers(day + timedelta(days))}.")
    return "\n".join(lines)


def longer_steps(rng: random.Random) -> str:
    """Text about a step of a month or a year, forwards or backwards."""
    lines = []
    for _ in range(rng.randint(2, 4)):
        day = _day(rng)
        day = day.replace(day=min(day.day, 28))
        sign = rng.choice((1, -1))
        word = "after" if sign > 0 else "before"
        if rng.random() < 0.5:
            months_on = day.month - 1 + sign
            then = day.replace(year=day.year + months_on // 12, month=months_on % 12 + 1)
            lines.append(f"One month {word} {_numbers(day)}: {_numbers(then)}.")
        else:
            lines.append(f"One year {word} {_numbers(day)}: {_numbers(day.replace(year=day.year + sign))}.")
    return "\n".join(lines)


def events(rng: random.Random) -> str:
    """Text about the days on which things happened."""
    lines = []
    for event in rng.sample(EVENTS, rng.randint(2, 3)):
        here = rng.randrange(7)
        lines.append(
            rng.choice(
                (
                    f"The {event} is on {WEEKDAYS[here]}, a day before {WEEKDAYS[(here + 1) % 7]}.",
                    f"The {event} was on {_numbers(_day(rng))}.",
                    f"When was the {event}? On a {WEEKDAYS[here]} in {rng.choice(MONTHS)}.",
                    f"The {event} comes a week after {WEEKDAYS[here]}, again on a {WEEKDAYS[here]}.",
                )
            )
        )
    return " ".join(lines)


def _step(rng: random.Random, names: tuple[str, ...], unit: str) -> str:
    here, by = rng.randrange(len(names)), rng.randint(1, 4)
    then, back = names[(here + by) % len(names)], names[(here - by) % len(names)]
    if by == 1:
        return rng.choice(
            (
                f"The {unit} after {names[here]} is {then}.",
                f"The {unit} before {names[here]} is {back}.",
                f"If today is {names[here]}, tomorrow is {then}."
                if unit == "day"
                else f"After {names[here]} comes {then}.",
                f"If today is {names[here]}, yesterday was {back}."
                if unit == "day"
                else f"Before {names[here]} comes {back}.",
            )
        )
    return rng.choice(
        (f"{by} {unit}s after {names[here]}: {then}.", f"{by} {unit}s before {names[here]}: {back}.")
    )


def _day(rng: random.Random) -> date:
    return _FIRST + timedelta(rng.randrange((_LAST - _FIRST).days))


def _numbers(day: date) -> str:
    return f"{day.month:02d}/{day.day:02d}/{day.year}"


PRIMITIVES = (
    weekdays,
    weekdays,
    months,
    writing_dates,
    writing_dates,
    stepping_dates,
    stepping_dates,
    longer_steps,
)
