"""Evaluation of a trained student: accuracy, tokens, seconds, loops (method §8, docs/reference/evaluation.md)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.answers import Verdict, check_answer
from skipthink.answers.maths import count_timeouts
from skipthink.answers.options import CheckOptions
from skipthink.core.options import SearchOptions
from skipthink.core.ragged import Ints
from skipthink.core.search import average_boundaries, chunk
from skipthink.evaluation.confidence import ONE_PASS, confidences
from skipthink.evaluation.intervals import wilson_interval
from skipthink.evaluation.levels import levels_table, measure_levels
from skipthink.evaluation.options import EvaluationOptions
from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_parquet
from skipthink.io.job_progress import phase_of
from skipthink.options import pick
from skipthink.scoring.options import ChunkOptions
from skipthink.student.devices import describe_device, synchronize
from skipthink.student.encoding import EncodedSamples
from skipthink.student.inference import Answered, Decoding, Progress, answer_questions, continue_chains
from skipthink.student.student import Student

if TYPE_CHECKING:
    import pyarrow as pa


def evaluate(
    *,
    student: Path,
    samples: pa.Table,
    mode: str,
    out: Path,
    check: CheckOptions,
    options: EvaluationOptions,
    chunks: ChunkOptions,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates a student on held-out questions and writes `predictions.parquet`.

    Args:
        student: folder of a trained student.
        samples: columns id, question, answer; for the accuracy by stage also rationale.
        mode: a key of `skipthink.student.inference.MODES`.
        out: folder for `predictions.parquet`; of a student with levels also `levels.parquet`.
        check: how answers are checked.
        options: how many questions are asked in which way; `options.split` is the caller's to take samples from.
        chunks: M, the step rules, and how the teacher's rationales are cut for the accuracy by stage: as those of
            training were, by the student's own losses.
        progress: called with (passes done, passes in all).

    Returns:
        n, right, wrong, unparsed (counts), accuracy and its 95 % Wilson interval accuracy_low, accuracy_high (0 to 1),
        timeouts (of maths, among the unparsed), unended, looped (answers with such a pass), tokens_per_answer
        (generated, end tokens included), prompt_tokens_per_answer, seconds_per_answer (generation only, batched),
        seconds_per_answer_alone and n_alone (one at a time), stage_accuracy (M + 1 shares, or None), n_stage,
        levels (of a student with levels, see `levels.measure_levels`; all else is of the highest one; or None) and
        device (where it ran, in words).

    Raises:
        InvalidInputError: no sample to evaluate on, or a mode the student was not trained for.
    """
    if samples.num_rows == 0:
        raise InvalidInputError("there is no sample to evaluate on")
    asked = Student.load(student, n_chunks=chunks.M, dtype="bfloat16" if options.bf16 else "float32")
    decoding = asked.decoding.using(batch_size=options.batch_size)
    questions = asked.encode_questions(samples["question"].to_pylist())

    def answer(rows: list[Ints], decoding: Decoding, progress: Progress | None = None) -> list[Answered]:
        return answer_questions(
            asked.model, asked.markers, rows, mode=mode, decoding=decoding, progress=progress
        )

    # first calls pay for lazy set-up that no answer should be charged with
    answer(questions[:2], decoding)
    started = _now(asked)
    answered = answer(questions, decoding, progress)
    seconds = _now(asked) - started
    timeouts = count_timeouts()
    gold: list[str] = samples["answer"].to_pylist()
    texts = [asked.answer_text(result) for result in answered]
    verdicts = [check_text(check, text, expected) for text, expected in zip(texts, gold, strict=True)]
    timeouts = count_timeouts() - timeouts
    with phase_of(progress, "one question at a time", "questions") as phase:
        alone = _time_alone(asked, questions, answer, decoding, options.alone_questions, phase)
    with phase_of(progress, "behind the teacher's chunks", "chunks") as phase:
        stages = _measure_stages(
            asked, samples, mode, verdicts, check, chunks, decoding, options.stage_questions, phase
        )
    out.mkdir(parents=True, exist_ok=True)
    table = _table(asked, samples, answered, texts, verdicts)
    if options.confidence and mode in ONE_PASS:
        table = table.append_column("confidence", [confidences(asked, questions, answered, mode)])
    write_parquet(out / "predictions.parquet", table)
    levels = None
    if mode == "skip" and decoding.level_limits:
        with phase_of(progress, "other levels", "levels") as phase:
            levels, rows = measure_levels(
                asked,
                lambda other: answer(questions, other),
                lambda text, expected: check_text(check, text, expected),
                gold,
                decoding,
                answered,
                phase,
            )
        write_parquet(out / "levels.parquet", levels_table(samples["id"].to_pylist(), rows))
    counts = Counter(verdicts)
    n = len(answered)
    low, high = wilson_interval(counts[Verdict.RIGHT], n)
    return {
        "n": n,
        **{str(verdict): counts[verdict] for verdict in Verdict},
        "accuracy": counts[Verdict.RIGHT] / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "timeouts": timeouts,
        "unended": sum(result.n_unended > 0 for result in answered),
        "looped": sum(result.n_looped > 0 for result in answered),
        "tokens_per_answer": sum(result.n_generated for result in answered) / n,
        "prompt_tokens_per_answer": sum(result.n_prompt for result in answered) / n,
        "seconds_per_answer": seconds / n,
        **alone,
        **stages,
        "levels": levels,
        "device": describe_device(asked.device) + (", bfloat16" if options.bf16 else ""),
    }


