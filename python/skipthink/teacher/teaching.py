"""Teaching: asks the teacher, filters its replies, writes the files (docs/how-to/teacher.md)."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError
from skipthink.io.files import atomic_path, write_json
from skipthink.io.progress import Display
from skipthink.teacher.asking import Asker, Counts, Teacher
from skipthink.teacher.conversation import Conversations
from skipthink.teacher.cost import Totals, exact_text
from skipthink.teacher.filter import Candidate, Filter, Question, row_of
from skipthink.teacher.halting import Halt
from skipthink.teacher.lesson import INTERRUPTED, Lesson
from skipthink.teacher.options import TeacherOptions
from skipthink.teacher.prompts import load_prompt
from skipthink.teacher.requests import Reply
from skipthink.teacher.store import Store
from skipthink.teacher.texts import Contamination

if TYPE_CHECKING:
    import pyarrow as pa

RATIONALES, REJECTS, OPEN, REPORT = "rationales.parquet", "rejects.parquet", "open.parquet", "report.json"
EVALUATED = ("validation", "test")
_BATCH_QUESTIONS = 512

Say = Callable[[str], None]


@dataclass(frozen=True)
class Taught:
    """The result of teaching.

    Attributes:
        report: content of report.json.
        halted: reason why asking ended early, or None.
        interrupted: whether the reason was Ctrl-C.
    """

    report: dict[str, Any]
    halted: str | None
    interrupted: bool


def teach(
    questions: pa.Table,
    options: TeacherOptions,
    folder: str | Path,
    *,
    kind: str,
    tolerance: float = 1e-6,
    relative_tolerance: float = 0.0,
    say: Say | None = None,
    display: Display | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Taught:
    """Has the teacher answer questions and keeps the rationales that pass the filter.

    The same call resumes an earlier one, even after a kill; what is in the store is not asked again.

    Args:
        questions: table with the columns id, question, answer and optionally split, as from
            `skipthink.data.load_samples`. Rows of validation and test are not asked, nor are training questions that
            overlap with them.
        options: options of the teacher.
        folder: folder for rationales.parquet, rejects.parquet, open.parquet and report.json.
        kind: kind of the answers, one of `skipthink.answers.KINDS`.
        tolerance: largest absolute difference of two numbers that count as equal.
        relative_tolerance: largest difference of two numbers that count as equal, as a share of the gold number.
        say: called with lines for the user; by default they go to standard error.
        display: stream for the progress; standard error by default.
        progress: called at intervals with (samples done, number of samples).

    Returns:
        The report, and whether and why asking ended early.

    Raises:
        InvalidInputError: an option is wrong, or the teacher is not available.
        DataError: the store or a batch file is damaged.
        OSError: a file cannot be written.
    """
    folder = Path(folder)
    display = Display(sys.stderr) if display is None else display
    work = _Work(
        questions,
        options,
        folder,
        kind,
        {"tolerance": tolerance, "relative_tolerance": relative_tolerance},
        display.line if say is None else say,
        display,
        progress,
    )
    return work.run()


class _Work:
    """One call of `teach`."""

    def __init__(
        self,
        table: pa.Table,
        options: TeacherOptions,
        folder: Path,
        kind: str,
        tolerances: dict[str, float],
        say: Say,
        display: Display,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.table, self.options, self.folder, self.kind = table, options, folder, kind
        self.say, self.display, self.progress = say, display, progress
        self.prompt = load_prompt(options.prompt, kind)
        splits = table["split"].to_pylist() if "split" in table.column_names else [None] * table.num_rows
        texts = table["question"].to_pylist()
        ids, answers = table["id"].to_pylist(), table["answer"].to_pylist()
        self.evaluated = [row for row, split in enumerate(splits) if split in EVALUATED]
        taken = set(self.evaluated)
        self.questions = [
            Question(ids[row], texts[row], answers[row], row)
            for row in range(table.num_rows)
            if row not in taken
        ]
        if not self.questions:
            raise InvalidInputError("there is no question to ask: all rows are of validation or test")
        contamination = Contamination(texts[row] for row in self.evaluated)
        self.filter = Filter(options.filter, kind, tolerances, contamination)
        self.overlaps = {
            question.row: overlap
            for question in self.questions
            if (overlap := self.filter.overlap(question.text)) is not None
        }
        self.all_overlaps = Counter(name for one in self.questions for name in contamination.find(one.text))

    @property
    def n_samples(self) -> int:
        """Number of samples per question."""
        return self.options.sampling.n

    def run(self) -> Taught:
        started = time.monotonic()
        store_folder = self.folder / "store" if self.options.store is None else Path(self.options.store)
        with Store(store_folder) as store:
            asked = asyncio.run(self._ask(store, started))
            seconds = time.monotonic() - started
            counts = _write(self, store, asked)
            report = {
                "schema": 1,
                **counts,
                **asked.about(),
                "seconds_asking": round(seconds, 3),
                "store": {"answers": len(store), "paid": exact_text(store.paid), "torn_lines": store.n_torn},
                "options": self.options.to_dict(),
            }
        write_json(self.folder / REPORT, report)
        return Taught(report, asked.halt.reason, asked.halt.reason == INTERRUPTED)

    async def _ask(self, store: Store, started: float) -> _Asked:
        halt = Halt()
        teacher = make_teacher(self.options, self.folder, halt)
        conversations = Conversations(self.prompt, self.options.sampling, teacher.model)
        asker = Asker(teacher, store, self.options.price.exact(), halt)
        lesson = Lesson(conversations, asker, halt, self.display, self.say, self.progress)
        asked = [one for one in self.questions if one.row not in self.overlaps]
        n_samples = len(asked) * self.n_samples
        self.say(
            f"{len(asked)} questions, {n_samples} samples, {len(self.prompt.turns)} requests each at most; the store "
            f"has {len(store)} answers"
        )
        await lesson.run(((one, sample) for one in asked for sample in range(self.n_samples)), n_samples)
        return _Asked(conversations, asker.counts, teacher, lesson, halt, time.monotonic() - started)


@dataclass(frozen=True)
class _Asked:
    """The result of asking."""

    conversations: Conversations
    counts: Counts
    teacher: Teacher
    lesson: Lesson
    halt: Halt
    seconds: float

    def about(self) -> dict[str, Any]:
        """The part of the report about asking."""
        counts = self.counts
        return {
            "teacher": self.teacher.model,
            "prompt": self.conversations.prompt.name,
            "answers": {"asked": _totals(counts.fresh), "from_store": _totals(counts.stored)},
            "answers_per_second": round(counts.fresh.answers / self.seconds, 3) if self.seconds else None,
            "finishes": dict(counts.finishes.most_common()),
            "refusals": counts.refusals,
            "answers_that_count_no_tokens": counts.without_usage,
            "faults": dict(self.teacher.faults.most_common()),
            "halted": self.halt.reason,
        }


def make_teacher(options: TeacherOptions, folder: Path, halt: Halt) -> Teacher:
    """Makes the teacher that the options name.

    Args:
        options: options of the teacher.
        folder: folder whose subfolder "batch" holds batch files.
        halt: signal that ends asking.

    Raises:
        InvalidInputError: the key or the model is missing.
        DataError: a batch file is damaged.
    """
    if options.endpoint is not None:
        from skipthink.teacher.endpoint import EndpointTeacher

        return EndpointTeacher(options.endpoint, halt)
    if options.local is not None:
        from skipthink.teacher.local import LocalTeacher

        return LocalTeacher(options.local, halt)
    from skipthink.teacher.batch_files import BatchTeacher

    assert options.batch is not None  # noqa: S101 - the options have one of the three
    return BatchTeacher(options.batch, folder / "batch")


def _totals(totals: Totals) -> dict[str, Any]:
    return {**asdict(totals), "cost": exact_text(totals.cost)}


def _write(work: _Work, store: Store, asked: _Asked) -> dict[str, Any]:
    """Writes the three tables, a few hundred questions at a time, and counts their rows."""
    rejected, open_reasons = Counter[str](), Counter[str]()
    n_kept = n_with = 0
    schema_of_kept = _kept_schema(work)
    with (
        _writer(work.folder / RATIONALES, schema_of_kept) as keep,
        _writer(work.folder / REJECTS, _rejects_schema()) as reject,
        _writer(work.folder / OPEN, _open_schema()) as leave_open,
    ):
        for start in range(0, len(work.questions), _BATCH_QUESTIONS):
            kept: list[Candidate] = []
            rejects: list[dict[str, Any]] = []
            opened: list[dict[str, Any]] = []
            for question in work.questions[start : start + _BATCH_QUESTIONS]:
                judged, undone = _judge(work, store, asked, question)
                good = [candidate for candidate in judged if candidate.reason is None]
                n_with += bool(good)
                kept += good
                rejects += [row_of(candidate) for candidate in judged if candidate.reason is not None]
                opened += [
                    {"id": question.id, "sample": sample, "reason": reason} for sample, reason in undone
                ]
            rejected.update(row["reason"] for row in rejects)
            open_reasons.update(row["reason"] for row in opened)
            n_kept += len(kept)
            keep(_kept_table(work, kept, schema_of_kept))
            reject(_table(rejects, _rejects_schema()))
            leave_open(_table(opened, _open_schema()))
        keep(_evaluation_table(work, schema_of_kept))
    n_rejected, n_open = sum(rejected.values()), sum(open_reasons.values())
    asked_samples = len(work.questions) * work.n_samples
    if asked_samples != n_kept + n_rejected + n_open:
        raise AssertionError(f"{asked_samples} samples, but {n_kept} + {n_rejected} + {n_open}")
    return {
        "questions": len(work.questions),
        "evaluation_rows": len(work.evaluated),
        "samples": asked_samples,
        "kept": n_kept,
        "rejected": dict(rejected.most_common()),
        "open": dict(open_reasons.most_common()),
        "questions_with_a_rationale": n_with,
        "questions_that_overlap": dict(work.all_overlaps.most_common()),
    }


def _judge(
    work: _Work, store: Store, asked: _Asked, question: Question
) -> tuple[list[Candidate], list[tuple[int, str]]]:
    """Judges the finished samples of a question; for the others the reason why they are open."""
    overlap = work.overlaps.get(question.row)
    if overlap is not None:
        reason, detail = f"overlap: {overlap}", "with a question of validation or test; not asked"
        return [
            Candidate(question, sample, reason=reason, detail=detail) for sample in range(work.n_samples)
        ], []
    ended: list[tuple[int, Any, Sequence[Reply]]] = []
    undone: list[tuple[int, str]] = []
    for sample in range(work.n_samples):
        replies: list[Reply] = []
        while (request := asked.conversations.next_request(question.text, sample, replies)) is not None:
            reply = store.get(request.key)
            if reply is None:
                break
            replies.append(reply)
        if request is None:
            ended.append((sample, asked.conversations.prompt, replies))
        else:
            undone.append((sample, asked.lesson.open.get((question.row, sample), "not asked yet")))
    return work.filter.judge(question, ended), undone


@contextmanager
def _writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A writer of successive tables, whose file appears completely or not at all."""
    import pyarrow.parquet as pq

    with (
        atomic_path(path) as scratch,
        pq.ParquetWriter(scratch, schema, compression="zstd", write_page_checksum=True) as writer,
    ):

        def write(table: pa.Table) -> None:
            if table.num_rows:
                writer.write_table(table)

        yield write


