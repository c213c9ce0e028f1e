"""Audit of samples before any training: what search and skipping can bring (docs/how-to/audit.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.core.search import check_positive
from skipthink.data.facts import find_names
from skipthink.data.leaks import Leak, Part, Repeats, count_repeats, find_leaks
from skipthink.data.measures import CountTokens, StepMeasures, join_measures, measure_steps
from skipthink.data.sources import SPLITS
from skipthink.data.teachers import Teachers, check_rows, choose_kind
from skipthink.data.verdicts import Verdict, judge

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CHUNKS = tuple(range(2, 9))
ENOUGH = 0.9
"""Share of the gain of the paper's M that the recommended one keeps."""
LEAST_GAIN = 0.05
"""Gain below which ceilings say nothing about M."""
_BATCH_ROWS = 4096


@dataclass(frozen=True)
class Spread:
    """A number per rationale: its mean, its largest value and its quantiles at `QUANTILES`."""

    mean: float
    largest: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Chunks:
    """What can be searched and skipped with M chunks.

    Attributes:
        chunks: M.
        fixed: share of rationales with K ≤ M: one segmentation, which no search can change.
        ceiling: the most that skipping average chunks can shrink the tokens of the rationales.
    """

    chunks: int
    fixed: float
    ceiling: float


@dataclass(frozen=True)
class LastStep:
    """The last step of the rationales.

    Attributes:
        repeats: share that states no number, name or option for the first time.
        states_answer: share that says the gold answer.
        tokens: share of all tokens.
    """

    repeats: float
    states_answer: float
    tokens: float


@dataclass(frozen=True)
class AuditReport:
    """The findings of an audit; all shares are between 0 and 1.

    Attributes:
        rows: rows.
        splits: rows of each split.
        rationales: rows with a rationale that has a step; steps, tokens, chunks and the last step are those of these.
        repeats: rows that stand more than once.
        leaks: every two splits compared.
        teachers: rationales held against the gold answers.
        steps: K.
        tokens: tokens a rationale.
        counted_by: how tokens were counted.
        chunks: what each M leaves.
        ceiling: the most that skipping single steps can shrink the tokens.
        blind: share of the rationales of two steps or more in which no step but perhaps the last states anything
            new, so that the ceiling says nothing of what their reasoning needs.
        last_step: the last step.
        paper_chunks: the paper's rule of thumb for M, the mean number of steps, at least 2.
        recommended_chunks: the smallest M from 2 to `paper_chunks` with 90 % of the gain of `paper_chunks`.
        verdict: what this means for the method.
    """

    rows: int
    splits: Mapping[str, int]
    rationales: int
    repeats: Repeats
    leaks: tuple[Leak, ...]
    teachers: Teachers
    steps: Spread
    tokens: Spread
    counted_by: str
    chunks: tuple[Chunks, ...]
    ceiling: float
    blind: float
    last_step: LastStep
    paper_chunks: int
    recommended_chunks: int
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return asdict(self)


def audit_samples(
    table: pa.Table,
    *,
    answer: str | None = None,
    chunks: Sequence[int] = (),
    rules: str = "auto",
    count_tokens: CountTokens | None = None,
    counted_by: str = "words and marks",
    file: str = "",
) -> AuditReport:
    """Measures samples.

    Args:
        table: samples as `load_samples` returns them, with `teacher="all"` and `require_rationale=False` so that
            nothing is left out.
        answer: kind of the answers; None: inferred.
        chunks: every M to look at; none: `CHUNKS` and the one recommended.
        rules: step rules.
        count_tokens: counts tokens; None: words and marks.
        counted_by: what to call that.
        file: names the samples in the leaks.

    Returns:
        The report.

    Raises:
        InvalidInputError: an unknown kind or rule, an M below 1, or a kind whose package is not installed.
    """
    asked = sorted({check_positive("chunks", M) for M in chunks})
    names = find_names(_texts(table))
    golds = table["answer"].to_pylist()
    teachers = Teachers(choose_kind(golds, answer))
    parts: list[StepMeasures] = []
    for batch in _batches(table):
        questions, rationales = batch["question"], batch["rationale"]
        filled = [row for row, text in enumerate(rationales) if text is not None]
        measures, last = measure_steps(
            [questions[row] for row in filled],
            [rationales[row] for row in filled],
            names,
            rules=rules,
            count_tokens=count_tokens,
        )
        parts.append(measures)
        last_steps = dict(zip(filled, last, strict=True))
        ends = [last_steps.get(row, "") for row in range(len(questions))]
        check_rows(teachers, batch["id"], rationales, ends, batch["answer"], batch.get("correct"))
    measures = join_measures(parts)
    splits = _splits(table)
    leaks = tuple(find_leaks(_parts(table, file), names))
    repeats = count_repeats(table["question"].to_pylist(), table["rationale"].to_pylist(), golds, splits)
    return _report(table.num_rows, splits, measures, teachers, repeats, leaks, asked, counted_by)


