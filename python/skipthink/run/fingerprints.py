"""Fingerprints: a hash of all that a job's result depends on. Results are kept, resumed and reused by fingerprint."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import skipthink
from skipthink.exceptions import RunError


class Kind(StrEnum):
    """What a job does."""

    TEACH = "teach"
    PREPARE = "prepare"
    STUDENT = "student"
    TRAIN = "train"
    SKIP_DATA = "skip-data"
    OWN_ANSWERS = "own-answers"
    EVALUATE = "evaluate"
    CHOOSE = "choose"


FORMATS = {
    Kind.TEACH: 1,
    Kind.PREPARE: 1,
    Kind.STUDENT: 1,
    Kind.TRAIN: 2,
    Kind.SKIP_DATA: 2,
    Kind.OWN_ANSWERS: 1,
    Kind.EVALUATE: 1,
    Kind.CHOOSE: 1,
}
"""A number per kind of job, raised by every change of skipthink after which such a job has another result: other files,
other columns, or other values for the same options."""


def maker(kind: Kind) -> dict[str, Any]:
    """What makes the result of a job: the version of skipthink and the format of the job's kind."""
    return {"skipthink": skipthink.__version__, "format": FORMATS[kind]}


def fingerprint_of(*parts: Any) -> str:
    """A hash of plain data."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def hash_files(path: Path) -> str:
    """A hash of the content of a file, or of all files of a folder with their names.

    Raises:
        RunError: something cannot be read.
    """
    digest = hashlib.sha256()
    try:
        files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise RunError(
            f"cannot read the data: {error}; check data.file or data.task of the recipe, or give --data FILE"
        ) from error
    return digest.hexdigest()
