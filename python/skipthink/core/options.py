"""Options of the search for chunk boundaries (method §4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from skipthink.exceptions import InvalidInputError, InvalidTypeError
from skipthink.options import Options, option

SearchName = Literal["average", "greedy", "anneal", "optimal"]


@dataclass(frozen=True, kw_only=True)
class Greedy(Options):
    """Greedy search (paper §3.1): a boundary moves to the place where the compared losses are lowest."""

    scope: Literal["pair", "left"] = option(
        "pair", "which losses are compared: of the pair of chunks at a boundary, or of the left chunk alone"
    )
    max_sweeps: int = option(100, "most sweeps over the boundaries of a row", ge=1, lt=2**63)


@dataclass(frozen=True, kw_only=True)
class Anneal(Options):
    """Simulated annealing: random moves of boundaries, geometric cooling, the best state is the result."""

    moves: int = option(1000, "moves tried per row", ge=1, le=2**24)
    width: int = option(2, "largest shift of a boundary, in steps", ge=1, lt=2**63)
    start: float = option(0.5, "first temperature, in nats", gt=0)
    end: float = option(0.001, "last temperature, in nats", gt=0)


Method = SearchName | Greedy | Anneal
"""How boundaries are found: a name, or the options of a method that has some."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Options):
    """Options of the search for chunk boundaries."""

    method: SearchName = option("greedy", "how boundaries are found; `average` searches nothing")
    objective: Literal["mean", "variance", "max", "mass"] = option("mean", "what the search minimises")
    balance: float = option(
        0.0, "λ of the penalty λ·(n·M/K − 1)² that a chunk of n of the K steps costs in addition", ge=0
    )
    eta: float = option(0.1, "least gain of an accepted change, in nats", ge=0)
    scope: Literal["pair", "left"] = option("pair", "which losses the greedy search compares")
    min_steps: int = option(1, "smallest number of steps per chunk", ge=0)

    def chunk_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `skipthink.chunk`: method, objective, balance, eta, min_steps."""
        method: Method = Greedy(scope=self.scope) if self.method == "greedy" else self.method
        names = ("objective", "balance", "eta", "min_steps")
        return {"method": method, **{name: getattr(self, name) for name in names}}


_DEFAULTS: dict[str, Greedy | Anneal] = {"greedy": Greedy(), "anneal": Anneal()}


def to_method(method: object) -> Literal["average", "optimal"] | Greedy | Anneal:
    """The method with its options: "greedy" and "anneal" stand for their defaults.

    Raises:
        InvalidInputError: an unknown name.
        InvalidTypeError: neither a name nor options of a method.
    """
    match method:
        case "average" | "optimal" | Greedy() | Anneal():
            return method
        case "greedy" | "anneal":
            return _DEFAULTS[method]
        case str():
            names = [f'"{name}"' for name in get_args(SearchName)]
            raise InvalidInputError(f"method must be {', '.join(names[:-1])} or {names[-1]}, got {method!r}")
    raise InvalidTypeError(f"method must be a name, Greedy(…) or Anneal(…), got {method!r:.60}")
