"""Chunk boundaries of an epoch: searched by the current student, the same in all processes, kept on disk."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from skipthink.core.ragged import Ints
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_bytes
from skipthink.scoring.score import score_steps
from skipthink.student.encoding import EncodedSamples
from skipthink.student.losses import StepLosses
from skipthink.student.student import Student
from skipthink.student.token_rows import flat_index, offsets_of

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


def score_in_shares(
    student: Student, encoded: EncodedSamples, accelerator: Accelerator, **options: Any
) -> StepLosses:
    """Runs `score_steps` in all processes, each on its share of the samples; all of them get all losses.

    Args:
        student: the student, the same in all processes.
        encoded: all samples.
        accelerator: of the run.
        options: of `score_steps`.

    Raises:
        InvalidInputError: fewer samples than processes.
    """
    n_ranks = accelerator.num_processes
    if n_ranks == 1:
        return score_steps(student, encoded, **options)
    if len(encoded) < n_ranks:
        raise InvalidInputError(
            f"{len(encoded)} samples cannot be scored by {n_ranks} processes; start fewer of them"
        )
    # rows of like length in turn, so that the shares take about the same time
    by_length = np.argsort(-encoded.rationale.lengths, kind="stable")
    rows = np.sort(by_length[accelerator.process_index :: n_ranks])
    share = score_steps(student, encoded.take(rows), **options)

    def gather(values: npt.NDArray[Any], lengths: Ints) -> npt.NDArray[Any]:
        whole = np.zeros((int(lengths.sum()), *values.shape[1:]), dtype=values.dtype)
        whole[flat_index(offsets_of(lengths)[:-1][rows], lengths[rows])] = values
        # all other processes hold zeros there: adding up is exact
        tensor: torch.Tensor = accelerator.reduce(torch.from_numpy(whole).to(accelerator.device), "sum")
        gathered: npt.NDArray[Any] = tensor.cpu().numpy()
        return gathered

    return dataclasses.replace(
        share,
        nll=gather(share.nll, encoded.n_steps),
        n_tokens=gather(share.n_tokens, encoded.n_steps),
        offsets=offsets_of(encoded.n_steps),
        end_nll=None if share.end_nll is None else gather(share.end_nll, encoded.n_steps + 1),
        end_offsets=offsets_of(encoded.n_steps + 1),
    )


def from_main(values: Ints, accelerator: Accelerator | PartialState) -> Ints:
    """The values the first process has, in all processes; int64, of the same shape everywhere."""
    from accelerate.utils import broadcast

    if accelerator.num_processes == 1:
        return values
    tensor: torch.Tensor = broadcast(torch.from_numpy(values.copy()).to(accelerator.device))
    return tensor.cpu().numpy()


class BoundaryFolder:
    """The boundaries of each epoch, saved when the epoch first began.

    A resumed run must not search an epoch again, because its student has changed since.

    Args:
        path: the folder; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, epoch: int, like: Ints) -> Ints | None:
        """Boundaries of an epoch, int64 (n, M + 1), or None where it has not begun yet.

        Raises:
            DataError: the file is damaged, or about other samples.
        """
        path = self._file(epoch)
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
                found: Ints = content["boundaries"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"cannot read {path}: {error}; delete {self.path.parent} to train anew"
            ) from error
        if found.shape != like.shape or found.dtype != like.dtype:
            raise DataError(
                f"{path} holds boundaries of shape {found.shape}, but the samples need {like.shape}; "
                f"delete {self.path.parent} to train anew"
            )
        return found

    def load_everywhere(self, epoch: int, like: Ints, accelerator: Accelerator) -> Ints | None:
        """What the first process finds by `load`, in all processes.

        Raises:
            DataError: the file is damaged, or about other samples.
        """
        found = self.load(epoch, like) if accelerator.is_main_process else None
        if not from_main(np.asarray([found is not None], dtype=np.int64), accelerator)[0]:
            return None
        return from_main(like if found is None else found, accelerator)

    def save(self, epoch: int, boundaries: Ints) -> None:
        """Keeps the boundaries of an epoch."""
        buffer = io.BytesIO()
        np.savez(buffer, boundaries=boundaries)  # a zip file: it carries a checksum
        write_bytes(self._file(epoch), buffer.getvalue())

    def _file(self, epoch: int) -> Path:
        return self.path / f"epoch-{epoch:04d}.npz"
