"""skipthink: chunk-wise chain-of-thought distillation (Skip-Thinking, arXiv 2505.18642).

The functions below need numpy only. Data, scoring, training and evaluation are in modules of their own
(`skipthink.data`, `skipthink.scoring`, `skipthink.training`, …) and need `pip install skipthink[train]`.
"""

import importlib
import warnings
from types import ModuleType

from skipthink import exceptions
from skipthink._core import DEBUG_BUILD, __version__, build_info
from skipthink.core import codes as types
from skipthink.core.ledger import SkipLedger
from skipthink.core.ledger_file import LedgerFile
from skipthink.core.options import Anneal, Greedy
from skipthink.core.planning import ItemPlan, plan_items
from skipthink.core.search import Chunking, average_boundaries, chunk
from skipthink.core.steps import StepSpans, split_steps, split_steps_batch
from skipthink.core.suggest import ChunkCounts, suggest_n_chunks
from skipthink.exceptions import SkipthinkError
from skipthink.stream.chunker import Chunker
from skipthink.stream.files import chunk_file
from skipthink.stream.readers import chunk_batches

if DEBUG_BUILD:
    warnings.warn(
        "skipthink's core is a debug build, many times slower; build it with --release", stacklevel=2
    )

_ON_DEMAND = (
    "data",
    "evaluation",
    "inspection",
    "plots",
    "publish",
    "run",
    "scoring",
    "skipping",
    "student",
    "tasks",
    "testbed",
    "training",
)

__all__ = [
    "Anneal",
    "ChunkCounts",
    "Chunker",
    "Chunking",
    "Greedy",
    "ItemPlan",
    "LedgerFile",
    "SkipLedger",
    "SkipthinkError",
    "StepSpans",
    "__version__",
    "average_boundaries",
    "build_info",
    "chunk",
    "chunk_batches",
    "chunk_file",
    "exceptions",
    "plan_items",
    "split_steps",
    "split_steps_batch",
    "suggest_n_chunks",
    "types",
]


def __getattr__(name: str) -> ModuleType:
    """`skipthink.testbed` and others are imported on first use, because they need more than numpy."""
    if name in _ON_DEMAND:
        return importlib.import_module(f"skipthink.{name}")
    raise AttributeError(f"module 'skipthink' has no attribute {name!r}")
