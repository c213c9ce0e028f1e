"""Evaluation: accuracy, tokens, seconds, loops and stages of a trained student (method §8, docs/evaluation.md)."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.answers import Verdict, check_answer
from skipthink.answers.maths import count_timeouts
from skipthink.core.search import average_boundaries, chunk
from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_parquet
from skipthink.scoring.score import score_steps
from skipthink.student.devices import choose_device, describe_device, synchronize
from skipthink.student.encoding import Ints, encode_questions, encode_samples
from skipthink.student.frame import read_student_file
from skipthink.student.inference import Answered, Decoding, answer_questions, continue_chains
from skipthink.student.markers import Markers, read_markers
from skipthink.student.models import load_student

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How a student is evaluated.

    Attributes:
        batch_size: questions side by side.
        temperature: 0 for greedy decoding.
        seed: seeds sampling.
        tolerance: of numbers, see `skipthink.answers.check_answer`.
        relative_tolerance: of numbers.
        alone_questions: questions that are answered once more one at a time, to be timed; 0: none.
        stage_questions: questions of the accuracy by stage, mode "full" only; 0: none.
        chunking: how the teacher's rationales are cut for it: arguments of `skipthink.chunk` (`method`, `eta`, …) and
            `score_stages`; losses are the student's own.
        rules: step rules.
    """

    batch_size: int = 64
    temperature: float = 0.0
    seed: int = 0
    tolerance: float = 1e-6
    relative_tolerance: float = 0.0
    alone_questions: int = 20
    stage_questions: int = 32
    chunking: Mapping[str, Any] = field(default_factory=lambda: {"method": "average"})
    rules: str | tuple[str, ...] = "auto"

    def judge(self, kind: str, text: str | None, gold: str) -> Verdict:
        """Checks an answer within the tolerances; a student that never came to one is unparsed."""
        return judge(kind, text, gold, tolerance=self.tolerance, relative_tolerance=self.relative_tolerance)


