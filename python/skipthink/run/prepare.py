"""The first job: samples from their source, in three splits that share no question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skipthink.data.options import DataOptions
from skipthink.exceptions import DataError, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa


def prepare_splits(options: DataOptions, answer_kind: str) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Makes or reads the samples of a run.

    Args:
        options: where they come from.
        answer_kind: kind of the answer check.

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
        teacher=options.teacher,
        answer=answer_kind,
        odd_answers=options.odd_answers,
    )
    sizes = {name: size for name, size in options.sizes.to_dict().items() if size is not None}
    tables, splitting = split_samples(samples.table, seed=options.seed, **sizes)
    if not tables["test"].num_rows:
        raise DataError(f"no sample of {source} is left to evaluate on; raise data.sizes.test")
    return tables, {"splits": splitting["splits"], "loading": samples.report, "splitting": splitting}


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
