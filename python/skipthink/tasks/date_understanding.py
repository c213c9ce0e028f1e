"""Date understanding: which date is today, and which date is asked for? Dates are MM/DD/YYYY."""

from __future__ import annotations

import calendar
import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.tasks.base import (
    Draft,
    Role,
    Sentences,
    Task,
    capitalised,
    check_flag,
    check_int,
    check_share,
    check_words,
)
from skipthink.tasks.words import EVENTS, MONTHS, NAMES, WEEKDAYS

_LETTERS = "ABCDEF"
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class _Move:
    """A step from one date to another.

    Attributes:
        days: number of days, negative for earlier dates.
        months: number of months, used if `days` is 0.
        said: words for the step, as in "… is 7 days later".
    """

    days: int
    months: int
    said: str

    def apply(self, date: datetime.date) -> datetime.date | None:
        """The date after the step; None if its month has no such day."""
        if self.days:
            return date + self.days * _DAY
        month = date.year * 12 + date.month - 1 + self.months
        year, month = month // 12, month % 12 + 1
        return date.replace(year=year, month=month) if date.day <= _length(year, month) else None


def _length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _days(n: int) -> _Move:
    many = "1 day" if abs(n) == 1 else f"{abs(n)} days"
    return _Move(n, 0, f"{many} {'later' if n > 0 else 'earlier'}")


