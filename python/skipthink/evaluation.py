"""Evaluation: accuracy, tokens and seconds per answer of a trained student (method §8)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.answers import Verdict, check_answer
from skipthink.encoding import encode_questions
from skipthink.exceptions import InvalidInputError
from skipthink.files import write_parquet
from skipthink.inference import Answered, Decoding, answer_questions
from skipthink.markers import get_markers
from skipthink.students import load_student
from skipthink.training.methods import read_student_file

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase


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
        samples: columns id, question, answer.
        mode: "base", "answer-only", "skip" or "full".
        n_chunks: M.
        answer_kind: kind of the answer check ("number", "choice", "yes_no", "string").
        out: folder for `predictions.parquet`.
        settings: `batch_size`, `temperature`, `seed`.
        progress: called with (passes done, passes in all).

    Returns:
        n, accuracy (0 to 1), unparsed, unended, tokens_per_answer (generated, end tokens included),
        prompt_tokens_per_answer, seconds_per_answer (generation only, batched).

    Raises:
        InvalidInputError: no sample to evaluate on, or a mode the student was not trained for.
    """
    if samples.num_rows == 0:
        raise InvalidInputError("there is no sample to evaluate on")
    model, tokenizer = load_student(model_dir)
    markers = get_markers(tokenizer, n_chunks)
    limits = {int(stage): limit for stage, limit in read_student_file(model_dir)["max_target_tokens"].items()}
    decoding = Decoding(limits, **(settings or {}))
    questions = encode_questions(tokenizer, markers, samples["question"].to_pylist())
    # first calls pay for lazy set-up that no answer should be charged with
    answer_questions(model, markers, questions[:2], mode=mode, decoding=decoding)
    started = time.perf_counter()
    answered = answer_questions(model, markers, questions, mode=mode, decoding=decoding, progress=progress)
    seconds = time.perf_counter() - started
    gold: list[str] = samples["answer"].to_pylist()
    texts = [answer_text(tokenizer, result) for result in answered]
    verdicts = [judge(answer_kind, text, expected) for text, expected in zip(texts, gold, strict=True)]
    out.mkdir(parents=True, exist_ok=True)
    write_parquet(out / "predictions.parquet", _table(tokenizer, samples, answered, texts, verdicts))
    counts = Counter(verdicts)
    n = len(answered)
    return {
        "n": n,
        "accuracy": counts[Verdict.RIGHT] / n,
        "unparsed": counts[Verdict.UNPARSED],
        "unended": sum(result.n_unended > 0 for result in answered),
        "tokens_per_answer": sum(result.n_generated for result in answered) / n,
        "prompt_tokens_per_answer": sum(result.n_prompt for result in answered) / n,
        "seconds_per_answer": seconds / n,
    }


def answer_text(tokenizer: PreTrainedTokenizerBase, answered: Answered) -> str | None:
    """The answer as text, without markers; None where the student never came to one."""
    if answered.answer is None:
        return None
    return str(tokenizer.decode(answered.answer, skip_special_tokens=True)).strip()


def judge(kind: str, text: str | None, gold: str) -> Verdict:
    """Checks an answer; a student that never came to one is unparsed."""
    return Verdict.UNPARSED if text is None else check_answer(kind, text, gold)


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
        }
    )
