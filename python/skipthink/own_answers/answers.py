"""Own answers: students answer the questions of training, and the shortest right answer of each is kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.answers import Verdict
from skipthink.answers.options import CheckOptions
from skipthink.core.ragged import Ints
from skipthink.exceptions import DataError
from skipthink.io.files import parse_object, write_json, write_parquet
from skipthink.own_answers.drawing import Draw, Writer
from skipthink.own_answers.options import OwnAnswersOptions
from skipthink.skipping.skip_data import check_folds
from skipthink.student.student import Student
from skipthink.student.token_rows import TokenRows

if TYPE_CHECKING:
    import pyarrow as pa

DRAWS_FILE, OWN_FILE, REPORT_FILE = "draws.parquet", "own.parquet", "report.json"
FEW, NEARLY_ALL = 0.1, 0.95
"""Shares of right answers below and above which the report warns."""
KEY = b"skipthink.inputs"
"""Metadata of a file that say what its answers depend on."""
SECONDS = b"skipthink.seconds"

Progress = Callable[[int, int], None]


def make_own_answers(
    *,
    writers: Sequence[Path],
    folds: Ints | None = None,
    samples: pa.Table,
    out: Path,
    options: OwnAnswersOptions,
    check: CheckOptions,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Draws answers to the questions of training and keeps the shortest right one of each sample.

    Answers of some questions are drawn side by side and written before the next ones; after a kill those that are
    written are not drawn again. Random numbers depend on seed, sample and draw, and batches on all samples, so the
    answers are those of an undisturbed call.

    Args:
        writers: folders of trained students that answer in one pass: one, or with cross-fitting F of one tokenizer.
        folds: the student that answers each sample, int64 (n,), one that was not trained on it; None: the only one.
        samples: training samples: columns id, question, answer.
        out: folder for `draws.parquet` (a row per answer, see `drawing.Draw`), `own.parquet` (id, chain, text, tokens;
            a row per sample, null where no answer can be learnt from) and `report.json`.
        options: how many answers, at which temperature.
        check: how answers are checked.
        seed: seeds sampling.
        progress: called with (samples done, samples).

    Returns:
        The report: writers, samples; drawn, right, wrong, unparsed, unended, malformed, no_step, usable (answers);
        answered (samples with a usable answer); tokens_generated, tokens_drawn, tokens_kept (means of whole right
        answers and of the shortest ones; None where there are none), seconds (over all kills), warnings.

    Raises:
        InvalidInputError: folds that do not fit the writers, or a student that is not trained.
        DataError: what a killed call has left is damaged, or of other students, samples or options.
    """
    writer_of = check_folds(folds, len(writers), samples.num_rows)
    out.mkdir(parents=True, exist_ok=True)
    key = _fingerprint(writers, writer_of, samples, options, check, seed)
    parts = out / "parts"
    known = _finished(out, key)
    if known is None:
        n_done = 0
        for number, folder in enumerate(writers):
            rows = np.flatnonzero(writer_of == number)
            if not len(rows):
                continue
            writer = Writer(Student.load(folder), options, check, seed)
            for n_drawn in _draw(writer, samples.take(rows), parts, f"{number:04d}", key):
                n_done += n_drawn
                if progress is not None:
                    progress(n_done, samples.num_rows)
        known = _gather(out, parts, samples, len(writers), options, key)
    shutil.rmtree(parts, ignore_errors=True)
    return known


def read_chains(table: pa.Table) -> TokenRows:
    """The chains of `own.parquet`, row by row; an empty one where a sample has no answer of its own."""
    return TokenRows.of([chain or [] for chain in table["chain"].to_pylist()])


