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
from skipthink.io.files import atomic_folder, write_json
from skipthink.run.folder import read_job_json
from skipthink.run.skip_report import align, spread
from skipthink.student.frame import STUDENT_FILE, read_student_file

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.scoring.options import ChunkOptions

CHOICE_FILE, MEASURED_FILE = "choice.json", "measured.json"
OF_ALL_LEVELS = ("method", "seed", "n", "levels")
"""What an evaluation says of a student with levels, whichever it answers at."""


@dataclass(frozen=True)
class Point:
    """A method, or a level of skipping of one, on the curve of accuracy against tokens, on the validation split.

    Attributes:
        method: its name.
        accuracy: 0 … 1, mean over seeds.
        tokens_per_answer: generated, mean over seeds.
        level: how much is skipped, of a method with levels.
    """

    method: str
    accuracy: float
    tokens_per_answer: float
    level: int | None = None


def choose_point(points: Sequence[Point], reference: str | None, within: float) -> Point:
    """The method with the shortest answers among those that are accurate enough; of equals the more accurate.

    Args:
        points: of all methods, the reference among them.
        reference: the name of Base; None: the most accurate of all is the reference.
        within: points (percent) by which accuracy may fall short of the reference's.
    """
    level = max(point.accuracy for point in points if reference in (None, point.method))
    enough = [point for point in points if 100 * (level - point.accuracy) <= within + 1e-9]
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
        within, of, reference, method, level (None of a method without), seed (of its students the most accurate on
        validation; of equals the first), and points (see `Point`), shortest answers first.
    """
    names = list(dict.fromkeys(method for method, _ in measured))
    points = []
    for name in names:
        own = [found for (method, _), found in measured.items() if method == name]
        for levels in zip(*map(by_level, own), strict=True):
            points.append(
                Point(
                    name,
                    fmean(found["accuracy"] for found in levels),
                    fmean(found["tokens_per_answer"] for found in levels),
                    levels[0].get("level"),
                )
            )
    chosen = choose_point(points, None if options.of == "best" else reference, options.within)
    seeds = [seed for method, seed in measured if method == chosen.method]
    seed = max(
        seeds, key=lambda seed: (at_level(measured[chosen.method, seed], chosen.level)["accuracy"], -seed)
    )
    ordered = sorted(points, key=lambda point: (point.tokens_per_answer, -point.accuracy))
    return {
        "within": options.within,
        "of": options.of,
        "reference": reference,
        "method": chosen.method,
        "level": chosen.level,
        "seed": seed,
        "points": [asdict(point) for point in ordered],
    }


def by_level(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """What was measured of a student, at each of its levels; of one without levels, once."""
    levels: list[dict[str, Any]] = measured.get("levels") or [measured]
    return levels


def at_level(measured: dict[str, Any], level: int | None) -> dict[str, Any]:
    """What was measured of a student at a level, None where it has none.

    At all levels but the highest only accuracy and tokens were measured.
    """
    levels = by_level(measured)
    if level is None or level == len(levels):
        return measured
    kept = {name: measured[name] for name in OF_ALL_LEVELS if name in measured}
    return kept | levels[level - 1]


def copy_student(source: Path, target: Path, level: int | None = None) -> None:
    """Copies the folder of a student; it appears whole or not at all.

    Args:
        source: the folder.
        target: the copy.
        level: at which the copy answers; None where it has no levels.
    """
    with atomic_folder(target) as half:
        shutil.copytree(source, half, dirs_exist_ok=True)
        if level is not None:
            write_json(half / STUDENT_FILE, {**read_student_file(half), "level": level})


def format_choice(choice: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The curve of accuracy against tokens as a table, shortest answers first, with the choice.

    Args:
        choice: content of `choice.json`.
        rows: the methods of `results.json`, for the test split.
    """
    tokens = {row["seed"]: row["tokens_per_answer"] for row in rows if row["method"] == choice["reference"]}
    lines = [["accuracy against tokens", "validation %", "tokens", "test %", "tokens", "speed-up tokens", ""]]
    for point in choice["points"]:
        own = {row["seed"]: at_level(row, point["level"]) for row in rows if row["method"] == point["method"]}
        speedups = [
            tokens[seed] / found["tokens_per_answer"] for seed, found in own.items() if seed in tokens
        ]
        lines.append(
            [
                _title(point),
                f"{100 * point['accuracy']:.1f}",
                f"{point['tokens_per_answer']:.1f}",
                spread([100 * found["accuracy"] for found in own.values()]),
                f"{fmean(found['tokens_per_answer'] for found in own.values()):.1f}",
                f"{fmean(speedups):.2f}x" if speedups else "-",
                "chosen" if _title(point) == _title(choice) else "",
            ]
        )
    return "\n".join(
        [
            align(lines).rstrip(),
            f"chosen: {_title(choice)}, seed {choice['seed']}: the shortest answers within {choice['within']:g} "
            f"points of {'the best' if choice['of'] == 'best' else choice['reference']} on the validation split; saved "
            "as choose/student",
        ]
    )


def _title(point: dict[str, Any]) -> str:
    """A method, with its level where it has levels."""
    return point["method"] if point.get("level") is None else f"{point['method']}, level {point['level']}"
