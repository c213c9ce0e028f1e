"""Batch functions: splitting, scoring, chunking, judging and more over streams, files and engines, batch by batch.

All of them keep one contract (`BatchFunction`; docs/how-to/streaming.md).
"""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.stream.checker import Checker
    from skipthink.stream.chunker import Chunker
    from skipthink.stream.files import chunk_file
    from skipthink.stream.function import BatchFunction
    from skipthink.stream.generator import Generator
    from skipthink.stream.item_planner import ItemPlanner, item_rows
    from skipthink.stream.local_generator import LocalGenerator
    from skipthink.stream.readers import chunk_batches, map_batches
    from skipthink.stream.scorer import Scorer
    from skipthink.stream.skip_judge import SkipJudge
    from skipthink.stream.spark import map_in_arrow
    from skipthink.stream.splitter import Splitter

__all__ = [
    "BatchFunction",
    "Checker",
    "Chunker",
    "Generator",
    "ItemPlanner",
    "LocalGenerator",
    "Scorer",
    "SkipJudge",
    "Splitter",
    "chunk_batches",
    "chunk_file",
    "item_rows",
    "map_batches",
    "map_in_arrow",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BatchFunction": "function",
        "Checker": "checker",
        "Chunker": "chunker",
        "Generator": "generator",
        "ItemPlanner": "item_planner",
        "LocalGenerator": "local_generator",
        "Scorer": "scorer",
        "SkipJudge": "skip_judge",
        "Splitter": "splitter",
        "chunk_batches": "readers",
        "chunk_file": "files",
        "item_rows": "item_planner",
        "map_batches": "readers",
        "map_in_arrow": "spark",
    },
)
