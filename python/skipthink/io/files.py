"""Files: atomic writes, also under a kill or a power cut; strict JSON; messages about full disks."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_DISK_TEXT = re.compile(
    rf"\(os error ({'|'.join(map(str, sorted(_FULL_DISK)))})\)"  # of Rust: safetensors, tokenizers
    r"|PytorchStreamWriter failed writing|inline_container.*unexpected pos|iostream error"  # torch does not say why
)


def describe_full_disk(error: BaseException) -> str | None:
    """The message for a full disk, an exhausted quota or the limit of file sizes.

    Args:
        error: what a write raised, or what was raised from that; libraries have exceptions of their own for it.

    Returns:
        What failed and what to do; None where the error has another cause.
    """
    cause: BaseException | None = error
    while cause is not None:
        is_full = isinstance(cause, OSError) and cause.errno in _FULL_DISK
        if is_full or _FULL_DISK_TEXT.search(str(cause)):
            return (
                f"no room to write: {cause}; make room and give the same command again: what was finished before "
                "is kept"
            )
        cause = cause.__cause__ or cause.__context__
    return None


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path to write to; when the block ends without an error, the file replaces `path` in one step.

    The temporary file lies in the folder of `path`, which is made where it is missing; its name starts with a
    dot and ends in ".tmp". Its content is on disk before it takes the name. When the block raises, it is
    removed and `path` stays as it was.

    Args:
        path: the file to write.

    Yields:
        The temporary path.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # never a name two writers share, and plain creation (not mkstemp) so that the umask gives the rights
    scratch = path.parent / f".{path.name[:100]}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        yield scratch
        flush(scratch)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    flush(path.parent)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes bytes atomically.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Writes text atomically, as UTF-8, its line ends as they are.

    Raises:
        InvalidInputError: the text holds a lone surrogate, which UTF-8 cannot say.
        OSError: the file cannot be written.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        found = f"the lone surrogate {text[error.start]!r} at position {error.start}"
        raise InvalidInputError(
            f"cannot write {path}: its text holds {found}; remove or replace it"
        ) from error
    write_bytes(path, content)


def write_json(path: str | Path, value: object) -> None:
    """Writes a value atomically as indented JSON with a line end.

    Raises:
        InvalidInputError: the value holds what JSON cannot say: NaN, infinity, other objects.
        OSError: the file cannot be written.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"cannot write {path} as JSON: {error}; write null or text instead"
        ) from error
    write_text(path, text + "\n")


PARQUET_OPTIONS = {"compression": "zstd", "write_page_checksum": True}
"""How Parquet files are written, a checksum in every page."""


def write_parquet(path: str | Path, table: pa.Table) -> None:
    """Writes a table atomically as Parquet, compressed with zstd, a checksum in every page.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow.parquet as pq

    with atomic_path(path) as scratch:
        pq.write_table(table, scratch, **PARQUET_OPTIONS)


def parse_object(line: bytes, place: str) -> dict[str, Any]:
    """One line of a JSONL file as an object.

    Raises:
        DataError: no JSON object; `place` says where.
    """
    record = parse_json(line, place)
    if not isinstance(record, dict):
        raise DataError(f"{place} holds {type(record).__name__}, not an object; write one object per line")
    return record


def parse_json(content: bytes, place: str) -> Any:
    """JSON that is UTF-8 and has no key twice.

    Raises:
        DataError: something else; `place` says where.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_doubles)
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not UTF-8: byte {error.start} is {content[error.start]:#04x}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not valid JSON: {error}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return record


def flush(path: Path) -> None:
    """Has the system write a file or a folder's names to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder to write into; when the block ends without an error, it takes the place of `path`.

    A folder that stood there is gone then, with all that was in it. A process that is killed meanwhile leaves the one
    before or none, and its half under a hidden name, which the next call removes. One process at a time may write.

    Args:
        path: the folder.

    Yields:
        The temporary folder, which exists and is empty.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    scratch = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    remove_folder(path)
    scratch.rename(path)


def remove_folder(path: Path) -> None:
    """Removes a folder with all that is in it, if there is one; its name is gone in one step.

    A process that is killed meanwhile leaves the rest under a hidden name, which the next call removes: half of a
    folder must not look like a whole one.
    """
    gone = path.with_name(f".{path.name}.gone.tmp")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(FileNotFoundError):
        path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
