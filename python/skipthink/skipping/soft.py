"""The gate `soft`: chunks whose absence hardly raises the loss of what stands behind them (explanation/skipping.md)."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_bytes, write_parquet
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.gates import write_decisions
from skipthink.skipping.options import SkipOptions
from skipthink.skipping.skip_data import check_folds
from skipthink.student.encoding import EncodedSamples
from skipthink.student.forward import NllHead
from skipthink.student.inference import stage_prompt
from skipthink.student.losses import Floats
from skipthink.student.sequences import Sequence as Scored
from skipthink.student.sequences import make_batch, plan_batches
from skipthink.student.student import Student
from skipthink.student.token_rows import Bools

if TYPE_CHECKING:
    import pyarrow as pa

ANSWER = 0
"""The stage of the answer."""
BLOCK_ROWS = 32
"""Samples whose orders are found side by side, and written before the next ones."""
THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Mean rises for which the report says how much would be skipped."""

Progress = Callable[[int, int], None]
Key = tuple[int, int, frozenset[int]]
"""A row, a stage and the chunks before it that are left out."""


@dataclass(frozen=True)
class Orders:
    """In which order the chunks of each sample would go, and what that costs.

    Attributes:
        chunk: 1 … M in the order in which they go, 0 behind the last; int64 (n, M). One chunk of a sample stays.
        mean_rise: of the loss of the later kept chunks and the answer, nats per token; float64 (n, M).
        largest_rise: of the loss of one of these tokens, nats; float64 (n, M).
    """

    chunk: Ints
    mean_rise: Floats
    largest_rise: Floats

    def skipped(self, max_mean: float, max_largest: float) -> Bools:
        """The chunks that go up to the first one that costs more, bool (n, M)."""
        goes = (self.chunk > 0) & (self.mean_rise <= max_mean) & (self.largest_rise <= max_largest)
        goes = np.logical_and.accumulate(goes, axis=1)
        flags = np.zeros(self.chunk.shape, dtype=np.bool_)
        rows, places = np.nonzero(goes)
        flags[rows, self.chunk[rows, places] - 1] = True
        return flags


@dataclass
class Teacher:
    """The teacher's chunks under a student: losses of the tokens of a chunk when some earlier ones are left out.

    Attributes:
        student: chunk-wise trained.
        encoded: the samples.
        boundaries: their chunks, int64 (n, M + 1).
        head: of the student, entered.
        batch_tokens: most padded tokens of a forward pass.
    """

    student: Student
    encoded: EncodedSamples
    boundaries: Ints
    head: NllHead
    batch_tokens: int
    known: dict[Key, Floats] = field(default_factory=dict)

    def chunk(self, row: int, chunk: int) -> list[int]:
        """Ids of a chunk, 1 … M."""
        cuts = self.encoded.step_tokens[row]
        start, end = cuts[self.boundaries[row, chunk - 1]], cuts[self.boundaries[row, chunk]]
        ids: list[int] = self.encoded.rationale[row][start:end].tolist()
        return ids

    def stages_behind(self, row: int, chunk: int, out: frozenset[int]) -> list[int]:
        """The stages behind a chunk whose targets stay: later chunks with a token, and the answer."""
        n_chunks = self.boundaries.shape[1] - 1
        later = [
            stage for stage in range(chunk + 1, n_chunks + 1) if stage not in out and self.chunk(row, stage)
        ]
        return [*later, ANSWER]

    def losses(self, row: int, stage: int, out: frozenset[int]) -> Floats:
        """The losses of a stage's tokens, nats; `score` has found them."""
        return self.known[self.key(row, stage, out)]

    def key(self, row: int, stage: int, out: frozenset[int]) -> Key:
        """What the losses of a stage depend on: what is left out before it."""
        return row, stage, frozenset(one for one in out if stage == ANSWER or one < stage)

    def score(self, wanted: Sequence[tuple[int, int, frozenset[int]]]) -> None:
        """Scores what is not known yet: (row, stage, chunks left out)."""
        keys = list(dict.fromkeys(self.key(*one) for one in wanted))
        keys = [key for key in keys if key not in self.known]
        sequences = [self._sequence(*key) for key in keys]
        lengths = np.asarray([len(one.ids) + len(one.source) for one in sequences], dtype=np.int64)
        batch_tokens = min(self.batch_tokens, self.head.max_rows() or self.batch_tokens)
        for batch in plan_batches(lengths, batch_tokens):
            made = make_batch(
                [sequences[index] for index in batch], self.student.markers, self.student.device
            )
            nll, _ = self.head(made)
            for index, part in zip(batch, np.split(nll, np.cumsum(made.counts)[:-1]), strict=True):
                if not np.isfinite(part).all():
                    raise InvalidInputError(
                        f"the judge's loss on sample {self.encoded.ids[keys[index][0]]!r} is not finite"
                    )
                self.known[keys[index]] = part[: len(sequences[index].target)]

    def _sequence(self, row: int, stage: int, out: frozenset[int]) -> Scored:
        last = self.boundaries.shape[1] - 1 if stage == ANSWER else stage - 1
        shown: list[int] = []
        for number in range(1, last + 1):
            tokens = self.chunk(row, number)
            shown += self.student.markers.thought_mark if tokens and number in out else tokens
        prompt = stage_prompt(self.student.markers, stage, self.encoded.question[row], shown)
        target = self.encoded.answer[row] if stage == ANSWER else np.asarray(self.chunk(row, stage), np.int64)
        ids = np.concatenate([prompt.ids, target])
        return Scored(row, 0, prompt.source, ids, len(prompt.ids), np.asarray([0, len(target)]))


