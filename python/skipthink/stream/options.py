"""Options of work on files: who works, and what becomes of bad rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import Options, option


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options):
    """How the rows of files are worked on."""

    workers: int | None = option(
        None,
        "parts that are worked on at once, each by a process; one by default",
        ge=1,
        affects_results=False,
    )
    on_error: Literal["raise", "null"] = option(
        "raise", "what a bad row does: end the command, or become nulls with a text in the column `error`"
    )
