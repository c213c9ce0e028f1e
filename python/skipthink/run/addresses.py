"""Where a run is kept: a path is a folder, and an address such as s3://bucket/run a place in an object store."""

from __future__ import annotations

import re
from pathlib import Path

from skipthink.exceptions import InvalidInputError
from skipthink.io.places import Place
from skipthink.run.run_files import RunFiles
from skipthink.run.store_mirror import StoreMirror, default_copy

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?!\w:)")
_WITH_KEYS = re.compile(r"[a-z][a-z0-9+.-]+://[^/@]*:[^/@]*@")


def open_files(out: str | Path, copy: str | Path | None = None) -> RunFiles:
    """The files of a run.

    Args:
        out: its folder, or its address in an object store.
        copy: of an object store the folder of this machine in which the run is worked on; None: one in the cache.

    Raises:
        InvalidInputError: an address that holds keys, or a working copy of a folder.
        DataError: an address of an unknown kind.
    """
    place = place_of(out)
    if place is None or place.is_local:
        if copy is not None:
            raise InvalidInputError(
                f"--copy is for a run in an object store, and {out} is a folder: leave it out"
            )
        return RunFiles(out if place is None else place.path)
    return StoreMirror(place, default_copy(place) if copy is None else Path(copy))


def place_of(out: str | Path) -> Place | None:
    """The place that an address names, such as s3://bucket/run; None of a path.

    Raises:
        InvalidInputError: the address holds keys.
        DataError: it is of an unknown kind.
    """
    text = str(out)
    found = _ADDRESS.match(text)
    if found is None:
        return None
    text = f"{found[1]}://{text[found.end() :]}"  # a Path has one slash
    if text.startswith("file:"):
        text = f"file:///{text.removeprefix('file://').lstrip('/')}"
    if _WITH_KEYS.match(text):
        raise InvalidInputError(
            f"the address {found[1]}://… holds keys, which logs would show: leave them out and set them in the "
            "environment of this machine and of every node, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return Place.of(text)


def refuse_address(folder: str | Path) -> None:
    """Refuses a run in an object store, where a command reads files of this machine.

    Raises:
        InvalidInputError: the folder is an address; says how to fetch it.
    """
    if _ADDRESS.match(str(folder)) and not str(folder).startswith("file:"):
        address = _ADDRESS.sub(r"\1://", str(folder), count=1)
        raise InvalidInputError(
            f"{address} is in an object store, and this command reads a folder: get a copy with "
            f"skipthink fetch '{address}' FOLDER, and name that folder"
        )
