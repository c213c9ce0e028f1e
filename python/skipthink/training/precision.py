"""The precision that a training computes in: what `bf16: auto` means is decided once, and kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import parse_object, write_json
from skipthink.student.devices import choose_device, describe_device, gains_by_bf16

if TYPE_CHECKING:
    from transformers import TrainingArguments

PRECISION_FILE = "precision.json"
"""Beside checkpoints, the precision that they were made in; beside a fresh student, the one that `auto` means."""
BF16_WEIGHTS = 20_000_000
"""Weights from which `bf16: auto` takes bfloat16: small students are fast enough in float32, and exact."""


def decide_precision(n_weights: int) -> str:
    """What `bf16: auto` means for a student on this machine: "bfloat16" or "float32".

    On a processor it is a measurement, which other work disturbs: whoever trains more than once asks once.

    Args:
        n_weights: weights of the student.
    """
    return "bfloat16" if n_weights >= BF16_WEIGHTS and gains_by_bf16(choose_device()) else "float32"


def precision_of(args: TrainingArguments) -> str:
    """The precision of the forward passes of a training: "bfloat16", "float16" or "float32"."""
    return "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"


def write_precision(folder: Path, precision: str) -> None:
    """Keeps a precision in a folder, with the kind of device that it was chosen for."""
    write_json(folder / PRECISION_FILE, {"precision": precision, "device": describe_device(choose_device())})


def read_precision(folder: Path) -> str | None:
    """The precision that is kept in a folder; None where there is none, as in folders of earlier versions.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / PRECISION_FILE
    try:
        return str(parse_object(path.read_bytes(), "it")["precision"])
    except FileNotFoundError:
        return None
    except (OSError, DataError, KeyError) as error:
        raise DataError(f"cannot read {path}: {error}; delete {folder} to make it anew") from error


def refuse_other_precision(checkpoint: Path, precision: str) -> None:
    """Refuses to go on in another precision than before: the students of a training differ by it.

    Args:
        checkpoint: the one that a training goes on from.
        precision: the one it would go on in.

    Raises:
        InvalidInputError: the checkpoint was made in another one.
    """
    before = read_precision(checkpoint.parent)
    if before not in (None, precision):
        raise InvalidInputError(
            f"{checkpoint} was made in {before}, but bf16 and fp16 ask for {precision} now; leave bf16 at auto, or set "
            f"both as before, or delete {checkpoint.parent} to train anew"
        )
