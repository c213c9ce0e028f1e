"""The training methods, a file each (docs/methods). The table of methods is the list of these files.

Every module but this one holds a `METHOD`, an instance of a subclass of `skipthink.training.method.Method`.
"""

from __future__ import annotations

import importlib
import pkgutil

from skipthink.training.method import Method


def own_methods() -> dict[str, Method]:
    """The methods of the package by their names, those a recipe compares by default first."""
    modules = (
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    methods = [module.METHOD for module in modules if hasattr(module, "METHOD")]
    return {method.name: method for method in sorted(methods, key=lambda method: not method.compared)}