def order_chunks(teacher: Teacher, rows: Sequence[int]) -> list[list[tuple[int, float, float]]]:
    """Lets chunk after chunk go, each time the one that raises the mean loss of what stands behind it least.

    Args:
        teacher: the samples under a student.
        rows: samples that are looked at side by side.

    Returns:
        For each row (chunk, mean rise, largest rise of a token) in the order in which they go; one chunk stays.
    """
    n_chunks = teacher.boundaries.shape[1] - 1
    held = {row: [chunk for chunk in range(1, n_chunks + 1) if teacher.chunk(row, chunk)] for row in rows}
    orders: dict[int, list[tuple[int, float, float]]] = {row: [] for row in rows}
    while going := [row for row in rows if len(orders[row]) < len(held[row]) - 1]:
        out = {row: frozenset(chunk for chunk, _, _ in orders[row]) for row in going}
        tried = [(row, chunk) for row in going for chunk in held[row] if chunk not in out[row]]
        teacher.score([
            (row, stage, without)
            for row, chunk in tried
            for stage in teacher.stages_behind(row, chunk, out[row])
            for without in (out[row], out[row] | {chunk})
        ])  # fmt: skip
        best: dict[int, tuple[int, float, float]] = {}
        for row, chunk in tried:
            rises = np.concatenate([
                teacher.losses(row, stage, out[row] | {chunk}) - teacher.losses(row, stage, out[row])
                for stage in teacher.stages_behind(row, chunk, out[row])
            ])  # fmt: skip
            found = (chunk, float(rises.mean()), float(rises.max()))
            if row not in best or found[1] < best[row][1]:
                best[row] = found
        for row, found in best.items():
            orders[row].append(found)
    return [orders[row] for row in rows]


