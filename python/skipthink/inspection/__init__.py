"""What a run has left in its folder, read without torch: for the terminal, for reports, for notebooks."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.inspection.record import RunRecord, open_run
    from skipthink.inspection.samples import SampleViews

__all__ = ["RunRecord", "SampleViews", "open_run"]

__getattr__ = lazy_names(__name__, {"RunRecord": "record", "SampleViews": "samples", "open_run": "record"})
