"""What a run measured, in the form that tables and figures of its report need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skipthink.evaluation.intervals import interval_over_questions, mean_interval
from skipthink.inspection.record import JobRecord, RunRecord

if TYPE_CHECKING:
    import pyarrow as pa

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """A table as it is shown.

    Attributes:
        caption: what it is.
        columns: titles.
        rows: cells as texts, the first one names the row.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Shown:
    """A run of a report.

    Attributes:
        record: what the run has left.
        label: what it is called beside others; "" where it is alone.
    """

    record: RunRecord
    label: str = ""

    def named(self, name: str) -> str:
        """The name of a method or job, with that of the run where there are two."""
        return f"{self.label} {name}" if self.label else name


@dataclass(frozen=True)
class Measured:
    """A method over the seeds that are evaluated.

    Attributes:
        run: where it was measured.
        method: its name.
        parts: the evaluated parts, one per seed; at least one.
        tables: their predictions, None where a file cannot be read.
    """

    run: Shown
    method: str
    parts: Sequence[JobRecord]
    tables: Sequence[pa.Table | None] = field(repr=False)

    @property
    def label(self) -> str:
        """Its name in figures and tables."""
        return self.run.named(self.method)

    def values(self, name: str) -> list[float]:
        """A measure of each seed, those left out that have none."""
        found = [part.result.get(name) for part in self.parts]
        return [float(value) for value in found if value is not None]

    def mean(self, name: str) -> float | None:
        """The mean of a measure over seeds."""
        values = self.values(name)
        return float(np.mean(values)) if values else None

    @cached_property
    def right(self) -> Bools | None:
        """Whether each answer is right, bool (n_seeds, n_questions); None where a file cannot be read."""
        tables = [table for table in self.tables if table is not None]
        if len(tables) < len(self.tables):
            return None
        return np.stack([_is_right(table) for table in tables])

    @cached_property
    def tokens(self) -> Floats | None:
        """Generated tokens of each answer, (n_seeds, n_questions)."""
        tables = [table for table in self.tables if table is not None and "tokens" in table.column_names]
        if len(tables) < len(self.tables):
            return None
        return np.stack([table["tokens"].to_numpy().astype(np.float64) for table in tables])

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of accuracy over questions; None where answers cannot be read."""
        if self.right is not None:
            return interval_over_questions(self.right)
        low, high = self.values("accuracy_low"), self.values("accuracy_high")
        return (low[0], high[0]) if len(self.parts) == 1 and low and high else None

    @property
    def tokens_per_right(self) -> float | None:
        """Generated tokens over all questions per right answer; None where none is right."""
        accuracy, tokens = self.mean("accuracy"), self.mean("tokens_per_answer")
        return tokens / accuracy if accuracy and tokens is not None else None


def measured(runs: Sequence[Shown]) -> list[Measured]:
    """The methods of runs that are evaluated, in the order of their recipes."""
    found = []
    for run in runs:
        for method in run.record.methods:
            parts = [
                job
                for job in run.record.jobs.values()
                if job.kind == "evaluate" and job.method == method and job.is_done
            ]
            tables = [run.record.predictions(method, int(job.seed or 0)) for job in parts]
            if parts:
                found.append(Measured(run, method, parts, tables))
    return found


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 1, unit: str = "") -> str:
    """A number with its unit."""
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def methods_table(found: Sequence[Measured]) -> Table:
    """One row per method: accuracy with its interval, cost, speed-up, what went wrong."""
    columns = (
        "method",
        "seeds",
        "questions",
        "accuracy %",
        "95 % interval",
        "sd over seeds",
        "tokens/answer",
        "tokens/right answer",
        "read/answer",
        "ms/answer",
        "ms alone",
        "speed-up tokens",
        "speed-up seconds",
        "loops %",
        "no answer %",
    )
    return Table("methods, the mean over seeds", columns, [_method_row(one, found) for one in found])


def _method_row(one: Measured, found: Sequence[Measured]) -> list[str]:
    base = next((other for other in found if other.run is one.run and is_reference(other.method)), None)
    n = one.parts[0].result.get("n")
    interval, accuracies = one.interval, one.values("accuracy")
    seconds, alone = one.mean("seconds_per_answer"), one.mean("seconds_per_answer_alone")
    return [
        one.label,
        ", ".join(str(part.seed) for part in one.parts),
        number(n, 0),
        percent(one.mean("accuracy")),
        "–" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}",
        percent(float(np.std(accuracies, ddof=1))) if len(accuracies) > 1 else "–",
        number(one.mean("tokens_per_answer")),
        number(one.tokens_per_right),
        number(one.mean("prompt_tokens_per_answer")),
        number(None if seconds is None else 1000 * seconds),
        number(None if alone is None else 1000 * alone),
        number(_speedup(base, one, "tokens_per_answer"), 2, "×"),
        number(_speedup(base, one, "seconds_per_answer"), 2, "×"),
        percent(_rate(one, "looped")),
        percent(_rate(one, "unparsed")),
    ]


def is_reference(method: str) -> bool:
    """Whether speed-ups are measured against a method: Base."""
    return method == "base"


def _speedup(base: Measured | None, one: Measured, cost: str) -> float | None:
    """The mean over the seeds that both have of Base's cost by the method's own, as in `results.json`."""
    if base is None:
        return None
    costs = {part.seed: part.result.get(cost) for part in base.parts}
    ratios = [
        costs[part.seed] / part.result[cost]
        for part in one.parts
        if costs.get(part.seed) is not None and part.result.get(cost)
    ]
    return float(np.mean(ratios)) if ratios else None


def _rate(one: Measured, name: str) -> float | None:
    counts, n = one.values(name), one.mean("n")
    return float(np.mean(counts)) / n if counts and n else None


def pairs_table(runs: Sequence[Shown], found: Sequence[Measured]) -> Table | None:
    """The methods that two runs share, question by question; None of one run."""
    if len(runs) < 2:
        return None
    columns = (
        "method",
        "seeds",
        "questions in both",
        f"accuracy % {runs[0].label}",
        f"accuracy % {runs[1].label}",
        "difference, points",
        "95 % interval",
        "gained",
        "lost",
    )
    rows = []
    for one in (one for one in found if one.run is runs[0]):
        other = next((other for other in found if other.run is runs[1] and other.method == one.method), None)
        if other is not None and (row := _pair_row(one, other)) is not None:
            rows.append(row)
    return Table("second run less first, the seeds and questions that both have", columns, rows)


def _pair_row(one: Measured, other: Measured) -> list[str] | None:
    """Two measurements of a method, on the questions with the same id and the same text."""
    seeds = [part.seed for part in one.parts if part.seed in {part.seed for part in other.parts}]
    if not seeds or one.right is None or other.right is None:
        return None
    places = [_questions(one.run.record), _questions(other.run.record)]
    common = [(row, places[1][key]) for key, row in places[0].items() if key in places[1]]
    if not common:
        return [one.method, ", ".join(map(str, seeds)), "0", *["–"] * 6]
    rows = np.asarray(common)
    first, second = (
        right[[[part.seed for part in of.parts].index(seed) for seed in seeds]][:, rows[:, side]]
        for side, (of, right) in enumerate(((one, one.right), (other, other.right)))
    )
    difference = second.mean(axis=0) - first.mean(axis=0)
    low, high = mean_interval(difference)
    return [
        one.method,
        ", ".join(map(str, seeds)),
        number(len(common), 0),
        percent(float(first.mean())),
        percent(float(second.mean())),
        f"{100 * float(difference.mean()):+.1f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        number(float((second & ~first).sum()), 0),
        number(float((first & ~second).sum()), 0),
    ]


def _questions(record: RunRecord) -> dict[tuple[str, str], int]:
    table = record.samples(record.evaluated_split)
    if table is None:
        return {}
    keys = zip(table["id"].to_pylist(), table["question"].to_pylist(), strict=True)
    return {key: row for row, key in enumerate(keys)}


def _is_right(table: pa.Table) -> Bools:
    import pyarrow.compute as pc

    found: Bools = pc.equal(table["verdict"], "right").to_numpy().astype(bool)
    return found
