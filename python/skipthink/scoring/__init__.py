"""Losses of the steps of rationales: what boundary search runs on (method §4)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.scoring.agreement import Agreement, compare_passes
    from skipthink.scoring.cache import ScoreCache
    from skipthink.scoring.options import ChunkOptions, ScoringOptions
    from skipthink.scoring.score import score_steps

__all__ = [
    "Agreement",
    "ChunkOptions",
    "ScoreCache",
    "ScoringOptions",
    "compare_passes",
    "score_steps",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Agreement": "agreement",
        "ChunkOptions": "options",
        "ScoreCache": "cache",
        "ScoringOptions": "options",
        "compare_passes": "agreement",
        "score_steps": "score",
    },
)
