"""Times calls side by side: what is compared runs in turns in one process, so both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Call = Callable[[], object]
MIN_SECONDS = 0.02
"""A call is repeated within a turn until the turn lasts about this long."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median of the turns, and the fastest."""

    median: float
    best: float
    turns: int


def race(
    calls: dict[str, Call], *, turns: int = 7, wall: bool = False, seconds: float = MIN_SECONDS
) -> dict[str, Timing]:
    """Times calls in turns: each turn runs every call, the first of them another one each time.

    Args:
        calls: name to call.
        turns: how often each is measured.
        wall: take wall time, for calls of several threads. Otherwise the CPU time of the process, which does not
            count what other programs do on the machine.
        seconds: length of a turn of one call; short calls are repeated to fill it.
    """
    clock = time.perf_counter if wall else time.process_time
    repeats = {name: _repeats(call, clock, seconds) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(_time(calls[name], repeats[name], clock))
    return {name: Timing(statistics.median(times), min(times), len(times)) for name, times in found.items()}


def _repeats(call: Call, clock: Callable[[], float], seconds: float) -> int:
    """How many calls fill a turn; the call that compiles and warms caches is not counted."""
    call()
    once = max(_time(call, 1, clock), 1e-7)
    return max(1, round(seconds / once))


def _time(call: Call, repeats: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(repeats):
        call()
    return (clock() - started) / repeats
