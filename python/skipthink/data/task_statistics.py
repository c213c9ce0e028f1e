"""Lengths of rationales and their steps: those of the tasks compared with real ones, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skipthink import tasks
from skipthink.answers import Verdict, check_answer
from skipthink.core.steps import split_steps_batch
from skipthink.exceptions import InvalidInputError

REAL_FILES = {
    "date_understanding": "date_understanding.jsonl",
    "distractor_arithmetic": "svamp.jsonl",
    "last_letter_concatenation": "last_letter_concatenation.jsonl",
    "multi_hop_yes_no": "strategyqa.jsonl",
    "multi_step_arithmetic": "multiarith.jsonl",
    "single_operation": "addsub.jsonl",
    "tracking_shuffled_objects": "tracking_shuffled_objects.jsonl",
}
"""The files that hold real rationales of a task's family."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLUMNS = (
    "task",
    "rationales",
    "n",
    "steps",
    "5 / 25 / 50 / 75 / 95 %",
    "words per step",
    "characters per step",
    "words",
    "characters",
    "words of a question",
    *tasks.Role,
    "last step states the answer",
)


@dataclass(frozen=True)
class Statistics:
    """Of some rationales.

    Attributes:
        n: how many.
        steps: mean number of steps, its standard deviation, and its quantiles at `QUANTILES`.
        step_words: words per step, mean over all steps.
        step_characters: characters per step, without outer white space, mean over all steps.
        words: words a rationale, mean and standard deviation.
        characters: characters a rationale, mean and standard deviation.
        question_words: words per question, mean.
        roles: share of the words in sentences of each role; None where the rationales do not say.
        states_answer: share of rationales whose last step states the gold answer.
    """

    n: int
    steps: tuple[float, float, list[float]]
    step_words: float
    step_characters: float
    words: tuple[float, float]
    characters: tuple[float, float]
    question_words: float
    roles: Mapping[str, float] | None
    states_answer: float


def measure(rows: Sequence[Mapping[str, Any]], kind: str) -> Statistics:
    """Measures rationales, cut into steps by `split_steps`.

    Args:
        rows: samples with question, rationale and answer, perhaps with steps and roles of their own.
        kind: kind of the answers.

    Raises:
        InvalidInputError: there is no rationale, or a gold answer is not of the kind.
    """
    if not rows:
        raise InvalidInputError("there is no rationale to measure")
    texts = [row["rationale"] for row in rows]
    spans = split_steps_batch(texts)
    steps = [[text[start:end] for start, end in spans[row]] for row, text in enumerate(texts)]
    counts = np.array([len(parts) for parts in steps], dtype=np.float64)
    words, characters = (np.array(list(map(size, texts)), dtype=np.float64) for size in (_n_words, len))
    stated = sum(
        bool(parts) and check_answer(kind, parts[-1], row["answer"]) is Verdict.RIGHT
        for parts, row in zip(steps, rows, strict=True)
    )
    return Statistics(
        n=len(rows),
        steps=(*_mean_sd(counts), [float(value) for value in np.quantile(counts, QUANTILES)]),
        step_words=float(words.sum() / counts.sum()),
        step_characters=sum(len(step.strip()) for parts in steps for step in parts) / float(counts.sum()),
        words=_mean_sd(words),
        characters=_mean_sd(characters),
        question_words=sum(_n_words(row["question"]) for row in rows) / len(rows),
        roles=_shares(rows) if "roles" in rows[0] else None,
        states_answer=stated / len(rows),
    )


def compare(
    names: Iterable[str] = tasks.NAMES, *, real: str | Path | None = None, n: int = 1000, seed: int = 0
) -> list[tuple[str, str, Statistics]]:
    """Measures tasks, each beside the real rationales of its family.

    Args:
        names: tasks, those of the user's own too.
        real: folder with the files of `REAL_FILES`; without it only what is made is measured.
        n: training samples made of each task.
        seed: seeds them.

    Returns:
        Task, where its rationales come from ("made", or the name of a file), and what was measured.

    Raises:
        InvalidInputError: no such task, or `n` is no size.
        DataError: a file is missing or cannot be read. Real rationales whose teacher went wrong are left out, as a
            run leaves them out.
    """
    from skipthink.data import load_samples

    measured = []
    for name in names:
        kind = tasks.answer_kind(name)
        made = list(tasks.rows(name, split="train", n=n, seed=seed))
        measured.append((made[0]["task"] if made else name, "made", measure(made, kind)))
        if real is not None and name in REAL_FILES:
            samples = load_samples(Path(real) / REAL_FILES[name], answer=kind)
            rows = [row for row in samples.table.to_pylist() if row["rationale"]]
            measured.append((name, Path(REAL_FILES[name]).stem, measure(rows, kind)))
    return measured


def format_table(measured: Iterable[tuple[str, str, Statistics]]) -> str:
    """A Markdown table with one line per entry."""
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    for name, source, one in measured:
        mean, sd, quantiles = one.steps
        shares = ["–" if one.roles is None else _percent(one.roles[role]) for role in tasks.Role]
        lines.append(
            _line(
                [
                    f"`{name}`",
                    source,
                    str(one.n),
                    f"{mean:.1f} ± {sd:.1f}",
                    " / ".join(f"{value:.0f}" for value in quantiles),
                    f"{one.step_words:.1f}",
                    f"{one.step_characters:.0f}",
                    f"{one.words[0]:.0f} ± {one.words[1]:.0f}",
                    f"{one.characters[0]:.0f} ± {one.characters[1]:.0f}",
                    f"{one.question_words:.0f}",
                    *shares,
                    _percent(one.states_answer),
                ]
            )
        )
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _shares(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    words: Counter[str] = Counter()
    for row in rows:
        for step, role in zip(row["steps"], row["roles"], strict=True):
            words[role] += _n_words(step)
    return {role: words[role] / words.total() for role in tasks.Role}


def _mean_sd(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    return float(values.mean()), float(values.std())


def _n_words(text: str) -> int:
    return len(text.split())
