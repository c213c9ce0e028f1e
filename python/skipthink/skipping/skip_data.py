"""Skip data: which chunks the chunk-wise trained student can do without (method §6, docs/explanation/skipping.md)."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skipthink.answers.options import CheckOptions
from skipthink.core.ledger import EMPTY, OPEN, RIGHT, SKIPPED, UNKNOWN, SkipLedger
from skipthink.core.ledger_file import LedgerFile
from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_json, write_parquet
from skipthink.io.job_progress import phase_of
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.foresight import foresee, foreseen, role_shares, shrink
from skipthink.skipping.judge import Block, Flags, Judge, Subjects
from skipthink.skipping.options import SkipOptions
from skipthink.skipping.roles import find_roles
from skipthink.skipping.statistics import describe_torn, find_warnings, group_skips
from skipthink.skipping.transcript import Transcript
from skipthink.student.encoding import EncodedSamples
from skipthink.student.student import Student

if TYPE_CHECKING:
    import pyarrow as pa

LOGGER = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
NOTES = ("tokens", "prompt_tokens", "prompt_tokens_read", "unparsed", "regrown", "seconds")
"""What the ledger notes of every batch: see `judge.Cost`."""


def make_skip_data(
    *,
    judges: Sequence[Path],
    folds: Ints | None = None,
    samples: pa.Table,
    boundaries: Ints,
    out: Path,
    check: CheckOptions,
    options: SkipOptions,
    chunks: ChunkOptions,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Asks judges which chunks they can do without; resumes from `ledger.bin` after a kill.

    Args:
        judges: folders of chunk-wise trained students: one, or with cross-fitting F of one tokenizer.
        folds: the judge of each sample, 0 … F - 1, int64 (n,), one that was not trained on it; None: the only one.
        samples: training samples: columns id, question, rationale, answer; where there is one, task.
        boundaries: their chunks, int64 (n, M + 1).
        out: folder for `ledger.bin`, `skip.parquet` (id, boundaries, skipped), `transcript.parquet`
            (`transcript.Reply`) and `report.json`.
        check: how answers are checked.
        options: how chunks are judged.
        chunks: M and the step rules.
        seed: seeds sampling.
        progress: called with (rows settled, rows).

    Returns:
        The report: what `SkipLedger.stats` counts; judges, votes, prefixes_kept; groups (`statistics.group_skips`);
        tokens_generated, prompt_tokens, prompt_tokens_read, unparsed, regrown, seconds (over all kills); torn_bytes,
        warnings.

    Raises:
        InvalidInputError: folds that do not fit the judges.
        LedgerError: a ledger that is damaged, or of other judges, samples, chunks or options.
    """
    judge_of = check_folds(folds, len(judges), samples.num_rows)
    first = Student.load(judges[0], n_chunks=chunks.M)
    encoded = first.encode(samples, chunks.rules)
    subjects = Subjects(encoded, boundaries, samples["answer"].to_pylist(), check)
    out.mkdir(parents=True, exist_ok=True)
    ledger = SkipLedger(boundaries)
    fingerprint = _fingerprint(judges, judge_of, subjects, options, chunks, seed)
    with LedgerFile(out / "ledger.bin", ledger, fingerprint) as file:
        if file.torn_bytes:
            LOGGER.warning("%s: %s", file.path, describe_torn(file.torn_bytes))
        transcript = Transcript(out)
        questions = _Questions(file, transcript, progress)
        kept = [
            ask_judge(_load_judge(folder, subjects, options, chunks, seed), questions, rows)
            for number, folder in enumerate(judges)
            if len(rows := longest_first(encoded, np.flatnonzero(judge_of == number)))
        ]
        totals = {name: file.total(name) for name in NOTES}
        torn_bytes = file.torn_bytes
    drawn = _draw_to_roles(encoded, boundaries, ledger.skipped, options)
    write_skips(out, encoded.ids, boundaries, *drawn["decisions"])
    transcript.finish(encoded.ids)
    groups = group_skips(ledger.base(), ledger.states(), tasks_of(samples))
    report = {
        **ledger.stats(),
        "judges": len(judges),
        "votes": options.votes,
        "prefixes_kept": all(kept),
        "groups": groups,
        **drawn["report"],
        "tokens_generated": totals.pop("tokens"),
        **totals,
        "seconds": round(totals["seconds"], 3),
        "torn_bytes": torn_bytes,
        "warnings": find_warnings(
            groups[0], int(totals["unparsed"]), n_judges=len(judges), torn_bytes=torn_bytes
        ),
    }
    write_json(out / "report.json", report)
    return report


class Questions(Protocol):
    """What is asked of samples, and where the answers go.

    Attributes:
        ledger: of all samples.
        progress: called with (rows settled, rows); None: nobody is told.
    """

    ledger: SkipLedger
    progress: Progress | None

    def ask(self, block: Block, chunk: int, asked: Ints) -> None:
        """Has one question of some samples of a block answered, and notes the answers in the ledger."""


class _Questions:
    """Asks what is open in the ledger; what is answered is on disk before it counts."""

    def __init__(self, file: LedgerFile, transcript: Transcript, progress: Progress | None) -> None:
        self.file, self.ledger, self.progress = file, file.ledger, progress
        self.transcript = transcript

    def ask(self, block: Block, chunk: int, asked: Ints) -> None:
        """Has one question of some samples of a block answered, and notes the answers on disk."""
        if not len(asked):
            return
        rows, started = block.rows[asked], time.monotonic()
        right, cost, replies = block.ask(chunk, asked, self.ledger.states(block.rows) == SKIPPED)
        self.transcript.add(replies)
        self.file.record(
            rows,
            np.full(len(rows), chunk),
            right,
            **asdict(cost),
            seconds=round(time.monotonic() - started, 6),
        )
        if self.progress is not None:
            self.progress(self.ledger.n_settled, len(self.ledger))


