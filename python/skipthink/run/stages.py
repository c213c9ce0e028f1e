"""The stages of a recipe as a dependency graph.

    prepare → student → train/{answer-only, base, base+ac, base+sbc}
            → skip-data → train/{stt, skip-all} → evaluate

With cross-fitting (`skip.crossfit` F > 1) F more students, train/base+sbc/fold<f>, stand in front of skip-data.

All but `prepare` and `evaluate` stand once a seed. `evaluate` is one stage, so that all methods are timed
one after the other, in one process, with nothing else running.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipthink.run.folder import fingerprint_of, hash_files
from skipthink.run.recipe import Recipe
from skipthink.run.settings import training_settings
from skipthink.training.method_table import SKIP_METHODS

JUDGE = "base+sbc"
"""The chunk-wise trained student that judges which chunks can be skipped, and whose chunks are used."""

COSTS = {"prepare": 1.0, "student": 1.0, "train": 10.0, "skip-data": 10.0, "evaluate": 1.0}
"""Rough relative durations; only the order in which ready stages start depends on them."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: kind, method and seed: "train/base/s0".
        needs: names of the stages whose files it reads.
        fingerprint: hash of all that its result depends on.
        rank: length of the longest chain from here to the end; the longest starts first.
    """

    name: str
    needs: tuple[str, ...]
    fingerprint: str
    rank: float = field(default=0.0, compare=False)

    @property
    def kind(self) -> str:
        """prepare, student, train, skip-data or evaluate."""
        return self.name.split("/")[0]

    @property
    def fold(self) -> int | None:
        """The fold that a cross-fitted judge is not trained on; None of all other stages."""
        parts = self.name.split("/")
        return int(parts[2].removeprefix("fold")) if len(parts) == 4 else None


def build_stages(recipe: Recipe) -> dict[str, Stage]:
    """All stages of a recipe by name, each behind those it needs.

    Raises:
        RunError: the file of the data or of the task cannot be read (its content is part of the fingerprints).
    """
    stages: dict[str, Stage] = {}

    def add(name: str, needs: list[str], part: Any) -> str:
        upstream = {need: stages[need].fingerprint for need in needs}
        stages[name] = Stage(name, tuple(needs), fingerprint_of(name, part, upstream))
        return name

    # files count by what is in them, not by where they lie
    section = recipe.data
    data = section.model_dump(exclude={"file", "task"} if section.has_task_file else {"file"})
    file = section.task if section.has_task_file else section.file
    content = None if file is None else hash_files(Path(file))
    prepare = add("prepare", [], [data, content, recipe.answer])
    judged = any(method in recipe.methods for method in SKIP_METHODS)
    trained: list[str] = [method for method in recipe.methods if method not in SKIP_METHODS]
    if judged and JUDGE not in trained:
        trained.append(JUDGE)
    models = []
    for seed in recipe.seeds:
        student = add(f"student/s{seed}", [prepare], [recipe.student.model_dump(), recipe.chunks.M])
        for method in trained:
            settings = training_settings(recipe, method)
            models.append(add(f"train/{method}/s{seed}", [prepare, student], settings))
        judge = f"train/{JUDGE}/s{seed}"
        if "stt" in recipe.methods:
            folds = [
                fold_name(seed, fold) for fold in range(recipe.skip.crossfit) if recipe.skip.crossfit > 1
            ]
            for fold in folds:
                add(fold, [prepare, student, judge], [training_settings(recipe, JUDGE), recipe.skip.crossfit])
            part = [recipe.skip.model_dump(), recipe.tolerances]
            skip = add(f"skip-data/s{seed}", [prepare, judge, *folds], part)
        for method in (name for name in recipe.methods if name in SKIP_METHODS):
            # SkipALL drops every chunk: it needs to know the chunks, not what the judge said of them
            needs = [prepare, student, judge, *([skip] if method == "stt" else [])]
            settings = training_settings(recipe, method)
            models.append(add(f"train/{method}/s{seed}", needs, settings))
    add("evaluate", [prepare, *models], [recipe.evaluation.model_dump(), recipe.tolerances, recipe.methods])
    return _ranked(stages)


def fold_name(seed: int, fold: int) -> str:
    """Name of the stage that trains the judge of a fold, 0 … F - 1, on all other folds."""
    return f"train/{JUDGE}/fold{fold}/s{seed}"


def evaluation_name(method: str, seed: int) -> str:
    """Name of the part of `evaluate` that one method and seed is."""
    return f"evaluate/{method}/s{seed}"


def evaluation_fingerprint(stages: dict[str, Stage], recipe: Recipe, method: str, seed: int) -> str:
    """What the evaluation of one method and seed depends on."""
    upstream = [stages["prepare"].fingerprint, stages[f"train/{method}/s{seed}"].fingerprint]
    part = [recipe.evaluation.model_dump(), recipe.tolerances]
    return fingerprint_of(evaluation_name(method, seed), part, upstream)


def _ranked(stages: dict[str, Stage]) -> dict[str, Stage]:
    ranks = {name: COSTS[stage.kind] for name, stage in stages.items()}
    for stage in reversed(stages.values()):  # every stage stands behind those it needs
        for need in stage.needs:
            ranks[need] = max(ranks[need], COSTS[stages[need].kind] + ranks[stage.name])
    return {
        name: Stage(stage.name, stage.needs, stage.fingerprint, ranks[name]) for name, stage in stages.items()
    }
