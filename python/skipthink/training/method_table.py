"""The methods that are compared, by name: what each trains on and how it answers (method §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MethodName = Literal[
    "answer-only",
    "base",
    "base+ac",
    "base+sbc",
    "stt",
    "skip-all",
    "base+sbc-greedy",
    "base+sbc-anneal",
    "base+sbc-optimal",
    "stepwise",
    "icot-si",
    "truncated",
    "masked",
]


@dataclass(frozen=True)
class Method:
    """A method: its training scheme and the mode it answers in."""

    scheme: str
    mode: str
    searches: bool = False
    skips: bool = False
    search: str | None = None  # of its own, whatever the settings say
    baseline: str | None = None


METHODS: dict[str, Method] = {
    "answer-only": Method("answer-only", "answer-only"),
    "base": Method("base", "base"),
    "base+ac": Method("chunkwise", "full"),
    "base+sbc": Method("chunkwise", "full", searches=True),
    "stt": Method("chunkwise", "skip", skips=True),
    "skip-all": Method("chunkwise", "skip", skips=True),
    "base+sbc-greedy": Method("chunkwise", "full", searches=True, search="greedy"),
    "base+sbc-anneal": Method("chunkwise", "full", searches=True, search="anneal"),
    "base+sbc-optimal": Method("chunkwise", "full", searches=True, search="optimal"),
    "stepwise": Method("base", "stepwise", baseline="stepwise"),
    "icot-si": Method("base", "base", baseline="icot-si"),
    "truncated": Method("base", "base", baseline="truncated"),
    "masked": Method("base", "base", baseline="masked"),
}
"""The methods by their names in recipes; docs/methods has a page on each."""

SKIP_METHODS = tuple(name for name, method in METHODS.items() if method.skips)
"""Those that train on the chunks of a judge, without the ones it can do without."""

BASELINES = tuple(name for name, method in METHODS.items() if method.baseline is not None)
"""Those that are not chunk-wise and have options of their own: `skipthink.training.baselines`."""
