"""Audits files: loads them, measures each, compares them with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.data import load_samples
from skipthink.data.audit import AuditReport, audit_leaks, audit_samples
from skipthink.data.leaks import Leak
from skipthink.data.measures import CountTokens
from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 1


@dataclass(frozen=True)
class FilesReport:
    """Reports of files.

    Attributes:
        files: the report of each file, by its name as given.
        loaded: what the loader has counted, by file: rows read, kept, and dropped by reason.
        leaks: every two splits of all files compared; of one file those of its report.
        tables: the rows of each file, as they were loaded.
    """

    files: dict[str, AuditReport]
    loaded: dict[str, dict[str, Any]]
    leaks: tuple[Leak, ...]
    tables: dict[str, pa.Table] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` writes it."""
        return {
            "schema": SCHEMA,
            "files": [
                {"file": name, "loaded": self.loaded[name], **report.to_dict()}
                for name, report in self.files.items()
            ],
            "leaks": [asdict(leak) for leak in self.leaks],
        }


def audit_files(
    files: Sequence[Path],
    *,
    answer: str | None = None,
    chunks: Sequence[int] = (),
    rules: str = "auto",
    count_tokens: CountTokens | None = None,
    counted_by: str = "words and marks",
) -> FilesReport:
    """Loads and audits files.

    Args:
        files: files, folders or data sets that `load_samples` reads.
        answer: kind of the answers; None: inferred for each file.
        chunks: every M to look at; none: 2 to 8 and the one recommended.
        rules: step rules.
        count_tokens: counts tokens; None: words and marks.
        counted_by: what to call that.

    Raises:
        DataError: a file cannot be read, or a row breaks a rule of docs/how-to/data.md.
        InvalidInputError: a wrong option, or a file that is named twice.
    """
    names = [str(file) for file in files]
    doubled = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if doubled is not None:
        raise InvalidInputError(f"{doubled} is named twice; name each file once")
    tables, loaded = {}, {}
    for name in names:
        samples = load_samples(name, teacher="all", require_rationale=False)
        tables[name], loaded[name] = samples.table, samples.report
    reports = {
        name: audit_samples(
            table,
            answer=answer,
            chunks=chunks,
            rules=rules,
            count_tokens=count_tokens,
            counted_by=counted_by,
            file=name,
        )
        for name, table in tables.items()
    }
    leaks = audit_leaks(tables) if len(tables) > 1 else reports[names[0]].leaks
    return FilesReport(reports, loaded, leaks, tables)