def _months(n: int) -> _Move:
    size, unit = (abs(n) // 12, "year") if n % 12 == 0 else (abs(n), "month")
    return _Move(0, n, f"{size} {unit}{'s' if size > 1 else ''} {'later' if n > 0 else 'earlier'}")


# How the question tells today's date: forms of the sentence, and whether today comes later (1) or earlier (-1) than
# `{date}`: by `{n}` days where the form names them, else by one.
_GIVEN: dict[str, tuple[tuple[str, ...], int]] = {
    "today": (("Today is {date}.", "It is {date} today."), 0),
    "tomorrow": (("Tomorrow is {date}.", "It will be {date} tomorrow."), -1),
    "yesterday": (("Yesterday was {date}.", "It was {date} yesterday."), 1),
    "delayed": (
        (
            "The {event} was planned for {date}, but it was put off by {n} days to today.",
            "{name}'s {event} should have been on {date}, but it takes place {n} days later, which is today.",
        ),
        1,
    ),
    "ahead": (
        (
            "The {event} will be on {date}, which is {n} days from today.",
            "In {n} days, on {date}, {name} has the {event}.",
        ),
        -1,
    ),
    "past": (
        ("The {event} was on {date}, {n} days ago.", "On {date}, {n} days ago, {name} went to the {event}."),
        1,
    ),
}
# What is asked for, and the move from today; 1 or -1: as many days later or earlier as the form names.
_ASKED: dict[str, tuple[tuple[str, _Move | int], ...]] = {
    "day": (("tomorrow", _days(1)), ("yesterday", _days(-1)), ("24 hours later", _days(1))),
    "days": (("{n} days from today", 1), ("{n} days ago", -1)),
    "week": (("one week from today", _days(7)), ("one week ago", _days(-7)), ("a week later", _days(7))),
    "month": (("one month ago", _months(-1)), ("one month from today", _months(1))),
    "year": (("one year ago", _months(-12)), ("one year from today", _months(12))),
    "weekday": (("the coming {weekday}", 1), ("last {weekday}", -1)),
}
GIVEN = tuple(_GIVEN)
ASKED = tuple(_ASKED)


@dataclass(frozen=True)
class TaskOptions:
    """Difficulty of date understanding.

    Attributes:
        given: ways in which today's date is told: "today", "tomorrow", "yesterday", "delayed", "ahead", "past".
        asked: what is asked for: "day", "days", "week", "month", "year", "weekday".
        max_days: largest number of days in a question; the smallest is 2.
        first_year: earliest year of a date in a question.
        last_year: latest year of a date in a question.
        choices: whether the question offers choices (A) … (F) and the answer is a letter; otherwise the answer is a
            date.
        names: names of the people in the questions.
        events: events that happen on a date, as they follow "the".
        styles: styles of rationales: "tell", "count" (crosses the end of a month explicitly), "list" (one numbered line
            per date).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    given: Sequence[str] = GIVEN
    asked: Sequence[str] = ASKED
    max_days: int = 10
    first_year: int = 1990
    last_year: int = 2029
    choices: bool = True
    names: Sequence[str] = NAMES
    events: Sequence[str] = EVENTS
    styles: Sequence[str] = ("tell", "count", "list")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_words("given", self.given, 1, GIVEN)
        check_words("asked", self.asked, 1, ASKED)
        check_int("max_days", self.max_days, 2, 28)
        check_int("first_year", self.first_year, 1600, 9990)
        check_int("last_year", self.last_year, self.first_year, 9990)
        check_flag("choices", self.choices)
        check_words("names", self.names, 1)
        check_words("events", self.events, 1)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)


@dataclass(frozen=True)
class _Dates:
    """One problem.

    Attributes:
        given: sentence that states a date.
        stated: the stated date.
        to_today: step from the stated date to today; None if it is today.
        today: today's date.
        asked: words for what is asked, as in the question.
        on: step from today to the date that is asked for.
        answer: the date that is asked for.
        weekday: whether the question names the weekday of today.
    """

    given: str
    stated: datetime.date
    to_today: _Move | None
    today: datetime.date
    asked: str
    on: _Move
    answer: datetime.date
    weekday: bool


def _written(date: datetime.date) -> str:
    return f"{date.month:02}/{date.day:02}/{date.year:04}"


def _weekday(date: datetime.date) -> str:
    return WEEKDAYS[date.weekday()]


_STATED = ("So the answer is {answer}.", "The answer is {answer}.", "Therefore, the answer is {answer}.")
_UNSTATED = (
    "That is the date the question asks for.",
    "No other date has to be found.",
    "This answers the question.",
)


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft | None:
    dates = _draw_dates(rng, task_options)
    if dates is None:
        return None
    options = _draw_options(rng, dates)
    letter = _LETTERS[options.index(dates.answer)]
    answer = letter if task_options.choices else _written(dates.answer)
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, dates)
    of = "of " if dates.weekday else ""
    question = f"{dates.given} What is the date {of}{dates.asked} in MM/DD/YYYY?"
    if task_options.choices:
        offered = ", ".join(
            f"({mark}) {_written(date)}" for mark, date in zip(_LETTERS, options, strict=True)
        )
        question = f"{question}\n{rng.choice(('Choices:', 'Options:', 'Which is right?'))} {offered}."
        found = rng.choice(
            ("The date {date} is choice ({letter}).", "Among the choices, {date} is ({letter}).")
        )
        sentences.append((Role.REASONING, found.format(date=_written(dates.answer), letter=letter)))
    endings = _STATED if rng.random() < task_options.summary_states_answer else _UNSTATED
    stated = f"({answer})" if task_options.choices else answer
    return Draft(
        key=(_written(dates.stated), dates.to_today and dates.to_today.said, dates.on.said),
        question=question,
        answer=answer,
        sentences=(*sentences, (Role.SUMMARY, rng.choice(endings).format(answer=stated))),
        separator=separator,
        combination=_written(dates.stated),
    )


def _draw_dates(rng: random.Random, task_options: TaskOptions) -> _Dates | None:
    first, last = datetime.date(task_options.first_year, 1, 1), datetime.date(task_options.last_year, 12, 31)
    stated = first + rng.randint(0, (last - first).days) * _DAY
    name, event, n = (
        rng.choice(task_options.names),
        rng.choice(task_options.events),
        rng.randint(2, task_options.max_days),
    )
    forms, sign = _GIVEN[rng.choice(task_options.given)]
    form = rng.choice(forms)
    many = sign * n if "{n}" in form else sign
    to_today = _days(many) if many else None
    today = stated if to_today is None else to_today.apply(stated)
    assert today is not None  # noqa: S101 - days lead everywhere
    asked, move = rng.choice(_ASKED[rng.choice(task_options.asked)])
    weekday = "{weekday}" in asked
    if isinstance(move, int):
        ahead = rng.randint(2, 6) if weekday else rng.randint(2, task_options.max_days)
        move = _days(move * ahead)
        asked = asked.format(n=ahead, weekday=_weekday(today + move.days * _DAY))
    answer = move.apply(today)
    if answer is None:
        return None
    given = form.format(date=_written(stated), n=n, event=event, name=name)
    if weekday:
        given = f"{given} Today is a {_weekday(today)}."
    return _Dates(given, stated, to_today, today, asked, move, answer, weekday)


def _draw_options(rng: random.Random, dates: _Dates) -> list[datetime.date]:
    """Draws the options: the answer among five dates that a mistake might lead to."""
    slips = [_days(n) for n in (-14, -8, -7, -2, -1, 1, 2, 7, 8, 14)] + [
        _months(n) for n in (-12, -2, -1, 1, 2, 12)
    ]
    near = {date for slip in slips if (date := slip.apply(dates.answer)) is not None}
    backwards = _Move(-dates.on.days, -dates.on.months, "").apply(dates.today)
    likely = {date for date in (dates.today, dates.stated, backwards) if date is not None} - {dates.answer}
    wrong = sorted(likely) + rng.sample(sorted(near - likely), len(_LETTERS) - 1 - len(likely))
    return rng.sample([dates.answer, *wrong], len(_LETTERS))


def _tell(rng: random.Random, dates: _Dates) -> tuple[str, Sentences]:
    """Writes one sentence per step."""
    sentences = _first_part(rng, dates)
    return " ", [*sentences, (Role.REASONING, f"{_from_today(dates)}, and that is {_written(dates.answer)}.")]


def _count(rng: random.Random, dates: _Dates) -> tuple[str, Sentences]:
    """Writes how the days add up, also across the end of a month."""
    sentences = _first_part(rng, dates)
    sentences.append((Role.TRANSITION, f"{_from_today(dates)}."))
    return " ", [*sentences, *((Role.REASONING, text) for text in _carried(dates))]


def _list_lines(rng: random.Random, dates: _Dates) -> tuple[str, Sentences]:
    """Writes one line per date."""
    lines: Sentences = [(Role.SETUP, rng.choice(("We need two dates.", "We go from date to date.")))]
    if dates.to_today is not None:
        lines.append((Role.SETUP, f"Given: {_written(dates.stated)}"))
        lines.append((Role.REASONING, f"Today: {dates.to_today.said}, {_written(dates.today)}"))
    else:
        lines.append((Role.SETUP, f"Today: {_written(dates.today)}"))
    lines.extend((Role.REASONING, text) for text in _weekdays(dates))
    asked = rng.choice(("Asked", "Wanted"))
    return "\n", [*lines, (Role.REASONING, f"{asked}: {dates.on.said}, {_written(dates.answer)}")]


def _first_part(rng: random.Random, dates: _Dates) -> Sentences:
    """The way from the date in the question to today, and on to what is asked."""
    if dates.to_today is None:
        sentences: Sentences = [(Role.SETUP, f"The question says that today is {_written(dates.today)}.")]
    else:
        aim = ("First we find out which date today is.", "We start with the date of today.")
        today = f"Today is {dates.to_today.said} than {_written(dates.stated)}, so today is {_written(dates.today)}."
        sentences = [(Role.SETUP, rng.choice(aim)), (Role.REASONING, today)]
        if rng.random() < 0.4:
            go_on = ("Now we go to the date that is asked for.", "With this date we go on.")
            sentences.append((Role.TRANSITION, rng.choice(go_on)))
    return [*sentences, *((Role.REASONING, text) for text in _weekdays(dates))]


def _weekdays(dates: _Dates) -> list[str]:
    """The way from the weekday of today to the one that is asked for."""
    if not dates.weekday:
        return []
    step = 1 if dates.on.days > 0 else -1
    passed = [_weekday(dates.today + n * step * _DAY) for n in range(1, abs(dates.on.days) + 1)]
    after = "after" if step > 0 else "before"
    return [
        f"The days {after} {_weekday(dates.today)} are {', '.join(passed)}, which makes {len(passed)} days."
    ]


def _from_today(dates: _Dates) -> str:
    return f"{capitalised(dates.asked)} is {dates.on.said} than {_written(dates.today)}"


def _carried(dates: _Dates) -> list[str]:
    """The sum of the days, and what remains of it in the last month."""
    before, after, days = dates.today, dates.answer, dates.on.days
    if not days:
        return [f"The day stays {after.day:02}, so we get {_written(after)}."]
    sign = "+" if days > 0 else "-"
    total = before.day + days
    sums = f"{before.day} {sign} {abs(days)} = {total}"
    if before.month == after.month:
        return [f"We count {sums}, so we get {_written(after)}."]
    if days > 0:
        length = _length(before.year, before.month)
        month = MONTHS[before.month - 1]
        return [
            f"We count {sums}, but {month} has only {length} days.",
            f"With {total} - {length} = {after.day} we get {_written(after)}.",
        ]
    length, month = _length(after.year, after.month), MONTHS[after.month - 1]
    over = abs(days) - before.day
    return [
        f"The month has only {before.day} days so far, and {abs(days)} - {before.day} = {over} are left to go back.",
        f"{month} has {length} days, and with {length} - {over} = {after.day} we get {_written(after)}.",
    ]


_STYLES = {"tell": _tell, "count": _count, "list": _list_lines}

TASK = Task(
    name="date_understanding",
    answer_kind=lambda task_options: "choice" if task_options.choices else "date",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: {"names": 1, "events": 1},
)
