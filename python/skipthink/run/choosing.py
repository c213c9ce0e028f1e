"""The choice of the student to use: the shortest answers that are nearly as accurate as those of Base (docs/how-to)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from skipthink.answers.options import CheckOptions
from skipthink.evaluation.options import ChooseOptions, EvaluationOptions
from skipthink.io.files import write_json
from skipthink.run.folder import read_job_json
from skipthink.run.skip_report import align

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.scoring.options import ChunkOptions

CHOICE_FILE, MEASURED_FILE = "choice.json", "measured.json"


@dataclass(frozen=True)
class Point:
    """A method on the curve of accuracy against tokens, on the validation split.

    Attributes:
        method: its name.
        accuracy: 0 … 1, mean over seeds.
        tokens_per_answer: generated, mean over seeds.
    """

    method: str
    accuracy: float
    tokens_per_answer: float


def choose_point(points: Sequence[Point], reference: str, within: float) -> Point:
    """The method with the shortest answers among those that are accurate enough; of equals the more accurate.

    Args:
        points: of all methods, the reference among them.
        reference: the name of Base.
        within: points (percent) by which accuracy may fall short of the reference's.
    """
    base = next(point for point in points if point.method == reference)
    enough = [point for point in points if 100 * (base.accuracy - point.accuracy) <= within + 1e-9]
    return min(enough, key=lambda point: (point.tokens_per_answer, -point.accuracy))


def measure_once(
    out: Path,
    *,
    student: Path,
    samples: pa.Table,
    mode: str,
    check: CheckOptions,
    options: EvaluationOptions,
    chunks: ChunkOptions,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates a student on the validation split; what a killed job has measured is read again.

    Args:
        out: folder for `measured.json` and `predictions.parquet`.
        student: folder of a trained student.
        samples: questions and answers.
        mode: in which it answers.
        check: how answers are checked.
        options: the batch size counts.
        chunks: M and the step rules.
        progress: called with (passes done, passes in all).
    """
    from skipthink.evaluation.measure import evaluate

    path = out / MEASURED_FILE
    if not path.exists():
        plain = options.replace(alone_questions=0, stage_questions=0)
        measured = evaluate(
            student=student,
            samples=samples,
            mode=mode,
            out=out,
            check=check,
            options=plain,
            chunks=chunks,
            progress=progress,
        )
        write_json(path, measured)
    return read_job_json(path)


def make_choice(
    measured: dict[tuple[str, int], dict[str, Any]], reference: str, options: ChooseOptions
) -> dict[str, Any]:
    """The chosen method and student.

    Args:
        measured: what each method with each seed reached on the validation split.
        reference: the name of Base.
        options: the rule.

    Returns:
        within, reference, method, seed (of its students the most accurate on validation; of equals the first), and
        points (see `Point`), shortest answers first.
    """
    names = list(dict.fromkeys(method for method, _ in measured))
    points = []
    for name in names:
        own = [found for (method, _), found in measured.items() if method == name]
        points.append(
            Point(
                name,
                fmean(found["accuracy"] for found in own),
                fmean(found["tokens_per_answer"] for found in own),
            )
        )
    chosen = choose_point(points, reference, options.within)
    seeds = [seed for method, seed in measured if method == chosen.method]
    seed = max(seeds, key=lambda seed: (measured[chosen.method, seed]["accuracy"], -seed))
    ordered = sorted(points, key=lambda point: (point.tokens_per_answer, -point.accuracy))
    return {
        "within": options.within,
        "reference": reference,
        "method": chosen.method,
        "seed": seed,
        "points": [asdict(point) for point in ordered],
    }


def copy_student(source: Path, target: Path) -> None:
    """Copies the folder of a student; it appears whole or not at all."""
    half = target.with_name(f"{target.name}.half")
    for folder in (half, target):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, half)
    half.rename(target)


def format_choice(choice: dict[str, Any], summary: dict[str, dict[str, Any]]) -> str:
    """The curve of accuracy against tokens as a table, shortest answers first, with the choice.

    Args:
        choice: content of `choice.json`.
        summary: of `results.json`, for the test split.
    """
    lines = [["accuracy against tokens", "validation %", "tokens", "test %", "tokens", "speed-up tokens", ""]]
    for point in choice["points"]:
        found = summary[point["method"]]
        speedup = found.get("speedup_tokens")
        lines.append(
            [
                point["method"],
                f"{100 * point['accuracy']:.1f}",
                f"{point['tokens_per_answer']:.1f}",
                f"{100 * found['accuracy']['mean']:.1f}",
                f"{found['tokens_per_answer']['mean']:.1f}",
                "-" if speedup is None else f"{speedup['mean']:.2f}x",
                "chosen" if point["method"] == choice["method"] else "",
            ]
        )
    return "\n".join(
        [
            align(lines).rstrip(),
            f"chosen: {choice['method']}, seed {choice['seed']}: the shortest answers within {choice['within']:g} "
            f"points of {choice['reference']} on the validation split; saved as choose/student",
        ]
    )
