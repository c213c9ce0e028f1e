"""What a checkpoint holds in addition to the files of `transformers`: counts, and the mark that it is complete."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import parse_object, write_json
from skipthink.student.items import Items
from skipthink.training.boundaries import from_main
from skipthink.training.steps import Layout

if TYPE_CHECKING:
    from accelerate import Accelerator

COMPLETE_MARK = "skipthink.json"
"""Written last into a checkpoint: a checkpoint without it was cut off by a kill and is not resumed from."""


@dataclass
class StepCounts:
    """Counts of the steps so far, over all processes.

    Attributes:
        train_items: items.
        train_tokens: their tokens, without padding.
        train_target_tokens: those of them that carry loss.
        steps: optimiser steps.
        seconds: of training, over all tries; steps that are repeated after a kill count once.
    """

    train_items: int = 0
    train_tokens: int = 0
    train_target_tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
    _window: tuple[int, int, int, int] = field(default=(0, 0, 0, 0), repr=False)

    def add(self, items: Items, step: Ints) -> None:
        """Counts one step."""
        self.train_items += len(step)
        self.train_tokens += int(items.n_read[step].sum())
        self.train_target_tokens += int(items.n_loss[step].sum())
        self.steps += 1

    def totals(self) -> dict[str, int]:
        """The counts of tokens and items."""
        return {name: getattr(self, name) for name in ("train_items", "train_tokens", "train_target_tokens")}

    def effective_batch(self) -> dict[str, float]:
        """Mean items, tokens and target tokens of a step."""
        return self._means((0, 0, 0, 0))

    def take_window(self) -> dict[str, float]:
        """The means over the steps since this was last asked; empty where there were none."""
        means = self._means(self._window)
        self._window = (self.train_items, self.train_tokens, self.train_target_tokens, self.steps)
        return means

    def _means(self, since: tuple[int, int, int, int]) -> dict[str, float]:
        n_steps = self.steps - since[3]
        if n_steps == 0:
            return {}
        return {
            "batch_items": (self.train_items - since[0]) / n_steps,
            "batch_tokens": (self.train_tokens - since[1]) / n_steps,
            "batch_target_tokens": (self.train_target_tokens - since[2]) / n_steps,
        }


def mark_complete(folder: Path, counts: StepCounts, layout: Layout) -> None:
    """Marks a checkpoint as complete, and saves in it the counts of the steps so far and the sizes of its files."""
    content = {name: value for name, value in asdict(counts).items() if not name.startswith("_")}
    files = {str(path.relative_to(folder)): path.stat().st_size for path in _files(folder)}
    write_json(folder / COMPLETE_MARK, {**content, **_size_of_steps(layout), "files": files})


def _size_of_steps(layout: Layout) -> dict[str, int | None]:
    """What must be the same when training goes on: steps of target tokens do not depend on the number of processes."""
    tokens = layout.step_target_tokens
    return {"step_size": layout.step_size if tokens is None else None, "step_target_tokens": tokens}


def read_counts(folder: Path, layout: Layout) -> StepCounts:
    """Counts of the steps up to a checkpoint.

    Raises:
        DataError: one of its files is missing, cut off or unreadable.
        InvalidInputError: its steps had another size: the order of the data would be another one.
    """
    try:
        content = parse_object((folder / COMPLETE_MARK).read_bytes(), COMPLETE_MARK)
        _check_sizes(folder, content.pop("files"))
        size = {
            "step_size": content.pop("step_size"),
            "step_target_tokens": content.pop("step_target_tokens", None),
        }
        counts = StepCounts(**content)
    except (OSError, DataError, KeyError, TypeError) as error:
        raise DataError(
            f"cannot go on from {folder}: {error}; delete it, and training goes on from the checkpoint before it"
        ) from error
    if size != (now := _size_of_steps(layout)):
        how = (
            ""
            if now["step_size"] is None
            else (
                f" ({layout.batch_size} a batch, {layout.accumulation} batches, {layout.n_ranks} processes)"
            )
        )
        raise InvalidInputError(
            f"{folder} was made with {_in_words(size)} an optimiser step, but it is {_in_words(now)} now{how}; go on "
            f"with as many as before, or delete {folder.parent} to train anew"
        )
    counts.take_window()  # a log stands at every checkpoint
    return counts


def _in_words(size: dict[str, int | None]) -> str:
    tokens, items = size["step_target_tokens"], size["step_size"]
    return f"{items} items" if tokens is None else f"{tokens} target tokens"


def _check_sizes(folder: Path, files: dict[str, int]) -> None:
    for name, size in files.items():
        found = (folder / name).stat().st_size
        if found != size:
            raise DataError(f"{name} holds {found} bytes, {size} were written")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != COMPLETE_MARK)


def newest_checkpoint(folder: Path, accelerator: Accelerator | None = None) -> Path | None:
    """The newest complete checkpoint of a training folder, or None; all processes take the same one."""
    steps = [
        int(path.parent.name.rpartition("-")[2]) for path in folder.glob(f"checkpoint-*/{COMPLETE_MARK}")
    ]
    newest = np.asarray([max(steps, default=-1)], dtype=np.int64)
    step = int((newest if accelerator is None else from_main(newest, accelerator))[0])
    return None if step < 0 else folder / f"checkpoint-{step}"
