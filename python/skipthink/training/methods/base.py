"""Base: classic distillation, the whole rationale and the answer in one pass."""

from __future__ import annotations

from skipthink.training.method import Method


class Base(Method):
    """One item per sample: `q | r [answer] a <end>`."""

    name, compared, is_reference = "base", True, True


METHOD = Base()
