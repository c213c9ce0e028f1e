"""What a training leaves for those who look at it: chunks of every epoch, the step losses they came from, its log."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.io.files import write_parquet, write_text

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.student.encoding import EncodedSamples
    from skipthink.student.losses import StepLosses

LOG_FILE, EPOCHS_FILE, LOSSES_FILE = "log.jsonl", "epochs.parquet", "losses.parquet"
EPOCH_KEY = b"skipthink.epoch"
"""Metadata of a table of losses: the epoch before which they were scored, from 0."""


def append_log(folder: Path, entry: Mapping[str, Any]) -> None:
    """Appends what the trainer has logged to the log of a training that is under way.

    After a kill and a resume a step may stand there twice: the later line counts.

    Args:
        folder: the folder of checkpoints.
        entry: as `transformers` logs it: step, epoch, loss, …
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("a", encoding="utf-8") as stream:
        stream.write(_line(entry))


def _line(entry: Mapping[str, Any]) -> str:
    """An entry as a line; what is not finite is null, for JSON has no form for it."""
    odd = {name for name, value in entry.items() if isinstance(value, float) and not math.isfinite(value)}
    return json.dumps({name: None if name in odd else value for name, value in entry.items()}) + "\n"


def write_record(
    out: Path, history: Sequence[Mapping[str, Any]], encoded: EncodedSamples, checkpoints: Path
) -> None:
    """Writes `log.jsonl`, and where chunks were searched `epochs.parquet` and `losses.parquet`.

    Args:
        out: the folder of the trained method.
        history: all that was logged, `log_history` of the trainer's state.
        encoded: the training samples.
        checkpoints: the folder of checkpoints, in which the boundaries of each epoch lie.
    """
    write_text(out / LOG_FILE, "".join(map(_line, history)))
    epochs = read_epochs(checkpoints / "boundaries")
    if epochs:
        write_parquet(out / EPOCHS_FILE, epochs_table(encoded.ids, epochs))
    losses = checkpoints / "boundaries" / LOSSES_FILE
    if losses.exists():
        shutil.copyfile(losses, out / f".{LOSSES_FILE}.tmp")
        (out / f".{LOSSES_FILE}.tmp").replace(out / LOSSES_FILE)


def read_epochs(folder: Path) -> list[Ints]:
    """The boundaries of each epoch so far, int64 (n, M + 1) each, as `BoundaryFolder` keeps them.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: a file is damaged.
    """
    found = []
    for path in sorted(folder.glob("epoch-*.npz")):
        with np.load(path, allow_pickle=False) as content:
            found.append(content["boundaries"])
    return found


def epochs_table(ids: Sequence[str], epochs: Sequence[Ints]) -> pa.Table:
    """Boundaries of all epochs: id, boundaries (one list of M + 1 step indices per epoch)."""
    import pyarrow as pa

    n_rows, n_ends = epochs[0].shape
    stacked = np.stack(epochs, axis=1)  # (n, epochs, M + 1)
    ends = pa.FixedSizeListArray.from_arrays(pa.array(stacked.reshape(-1)), n_ends)
    offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * len(epochs))
    inner = ends.cast(pa.list_(pa.int64()))
    return pa.table({"id": list(ids), "boundaries": pa.ListArray.from_arrays(offsets, inner)})


def losses_table(ids: Sequence[str], losses: StepLosses, epoch: int) -> pa.Table:
    """Step losses by the column names that `skipthink chunk` reads: id, losses, n_tokens, end_losses.

    Args:
        ids: the samples that were scored.
        losses: their losses.
        epoch: the epoch before which they were scored, from 0.
    """
    import pyarrow as pa

    rows = [{"id": name, **losses.row(row)} for row, name in enumerate(ids)]
    return pa.Table.from_pylist(rows).replace_schema_metadata({EPOCH_KEY: str(epoch).encode()})
