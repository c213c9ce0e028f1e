"""Audits files: loads them, counts tokens with a tokenizer where one is named, compares them with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skipthink.data import load_samples
from skipthink.data.audit import AuditReport, audit_leaks, audit_samples
from skipthink.data.leaks import Leak
from skipthink.data.measures import CountTokens, tokenizer_counts
from skipthink.exceptions import DataError, InvalidInputError

SCHEMA = 1


@dataclass(frozen=True)
class FilesReport:
    """Reports of files.

    Attributes:
        files: the report of each file, by its name as given.
        loaded: what the loader has counted, by file: rows read, kept, and dropped by reason.
        leaks: every two splits of all files compared; of one file those of its report.
    """

    files: dict[str, AuditReport]
    loaded: dict[str, dict[str, Any]]
    leaks: tuple[Leak, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` writes it."""
        from dataclasses import asdict

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
    tokenizer: str | None = None,
) -> FilesReport:
    """Loads and audits files.

    Args:
        files: files, folders or data sets that `load_samples` reads.
        answer: kind of the answers; None: inferred for each file.
        chunks: every M to look at; none: 2 to 8 and the one recommended.
        rules: step rules.
        tokenizer: folder or name of the tokenizer to count tokens with; None: words and marks.

    Raises:
        DataError: a file or the tokenizer cannot be read, or a row breaks a rule of docs/data.md.
        InvalidInputError: a wrong option, or a file that is named twice.
    """
    names = [str(file) for file in files]
    doubled = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if doubled is not None:
        raise InvalidInputError(f"{doubled} is named twice; name each file once")
    count_tokens = None if tokenizer is None else load_counter(tokenizer)
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
            counted_by="words and marks" if tokenizer is None else tokenizer,
            file=name,
        )
        for name, table in tables.items()
    }
    leaks = audit_leaks(tables) if len(tables) > 1 else reports[names[0]].leaks
    return FilesReport(reports, loaded, leaks)


def load_counter(name_or_path: str) -> CountTokens:
    """Counts tokens with the tokenizer of a student; needs `transformers`, but no torch.

    Raises:
        DataError: it cannot be loaded, or does not say where its tokens stand.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot load a tokenizer from {name_or_path!r}: {error}") from error
    if not tokenizer.is_fast:
        raise DataError(
            f"the tokenizer of {name_or_path!r} does not say where its tokens stand; name one with a tokenizer.json"
        )
    return tokenizer_counts(tokenizer)
