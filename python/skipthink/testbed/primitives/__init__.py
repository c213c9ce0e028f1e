"""The texts that students of the test bed are pre-trained on: small skills, one at a time, never a task's question.

Each family is a module with `PRIMITIVES`, functions from a random generator to a short text. A text shows one
skill a few times over: facts, the letters of words, one move of an object, one step in the calendar, one rule.
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