def evaluate(
    *,
    model_dir: Path,
    samples: pa.Table,
    mode: str,
    n_chunks: int,
    answer_kind: str,
    out: Path,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates a student on held-out questions and writes `predictions.parquet`.

    Args:
        model_dir: folder of a trained student.
        samples: columns id, question, answer; for the accuracy by stage also rationale.
        mode: a key of `skipthink.student.inference.MODES`.
        n_chunks: M.
        answer_kind: kind of the answer check (`skipthink.answers.KINDS`).
        out: folder for `predictions.parquet`.
        settings: fields of `EvaluationSettings`.
        progress: called with (passes done, passes in all).

    Returns:
        n, right, wrong, unparsed (counts), accuracy and its 95 % Wilson interval accuracy_low, accuracy_high (0 to 1),
        timeouts (of maths, among the unparsed), unended, looped (answers with such a pass), tokens_per_answer
        (generated, end tokens included), prompt_tokens_per_answer, seconds_per_answer (generation only, batched),
        seconds_per_answer_alone and n_alone (one at a time), stage_accuracy (M + 1 shares, or None), n_stage and
        device (where it ran, in words).

    Raises:
        InvalidInputError: no sample to evaluate on, or a mode the student was not trained for.
    """
    if samples.num_rows == 0:
        raise InvalidInputError("there is no sample to evaluate on")
    options = EvaluationSettings(**(settings or {}))
    model, tokenizer = load_student(model_dir)
    device = choose_device()
    model.to(device)  # type: ignore[arg-type]
    markers = read_markers(tokenizer, n_chunks, model_dir)
    about = read_student_file(model_dir)
    decoding = Decoding.of_student(
        about, batch_size=options.batch_size, temperature=options.temperature, seed=options.seed
    )
    questions = encode_questions(tokenizer, markers, samples["question"].to_pylist())
    # first calls pay for lazy set-up that no answer should be charged with
    answer_questions(model, markers, questions[:2], mode=mode, decoding=decoding)
    started = _now(model)
    answered = answer_questions(model, markers, questions, mode=mode, decoding=decoding, progress=progress)
    seconds = _now(model) - started
    timeouts = count_timeouts()
    gold: list[str] = samples["answer"].to_pylist()
    texts = [answer_text(tokenizer, result) for result in answered]
    verdicts = [
        options.judge(answer_kind, text, expected) for text, expected in zip(texts, gold, strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_parquet(out / "predictions.parquet", _table(tokenizer, samples, answered, texts, verdicts))
    counts = Counter(verdicts)
    n = len(answered)
    low, high = wilson_interval(counts[Verdict.RIGHT], n)
    return {
        "n": n,
        **{str(verdict): counts[verdict] for verdict in Verdict},
        "accuracy": counts[Verdict.RIGHT] / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "timeouts": count_timeouts() - timeouts,
        "unended": sum(result.n_unended > 0 for result in answered),
        "looped": sum(result.n_looped > 0 for result in answered),
        "tokens_per_answer": sum(result.n_generated for result in answered) / n,
        "prompt_tokens_per_answer": sum(result.n_prompt for result in answered) / n,
        "seconds_per_answer": seconds / n,
        **_time_alone(model, markers, questions, mode, decoding, options.alone_questions),
        **_measure_stages(model, tokenizer, markers, samples, mode, answer_kind, decoding, options),
        "device": describe_device(device),
    }


def wilson_interval(n_right: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson 1927); it holds near 0 and 1, where mean ± z·sd does not.

    Args:
        n_right: successes.
        n: trials, at least 1.
        z: quantile of the standard normal distribution; 95 % by default.

    Returns:
        Lower and upper end, within 0 … 1.
    """
    share, spread = n_right / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # rounding must not push the ends past what was seen
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def accuracy_by_stage(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    markers: Markers,
    samples: pa.Table,
    *,
    answer_kind: str,
    decoding: Decoding,
    options: EvaluationSettings,
) -> list[float]:
    """Share of right answers when the teacher's first m chunks are given and the student goes on from there.

    Entry 0 is what the student does alone, entry M what its answer stage does with the teacher's whole rationale.
    Where the share rises from m − 1 to m, the student's own chunk m went wrong in so many answers.

    Args:
        model: a chunk-wise trained student.
        tokenizer: its tokenizer.
        markers: its marker ids.
        samples: columns id, question, rationale, answer; no rationale null.
        answer_kind: kind of the answer check.
        decoding: limits and batch size.
        options: chunking, rules and tolerances.

    Returns:
        M + 1 shares.
    """
    encoded = encode_samples(tokenizer, markers, samples, rules=options.rules)
    boundaries = _chunk_by_student(model, markers, encoded, dict(options.chunking))
    gold: list[str] = samples["answer"].to_pylist()
    questions = [encoded.question[row] for row in range(len(encoded))]
    shares = []
    for given in range(markers.n_chunks + 1):
        ends = [
            encoded.step_tokens[row][boundaries[row, given]] if given else 0 for row in range(len(encoded))
        ]
        prefixes = [encoded.rationale[row][:end].tolist() for row, end in enumerate(ends)]
        answered = continue_chains(
            model, markers, questions, prefixes, [given + 1] * len(encoded), decoding=decoding
        )
        verdicts = [
            options.judge(answer_kind, answer_text(tokenizer, result), expected)
            for result, expected in zip(answered, gold, strict=True)
        ]
        shares.append(verdicts.count(Verdict.RIGHT) / len(verdicts))
    return shares


def _chunk_by_student(
    model: PreTrainedModel, markers: Markers, encoded: Any, chunking: dict[str, Any]
) -> Ints:
    """Chunks of held-out rationales, cut as those of training were: evenly, or by search on the student's losses."""
    stages = chunking.pop("score_stages", "conditioned")
    if chunking.get("method", "average") == "average":
        return average_boundaries(encoded.n_steps, markers.n_chunks)
    losses = score_steps(model, encoded, markers, stages=stages)
    return chunk(encoded.steps, M=markers.n_chunks, **losses.chunk_arguments(), **chunking).boundaries


def _measure_stages(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    markers: Markers,
    samples: pa.Table,
    mode: str,
    answer_kind: str,
    decoding: Decoding,
    options: EvaluationSettings,
) -> dict[str, Any]:
    """Accuracy by stage on the first samples that have a rationale; None where a mode has no stages."""
    nothing: dict[str, Any] = {"stage_accuracy": None, "n_stage": 0}
    if mode != "full" or "rationale" not in samples.column_names:
        return nothing
    with_rationale = [
        row for row, text in enumerate(samples["rationale"].to_pylist()) if text and text.strip()
    ]
    rows = with_rationale[: options.stage_questions]
    if not rows:
        return nothing
    shares = accuracy_by_stage(
        model, tokenizer, markers, samples.take(rows),
        answer_kind=answer_kind, decoding=decoding, options=options,
    )  # fmt: skip
    return {"stage_accuracy": shares, "n_stage": len(rows)}


def _time_alone(
    model: PreTrainedModel, markers: Markers, questions: list[Ints], mode: str, decoding: Decoding, count: int
) -> dict[str, Any]:
    """Seconds an answer one at a time, on questions spread evenly over all of them."""
    if count == 0:
        return {"seconds_per_answer_alone": None, "n_alone": 0}
    rows = np.unique(np.linspace(0, len(questions) - 1, min(count, len(questions))).astype(int))
    one = replace(decoding, batch_size=1)
    # a GPU takes other kernels for one row than for several, and loads them when they are first called
    answer_questions(model, markers, [questions[rows[0]]], mode=mode, decoding=one)
    started = _now(model)
    for row in rows:
        answer_questions(model, markers, [questions[row]], mode=mode, decoding=one)
    return {"seconds_per_answer_alone": (_now(model) - started) / len(rows), "n_alone": len(rows)}


def _now(model: PreTrainedModel) -> float:
    """Seconds, read once the model's device is idle."""
    synchronize(model.device)
    return time.perf_counter()


def answer_text(tokenizer: PreTrainedTokenizerBase, answered: Answered) -> str | None:
    """The answer as text, without markers; None where the student never came to one."""
    if answered.answer is None:
        return None
    return str(tokenizer.decode(answered.answer, skip_special_tokens=True)).strip()


def judge(kind: str, text: str | None, gold: str, **tolerances: float) -> Verdict:
    """Checks an answer; a student that never came to one is unparsed."""
    return Verdict.UNPARSED if text is None else check_answer(kind, text, gold, **tolerances)


def _table(
    tokenizer: PreTrainedTokenizerBase,
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
            "thought": [tokenizer.decode(result.thought) for result in answered],
            "answer": texts,
            "verdict": [str(verdict) for verdict in verdicts],
            "tokens": [result.n_generated for result in answered],
            "prompt_tokens": [result.n_prompt for result in answered],
            "ended": [result.n_unended == 0 for result in answered],
            "looped": [result.n_looped > 0 for result in answered],
        }
    )
