"""Places of files: on this machine or in an object store (`s3://`, `gs://`), read and written through pyarrow."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from skipthink.exceptions import DataError
from skipthink.io.files import atomic_path, parse_json

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 2**20


@dataclass(frozen=True)
class Place:
    """A file or folder. It can be pickled: a worker opens the store itself, with the keys of its own environment.

    Attributes:
        path: path in its file system.
        root: URI that says which file system; "" on this machine.
    """

    path: str
    root: str = ""

    @classmethod
    def of(cls, text: str | Path | Place) -> Place:
        """The place that a path or a URI names.

        Raises:
            DataError: a URI that neither pyarrow nor fsspec knows.
        """
        if isinstance(text, Place):
            return text
        if isinstance(text, Path) or "://" not in text:
            return cls(str(text))
        if text.startswith("file://"):
            return cls(text.removeprefix("file://"))
        return cls(_open(text)[1].rstrip("/"), text)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return not self.root

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name, in lower case."""
        return Path(self.name).suffix.lower()

    def __str__(self) -> str:
        return self.path if self.is_local else f"{self.root.partition('://')[0]}://{self.path}"

    def __truediv__(self, name: str) -> Place:
        return Place(f"{self.path.rstrip('/')}/{name}", self.root)

    @property
    def files(self) -> Any:
        """The `pyarrow.fs.FileSystem`."""
        return _open(self.root)[0]

    def absolute(self) -> Place:
        """The same place for processes that have another current folder."""
        if not self.is_local:
            return self
        return Place(str(Path(self.path).absolute()) + ("/" if self.path.endswith("/") else ""))

    def state(self) -> dict[str, Any]:
        """What is different once the file has changed: size in bytes, time of the last change in nanoseconds.

        Where a file system of fsspec tells no such time, `version` is the key it has for the file's properties.

        Raises:
            DataError: there is no such file.
        """
        from pyarrow.fs import PyFileSystem

        found = self._info()
        if not found.is_file:
            raise DataError(f"cannot read {self}: there is no such file")
        state = {"bytes": int(found.size), "changed_ns": int(found.mtime_ns or 0)}
        if found.mtime_ns is None and isinstance(self.files, PyFileSystem):
            return {**state, "version": self.files.handler.fs.ukey(self.path)}
        return state

    def is_folder(self) -> bool:
        """Whether it is a folder that exists."""
        return int(self._info().type) == _DIRECTORY

    def exists(self) -> bool:
        """Whether it exists."""
        return int(self._info().type) != _NOTHING

    def digest(self) -> str:
        """A hash of the content: the ETag of an object store, SHA-256 where there is none."""
        if not self.is_local:
            with self.files.open_input_stream(self.path) as stream:
                tag = (stream.metadata() or {}).get(b"ETag")
            if tag:
                return f"etag {tag.decode()}"
        with self.open_bytes() as file:
            content = hashlib.sha256()
            while block := file.read(BLOCK):
                content.update(block)
        return f"sha256 {content.hexdigest()}"

    def open_arrow(self) -> pa.NativeFile:
        """The file for Arrow's readers, memory-mapped on this machine."""
        import pyarrow as pa

        return pa.memory_map(self.path) if self.is_local else self.files.open_input_file(self.path)

    def open_bytes(self, start: int = 0) -> BinaryIO:
        """The file as bytes, from a position."""
        if self.is_local:
            file = Path(self.path).open("rb")  # noqa: SIM115 - the caller closes it
            file.seek(start)
            return file
        remote = self.files.open_input_file(self.path)
        remote.seek(start)
        return cast("BinaryIO", io.BufferedReader(remote, BLOCK))

    def send(self, source: Path) -> None:
        """Puts a file of this machine here, piece by piece; what a failure leaves in an object store may be torn.

        Raises:
            OSError: the file cannot be read, or the place not be written.
        """
        from pyarrow import fs

        local = fs.LocalFileSystem()
        fs.copy_files(str(source), self.path, source_filesystem=local, destination_filesystem=self.files)

    def fetch(self, target: Path) -> None:
        """Copies a file to this machine, atomically.

        Raises:
            OSError: there is no such file, or it cannot be copied.
        """
        from pyarrow import fs

        local = fs.LocalFileSystem()
        with atomic_path(target) as scratch:
            fs.copy_files(self.path, str(scratch), source_filesystem=self.files, destination_filesystem=local)

    def copy_to(self, target: Place) -> None:
        """Copies a file within its file system: an object store does so without sending it.

        Raises:
            OSError: there is no such file, or the store refuses: S3 copies up to 5 GB in one step.
        """
        self.files.copy_file(self.path, target.path)

    def remove_all(self) -> None:
        """Removes a folder with all that is in it; nothing happens where there is none."""
        with suppress(FileNotFoundError):
            self.files.delete_dir(self.path)

    def list(self, *, deep: bool = False) -> list[tuple[str, int]]:
        """The files of a folder, in order: names within it and sizes in bytes; none where there is no folder."""
        return [(name, size) for name, (size, _) in self.states(deep=deep).items()]

    def states(self, *, deep: bool = False) -> dict[str, tuple[int, int]]:
        """The files of a folder, in order: names within it, sizes in bytes, times of the last change in nanoseconds."""
        from pyarrow.fs import FileSelector

        chosen = FileSelector(self.path, recursive=deep, allow_not_found=True)
        found = [entry for entry in self.files.get_file_info(chosen) if entry.is_file]
        start = len(self.path.rstrip("/")) + 1
        return {
            entry.path[start:]: (int(entry.size), int(entry.mtime_ns or 0))
            for entry in sorted(found, key=lambda entry: str(entry.path))
        }

    def remove(self) -> None:
        """Removes a file; nothing happens where there is none."""
        try:
            self.files.delete_file(self.path)
        except FileNotFoundError:
            return

    def remove_if_empty(self) -> None:
        """Removes a folder in which nothing is left."""
        if self.is_local and self.is_folder() and not any(Path(self.path).iterdir()):
            Path(self.path).rmdir()

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """A sink for Arrow's writers; the file is there, whole, when the block ends, and not where it raises.

        On this machine it is a path in the same folder, which is renamed. For an object store the content is kept in
        memory and sent in one piece: an upload that is closed by an error would otherwise leave a torn object.
        """
        import pyarrow as pa

        if self.is_local:
            with atomic_path(self.path) as scratch:
                yield str(scratch)
            return
        sink = pa.BufferOutputStream()
        yield sink
        stream = self.files.open_output_stream(self.path)
        stream.write(sink.getvalue())
        stream.close()

    def write_json(self, value: object) -> None:
        """Writes a value as JSON, atomically."""
        content = (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
        with self.writing() as sink:
            if isinstance(sink, str):
                Path(sink).write_bytes(content)
            else:
                sink.write(content)

    def read_json(self) -> Any:
        """The value of a JSON file; None where there is no file, or none that is whole."""
        try:
            with self.open_bytes() as file:
                return parse_json(file.read(), str(self))
        except (FileNotFoundError, DataError):
            return None

    def _info(self) -> Any:
        return self.files.get_file_info(self.path)


_NOTHING, _DIRECTORY = 0, 3
"""Values of `pyarrow.fs.FileType`."""


def find_files(source: Place, suffixes: tuple[str, ...]) -> list[Place]:
    """The files that a source names: itself, those of a folder and the folders in it, or those of a pattern.

    Of a folder or a pattern, files of other endings are passed over, and names of files or folders that begin with a
    dot or an underscore.

    Args:
        source: a file, a folder, or a pattern with `*` (within a name) or `**` (through folders).
        suffixes: the endings that count.

    Raises:
        DataError: there is none.
    """
    if "*" in source.path:
        base = Place(source.path[: source.path.index("*")].rpartition("/")[0] or ".", source.root)
        pattern = source.path if "/" in source.path else f"./{source.path}"
        found = [base / name for name, _ in base.list(deep=True) if _is_data(name, suffixes)]
        found = [place for place in found if _matches(place.path, pattern)]
    elif source.is_folder():
        found = [source / name for name, _ in source.list(deep=True) if _is_data(name, suffixes)]
    elif source.exists():
        found = [source]
    else:
        raise DataError(f"cannot read {source}: there is no such file or folder")
    if not found:
        raise DataError(f"{source} names no file; the endings that are read are {', '.join(suffixes)}")
    return found


def _matches(path: str, pattern: str) -> bool:
    if "**" in pattern:  # * of fnmatch goes through folders
        return fnmatch.fnmatchcase(path, pattern.replace("**/", "*"))
    pieces, wanted = path.split("/"), pattern.split("/")
    return len(pieces) == len(wanted) and all(map(fnmatch.fnmatchcase, pieces, wanted))


def _is_data(name: str, suffixes: tuple[str, ...]) -> bool:
    hidden = any(piece.startswith((".", "_")) for piece in name.split("/"))
    return not hidden and Path(name).suffix.lower() in suffixes


@cache
def _open(root: str) -> tuple[Any, str]:
    """The file system of a URI, and the path within it."""
    import pyarrow as pa
    from pyarrow import fs

    if not root:
        return fs.LocalFileSystem(), ""
    try:
        return cast("tuple[Any, str]", fs.FileSystem.from_uri(root))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        try:
            import fsspec
        except ImportError:
            raise DataError(f"cannot open {root}: {error}") from error
        try:
            files, path = fsspec.core.url_to_fs(root)
        except (ImportError, ValueError) as reason:
            raise DataError(f"cannot open {root}: {reason}") from reason
        return fs.PyFileSystem(fs.FSSpecHandler(files)), str(path)
