"""Base in small steps: Base with a step size of its own, to stand beside `base` in one recipe."""

from __future__ import annotations

from skipthink.training.methods.base import Base


class SmallSteps(Base):
    """The items of Base; a recipe gives it fewer of them per step."""

    name, compared, is_reference = "base-small-steps", False, False


METHOD = SmallSteps()
