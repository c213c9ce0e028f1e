"""Tasks that make their own data: questions, teacher rationales and answers from templates.

The shapes follow the benchmarks the method is measured on; every sentence is skipthink's own. Nothing here
needs torch, datasets or pyarrow.
"""

from __future__ import annotations

from typing import Any

from skipthink.exceptions import InvalidInputError
from skipthink.tasks import last_letter_concatenation, multi_step_arithmetic, tracking_shuffled_objects
from skipthink.tasks.base import Role, Row, Task, did_you_mean, make_samples

__all__ = ["NAMES", "Role", "answer_kind", "make"]

_TASKS: dict[str, Task[Any]] = {
    module.TASK.name: module.TASK
    for module in (multi_step_arithmetic, last_letter_concatenation, tracking_shuffled_objects)
}
NAMES: tuple[str, ...] = tuple(_TASKS)


def make(
    name: str, *, train: int, validation: int, test: int, seed: int = 0, **knobs: object
) -> dict[str, list[Row]]:
    """Makes the samples of a task.

    Args:
        name: one of `NAMES`.
        train: samples of the training split.
        validation: samples of the validation split.
        test: samples of the test split; they do not depend on the size of the other two.
        seed: the same seed, sizes and knobs give the same samples.
        **knobs: options of the task, the fields of its `Knobs`.

    Returns:
        "train", "validation" and "test", each a list of rows with id, task, question, rationale, answer,
        split, steps (they join to the rationale), roles (a `Role` a step) and correct (True). No problem
        stands twice, in whatever wording.

    Raises:
        InvalidInputError: no such task, a wrong size, seed or knob, or too few different problems.
    """
    return make_samples(_find(name), {"train": train, "validation": validation, "test": test}, seed, knobs)


def answer_kind(name: str) -> str:
    """The kind of a task's answers, as `skipthink.answers` names it.

    Raises:
        InvalidInputError: no such task.
    """
    return _find(name).answer_kind


def _find(name: str) -> Task[Any]:
    if name not in _TASKS:
        raise InvalidInputError(
            f"no task {name!r}; {did_you_mean(str(name), NAMES)}tasks are {', '.join(NAMES)}"
        )
    return _TASKS[name]
