"""Skip data: which chunks the chunk-wise trained student can do without (method §6)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.skipping.settings import SkipSettings, assign_folds
    from skipthink.skipping.skip_data import make_skip_data

__all__ = [
    "SkipSettings",
    "assign_folds",
    "make_skip_data",
]

__getattr__ = lazy_names(
    __name__,
    {
        "SkipSettings": "settings",
        "assign_folds": "settings",
        "make_skip_data": "skip_data",
    },
)
