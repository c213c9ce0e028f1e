"""The files that a student is loaded from: looked for before a run begins, and part of its fingerprints."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

from skipthink.exceptions import InvalidInputError, RunError
from skipthink.student.gguf_students import find_gguf
from skipthink.student.options import StudentOptions, is_gguf

LOADED = (".jinja", ".json", ".model", ".safetensors", ".txt")
"""What files of a folder are loaded end in: config, tokenizer, chat template, weights. A card is none of them."""


def hash_student(options: StudentOptions) -> str | None:
    """A hash of the files that a student is loaded from.

    It depends on names and content, so a file that is replaced, or a package of another version, is another student.
    A big file is read once per process.

    Args:
        options: of the student.

    Returns:
        The hash; None of a student that is made from sizes, of the test bed (which comes with the version of
        skipthink) or of the hub.

    Raises:
        InvalidInputError: the package is not installed, or holds no .gguf file or several.
        RunError: a file is missing or cannot be read.
    """
    files = student_files(options)
    if not files:
        return None
    digest = hashlib.sha256()
    try:
        for file in files:
            state = file.stat()
            digest.update(file.name.encode() + b"\0")
            digest.update(_hash_file(file, state.st_size, state.st_mtime_ns))
    except OSError as error:
        raise RunError(f"cannot read the student: {error}; check student.path of the recipe") from error
    return digest.hexdigest()


def student_files(options: StudentOptions) -> list[Path]:
    """The files that a student is loaded from, without those of the test bed and the hub.

    Raises:
        InvalidInputError: as in `hash_student`.
    """
    if options.package is not None:
        return [find_gguf(options.package)]
    if options.path is None:
        return []
    path = Path(options.path)
    if is_gguf(path):
        return [path]
    if not path.is_dir():
        return []  # a name on the hub
    return sorted(file for file in path.iterdir() if file.suffix in LOADED and file.is_file())


def refuse_unreadable(options: StudentOptions) -> None:
    """Refuses a student in a GGUF file where nothing reads such files.

    Raises:
        InvalidInputError: the package `gguf` is missing.
    """
    in_gguf = options.package is not None or is_gguf(options.path or "")
    if in_gguf and importlib.util.find_spec("gguf") is None:
        raise InvalidInputError(
            "the student is in a GGUF file, which needs the package gguf: pip install 'skipthink[gguf]'"
        )


@functools.lru_cache(maxsize=256)
def _hash_file(file: Path, size: int, changed_ns: int) -> bytes:
    """The SHA-256 of a file's content; a file of the same size and time is not read again."""
    del size, changed_ns
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
