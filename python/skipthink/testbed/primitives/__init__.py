"""Texts that students of the test bed are pre-trained on: one small skill each, and never a question of a task.

Each family is a module with `PRIMITIVES`, functions that take a random generator and return a short text. A text shows
one skill several times: facts, the letters of words, one move of an object, one step in the calendar, one rule.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from skipthink.testbed.primitives import calendar, english, letters, lists, numbers, objects, recall, rules

__all__ = ["FAMILIES", "Primitive"]

Primitive = Callable[[random.Random], str]

FAMILIES: dict[str, tuple[Primitive, ...]] = {
    "numbers": numbers.PRIMITIVES,
    "letters": letters.PRIMITIVES,
    "lists": lists.PRIMITIVES,
    "recall": recall.PRIMITIVES,
    "objects": objects.PRIMITIVES,
    "calendar": calendar.PRIMITIVES,
    "rules": rules.PRIMITIVES,
    "english": english.PRIMITIVES,
}
