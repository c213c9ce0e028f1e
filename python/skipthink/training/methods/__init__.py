"""The training methods, one file each (docs/reference/methods). The table of methods is the list of these files.

Every module but this one holds a `METHOD`, an instance of a subclass of `skipthink.training.method.Method`; so does a
file or module of the user's own.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import re
from typing import cast

from skipthink.exceptions import InvalidInputError
from skipthink.io.own_code import is_own_code, load_own
from skipthink.training.method import Method, Needs

METHOD_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
"""Names of methods are names of folders too."""


@functools.cache
def own_methods() -> dict[str, Method]:
    """The methods of the package by their names, those a recipe compares by default first."""
    modules = (
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    methods = [module.METHOD for module in modules if hasattr(module, "METHOD")]
    return {method.name: method for method in sorted(methods, key=lambda method: not method.compared)}


def find_method(name: str) -> Method:
    """Finds a method by its name, or one of the user's own by its file or module.

    Args:
        name: a method of the package ("base+sbc"), a Python file ("my_method.py"), which is run, or a module that can
            be imported ("my_package.my_method"); file and module hold a `METHOD`.

    Raises:
        InvalidInputError: no such method, file or module, it cannot be run, or holds no whole `METHOD`.
    """
    methods = own_methods()
    if name in methods:
        return methods[name]
    if not is_own_code(name):
        near = difflib.get_close_matches(str(name), methods, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidInputError(
            f"no method {name!r}; {hint}methods are {', '.join(methods)}, a file of your own (my_method.py) or a "
            "module (my_package.my_method)"
        )
    method = cast("Method", load_own(name, "method", "METHOD", Method))
    _check(name, method, methods)
    return method


def _check(source: str, method: Method, methods: dict[str, Method]) -> None:
    """Refuses a method of the user's own that could not be run.

    Raises:
        InvalidInputError: it has no name that a folder can have, the name of another method, or no judge that it needs.
    """
    name = getattr(method, "name", None)
    if not isinstance(name, str) or re.fullmatch(METHOD_NAME, name) is None:
        raise InvalidInputError(
            f"the method of {source} has the name {name!r}; give it one of letters, digits, '.', '_', '+' and '-'"
        )
    if name in methods:
        raise InvalidInputError(
            f"the method of {source} has the name {name!r}, which a method of skipthink has; give it another one"
        )
    if method.needs is not Needs.NOTHING and method.judge is None:
        raise InvalidInputError(
            f"the method {name!r} of {source} needs {method.needs.value} but names no judge; set judge to the name of "
            'a chunk-wise method, such as "base+sbc"'
        )
