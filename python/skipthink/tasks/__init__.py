"""Tasks that make their own data: questions, teacher rationales and answers from templates.

The shapes follow the benchmarks the method is measured on; every sentence is skipthink's own. Nothing here
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
    """Makes the samples of a task.

    Args:
        name: one of `NAMES`, or a file or module of your own (docs/how-to/tasks.md).
        train: samples of the training split.
        validation: samples of the validation split.
        test: samples of the test split. No split depends on the size of another one.
        seed: the same seed, sizes and options give the same samples.
        **task_options: options of the task, the fields of its `TaskOptions`; also `share_entities=True`: splits then
            share entities, as a student from scratch needs it.

    Returns:
        "train", "validation" and "test", each a list of rows with id, task, question, rationale, answer,
        split, steps (they join to the rationale), roles (a `Role` a step) and correct (True). No problem
        stands twice, in whatever wording; splits share no entity and no number combination, also with those of
        other seeds and sizes (`skipthink.tasks.splits`).

    Raises:
        InvalidInputError: no such task, a wrong size, seed or option, or too few different problems.
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
    """The samples of one split one after the other, as `make` makes them; without end where `n` is None.

    Raises:
        InvalidInputError: as `make`; an endless stream raises it when all problems have come.
    """
    return draw_rows(find_task(name), split, n, seed, task_options)


def answer_kind(name: str, /, **task_options: object) -> str:
    """The kind of a task's answers, as `skipthink.answers` names it.

    Raises:
        InvalidInputError: no such task, or a wrong option.
    """
    task = find_task(name)
    chosen = task.parse_options(task_options)
    return task.answer_kind(chosen) if callable(task.answer_kind) else task.answer_kind
