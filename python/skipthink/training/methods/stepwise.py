"""Stepwise: every step an item of its own, without a fixed number of chunks."""

from __future__ import annotations

from skipthink.training.method import Method


class Stepwise(Method):
    """One item per step, one that says stop, one for the answer."""

    name, mode = "stepwise", "stepwise"


METHOD = Stepwise()
