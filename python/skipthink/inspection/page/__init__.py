"""The report of a run as one HTML file."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.inspection.page.writing import write_page

__all__ = ["write_page"]

__getattr__ = lazy_names(__name__, {"write_page": "writing"})
