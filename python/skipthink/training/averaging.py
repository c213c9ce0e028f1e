"""The mean of the weights a training passed through at its end, instead of the last ones alone.

Where a training ends differs from seed to seed; the mean over its last steps differs less and is often better
(stochastic weight averaging, arXiv 1803.05407; of the latest checkpoints, arXiv 2209.14981). It costs no training, but
a copy of the trained weights on disk for each step that counts, and reading them once at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from transformers import TrainerCallback, TrainingArguments

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_bytes
from skipthink.training.options import TrainingOptions

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState


class WeightAverage(TrainerCallback):
    """Keeps the weights after each of the last steps that count, and takes their mean at the end.

    The weights of a step are written before the checkpoint of that step is marked as complete, so a run that resumes
    there finds them; those of later steps are written again.

    Args:
        model: the student, not wrapped; weights that are not trained are left alone.
        folder: where they are kept, as safetensors; removed with the checkpoints.
        last: how many are averaged.
        every: optimiser steps between two of them; below 1, a share of all steps, or of the budget.
        share: says how much of a budget is spent, 0 … 1; None: the training has a number of steps.

    Attributes:
        steps: those after which weights count; under a budget, those so far.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        folder: Path,
        *,
        last: int,
        every: float,
        share: Callable[[], float] | None = None,
    ) -> None:
        self.model, self.folder, self.last, self.every, self.share = model, folder, last, every, share
        self.steps: list[int] = []
        self._spent = 0.0

    @classmethod
    def of(
        cls, model: torch.nn.Module, options: TrainingOptions, out: Path, share: Callable[[], float] | None
    ) -> WeightAverage | None:
        """The average that options ask for; None where they ask for the last weights.

        Args:
            model: the student, not wrapped.
            options: of the training.
            out: folder of its checkpoints.
            share: says how much of a budget is spent; None: there is no budget.
        """
        if options.average_last == 1:
            return None
        last, every = options.average_last, options.average_every
        return cls(model, out / "averaged", last=last, every=every, share=share)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The steps that count, now that it is known how many there are; under a budget, those that counted so far.

        Raises:
            InvalidInputError: there are too few.
        """
        if self.share is None:
            self.steps = averaged_steps(state.max_steps, self.last, self.every)
        else:
            kept, self._spent = self._kept(), self.share()
            self.steps = [step for step in kept if step <= state.global_step]
            if state.is_world_process_zero:
                # those of a try that was killed: under a budget of seconds, other steps may count now
                for step in kept[len(self.steps) :]:
                    self._file(step).unlink()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keeps the weights after a step that counts."""
        if self.share is not None and self._passes_a_share(self.share()):
            self.steps.append(state.global_step)
        if state.global_step in self.steps and state.is_world_process_zero:
            self.keep(state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Puts the mean into the student, in all processes."""
        PartialState().wait_for_everyone()  # the first one has written what is read
        self.apply()

    def keep(self, step: int) -> None:
        """Writes the trained weights as they are after a step."""
        from safetensors.torch import save

        # plain tensors of their own: views that share memory could not be written
        weights = {name: weight.detach().cpu().clone() for name, weight in self._trained()}
        write_bytes(self._file(step), save(weights))

    def apply(self) -> None:
        """Puts the mean into the student: a sum in float64, in the order of the steps, rounded once.

        Raises:
            DataError: weights that were kept are missing or damaged.
        """
        sums: dict[str, torch.Tensor] = {}
        for step in self.steps:
            for name, weight in self._read(step).items():
                sums[name] = sums[name] + weight.double() if name in sums else weight.double()
        with torch.no_grad():
            for name, weight in self._trained():
                weight.copy_(sums[name] / len(self.steps))

    def _passes_a_share(self, spent: float) -> bool:
        """Whether a step has taken what is spent over a share after which weights count; notes what is spent."""
        before, self._spent = self._spent, spent
        return any(before < 1 - place * self.every <= spent for place in range(self.last))

    def _kept(self) -> list[int]:
        """The steps whose weights are on disk, in their order."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.folder.glob("step-*.safetensors"))

    def _trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def _read(self, step: int) -> dict[str, torch.Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = self._file(step)
        expected = {name: weight.shape for name, weight in self._trained()}
        try:
            weights: dict[str, torch.Tensor] = load(path.read_bytes())
            if {name: weight.shape for name, weight in weights.items()} != expected:
                raise ValueError("it holds the weights of another student")
        except (OSError, SafetensorError, ValueError) as error:
            raise DataError(
                f"cannot average: the weights after step {step} in {path} cannot be read: {error}; delete "
                f"{self.folder.parent} to train anew"
            ) from error
        return weights

    def _file(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"


def averaged_steps(n_steps: int, last: int, every: float) -> list[int]:
    """The steps after which weights count: the last step, and others at an equal distance before it.

    Args:
        n_steps: optimiser steps of the training.
        last: how many steps count.
        every: steps between two of them; below 1, a share of `n_steps`, rounded, but at least one step.

    Raises:
        InvalidInputError: the training has too few steps.
    """
    distance = max(1, round(every * n_steps)) if every < 1 else round(every)
    first = n_steps - (last - 1) * distance
    if first < 1:
        raise InvalidInputError(
            f"average_last: {last} weights that are {distance} optimiser steps apart take {1 - first + n_steps} steps, "
            f"but the training has {n_steps}; lower average_last or average_every, or train longer"
        )
    return list(range(first, n_steps + 1, distance))
