"""A training method: one class in one file of `skipthink.training.methods`, or in a file of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from skipthink.core.options import SearchName
from skipthink.exceptions import InvalidInputError
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import SkipOptions
from skipthink.student.items import Items
from skipthink.student.markers import Markers
from skipthink.student.token_rows import Bools
from skipthink.training.options import TrainingOptions
from skipthink.training.source import ItemSource

if TYPE_CHECKING:
    from skipthink.training.fresh import Scoring


class Needs(Enum):
    """What a method needs of the chunk-wise trained student that judges which chunks can be skipped."""

    NOTHING = "nothing"
    CHUNKS = "chunks"
    """The chunks the judge was trained on."""
    SKIPS = "skips"
    """These chunks, and which of them the judge can do without."""


@dataclass(frozen=True)
class StandIn:
    """Another method that trains the same in a recipe.

    Attributes:
        name: of that method.
        why: what the method does that makes the two alike, "trains on …".
        remedy: what would tell them apart, "name …".
    """

    name: str
    why: str
    remedy: str


class Method:
    """A method: how a student is trained and how it answers. It must have a name and `items`.

    Attributes:
        name: as recipes name it.
        mode: the inference mode it answers in, a key of `skipthink.student.inference.MODES`.
        Options: its options, those that all methods share included.
        search: the search that cuts its chunks before each epoch: "recipe" (that of the recipe), the name of a search,
            or None: chunks stay as they are.
        has_chunks: whether its items are cut at chunk boundaries.
        needs: what it needs of a judge.
        judge: name of the method whose student is the judge; of methods that need one.
        writer: name of the method whose student writes the answers that it learns from beside the teacher's; None:
            it learns from the teacher alone.
        has_levels: whether its student can be told how much to skip.
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
    writer: ClassVar[str | None] = None
    has_levels: ClassVar[bool] = False
    compared: ClassVar[bool] = False
    is_reference: ClassVar[bool] = False

    def prepare(self, source: ItemSource, scoring: Scoring) -> None:
        """Asks the student, as it is before training, what the items depend on; called once, before the first items."""

    def items(self, source: ItemSource, epoch: int) -> Items:
        """The items of an epoch, counted from 0. Every epoch has the same stages in the same order."""
        raise NotImplementedError(f"{type(self).__name__} must say what the items of an epoch are")

    def longest_items(self, source: ItemSource) -> Items:
        """The items with nothing left out that another epoch may hold: they must fit into the student."""
        return self.items(source, 0)

    def whole_items(self, source: ItemSource) -> Items:
        """The items with whole targets: what a student writes at inference is bounded by the longest of each stage."""
        return self.items(source, 0)

    def about(self, source: ItemSource) -> dict[str, Any]:
        """What inference needs to know besides the longest targets, for `skipthink.json`."""
        return {}

    def keeps_order(self, options: Any) -> bool:
        """Whether the items of an epoch are trained on in the order in which they are given; else it is drawn.

        Epochs may then differ in their stages, but not in their number of items.
        """
        return False

    def has_chunkwise_items(self, options: Any) -> bool:
        """Whether some items hold a single chunk each, behind a marker of their own."""
        return False

    def judge_rate(self, options: Any) -> float | None:
        """Share of the learning rate with which training starts from the judge's weights; None: a fresh student's."""
        return None

    def report(self, source: ItemSource, items: Items) -> dict[str, int]:
        """Counts of what the first epoch's items hold, or leave out of the samples."""
        return {}

    def forgets(self, source: ItemSource, step: int, steps_per_epoch: int) -> bool:
        """Whether the optimiser forgets its moments before a step, counted from 0."""
        return False

    def refuse(self, options: Any, markers: Markers) -> None:
        """Refuses options that do not fit a student, before anything is trained.

        Raises:
            InvalidInputError: says which, and what to do.
        """

    def refuse_inputs(self, boundaries: object, skipped: Bools | None, own: object = None) -> None:
        """Refuses to train without what the method needs of other students.

        Raises:
            InvalidInputError: chunks, skip data or own answers are missing.
        """
        lacks_chunks = self.needs is not Needs.NOTHING and boundaries is None
        if lacks_chunks or (self.needs is Needs.SKIPS and skipped is None):
            raise InvalidInputError(
                f"{self.name} needs the chunks and skip data of a chunk-wise trained student"
            )
        if self.writer is not None and own is None:
            raise InvalidInputError(
                f"{self.name} needs the answers of a {self.writer} student; see skipthink.own_answers"
            )

    def search_of(self, chunks: ChunkOptions) -> SearchName:
        """The search that cuts its chunks; "average" where nothing is searched.

        Args:
            chunks: the recipe's.
        """
        if self.search is None:
            return "average"
        return chunks.method if self.search == "recipe" else self.search  # type: ignore[return-value]

    def stand_in(self, chunks: ChunkOptions, skip: SkipOptions, options: Any) -> StandIn | None:
        """A method that trains the same in a recipe; None: there is none.

        Args:
            chunks: the recipe's.
            skip: the recipe's.
            options: how the recipe trains this method.
        """
        return None
