"""The transcript of a judge: what it wrote to every question, and how that was judged (method §6)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skipthink.io.files import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

TRANSCRIPT_FILE, OPEN_FILE = "transcript.parquet", "transcript.jsonl"
"""The transcript of finished skip data, and that of skip data that are being made."""


@dataclass(frozen=True)
class Reply:
    """What the judge wrote to one question.

    Attributes:
        id: of the sample.
        chunk: the chunk that was dropped, 1 … M; 0: none.
        vote: which of several continuations, from 0.
        text: what it wrote behind the chunks that it was shown, markers included.
        answer: its answer; None where it stated none.
        verdict: "right", "wrong" or "unparsed".
        tokens: generated, end tokens included.
        regrown: whether a right answer does not count, because later chunks say what was dropped.
        right: whether the question counts as answered right, over all votes.
    """

    id: str
    chunk: int
    vote: int
    text: str
    answer: str | None
    verdict: str
    tokens: int
    regrown: bool
    right: bool


class Transcript:
    """Writes replies as they come; they are flushed, but the ledger alone decides what counts.

    A question that is asked again after a kill stands twice in the open file: the later reply counts.

    Args:
        folder: the folder of skip data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mend_end()

    def add(self, replies: Sequence[Reply]) -> None:
        """Appends the replies to a batch of questions."""
        with (self.folder / OPEN_FILE).open("a", encoding="utf-8") as stream:
            # ASCII: what a student writes may be anything
            stream.write("".join(json.dumps(asdict(reply)) + "\n" for reply in replies))

    def finish(self, ids: Sequence[str]) -> None:
        """Writes all replies as `transcript.parquet`, ordered by sample, chunk and vote.

        Args:
            ids: the samples, in their order.
        """
        is_written = (self.folder / TRANSCRIPT_FILE).exists()
        if is_written and not (self.folder / OPEN_FILE).exists():
            return  # a kill came behind this
        write_parquet(self.folder / TRANSCRIPT_FILE, transcript_table(read_open(self.folder), ids))
        (self.folder / OPEN_FILE).unlink(missing_ok=True)

    def _mend_end(self) -> None:
        """Cuts off a line that a kill tore."""
        path = self.folder / OPEN_FILE
        if path.exists():
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                with path.open("r+b") as stream:
                    stream.truncate(whole)


def read_open(folder: Path) -> list[Reply]:
    """The replies of skip data that are being made; a torn last line is left out.

    Raises:
        OSError, ValueError, TypeError: the file cannot be read.
    """
    path = folder / OPEN_FILE
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    latest = {}
    for line in lines:
        reply = Reply(**json.loads(line))
        latest[reply.id, reply.chunk, reply.vote] = reply
    return list(latest.values())


def transcript_table(replies: Sequence[Reply], ids: Sequence[str]) -> pa.Table:
    """Replies as a table, one row each, ordered by sample, chunk and vote."""
    import pyarrow as pa

    place = {name: row for row, name in enumerate(ids)}
    ordered = sorted(replies, key=lambda reply: (place[reply.id], reply.chunk, reply.vote))
    types = {
        "id": pa.string(),
        "chunk": pa.int64(),
        "vote": pa.int64(),
        "text": pa.string(),
        "answer": pa.string(),
        "verdict": pa.string(),
        "tokens": pa.int64(),
        "regrown": pa.bool_(),
        "right": pa.bool_(),
    }
    return pa.Table.from_pylist([asdict(reply) for reply in ordered], schema=pa.schema(types))
