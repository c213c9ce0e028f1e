"""The core once more, slow and obvious, in pure Python: the oracle of the tests, and something to read.

Same names and semantics as in `skipthink`, and the same errors; plain lists in and out; nothing here is fast.
"""

from skipthink.reference.chunking import average_boundaries, chunk
from skipthink.reference.planning import plan_items
from skipthink.reference.skip import SkipLedger
from skipthink.reference.steps import split_steps

__all__ = ["SkipLedger", "average_boundaries", "chunk", "plan_items", "split_steps"]
