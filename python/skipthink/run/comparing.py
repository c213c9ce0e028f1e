"""The answers of run folders side by side: `skipthink compare` (docs/how-to/compare.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from skipthink.evaluation.comparison import Answers, compare_answers
from skipthink.exceptions import DataError, InvalidInputError, RunError
from skipthink.inspection.layout import DONE_FILE, STUDY_FILE
from skipthink.io.files import parse_object
from skipthink.io.own_code import is_own_code
from skipthink.io.recipes import read_mapping, read_text
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import read_job_json, read_job_table
from skipthink.run.precision_report import warn_of_precisions
from skipthink.run.skip_report import align
from skipthink.training.methods import own_methods

SEED = re.compile(r"s(\d+)")
RIGHT = "right"
TEST_RUN = "test-s"
"""What the names of a study's runs on the test split begin with."""
NOT_COMPARED = ("name", "task", "seeds", "methods", "choose", "workers", "threads")
"""Keys of recipes in which the runs of one experiment may differ."""


def compare_runs(
    runs: Sequence[str | Path], *, against: str | None = None, margin: float = 0.03, all_pairs: bool = False
) -> dict[str, Any]:
    """Compares all methods that are evaluated in some run folders.

    Runs with the same recipe, seeds and methods aside, are taken together: a method has the seeds of all of them.
    Otherwise the methods of each run are compared on their own, as `method@folder`. No code of the runs is executed.

    Args:
        runs: run folders; those of a study are found below its folder.
        against: the method that all others are compared with, of several runs that of the first; None: Base, or the
            first method where Base is not there.
        margin: accuracy that may be lost, as a share.
        all_pairs: compares every pair instead.

    Returns:
        As `compare_answers`, with `schema`, `runs`, `unfinished` (methods and seeds that are not evaluated yet) and
        `warnings` (what makes the comparison doubtful).

    Raises:
        RunError: a folder is no run folder, or its files are damaged.
        InvalidInputError: nothing is evaluated, or what is cannot be compared.
    """
    folders = [folder for run in runs for folder in run_folders(Path(run))]
    parts = [part for folder in folders for part in find_parts(folder)]
    if not parts:
        names = ", ".join(map(str, folders))
        raise InvalidInputError(f"no method is evaluated yet in {names}; finish the run first")
    recipes = {
        folder: read_mapping(read_text(folder / "recipe.yaml"), name=str(folder)) for folder in folders
    }
    first, *others = ({**recipe, **dict.fromkeys(NOT_COMPARED)} for recipe in recipes.values())
    pooled = all(other == first for other in others)
    answers = collect_answers(parts, pooled=pooled)
    found = compare_answers(
        answers, against=None if all_pairs else _reference(answers, against), margin=margin
    )
    done = {(part.run, part.method, part.seed) for part in parts}
    missing = [
        missing_part(method, seed, folder)
        for folder, recipe in recipes.items()
        for method in map(str, recipe.get("methods", []))
        for seed in recipe.get("seeds", [])
        if not is_own_code(method) and (folder, method, seed) not in done
    ]
    for study in {Path(run) for run in runs if (Path(run) / STUDY_FILE).exists()}:
        planned = read_study(study)
        missing += untested(study, planned.get("methods", []), planned.get("seeds", []))
    precisions = {
        f"{_label(part, pooled=pooled)} seed {part.seed}": part.trained.get("precision") for part in parts
    }
    differing = warn_of_precisions(precisions)
    return {
        "schema": 1,
        "runs": [str(folder) for folder in folders],
        "unfinished": missing,
        "warnings": [] if differing is None else [differing],
        **found,
    }


