"""A batch function that ends its process, for tests of workers that die."""

import os
import signal
from pathlib import Path

from skipthink.stream import Splitter


class Dying(Splitter):
    """Ends its process: always, or while the file `flag` is there, which it removes first."""

    def __init__(self, flag=None):
        super().__init__(keep=["id"])
        self.flag = flag

    def compute(self, given, first_row):
        if self.flag is None or _removed(Path(self.flag)):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute(given, first_row)


def _removed(path):
    """Whether it was this process that removed a file: of several at once only one is."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
