"""The first job: samples from their source, in three splits that share no question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.core.steps import split_steps_batch
from skipthink.data.options import DataOptions
from skipthink.exceptions import DataError, InvalidInputError, RecipeError
from skipthink.skipping.options import NO_VALIDATION

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.run.recipe import Recipe
    from skipthink.teacher.command import Assignment

FEW_QUESTIONS = 100
"""Validation questions below which the gate `trial` can hardly tell roles apart: a run warns."""


def prepare_splits(
    options: DataOptions, answer_kind: str, *, with_rationales: bool = True
) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Makes or reads the samples of a run.

    Args:
        options: where they come from.
        answer_kind: kind of the answer check.
        with_rationales: False where they are still to be written: training rows need none then, and what a teacher
            before may have got wrong does not matter.

    Returns:
        Tables "train", "validation" and "test" (columns id, question, rationale, answer and the source's
        others), and a report: "splits" (rows of each), and of files what was read, dropped and why.

    Raises:
        DataError: the data cannot be read, or a split asks for more than there is.
        InvalidInputError: a wrong task, option or column, or answers of another kind.
    """
    if options.task is not None:
        return _made(options, answer_kind)
    from skipthink.data import load_samples, split_samples

    source = options.file or options.hub
    if source is None:
        raise InvalidInputError("the recipe names no data: data.task, data.file and data.hub are all missing")
    samples = load_samples(
        source,
        columns=options.columns,
        format=options.format,
        splits=options.splits,
        teacher=options.teacher if with_rationales else "all",
        answer=answer_kind,
        odd_answers=options.odd_answers,
        require_rationale=with_rationales,
    )
    sizes = {name: size for name, size in options.sizes.to_dict().items() if size is not None}
    tables, splitting = split_samples(samples.table, seed=options.seed, **sizes)
    if not tables["test"].num_rows:
        raise DataError(f"no sample of {source} is left to evaluate on; raise data.sizes.test")
    return tables, {"splits": splitting["splits"], "loading": samples.report, "splitting": splitting}


def questions_of(options: DataOptions, answer_kind: str) -> pa.Table:
    """The questions of a run, for a teacher to answer those of training; their splits are those of the run.

    Args:
        options: where they come from.
        answer_kind: kind of the answer check.

    Raises:
        DataError: as in `prepare_splits`.
        InvalidInputError: as in `prepare_splits`.
    """
    import pyarrow as pa

    splits, _ = prepare_splits(options, answer_kind, with_rationales=False)
    written = [
        name for name in ("rationale", "correct", "steps", "roles") if name in splits["train"].column_names
    ]
    return pa.concat_tables([splits[name].drop_columns(written) for name in ("train", "validation", "test")])


def prepare_taught(
    file: Path, options: DataOptions, answer_kind: str
) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """The samples of a run whose rationales a teacher has written, as `prepare_splits` gives them.

    Args:
        file: what the teacher made of the questions; it has the splits.
        options: of the data; `teacher` says whether rationales of wrong answers stay.
        answer_kind: kind of the answer check.

    Raises:
        DataError: no rationale is left.
    """
    from skipthink.data import load_samples, split_samples

    samples = load_samples(file, teacher=options.teacher, answer=answer_kind)
    given = samples.table["split"].to_pylist()
    sizes = {name: given.count(name) for name in ("validation", "test")}
    tables, splitting = split_samples(samples.table, seed=options.seed, **sizes)
    return tables, {"splits": splitting["splits"], "loading": samples.report, "splitting": splitting}


def refuse_splits(recipe: Recipe, splits: Mapping[str, pa.Table]) -> list[str]:
    """Refuses splits that a later job could do nothing with.

    Args:
        recipe: of the run.
        splits: "train" and "validation", as `prepare_splits` gives them.

    Returns:
        Warnings of what a later job can do little with.

    Raises:
        DataError: no validation questions, and the gate `trial` decides on them; or chunk-wise items of rationales
            that have more steps than the student will have markers, where every step is a chunk.
    """
    _refuse_unmarked_steps(recipe, splits["train"])
    decided, n_questions = recipe.decided_on_validation, splits["validation"].num_rows
    if decided is None or n_questions >= FEW_QUESTIONS:
        return []
    if not n_questions:
        raise DataError(f"the gate trial of {decided.name} {NO_VALIDATION}")
    return [
        f"the gate trial of {decided.name} decides on {n_questions} validation questions, by which differences of "
        f"up to {100 / n_questions**0.5:.0f} points may be chance; give it {FEW_QUESTIONS} or more "
        "(data.sizes.validation)"
    ]


def _refuse_unmarked_steps(recipe: Recipe, samples: pa.Table) -> None:
    marked = next((method for method in recipe.trained if recipe.marks_every_step(method)), None)
    if marked is None:
        return
    n_steps = split_steps_batch(samples["rationale"], rules=recipe.chunks.rules).n_steps
    most = int(n_steps.max(initial=0))
    if most > recipe.chunks.M:
        raise DataError(
            f"training sample {samples['id'][int(n_steps.argmax())].as_py()} has {most} steps, and {marked.name} "
            f"trains on an item per step (gate {recipe.skip.gate}, skip_weight below 1), but chunks.M is "
            f"{recipe.chunks.M}; raise it to {most}, or train beside whole rationales (full_items: one-pass) or on "
            "skip items alone (skip_weight: 1)"
        )


def read_assignment(path: Path, flags: Sequence[str], changes: Sequence[str]) -> Assignment:
    """The questions and the teacher of a recipe.

    Args:
        path: the recipe.
        flags: changes of it that flags of the command line stand for.
        changes: those of `--set`.

    Raises:
        RecipeError: a wrong key or value, or there is no teacher.
        DataError: the data cannot be read.
    """
    from skipthink.run.recipe import load_recipe
    from skipthink.teacher.command import Assignment

    recipe = load_recipe(path, changes=[*flags, *changes])
    if recipe.teacher is None:
        raise RecipeError(f"{path} has no section teacher; docs/how-to/teacher.md shows one")
    return Assignment(questions_of(recipe.data, recipe.answer), recipe.teacher, recipe.checks, [])


def _made(options: DataOptions, answer_kind: str) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    import pyarrow as pa

    from skipthink import tasks

    assert options.task is not None  # noqa: S101 - narrowed by the caller
    kind = tasks.answer_kind(options.task, **options.task_options)
    if kind != answer_kind:
        raise InvalidInputError(f"answers of {options.task} are of kind {kind}, but answer is {answer_kind}")
    sizes = {name: size or 0 for name, size in options.sizes.to_dict().items()}
    made = tasks.make(options.task, seed=options.seed, **sizes, **options.task_options)
    tables = {split: pa.Table.from_pylist(rows) for split, rows in made.items()}
    return tables, {"splits": {split: table.num_rows for split, table in tables.items()}}
