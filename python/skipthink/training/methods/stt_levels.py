"""STT with levels: one student that is told how much to skip, by a marker behind `[skip]`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skipthink.core.codes import Piece, Stage
from skipthink.core.planning import ItemPlan
from skipthink.exceptions import InvalidInputError
from skipthink.options import option
from skipthink.skipping.levels import level_sets, turns_by_position
from skipthink.student.items import Items, build_items, join_items
from skipthink.student.markers import Markers
from skipthink.student.token_rows import Bools
from skipthink.training.methods.skip_all import SkipItemOptions
from skipthink.training.methods.stt import SkipThinking
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class LevelOptions(SkipItemOptions):
    """Options of students that can be told how much to skip."""

    levels: int = option(3, "levels of skipping, from nothing to all that the gate skips", ge=2)


class SkipLevels(SkipThinking):
    """Full items and L skip items per sample: `[skip] [l] q | chunks that level l keeps … [answer] a <end>`."""

    name, Options, compared, has_levels = "stt-levels", LevelOptions, False, True

    def skip_items(self, source: ItemSource) -> Items:
        """The skip items of all levels, level by level."""
        return join_items(self._by_level(source))

    def about(self, source: ItemSource) -> dict[str, Any]:
        """`levels`: the longest and the mean target of each."""
        return {
            "levels": [
                {
                    "max_target_tokens": int(items.n_target.max()),
                    "mean_target_tokens": round(float(items.n_target.mean()), 3),
                }
                for items in self._by_level(source)
            ]
        }

    def refuse(self, options: Any, markers: Markers) -> None:
        """Levels are asked for by the markers of chunks, of which there must be enough.

        Raises:
            InvalidInputError: there are more levels than chunks, or as in `SkipAll.refuse`.
        """
        super().refuse(options, markers)
        if options.levels > markers.n_chunks:
            raise InvalidInputError(
                f"{self.name} has {options.levels} levels, asked for by the markers [1] … [{options.levels}], and the "
                f"student has markers for {markers.n_chunks} chunks; lower levels or raise chunks.M"
            )

    def _by_level(self, source: ItemSource) -> list[Items]:
        skipped = self.skipped(source)
        turns = turns_by_position(skipped) if source.turns is None else source.turns
        sets = level_sets(turns, source.options.levels)
        return [self._level_items(source, chunks, level) for level, chunks in enumerate(sets, 1)]

    def _level_items(self, source: ItemSource, skipped: Bools, level: int) -> Items:
        plan = source.encoded.plan("skip", source.boundaries, skipped=skipped, thought=source.options.thought)
        return source.of_rows(build_items(source.encoded, ask_level(plan, level), source.markers))


def ask_level(plan: ItemPlan, level: int) -> ItemPlan:
    """The same skip items with the marker of a level behind `[skip]`.

    Args:
        plan: of the scheme "skip".
        level: 1 … L; its marker is `[level]`, that of the chunk.
    """
    counts = np.diff(plan.piece_offsets)
    places = np.flatnonzero(plan.pieces[:, 0] == Piece.SKIP_MARK) + 1
    if len(places) != len(plan) or (plan.stages != Stage.SKIP).any():
        raise InvalidInputError("levels are of skip items; plan them with scheme='skip'")
    pieces = np.insert(plan.pieces, places, [int(Piece.STAGE_MARK), level, level + 1], axis=0)
    return replace(
        plan,
        pieces=pieces,
        piece_offsets=np.concatenate([[0], np.cumsum(counts + 1)]),
        n_prompt_pieces=plan.n_prompt_pieces + 1,
        prompt_lengths_tokens=plan.prompt_lengths_tokens + 1,
    )


METHOD = SkipLevels()
