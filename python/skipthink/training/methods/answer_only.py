"""Answer-only: the question and its answer, without a rationale."""

from __future__ import annotations

from skipthink.training.method import Method


class AnswerOnly(Method):
    """One item per sample: `[answer] q | a <end>`."""

    name, mode, compared = "answer-only", "answer-only", True


METHOD = AnswerOnly()
