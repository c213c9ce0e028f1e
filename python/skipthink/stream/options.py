"""Options of work on files: who works, and what becomes of bad rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skipthink.options import OptionError, Options, option


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options):
    """How the rows of files are worked on."""

    engine: Literal["local", "ray"] = option(
        "local", "what does the work: processes of this machine, or a Ray cluster", affects_results=False
    )
    address: str | None = option(
        None,
        "the address of a Ray cluster; by default that of the variable RAY_ADDRESS, or else a Ray is started on this "
        "machine",
        affects_results=False,
    )
    workers: int | None = option(
        None,
        "parts that are worked on at once, each by a process; one by default, and on Ray as many as there is room for",
        ge=1,
        affects_results=False,
    )
    gpus: float | None = option(
        None,
        "GPUs of each worker on Ray, or a part of one; 1 by default where a model is asked and there are GPUs",
        ge=0,
        le=1,
        affects_results=False,
    )
    on_error: Literal["raise", "null"] = option(
        "raise", "what a bad row does: end the command, or become nulls with a text in the column `error`"
    )

    def check(self) -> None:
        """See `Options.check`."""
        for name in ("address", "gpus"):
            if self.engine != "ray" and getattr(self, name) is not None:
                raise OptionError(name, f"is of a Ray cluster: give engine ray with it, got {self.engine}")
