"""The student before its training, for methods whose items depend on what it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from skipthink.scoring.options import ChunkOptions
from skipthink.student.student import Student
from skipthink.student.token_rows import Bools
from skipthink.training.arguments import ItemArguments
from skipthink.training.boundaries import from_main


@dataclass(frozen=True)
class Scoring:
    """The fresh student, and how it is asked.

    Attributes:
        student: the student, not trained yet.
        folder: where answers are kept until training ends.
        device: where it is asked; it is put back afterwards.
        autocast: precision of forward passes, as `Student.score` names it.
        batch_tokens: most padded tokens of a forward pass.
    """

    student: Student
    folder: Path
    device: torch.device
    autocast: str | None
    batch_tokens: int

    @classmethod
    def of(cls, student: Student, args: ItemArguments, chunks: ChunkOptions) -> Scoring:
        """As a training is to be done."""
        return cls(student, Path(str(args.output_dir)), args.device, args.autocast, chunks.score_batch_tokens)

    def in_first_process(self, ask: Callable[[Student], Bools], *, n_flags: int) -> Bools:
        """Asks in the first process alone, as processes might round differently; all of them get the flags.

        Args:
            ask: gives flags, bool (n_flags,).
            n_flags: how many.
        """
        from accelerate import PartialState

        processes = PartialState()
        flags = np.zeros(n_flags, dtype=np.bool_)
        if processes.is_main_process:
            home = self.student.device
            self.student.network.to(self.device)  # type: ignore[arg-type]
            try:
                flags = ask(self.student)
            finally:
                self.student.network.to(home)  # type: ignore[arg-type]
        return from_main(flags.astype(np.int64), processes).astype(np.bool_)