def make_soft_data(
    *,
    judges: Sequence[Path],
    folds: Ints | None = None,
    samples: pa.Table,
    boundaries: Ints,
    out: Path,
    options: SkipOptions,
    chunks: ChunkOptions,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Skips the chunks without which the teacher's later chunks and answer are hardly less likely under a judge.

    Args:
        judges: folders of chunk-wise trained students: one, or with cross-fitting F of one tokenizer.
        folds: the judge of each sample, 0 … F - 1, int64 (n,), one that was not trained on it; None: the only one.
        samples: training samples: columns id, question, rationale, answer; where there is one, task.
        boundaries: their chunks, int64 (n, M + 1).
        out: folder for `orders.npz`, `soft.parquet` (id, chunk, mean_rise, largest_rise), `skip.parquet` and
            `report.json`.
        options: `max_mean_rise` and `max_token_rise`.
        chunks: M, the step rules, `score_batch_tokens`.
        progress: called with (samples done, samples).

    Returns:
        The report, as `gates.write_decisions` writes it, with judges, seconds and thresholds (mean_rise, skipped:
        the share of chunks that would be skipped at it).

    Raises:
        InvalidInputError: folds that do not fit the judges, or a loss that is not finite.
        DataError: `orders.npz` is damaged, or of other judges or samples.
    """
    started = time.monotonic()
    judge_of = check_folds(folds, len(judges), samples.num_rows)
    state = _State(out / "orders.npz", boundaries.shape[0], boundaries.shape[1] - 1)
    out.mkdir(parents=True, exist_ok=True)
    for number, folder in enumerate(judges):
        student = Student.load(folder, n_chunks=chunks.M)
        encoded = student.encode(samples, chunks.rules)
        if number == 0:
            state.load(_fingerprint(judges, judge_of, boundaries, encoded, chunks))
        rows = np.flatnonzero((judge_of == number) & ~state.done)
        with NllHead(student.network, student.markers.end_id) as head:
            for first in range(0, len(rows), BLOCK_ROWS):
                block = rows[first : first + BLOCK_ROWS].tolist()
                teacher = Teacher(student, encoded, boundaries, head, chunks.score_batch_tokens)
                state.add(block, order_chunks(teacher, block))
                if progress is not None:
                    progress(int(state.done.sum()), len(state.done))
    orders = state.orders
    _write_orders(out / "soft.parquet", samples, orders)
    held = int((np.diff(boundaries, axis=1) > 0).sum())
    report = {
        "gate": "soft",
        "judges": len(judges),
        "seconds": round(time.monotonic() - started, 3),
        "thresholds": [
            {
                "mean_rise": rise,
                "skipped": int(orders.skipped(rise, options.max_token_rise).sum()) / max(held, 1),
            }
            for rise in THRESHOLDS
        ],
    }
    skipped = orders.skipped(options.max_mean_rise, options.max_token_rise)
    return write_decisions(out, samples, boundaries, skipped, report)


class _State:
    """Orders that are found so far, on disk after every block."""

    def __init__(self, path: Path, n: int, n_chunks: int) -> None:
        self.path, self.key = path, ""
        self.done: Bools = np.zeros(n, dtype=np.bool_)
        shape = (n, n_chunks)
        self.orders = Orders(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape))

    def load(self, key: str) -> None:
        """What a killed call has left.

        Raises:
            DataError: the file is damaged, or of other inputs.
        """
        self.key = key
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as content:
                if str(content["key"]) != key:
                    raise DataError(f"{self.path} is of other judges or samples; delete it to score anew")
                self.done = content["done"]
                self.orders = Orders(*(content[name] for name in ("chunk", "mean_rise", "largest_rise")))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot read {self.path}: {error}; delete it to score anew") from error

    def add(self, rows: list[int], found: list[list[tuple[int, float, float]]]) -> None:
        """Notes the orders of some rows, and writes all."""
        for row, order in zip(rows, found, strict=True):
            for place, (chunk, mean, largest) in enumerate(order):
                self.orders.chunk[row, place] = chunk
                self.orders.mean_rise[row, place] = mean
                self.orders.largest_rise[row, place] = largest
            self.done[row] = True
        buffer = io.BytesIO()
        np.savez(buffer, key=np.asarray(self.key), done=self.done, **vars(self.orders))
        write_bytes(self.path, buffer.getvalue())


def _write_orders(path: Path, samples: pa.Table, orders: Orders) -> None:
    import pyarrow as pa

    columns = {name: values.tolist() for name, values in vars(orders).items()}
    write_parquet(path, pa.table({"id": samples["id"], **columns}))


def _fingerprint(
    judges: Sequence[Path], judge_of: Ints, boundaries: Ints, encoded: EncodedSamples, chunks: ChunkOptions
) -> str:
    """What orders depend on; thresholds do not."""
    digest = hashlib.sha256()
    for folder in judges:
        digest.update(Student.load(folder, n_chunks=chunks.M, device="cpu").digest().encode())
    digest.update(judge_of.tobytes() + np.ascontiguousarray(boundaries).tobytes())
    digest.update(json.dumps(encoded.ids).encode())
    for rows in (encoded.question, encoded.rationale, encoded.answer):
        digest.update(rows.values.tobytes() + rows.offsets.tobytes())
    return digest.hexdigest()