def _kept_schema(work: _Work) -> pa.Schema:
    import pyarrow as pa

    fields = {"id": pa.string(), "question": pa.string(), "rationale": pa.string(), "answer": pa.string()}
    if work.evaluated:
        fields["split"] = pa.string()
    fields |= {"correct": pa.bool_(), "teacher": pa.string(), "sample": pa.int32()}
    if work.prompt.label is not None:
        fields[work.prompt.label] = pa.string()
    others = [field for field in work.table.schema if field.name not in fields and field.name != "split"]
    return pa.schema([pa.field(name, kind) for name, kind in fields.items()] + others)


def _kept_table(work: _Work, kept: Sequence[Candidate], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    rows = work.table.take(pa.array([candidate.question.row for candidate in kept], pa.int64()))
    several = work.n_samples > 1
    columns: dict[str, Any] = {
        "id": [f"{one.question.id}-{one.sample}" if several else one.question.id for one in kept],
        "rationale": [one.rationale for one in kept],
        "split": ["train"] * len(kept),
        "correct": [one.is_right for one in kept],
        "teacher": [one.model for one in kept],
        "sample": [one.sample for one in kept],
    }
    if work.prompt.label is not None:
        columns[work.prompt.label] = [one.label for one in kept]
    return _filled(rows, columns, schema)


def _evaluation_table(work: _Work, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    rows = work.table.take(pa.array(work.evaluated, pa.int64()))
    nothing = [None] * rows.num_rows
    missing = set(schema.names) - set(rows.column_names)
    columns: dict[str, Any] = dict.fromkeys(missing, nothing)
    return _filled(rows, columns, schema)


def _filled(rows: pa.Table, columns: dict[str, list[Any]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else rows[field.name].cast(field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _rejects_schema() -> pa.Schema:
    import pyarrow as pa

    text = ("id", "reason", "detail", "question", "answer", "rationale", "statement", "teacher")
    return pa.schema(
        [("id", pa.string()), ("sample", pa.int32()), *[(name, pa.string()) for name in text[1:]]]
    )


def _open_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("sample", pa.int32()), ("reason", pa.string())])


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=schema)