def _draw(writer: Writer, samples: pa.Table, parts: Path, name: str, key: str) -> Iterator[int]:
    """Has one student answer its samples, block by block; a block that is on disk is not drawn again.

    Yields:
        The samples of each block, once its answers are on disk.
    """
    ids, gold = samples["id"].to_pylist(), samples["answer"].to_pylist()
    questions = writer.student.encode_questions(samples["question"].to_pylist())
    order = sorted(range(len(ids)), key=lambda row: -len(questions[row]))  # a lack of memory shows at once
    size = max(1, writer.options.batch_size // writer.options.samples)
    for number, first in enumerate(range(0, len(order), size)):
        block = order[first : first + size]
        path = parts / f"{name}-{number:06d}.parquet"
        if not path.exists():
            started = time.monotonic()
            draws = writer.write(
                [ids[row] for row in block], [questions[row] for row in block], [gold[row] for row in block]
            )
            table = draws_table(draws).replace_schema_metadata(
                {KEY: key, SECONDS: repr(time.monotonic() - started)}
            )
            write_parquet(path, table)
        yield len(block)


def draws_table(draws: Iterable[Draw]) -> pa.Table:
    """Answers as a table, a row each."""
    import pyarrow as pa

    types = {
        "id": pa.string(),
        "draw": pa.int64(),
        "chain": pa.list_(pa.int64()),
        "text": pa.string(),
        "answer": pa.string(),
        "verdict": pa.string(),
        "form": pa.string(),
        "tokens": pa.int64(),
    }
    rows = [{**vars(draw), "chain": draw.chain.tolist()} for draw in draws]
    return pa.Table.from_pylist(rows, schema=pa.schema(types))


def is_usable(verdict: str, form: str) -> bool:
    """Whether a student may learn from an answer, by its verdict and form (see `drawing.Draw`)."""
    return verdict == Verdict.RIGHT and form == "whole"


def shortest_usable(draws: pa.Table) -> dict[str, dict[str, Any]]:
    """The shortest answer per sample that a student may learn from; of equally short ones the first one drawn."""
    best: dict[str, dict[str, Any]] = {}
    for row in draws.to_pylist():
        if not is_usable(row["verdict"], row["form"]):
            continue
        known = best.get(row["id"])
        if known is None or (len(row["chain"]), row["draw"]) < (len(known["chain"]), known["draw"]):
            best[row["id"]] = row
    return best


def _gather(
    out: Path, parts: Path, samples: pa.Table, n_writers: int, options: OwnAnswersOptions, key: str
) -> dict[str, Any]:
    """Joins what was drawn, keeps the shortest, and writes the report, which says that all is there."""
    import pyarrow as pa

    tables = [_read_part(path, key) for path in sorted(parts.glob("*.parquet"))]
    seconds = sum(float((table.schema.metadata or {})[SECONDS]) for table in tables)
    ids = samples["id"].to_pylist()
    place = {name: row for row, name in enumerate(ids)}
    drawn = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    order = np.lexsort((drawn["draw"].to_numpy(), [place[name] for name in drawn["id"].to_pylist()]))
    drawn = drawn.take(order)
    best = shortest_usable(drawn)
    kept = [best.get(name, {}) for name in ids]
    own = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "chain": pa.array([row.get("chain") for row in kept], pa.list_(pa.int64())),
            "text": pa.array([row.get("text") for row in kept], pa.string()),
            "tokens": pa.array([row.get("tokens") for row in kept], pa.int64()),
        }
    )
    write_parquet(out / DRAWS_FILE, drawn)
    write_parquet(out / OWN_FILE, own)
    report = _report(drawn, own, n_writers, options) | {"seconds": round(seconds, 3), "inputs": key}
    write_json(out / REPORT_FILE, report)
    return report


def _report(drawn: pa.Table, own: pa.Table, n_writers: int, options: OwnAnswersOptions) -> dict[str, Any]:
    verdicts, forms = Counter(drawn["verdict"].to_pylist()), Counter(drawn["form"].to_pylist())
    tokens = np.asarray(drawn["tokens"].to_pylist(), dtype=np.int64)
    usable = [
        is_usable(verdict, form)
        for verdict, form in zip(drawn["verdict"].to_pylist(), drawn["form"].to_pylist(), strict=True)
    ]
    kept = own["tokens"].drop_null().to_pylist()
    n, right = drawn.num_rows, verdicts[Verdict.RIGHT]
    warnings = []
    if right < FEW * n:
        warnings.append(
            f"only {right} of {n} answers are right: few samples get an answer of their own; train the students that "
            "write longer, or lower own_answers.temperature"
        )
    if right > NEARLY_ALL * n and options.crossfit == 1:
        warnings.append(
            f"{right} of {n} answers are right: the student may know its training samples by heart, and short answers "
            "that are right for this reason teach nothing; use own_answers.crossfit: 2 or more"
        )
    return {
        "writers": n_writers,
        "samples": own.num_rows,
        "drawn": n,
        **{str(verdict): verdicts[verdict] for verdict in Verdict},
        "unended": forms["unended"],
        "malformed": forms["malformed"],
        "no_step": forms["no step"],
        "usable": int(np.sum(usable)),
        "answered": len(kept),
        "tokens_generated": int(tokens.sum()),
        "tokens_drawn": float(tokens[usable].mean()) if any(usable) else None,
        "tokens_kept": float(np.mean(kept)) if kept else None,
        "warnings": warnings,
    }


def _finished(out: Path, key: str) -> dict[str, Any] | None:
    """The report of a call that was killed behind its end.

    Raises:
        DataError: it is damaged, or of other inputs.
    """
    path = out / REPORT_FILE
    try:
        report = parse_object(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    if report.get("inputs") != key:
        raise DataError(f"{path} is of other students, samples or options; delete {out} to draw anew")
    return report


def _read_part(path: Path, key: str) -> pa.Table:
    """The answers of a block.

    Raises:
        DataError: the file is damaged, or of other inputs.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {error}; delete it to draw its answers anew") from error
    if (table.schema.metadata or {}).get(KEY) != key.encode():
        raise DataError(f"{path} is of other students, samples or options; delete {path.parent} to draw anew")
    return table


def _fingerprint(
    writers: Sequence[Path],
    writer_of: Ints,
    samples: pa.Table,
    options: OwnAnswersOptions,
    check: CheckOptions,
    seed: int,
) -> str:
    """What the answers depend on."""
    digest = hashlib.sha256()
    for folder in writers:
        student = Student.load(folder, device="cpu")
        digest.update(json.dumps([student.digest(), dict(student.about)], sort_keys=True).encode())
    digest.update(writer_of.tobytes())
    texts = samples.select(["id", "question", "answer"]).to_pylist()
    declared = [options.replace(rounds=1).to_dict(), check.to_dict(), seed]
    digest.update(json.dumps([texts, declared], sort_keys=True).encode())
    return digest.hexdigest()
