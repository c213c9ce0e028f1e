"""Batch functions: chunking, splitting, scoring and more over streams, files and engines, batch by batch.

All of them keep one contract (`BatchFunction`; docs/how-to/streaming.md).
"""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.stream.checker import Checker
    from skipthink.stream.chunker import Chunker
    from skipthink.stream.files import chunk_file
    from skipthink.stream.function import BatchFunction
    from skipthink.stream.readers import chunk_batches, map_batches
    from skipthink.stream.splitter import Splitter

__all__ = [
    "BatchFunction",
    "Checker",
    "Chunker",
    "Splitter",
    "chunk_batches",
    "chunk_file",
    "map_batches",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BatchFunction": "function",
        "Checker": "checker",
        "Chunker": "chunker",
        "Splitter": "splitter",
        "chunk_batches": "readers",
        "chunk_file": "files",
        "map_batches": "readers",
    },
)
