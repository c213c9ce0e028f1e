"""Where tasks come from: the modules of this package that hold a `TASK`, and files or modules of the user's own.

Nothing is registered. Code of the user's runs only where the user names it: as the name of a task in a recipe, on the
command line or in a call. The column `task` of data is a label and never leads here.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from skipthink.exceptions import InvalidInputError
from skipthink.tasks.base import Task, did_you_mean


def own_tasks() -> dict[str, Task[Any]]:
    """The tasks of the package by their names: every module of `skipthink.tasks` that holds a `TASK`."""
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
        InvalidInputError: no such task, file or module, it cannot be run, or holds no `TASK`.
    """
    tasks = own_tasks()
    if name in tasks:
        return tasks[name]
    if not is_own_code(name):
        raise InvalidInputError(
            f"no task {name!r}; {did_you_mean(str(name), list(tasks))}tasks are {', '.join(tasks)}, "
            "a file of your own (my_task.py) or a module (my_package.my_task)"
        )
    try:
        module = _run_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except Exception as error:
        raise InvalidInputError(f"cannot load the task {name}: {type(error).__name__}: {error}") from error
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise InvalidInputError(f"{name} holds no TASK; give it one: TASK = Task(…), see docs/tasks.md")
    return task


def is_own_code(name: object) -> bool:
    """Whether a task's name is that of a Python file or of a module in a package."""
    return isinstance(name, str) and (name.endswith(".py") or ("." in name and is_module_name(name)))


def is_module_name(name: str) -> bool:
    """Whether a text has the form of a module's name, "a.b"."""
    return all(part.isidentifier() for part in name.split("."))


def _run_file(path: Path) -> ModuleType:
    path = path.resolve()
    # a name of its own for each file: two files called task.py do not meet
    name = f"_skipthink_task_{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