def ask_judge(judge_: Judge, questions: Questions, rows: Ints) -> bool:
    """Asks one judge all that is open of its samples; returns whether it kept prefixes.

    Batches are composed of all its samples, whatever is answered already: so they are the same after a kill.
    """
    size, ledger = judge_.block_size, questions.ledger
    with phase_of(questions.progress, "nothing left out", "samples") as progress:
        for done, batch in zip(range(size, len(rows) + size, size), _slices(rows, size), strict=True):
            questions.ask(judge_.block(batch), 0, np.flatnonzero(ledger.base(batch) == UNKNOWN))
            progress(min(done, len(rows)), len(rows))
    for batch in _slices(rows[ledger.base(rows) == RIGHT], size):
        states = ledger.states(batch)
        if not (states == OPEN).any():
            continue
        answered = np.flatnonzero(((states != OPEN) & (states != EMPTY)).any(axis=0))
        block = judge_.block(batch, replayed=int(answered.max(initial=-1)) + 1)
        for chunk in range(1, states.shape[1] + 1):
            questions.ask(block, chunk, np.flatnonzero(ledger.states(batch)[:, chunk - 1] == OPEN))
    return judge_.keeps


def _load_judge(
    folder: Path, subjects: Subjects, options: SkipOptions, chunks: ChunkOptions, seed: int
) -> Judge:
    student = Student.load(folder, n_chunks=chunks.M)
    decoding = student.decoding.using(
        batch_size=options.batch_size, temperature=options.temperature, seed=seed
    )
    return Judge(student, decoding, subjects, options)


def check_folds(folds: Ints | None, n_judges: int, n_rows: int) -> Ints:
    """The judge of each sample, int64 (n,).

    Raises:
        InvalidInputError: folds that do not fit the judges.
    """
    if folds is None:
        folds = np.zeros(n_rows, dtype=np.int64)
        if n_judges != 1:
            raise InvalidInputError(f"there are {n_judges} judges; give folds, the judge of each sample")
    if len(folds) != n_rows or (n_rows and not 0 <= folds.min() <= folds.max() < n_judges):
        raise InvalidInputError(
            f"folds must name one of {n_judges} judges (from 0) for each of {n_rows} samples, got {len(folds)} values "
            f"from {folds.min(initial=0)} to {folds.max(initial=0)}"
        )
    return folds


def _slices(rows: Ints, size: int) -> Iterator[Ints]:
    return (rows[first : first + size] for first in range(0, len(rows), size))


def longest_first(encoded: EncodedSamples, rows: Ints) -> Ints:
    """Samples of similar length together, longest first, so that a lack of memory shows at once."""
    lengths = encoded.question.lengths + encoded.rationale.lengths
    return rows[np.argsort(-lengths[rows], kind="stable")]


def _fingerprint(
    judges: Sequence[Path],
    judge_of: Ints,
    subjects: Subjects,
    options: SkipOptions,
    chunks: ChunkOptions,
    seed: int,
) -> str:
    """What the answers depend on: other judges, chunks or data must not continue this ledger."""
    digest = hashlib.sha256()
    for folder in judges:
        judge_ = Student.load(folder, n_chunks=chunks.M, device="cpu")
        digest.update(json.dumps([judge_.digest(), judge_.about], sort_keys=True).encode())
    digest.update(judge_of.tobytes() + np.ascontiguousarray(subjects.boundaries).tobytes())
    encoded = subjects.encoded
    declared = [options.to_dict(), subjects.check.to_dict(), seed]
    digest.update(json.dumps([encoded.ids, subjects.gold, declared]).encode())
    digest.update(encoded.rationale.values.tobytes() + encoded.question.values.tobytes())
    return digest.hexdigest()


def _draw_to_roles(
    encoded: EncodedSamples, boundaries: Ints, skipped: Flags, options: SkipOptions
) -> dict[str, Any]:
    """Decisions drawn to the shares of roles, beside the judge's own; what changed, and how well both are foreseen."""
    roles = find_roles(encoded.questions, encoded.steps, boundaries, n_roles=options.roles)
    if options.own_weight is None:
        return {"decisions": (skipped,), "report": {"foreseen": foreseen(encoded.questions, skipped, roles)}}
    drawn, n_rescued = shrink(skipped, roles, options.own_weight)
    shares = role_shares(skipped, roles)
    report = {
        "drawn": int((drawn != skipped).sum()),
        "rescued": n_rescued,
        "foreseen": {
            **foreseen(encoded.questions, drawn, roles),
            "own": foresee(encoded.questions, skipped, roles),
        },
        "roles": [
            {"example": example, "chunks": int((roles.of == role).sum()), "share": float(shares[role])}
            for role, example in enumerate(roles.examples)
        ],
    }
    return {"decisions": (drawn, skipped), "report": report}


def write_skips(
    out: Path, ids: list[str], boundaries: Ints, skipped: Flags, own: Flags | None = None
) -> None:
    """Writes `skip.parquet`: id, boundaries, skipped; where decisions were drawn to roles, also own."""
    import pyarrow as pa

    columns = {"id": ids, "boundaries": boundaries.tolist(), "skipped": skipped.tolist()}
    if own is not None:
        columns["own"] = own.tolist()
    write_parquet(out / "skip.parquet", pa.table(columns))


def tasks_of(samples: pa.Table) -> list[str] | None:
    """The task of each sample; None where samples have no column `task`."""
    if "task" not in samples.column_names:
        return None
    return ["(none)" if task is None else str(task) for task in samples["task"].to_pylist()]
