"""Tasks that generate their own data: questions, teacher rationales and answers from templates (docs/how-to/tasks.md).

Their forms follow the benchmarks that the method is measured on; all sentences are skipthink's own. Nothing here
needs torch, datasets or pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator

from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import Role, Row, check_int
from skipthink.tasks.finding import find_task, own_tasks
from skipthink.tasks.splits import draw_rows

__all__ = ["NAMES", "Role", "answer_kind", "make", "rows"]

NAMES: tuple[str, ...] = tuple(own_tasks())


def make(
    name: str, /, *, train: int, validation: int, test: int, seed: int = 0, **task_options: object
) -> dict[str, list[Row]]:
    """Generates the samples of a task.

    Args:
        name: one of `NAMES`, or a file or module of your own (docs/how-to/tasks.md).
        train: number of samples in the training split.
        validation: number of samples in the validation split.
        test: number of samples in the test split. No split depends on the size of another one.
        seed: seed of all draws; the same seed, sizes and options give the same samples.
        **task_options: options of the task, the fields of its `TaskOptions`. With `share_entities=True` the splits
            share entities, which a student trained from scratch needs.

    Returns:
        "train", "validation" and "test", each a list of rows. A row has id, task, question, rationale, answer, split,
        steps (joined, they are the rationale), roles (one `Role` per step) and correct (True). No problem occurs twice,
        in any wording. Splits share no entity and no number combination, not even with splits of other seeds and
        sizes (`skipthink.tasks.splits`).

    Raises:
        InvalidInputError: the task does not exist, a size, seed or option is wrong, or there are too few different
            problems.
    """
    sizes = {"train": train, "validation": validation, "test": test}
    for split, size in sizes.items():
        check_int(split, size, 0, None)
    if not any(sizes.values()):
        raise InvalidInputError("train, validation and test are all 0; ask for one sample at least")
    task = find_task(name)
    return {split: list(draw_rows(task, split, size, seed, task_options)) for split, size in sizes.items()}


def rows(
    name: str, /, *, split: str, n: int | None = None, seed: int = 0, **task_options: object
) -> Iterator[Row]:
    """Generates the samples of one split one by one; they are the same as those of `make`.

    Args:
        name: one of `NAMES`, or a file or module of your own.
        split: "train", "validation" or "test".
        n: number of samples; None: as many as there are different problems.
        seed: seed of all draws.
        **task_options: options of the task, as in `make`.

    Returns:
        An iterator of rows.

    Raises:
        InvalidInputError: as in `make`; also when no further problem can be found.
    """
    return draw_rows(find_task(name), split, n, seed, task_options)


def answer_kind(name: str, /, **task_options: object) -> str:
    """The kind of a task's answers.

    Args:
        name: one of `NAMES`, or a file or module of your own.
        **task_options: options of the task.

    Returns:
        One of `skipthink.answers.KINDS`.

    Raises:
        InvalidInputError: the task does not exist, or an option is wrong.
    """
    task = find_task(name)
    chosen = task.parse_options(task_options)
    return task.answer_kind(chosen) if callable(task.answer_kind) else task.answer_kind
