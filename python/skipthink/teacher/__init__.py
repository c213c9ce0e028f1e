"""The teacher: from questions to rationales worth learning from (docs/how-to/teacher.md)."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.teacher.options import (
        BatchOptions,
        EndpointOptions,
        FilterOptions,
        LocalOptions,
        PriceOptions,
        PromptOptions,
        SamplingOptions,
        TeacherOptions,
    )
    from skipthink.teacher.store import Store
    from skipthink.teacher.teaching import Taught, teach

__all__ = [
    "BatchOptions",
    "EndpointOptions",
    "FilterOptions",
    "LocalOptions",
    "PriceOptions",
    "PromptOptions",
    "SamplingOptions",
    "Store",
    "Taught",
    "TeacherOptions",
    "teach",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BatchOptions": "options",
        "EndpointOptions": "options",
        "FilterOptions": "options",
        "LocalOptions": "options",
        "PriceOptions": "options",
        "PromptOptions": "options",
        "SamplingOptions": "options",
        "Store": "store",
        "Taught": "teaching",
        "TeacherOptions": "options",
        "teach": "teaching",
    },
)
