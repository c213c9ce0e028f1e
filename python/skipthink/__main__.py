"""The command line as a program: `skipthink`, or `python -m skipthink`."""

from __future__ import annotations

import os
import sys

from skipthink.exceptions import SkipthinkError
from skipthink.io.files import describe_full_disk

EXTRAS = {
    "typer": "cli", "pyarrow": "cli", "openai": "teacher", "httpx2": "teacher", "scipy": "compare", "ray": "ray",
}  # fmt: skip
"""Packages to the extra that brings them; the others come with `train`."""


def main() -> None:
    """Runs the command line; exit code 2: the user can fix it, 1: a run or skipthink itself failed."""
    debug = "--debug" in sys.argv[1:]
    try:
        from skipthink.cli import app

        app()
    except SkipthinkError as error:
        if debug:
            raise
        _fail(str(error), 2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if debug or package in ("", "skipthink"):
            raise
        extra = EXTRAS.get(package, "train")
        _fail(f"this command needs the package {package}: pip install 'skipthink[{extra}]'", 2)
    except Exception as error:
        if debug:
            raise
        if (message := describe_full_disk(error)) is not None:
            _fail(message, 2)
        _fail(f"internal error: {type(error).__name__}: {error} (skipthink --debug … shows where)", 1)


def _fail(message: str, code: int) -> None:
    """Prints one message without a traceback; the pipe that reads it may be closed already."""
    try:
        sys.stderr.write(f"error: {message}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
