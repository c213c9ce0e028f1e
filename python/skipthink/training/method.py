"""A training method: one class in one file of `skipthink.training.methods`, or in a file of the user's own."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from skipthink.training.options import TrainingOptions


class Needs(Enum):
    """What a method needs of the chunk-wise trained student that judges which chunks can be skipped."""

    NOTHING = "nothing"
    CHUNKS = "chunks"
    """The chunks the judge was trained on."""
    SKIPS = "skips"
    """These chunks, and which of them the judge can do without."""


class Method:
    """A way to train a student and to let it answer.

    Attributes:
        name: as recipes name it.
        mode: the inference mode it answers in, a key of `skipthink.student.inference.MODES`.
        Options: its options, those that all methods share included.
        search: the search that cuts its chunks before each epoch: "recipe" (that of the recipe), the name of a search,
            or None: chunks stay as they are.
        has_chunks: whether its items are cut at chunk boundaries.
        needs: what it needs of a judge.
        judge: name of the method whose student is the judge; of methods that need one.
        compared: whether a recipe that names no methods compares it.
        is_reference: whether speed-ups are measured against it (Base).
    """

    name: ClassVar[str]
    mode: ClassVar[str] = "base"
    Options: ClassVar[type[TrainingOptions]] = TrainingOptions
    search: ClassVar[str | None] = None
    has_chunks: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs.NOTHING
    judge: ClassVar[str | None] = None
    compared: ClassVar[bool] = False
    is_reference: ClassVar[bool] = False