def audit_leaks(tables: Mapping[str, pa.Table]) -> tuple[Leak, ...]:
    """Compares every two splits of all files, names being those of all of them together.

    Args:
        tables: samples by the name of their file.
    """
    names = find_names(text for table in tables.values() for text in _texts(table))
    parts: dict[Part, tuple[list[str], list[str]]] = {}
    for file, table in tables.items():
        parts |= _parts(table, file)
    return tuple(find_leaks(parts, names))


def recommend_chunks(measures: StepMeasures) -> tuple[int, int]:
    """The paper's M, and the smallest M whose ceiling is nearly as high.

    The paper takes the mean number of steps. A smaller M costs fewer items and stages and leaves more rows to search,
    so the smallest M whose ceiling, less 1, is at least `ENOUGH` of that of the paper's M is taken.
    """
    n_steps = measures.n_steps[measures.n_steps > 0]
    paper = max(2, round(float(n_steps.mean()))) if len(n_steps) else 2
    gain = measures.ceiling(paper) - 1
    if gain < LEAST_GAIN:  # nothing to skip: the paper's rule is all there is to go by
        return paper, paper
    return paper, next(M for M in range(2, paper + 1) if measures.ceiling(M) - 1 >= ENOUGH * gain)


def _report(
    n_rows: int,
    splits: Sequence[str],
    measures: StepMeasures,
    teachers: Teachers,
    repeats: Repeats,
    leaks: tuple[Leak, ...],
    asked: Sequence[int],
    counted_by: str,
) -> AuditReport:
    has_step = measures.n_steps > 0
    n_steps, tokens = measures.n_steps[has_step], measures.tokens[has_step]
    n = len(n_steps)
    paper, recommended = recommend_chunks(measures)
    looked_at = asked or sorted({*CHUNKS, recommended})
    found = tuple(Chunks(M, _share(int(np.sum(n_steps <= M)), n), measures.ceiling(M)) for M in looked_at)
    blind = _share(measures.n_blind(), int(np.sum(n_steps > 1)))
    last = LastStep(
        repeats=_share(int(np.sum(~measures.new[measures.last])), n),
        states_answer=_share(teachers.last_states, teachers.checked),
        tokens=_share(int(measures.n_tokens[measures.last].sum()), int(tokens.sum())),
    )
    verdict = judge(
        n_rationales=n,
        searchable=_share(int(np.sum(n_steps > recommended)), n),
        chunks=recommended,
        ceiling=measures.ceiling(recommended),
        ceiling_by_steps=measures.ceiling(),
        blind=blind,
        teachers=teachers,
        leaks=leaks,
        repeats=repeats,
    )
    return AuditReport(
        rows=n_rows,
        splits={name: splits.count(name) for name in SPLITS if name in splits},
        rationales=n,
        repeats=repeats,
        leaks=leaks,
        teachers=teachers,
        steps=_spread(n_steps),
        tokens=_spread(tokens),
        counted_by=counted_by,
        chunks=found,
        ceiling=measures.ceiling(),
        blind=blind,
        last_step=last,
        paper_chunks=paper,
        recommended_chunks=recommended,
        verdict=verdict,
    )


def _spread(values: Ints) -> Spread:
    if len(values) == 0:
        return Spread(0.0, 0, (0.0,) * len(QUANTILES))
    quantiles = tuple(float(value) for value in np.quantile(values, QUANTILES))
    return Spread(float(values.mean()), int(values.max()), quantiles)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _splits(table: pa.Table) -> list[str]:
    """The split of each row; all are training rows where there is no such column."""
    if "split" not in table.column_names:
        return ["train"] * table.num_rows
    return [name or "train" for name in table["split"].to_pylist()]


def _parts(table: pa.Table, file: str) -> dict[Part, tuple[list[str], list[str]]]:
    """Ids and questions of each split."""
    parts: dict[Part, tuple[list[str], list[str]]] = {}
    rows = zip(_splits(table), table["id"].to_pylist(), table["question"].to_pylist(), strict=True)
    for split, name, question in rows:
        ids, questions = parts.setdefault((file, split), ([], []))
        ids.append(name)
        questions.append(question)
    return parts


def _texts(table: pa.Table) -> Iterable[str]:
    for batch in _batches(table):
        for question, rationale in zip(batch["question"], batch["rationale"], strict=True):
            yield question
            if rationale is not None:
                yield rationale


def _batches(table: pa.Table) -> Iterator[dict[str, list[Any]]]:
    wanted = [
        name for name in ("id", "question", "rationale", "answer", "correct") if name in table.column_names
    ]
    for batch in table.select(wanted).to_batches(max_chunksize=_BATCH_ROWS):
        yield batch.to_pydict()