def accuracy_by_stage(
    student: Student,
    samples: pa.Table,
    *,
    check: CheckOptions,
    chunks: ChunkOptions,
    decoding: Decoding,
    alone: Sequence[Verdict] | None = None,
    progress: Progress | None = None,
) -> list[float]:
    """The share of right answers if the teacher's first m chunks are given and the student writes the rest.

    Entry 0 is what the student does alone, entry M what its answer stage does with the teacher's whole rationale.
    Where the share rises from m − 1 to m, the student's own chunk m went wrong in so many answers.

    Args:
        student: a chunk-wise trained student.
        samples: columns id, question, rationale, answer; no rationale null.
        check: how answers are checked.
        chunks: how the rationales are cut: evenly, or by search on the student's losses.
        decoding: limits and batch size.
        alone: verdicts of what the student answered without a given chunk; None: it is asked.
        progress: called with (numbers of given chunks done, M + 1).

    Returns:
        M + 1 shares.
    """
    encoded = student.encode(samples, chunks.rules)
    boundaries = _chunk_by_student(student, encoded, chunks)
    gold: list[str] = samples["answer"].to_pylist()
    questions = [encoded.question[row] for row in range(len(encoded))]
    shares = [] if alone is None else [list(alone).count(Verdict.RIGHT) / len(alone)]
    for given in range(len(shares), student.n_chunks + 1):
        ends = [
            encoded.step_tokens[row][boundaries[row, given]] if given else 0 for row in range(len(encoded))
        ]
        prefixes = [encoded.rationale[row][:end].tolist() for row, end in enumerate(ends)]
        first_stages = [given + 1] * len(encoded)
        answered = continue_chains(
            student.model, student.markers, questions, prefixes, first_stages, decoding=decoding
        )
        verdicts = [
            check_text(check, student.answer_text(result), expected)
            for result, expected in zip(answered, gold, strict=True)
        ]
        shares.append(verdicts.count(Verdict.RIGHT) / len(verdicts))
        if progress is not None:
            progress(given + 1, student.n_chunks + 1)
    return shares


def _chunk_by_student(student: Student, encoded: EncodedSamples, chunks: ChunkOptions) -> Ints:
    """Chunks of held-out rationales, cut as those of training were."""
    if chunks.method == "average":
        return average_boundaries(encoded.n_steps, student.n_chunks)
    losses = student.score(encoded, passes=chunks.passes)
    search = pick(SearchOptions, chunks).chunk_arguments()
    return chunk(encoded.steps, M=student.n_chunks, **losses.chunk_arguments(), **search).boundaries


def _measure_stages(
    student: Student,
    samples: pa.Table,
    mode: str,
    verdicts: list[Verdict],
    check: CheckOptions,
    chunks: ChunkOptions,
    decoding: Decoding,
    n_questions: int,
    progress: Progress,
) -> dict[str, Any]:
    """Accuracy by stage on the first samples that have a rationale; None where a mode has no stages.

    What the student answers without a given chunk is known: the verdicts of all samples.
    """
    nothing: dict[str, Any] = {"stage_accuracy": None, "n_stage": 0}
    if mode != "full" or "rationale" not in samples.column_names:
        return nothing
    with_rationale = [
        row for row, text in enumerate(samples["rationale"].to_pylist()) if text and text.strip()
    ]
    rows = with_rationale[:n_questions]
    if not rows:
        return nothing
    shares = accuracy_by_stage(
        student,
        samples.take(rows),
        check=check,
        chunks=chunks,
        decoding=decoding,
        alone=[verdicts[row] for row in rows],
        progress=progress,
    )
    return {"stage_accuracy": shares, "n_stage": len(rows)}


def _time_alone(
    student: Student,
    questions: list[Ints],
    answer: Callable[[list[Ints], Decoding], list[Answered]],
    decoding: Decoding,
    count: int,
    progress: Progress,
) -> dict[str, Any]:
    """Seconds per answer, one question at a time, on evenly spaced questions."""
    if count == 0:
        return {"seconds_per_answer_alone": None, "n_alone": 0}
    rows = np.unique(np.linspace(0, len(questions) - 1, min(count, len(questions))).astype(int))
    one = decoding.using(batch_size=1)
    # a GPU takes other kernels for one row than for several, and loads them when they are first called
    answer([questions[rows[0]]], one)
    started = _now(student)
    for number, row in enumerate(rows):
        answer([questions[row]], one)
        progress(number + 1, len(rows))
    return {"seconds_per_answer_alone": (_now(student) - started) / len(rows), "n_alone": len(rows)}


def _now(student: Student) -> float:
    """Seconds, read once the student's device is idle."""
    synchronize(student.device)
    return time.perf_counter()


def check_text(check: CheckOptions, text: str | None, gold: str) -> Verdict:
    """Checks an answer within the tolerances; without an answer it is unparsed."""
    if text is None:
        return Verdict.UNPARSED
    return check_answer(
        check.answer, text, gold, tolerance=check.tolerance, relative_tolerance=check.relative_tolerance
    )


def _table(
    student: Student,
    samples: pa.Table,
    answered: list[Answered],
    texts: list[str | None],
    verdicts: list[Verdict],
) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "id": samples["id"],
            "gold": samples["answer"],
            "chain": [student.tokenizer.decode(result.chain) for result in answered],
            "answer": texts,
            "verdict": [str(verdict) for verdict in verdicts],
            "tokens": [result.n_generated for result in answered],
            "prompt_tokens": [result.n_prompt for result in answered],
            "ended": [result.n_unended == 0 for result in answered],
            "looped": [result.n_looped > 0 for result in answered],
        }
    )
