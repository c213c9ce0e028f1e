"""Dates: "05/03/2021" (month first), "3.5.2021" (day first), "2021-05-03", "May 3rd, 2021", "3 May 2021"."""

from __future__ import annotations

import datetime
import re

from skipthink.answers.notation import plain_words

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<{0}>[0-9]{{1,2}})(?:st|nd|rd|th)?"
_YEAR = r"(?P<{0}>[0-9]{{4}})(?![0-9])"
_FORMS = (
    # numbers only: year first, then with slashes or hyphens month first, then with dots day first
    rf"{_YEAR.format('y1')}(?P<s1>[-/.])(?P<m1>[0-9]{{1,2}})(?P=s1)(?P<d1>[0-9]{{1,2}})(?![0-9])",
    rf"(?P<m2>[0-9]{{1,2}})(?P<s2>[-/])(?P<d2>[0-9]{{1,2}})(?P=s2){_YEAR.format('y2')}",
    rf"(?P<d3>[0-9]{{1,2}})\.\s?(?P<m3>[0-9]{{1,2}})\.\s?{_YEAR.format('y3')}",
    rf"{_MONTH.format('m4')}\s+{_DAY.format('d4')},?\s+{_YEAR.format('y4')}",
    rf"{_DAY.format('d5')}\s+(?:of\s+)?{_MONTH.format('m5')},?\s+{_YEAR.format('y5')}",
)
DATE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(_FORMS)})", re.IGNORECASE)
WHOLE_DATE = re.compile(rf"(?:{DATE.pattern})\.?", re.IGNORECASE)


def find_date(text: str, stated: bool) -> str | None:
    """Finds the first date after "the answer is", otherwise the last one, as "2021-05-03"; ignores impossible dates."""
    dates = [date for match in DATE.finditer(plain_words(text)) if (date := _read(match)) is not None]
    return dates[0 if stated else -1] if dates else None


def count_dates(text: str) -> int:
    """Number of dates in a text."""
    return sum(_read(match) is not None for match in DATE.finditer(plain_words(text)))


def _read(match: re.Match[str]) -> str | None:
    form = next(number for number in range(1, len(_FORMS) + 1) if match[f"y{number}"])
    month = match[f"m{form}"]
    month_number = int(month) if month.isdigit() else _month_number(month)
    try:
        return datetime.date(int(match[f"y{form}"]), month_number, int(match[f"d{form}"])).isoformat()
    except ValueError:  # 30 February, month 13, year 0
        return None


def _month_number(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(name.lower()[:3]))
