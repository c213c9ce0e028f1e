"""The loss of every optimiser step, fetched from the device in bulk, so that no step waits for it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from skipthink.exceptions import DataError
from skipthink.io.files import write_bytes

if TYPE_CHECKING:
    from accelerate import Accelerator

CURVE_FILE = "losses.npy"
MOST_POINTS = 200
"""Points of a curve in `train.json`; trainings of more steps have at least half as many, shorter ones one per step."""


class LossCurve:
    """Losses of the steps so far, and the target tokens up to each.

    Losses stay on the device until `fetch` is called, which is where transformers logs or saves anyway.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[float, int]] = []
        self._step: torch.Tensor | None = None
        self._waiting: list[tuple[torch.Tensor, int]] = []

    def __len__(self) -> int:
        return len(self._rows) + len(self._waiting)

    @property
    def last(self) -> float:
        """The loss of the last step that is fetched; 0 where there is none."""
        return self._rows[-1][0] if self._rows else 0.0

    def add(self, loss: torch.Tensor) -> None:
        """Adds a micro-batch's part of the loss of the current step, a scalar on any device."""
        loss = loss.detach()
        self._step = loss if self._step is None else self._step + loss

    def end_step(self, target_tokens: int) -> None:
        """Ends the current step.

        Args:
            target_tokens: those of all steps up to this one.
        """
        if self._step is not None:
            self._waiting.append((self._step, target_tokens))
        self._step = None

    def fetch(self, accelerator: Accelerator) -> None:
        """Fetches what is on the device; called by all processes after the same step."""
        if not self._waiting:
            return
        losses = torch.stack([loss.float() for loss, _ in self._waiting])
        if accelerator.num_processes > 1:  # each has its part of every step, times the number of processes
            losses = accelerator.reduce(losses, "mean")
        tokens = [count for _, count in self._waiting]
        self._rows += zip(losses.tolist(), tokens, strict=True)
        self._waiting = []

    def save(self, folder: Path) -> None:
        """Writes what is fetched into a checkpoint."""
        stream = io.BytesIO()
        np.save(stream, np.asarray(self._rows, dtype=np.float64).reshape(-1, 2), allow_pickle=False)
        write_bytes(folder / CURVE_FILE, stream.getvalue())

    def load(self, folder: Path) -> None:
        """Takes up what a checkpoint holds; one without a curve leaves this one empty.

        Raises:
            DataError: the file is damaged.
        """
        path = folder / CURVE_FILE
        if not path.exists():
            return
        try:
            rows: npt.NDArray[np.float64] = np.load(path, allow_pickle=False)
            self._rows = [(float(loss), int(tokens)) for loss, tokens in rows]
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"cannot read the losses of {folder}: {error}; delete it, and training goes on from the checkpoint "
                "before it"
            ) from error

    def points(self, most: int = MOST_POINTS) -> dict[str, list[Any]]:
        """The curve as lists of the same length, for `train.json`.

        Returns:
            `loss`: means over windows of equally many steps (the last may be shorter), of one step in short trainings;
            `loss_steps` and `loss_target_tokens`: the last step of each window, counted from 1, and the target tokens
            up to it.
        """
        window = max(1, -(-len(self._rows) // most))
        windows = [self._rows[start : start + window] for start in range(0, len(self._rows), window)]
        return {
            "loss": [float(np.mean([loss for loss, _ in rows])) for rows in windows],
            "loss_steps": [min((place + 1) * window, len(self._rows)) for place in range(len(windows))],
            "loss_target_tokens": [rows[-1][1] for rows in windows],
        }
