"""The user's own code: Python files and modules that contain a task, a method or the like.

Nothing is registered. A file or module is run only where the user names it: in a recipe, on the command line or in a
call. What stands in data never leads here.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from skipthink.exceptions import InvalidInputError


def load_own(name: str, what: str, holds: str, kind: type) -> object:
    """Runs a file or imports a module of the user's own, and returns the object it contains.

    Args:
        name: a Python file ("my_task.py"), or a module that can be imported ("my_package.my_task").
        what: what it is to hold, in messages ("task").
        holds: name of the variable that holds it ("TASK").
        kind: class that this must be an instance of.

    Raises:
        InvalidInputError: it cannot be run, or does not hold it.
    """
    try:
        module = _run_file(Path(name)) if is_own_file(name) else importlib.import_module(name)
    except Exception as error:
        raise InvalidInputError(f"cannot load the {what} {name}: {type(error).__name__}: {error}") from error
    found = getattr(module, holds, None)
    if not isinstance(found, kind):
        raise InvalidInputError(
            f"{name} holds no {holds}; give it one: {holds} = {kind.__name__}(…), see docs/{what}s"
        )
    return found


def file_of(name: str) -> Path | None:
    """The file that a name of code of the user's own stands for; None of a module that lies in no file."""
    if is_own_file(name):
        return Path(name)
    spec = importlib.util.find_spec(name)
    return Path(spec.origin) if spec is not None and spec.origin not in (None, "built-in", "frozen") else None


def is_own_code(name: object) -> bool:
    """Whether a name is that of a Python file or of a module in a package."""
    return is_own_file(name) or (isinstance(name, str) and "." in name and is_module_name(name))


def is_own_file(name: object) -> bool:
    """Whether a name is that of a Python file."""
    return isinstance(name, str) and name.endswith(".py")


def is_module_name(name: str) -> bool:
    """Whether a text has the form of a module's name, "a.b"."""
    return all(part.isidentifier() for part in name.split("."))


def _run_file(path: Path) -> ModuleType:
    path = path.resolve()
    # a name of its own for each file: two files called task.py do not meet
    name = f"_skipthink_own_{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
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
