"""Finding tasks: modules of this package that hold a `TASK`, and files or modules of the user's own.

Nothing is registered. Code of the user's own runs only if the user names it as a task in a recipe, on the command line
or in a call. The column `task` of data is only a label.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any, cast

from skipthink.exceptions import InvalidInputError
from skipthink.io.own_code import is_own_code, load_own
from skipthink.tasks.base import Task, did_you_mean


def own_tasks() -> dict[str, Task[Any]]:
    """The tasks of the package by name: every module of `skipthink.tasks` that holds a `TASK`."""
    modules = (
        importlib.import_module(f"skipthink.tasks.{module.name}")
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    )
    return {module.TASK.name: module.TASK for module in modules if hasattr(module, "TASK")}


def find_task(name: str) -> Task[Any]:
    """Finds a task by its name, or one of the user's own by its file or module.

    Args:
        name: a task of the package ("date_understanding"), a Python file ("my_task.py"), which is run, or a module
            that can be imported ("my_package.my_task"); file and module hold a `TASK`.

    Raises:
        InvalidInputError: the task, file or module does not exist, cannot be run, or holds no `TASK`.
    """
    tasks = own_tasks()
    if name in tasks:
        return tasks[name]
    if not is_own_code(name):
        raise InvalidInputError(
            f"no task {name!r}; {did_you_mean(str(name), list(tasks))}tasks are {', '.join(tasks)}, "
            "a file of your own (my_task.py) or a module (my_package.my_task)"
        )
    return cast("Task[Any]", load_own(name, "task", "TASK", Task))