def untested(study: Path, methods: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """What a study is to test with seeds whose runs have not begun, in words.

    Args:
        study: its folder.
        methods: names of all methods of the study.
        seeds: all seeds.
    """
    runs = {seed: study / f"{TEST_RUN}{seed}" for seed in seeds}
    return [
        missing_part(method, seed, run)
        for seed, run in runs.items()
        if not (run / "recipe.yaml").exists()
        for method in methods
    ]


def missing_part(method: str, seed: int, folder: Path) -> str:
    """A method and seed that a run has not evaluated, in words."""
    return f"{method} seed {seed} of {folder}"


def read_study(study: Path) -> dict[str, Any]:
    """What a study knows by now; `methods` and `seeds` are what it is to test.

    Raises:
        RunError: the file is damaged.
    """
    path = study / STUDY_FILE
    try:
        return parse_object(path.read_bytes(), "it")
    except (OSError, DataError) as error:
        raise RunError(f"cannot read {path}: {error}; the study's command writes it anew") from error


def run_folders(path: Path) -> list[Path]:
    """The run folder at a path, or the runs on the test split of the study there.

    Raises:
        RunError: there is neither.
    """
    if (path / "recipe.yaml").exists():
        return [path]
    found = sorted(file.parent for file in path.glob(f"{TEST_RUN}*/recipe.yaml"))
    if not found and (path / STUDY_FILE).exists():
        raise RunError(
            f"the study in {path} tests nothing yet: its rates are being tuned; give its command again"
        )
    if not found:
        raise RunError(
            f"{path} is no run folder: it holds no recipe.yaml, nor the runs of a study; name a folder of runs/"
        )
    return found


@dataclass(frozen=True)
class Part:
    """A method with a seed that a run has evaluated.

    Attributes:
        run: the run folder.
        method: the method.
        seed: the seed.
        path: the folder of the evaluation.
    """

    run: Path
    method: str
    seed: int
    path: Path

    @cached_property
    def trained(self) -> dict[str, Any]:
        """What `train.json` says of the training, read once.

        Raises:
            RunError: the file is missing or damaged.
        """
        return read_job_json(self.run / Kind.TRAIN / self.method / f"s{self.seed}" / "train.json")


def find_parts(folder: Path) -> list[Part]:
    """What a run has evaluated by now, seed by seed."""
    parts = []
    for done in folder.glob(f"{Kind.EVALUATE}/*/s*/{DONE_FILE}"):
        place = done.parent
        if (seed := SEED.fullmatch(place.name)) is not None:
            parts.append(Part(folder, place.parent.name, int(seed[1]), place))
    return sorted(parts, key=lambda part: (part.seed, part.method))


def collect_answers(parts: Sequence[Part], *, pooled: bool) -> list[Answers]:
    """The answers of each method, in the order in which runs and recipes name them.

    Args:
        parts: what is evaluated.
        pooled: whether a method has the seeds of all runs; else each run's methods are called `method@folder`.

    Raises:
        InvalidInputError: a method has the same seed in two runs, or seeds of a method answered other questions.
        RunError: a file is damaged.
    """
    groups: dict[str, dict[int, Part]] = {}
    for part in parts:
        known = groups.setdefault(_label(part, pooled=pooled), {}).setdefault(part.seed, part)
        if known is not part:
            raise InvalidInputError(
                f"{part.method} is evaluated with seed {part.seed} in {known.run} and in {part.run}; name one of them"
            )
    return [_read(label, [group[seed] for seed in sorted(group)]) for label, group in groups.items()]


def _label(part: Part, *, pooled: bool) -> str:
    return part.method if pooled else f"{part.method}@{part.run.name}"


def _read(label: str, parts: Sequence[Part]) -> Answers:
    """The answers of one method."""
    tables = [read_job_table(part.path / "predictions.parquet") for part in parts]
    ids = tuple(tables[0]["id"].to_pylist())
    for part, table in zip(parts, tables, strict=True):
        if tuple(table["id"].to_pylist()) != ids:
            raise InvalidInputError(
                f"{part.path} and {parts[0].path} hold answers to other questions; compare runs on the same data"
            )
    notes = [read_job_json(part.path / DONE_FILE)["result"] for part in parts]
    return Answers(
        label=label,
        seeds=tuple(part.seed for part in parts),
        ids=ids,
        right=np.asarray(
            [np.asarray(table["verdict"].to_pylist()) == RIGHT for table in tables], dtype=np.float64
        ),
        tokens=np.asarray([table["tokens"].to_numpy() for table in tables], dtype=np.float64),
        seconds=np.asarray([note["seconds_per_answer"] for note in notes], dtype=np.float64),
        train_target_tokens=np.asarray(
            [part.trained["train_target_tokens"] for part in parts], dtype=np.float64
        ),
        train_seconds=np.asarray([part.trained["seconds"] for part in parts], dtype=np.float64),
    )


def _reference(answers: Sequence[Answers], wanted: str | None) -> str:
    """The label that is meant: `wanted` itself, or the first of that method in a run."""
    labels = [one.label for one in answers]
    names = [wanted] if wanted is not None else [m.name for m in own_methods().values() if m.is_reference]
    found = [label for name in names for label in labels if label == name or label.partition("@")[0] == name]
    return found[0] if found else wanted or labels[0]


def format_comparison(found: dict[str, Any]) -> str:
    """A comparison as two tables.

    Args:
        found: what `compare_answers` returns.
    """
    percent = round(100 * found["level"])
    head = [
        "method",
        "seeds",
        f"accuracy % [{percent} %]",
        "SD of seeds",
        "tokens",
        "ms",
        "trained on",
        "front",
    ]
    lines = [head]
    for row in found["methods"]:
        fronts = [name for name in ("tokens", "seconds") if row[f"front_{name}"]]
        lines.append([
            row["method"],
            str(len(row["seeds"])),
            f"{_points(row['accuracy'])} [{_points(row['low'])}, {_points(row['high'])}]",
            "-" if row["sd_seeds"] is None else _points(row["sd_seeds"]),
            f"{row['tokens_per_answer']:.1f}",
            f"{1000 * row['seconds_per_answer']:.1f}",
            f"{row['train_target_tokens']:,.0f}",
            ", ".join(fronts) or "-",
        ])  # fmt: skip
    pairs = [
        ["method", "against", "seeds", f"difference [{percent} %]", "SD of seeds", "p (Holm)", "detectable",
         "fewer tokens", f"within {_points(found['margin'])} points"]
    ]  # fmt: skip
    for row in found["pairs"]:
        fewer = row["times_fewer_tokens"]
        pairs.append([
            row["method"],
            row["against"],
            str(len(row["seeds"])),
            f"{_signed(row['difference'])} [{_signed(row['low'])}, {_signed(row['high'])}]",
            "-" if row["sd_seeds"] is None else _points(row["sd_seeds"]),
            f"{row['p_holm']:.3f}",
            _points(row["detectable"]),
            "-" if fewer is None else f"{fewer:.2f}x",
            row["verdict"],
        ])  # fmt: skip
    tables = [f"{found['n_questions']} questions", align(lines)]
    if found["pairs"]:
        tables += [
            "",
            "Differences in points of accuracy, the same questions and seeds in pairs:",
            align(pairs),
        ]
    return "\n".join(tables)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}"
