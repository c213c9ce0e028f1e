"""Skip data: which chunks the chunk-wise trained student can do without (method §6)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.skipping.folds import assign_folds
    from skipthink.skipping.options import SkipOptions
    from skipthink.skipping.skip_data import make_skip_data

__all__ = [
    "SkipOptions",
    "assign_folds",
    "make_skip_data",
]

__getattr__ = lazy_names(
    __name__,
    {
        "SkipOptions": "options",
        "assign_folds": "folds",
        "make_skip_data": "skip_data",
    },
)
