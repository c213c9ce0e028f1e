"""Options of the search for chunk boundaries (method §4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import Options, option

SearchName = Literal["average", "greedy", "anneal", "optimal"]


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Options):
    """How steps are put together into chunks."""

    method: SearchName = option("greedy", "how boundaries are found; `average` searches nothing")
    objective: Literal["mean", "variance", "max"] = option("mean", "what the search minimises")
    eta: float = option(0.1, "least gain of an accepted change, in nats", ge=0)
    scope: Literal["pair", "left"] = option("pair", "which losses the greedy search compares")
    min_steps: int = option(1, "least number of steps per chunk", ge=0)
