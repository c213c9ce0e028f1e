"""The command line within the process of the tests: a call costs no start of Python, and loads no library again.

What needs a process of its own (what is imported, signals, pipes) is tested by `subprocess`.
"""

import contextlib
import io
import os
from subprocess import CompletedProcess
from unittest import mock

from skipthink.__main__ import main


def call_cli(*arguments, cwd=None, env=None, check=0):
    """Calls `skipthink` as a program is called; fails where the exit code is not `check`, or a traceback is shown.

    Args:
        arguments: what follows the name of the program.
        cwd: folder it is called in.
        env: variables of the environment, beside those that are set.
        check: the exit code.
    """
    words, said, told = [*map(str, arguments)], Captured(), Captured()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(told),
        contextlib.chdir(cwd or "."),
        mock.patch.dict(os.environ, env or {}),
        mock.patch("sys.argv", ["skipthink", *words]),
    ):
        code = exit_code_of(main)
    done = CompletedProcess(words, code, said.text(), told.text())
    assert code == check, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def exit_code_of(program):
    """Exit code that a process would end with, had it called this."""
    try:
        program()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


class Captured(io.TextIOWrapper):
    """A stream of text, kept in memory as bytes, with the encoding and the buffer that a pipe has."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)

    def text(self):
        """All that was written."""
        self.flush()
        return self.buffer.getvalue().decode()
