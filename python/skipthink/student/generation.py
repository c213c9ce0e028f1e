"""Greedy and sampled generation of one target for each of many prompts, batched by length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.student.devices import free_memory, is_out_of_memory
from skipthink.student.inputs import model_inputs
from skipthink.student.markers import Markers
from skipthink.student.prompts import Prompt, room_for

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Generated:
    """The output of a student for one prompt.

    Attributes:
        tokens: the generated ids without the end token, int64.
        ended: whether it ended by itself; False: it was stopped at `max_new_tokens`.
    """

    tokens: Ints
    ended: bool

    @property
    def n_tokens(self) -> int:
        """Tokens the student had to generate, the end token included."""
        return len(self.tokens) + int(self.ended)

    @property
    def looped(self) -> bool:
        """Whether it was stopped at the limit while it wrote the same n-gram again and again."""
        return not self.ended and ends_in_loop(self.tokens)


LOOP_TOKENS, LOOP_REPEATS = 64, 4


def ends_in_loop(tokens: Ints) -> bool:
    """Whether tokens end in one n-gram (of at most `LOOP_TOKENS` tokens) `LOOP_REPEATS` times in a row or more."""
    for period in range(1, min(LOOP_TOKENS, len(tokens) // LOOP_REPEATS) + 1):
        tail = tokens[len(tokens) - period * LOOP_REPEATS :]
        if np.array_equal(tail[period:], tail[:-period]):
            return True
    return False


def generate_in_room(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    write: Callable[[Ints, Ints], Iterable[Generated]],
) -> list[Generated]:
    """Has those prompts continued that leave room for a token; the others get nothing.

    Args:
        model: whose positions limit the room.
        prompts: the prompts.
        max_new_tokens: most tokens of a continuation.
        write: continues some prompts, of (their numbers, their limits), int64 each.

    Returns:
        A result per prompt.
    """
    limits = np.asarray([room_for(model, prompt, max_new_tokens) for prompt in prompts], dtype=np.int64)
    results = [Generated(np.empty(0, np.int64), False) for _ in prompts]
    fitting = np.flatnonzero(limits > 0)
    if len(fitting):
        for index, output in zip(fitting, write(fitting, limits[fitting]), strict=True):
            results[index] = output
    return results


def generate(
    model: PreTrainedModel,
    markers: Markers,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    may_be_empty: bool = True,
    ends: Collection[int] = (),
    batch_size: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Generated]:
    """Continues prompts until the end token or `max_new_tokens`.

    Args:
        model: a language model, with or without an encoder.
        markers: marker ids of its tokenizer.
        prompts: prompts, fitted to the student.
        max_new_tokens: bound on the generated tokens of one prompt, at least 1.
        may_be_empty: whether the end token may come first; False: it has no probability there.
        ends: ids that end a continuation as the end token does.
        batch_size: prompts generated side by side; results do not depend on it up to float rounding. Where memory
            runs out, a batch is halved, and those after it are as small.
        temperature: 0 for greedy decoding, else sampling at this temperature.
        seed: seeds sampling; where memory runs out, what is sampled depends on the smaller batches.
        progress: called with (prompts done, prompts in all) after each batch.

    Returns:
        One result a prompt, in the order given. A prompt that leaves less room than that in the student's positions is
        stopped where they end, and counts as not ended.

    Raises:
        InvalidInputError: max_new_tokens < 1.
        RunError: memory runs out on a single prompt.
    """
    from transformers import GenerationConfig

    if max_new_tokens < 1:
        raise InvalidInputError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    # what has no room at all stays as it is here: nothing written, not ended
    results = [Generated(np.empty(0, np.int64), False) for _ in prompts]
    done = 0
    training, defaults = model.training, model.generation_config
    model.eval()
    # what a checkpoint comes with (a repetition penalty, say) would stand in for all that is not set here
    model.generation_config = GenerationConfig()
    try:
        waiting = list(_batches(model, prompts, max_new_tokens, batch_size))[::-1]
        while waiting:
            batch, room = waiting.pop()
            if len(batch) > batch_size:
                waiting += [(batch[batch_size:], room), (batch[:batch_size], room)]
                continue
            with torch.random.fork_rng(own_generators(model), enabled=temperature > 0):
                torch.manual_seed(seed + done) if temperature > 0 else None
                outputs = _try_batch(
                    model, markers, [prompts[index] for index in batch], room, temperature, may_be_empty, ends
                )
            if outputs is None:
                batch_size = _smaller(len(batch), prompts[batch[0]])
                waiting.append((batch, room))
                continue
            for index, output in zip(batch, outputs, strict=True):
                results[index] = output
            done += len(batch)
            if progress is not None:
                progress(done, len(prompts))
    finally:
        model.generation_config = defaults
        model.train(training)
    return results


def own_generators(model: PreTrainedModel) -> list[torch.device]:
    """Devices, beside the CPU, whose random numbers sampling takes: torch would save those of all GPUs, and warn."""
    return [model.device] if model.device.type == "cuda" else []


def _batches(
    model: PreTrainedModel, prompts: Sequence[Prompt], max_new_tokens: int, batch_size: int
) -> Iterator[tuple[list[int], int]]:
    """Batches of prompt indices, longest first, with the new tokens they have room for.

    A prompt near the end of the student's positions goes alone with the room it has, so that what others get does
    not depend on their company; one without any room is left out.
    """
    # what is written behind first: a batch is as wide there as its longest row
    order = sorted(
        range(len(prompts)), key=lambda index: (len(prompts[index].ids), len(prompts[index])), reverse=True
    )
    room = {index: room_for(model, prompts[index], max_new_tokens) for index in order}
    for index in order:
        if 0 < room[index] < max_new_tokens:
            yield [index], room[index]
    full = [index for index in order if room[index] == max_new_tokens]
    for group in _side_by_side(model, prompts, full):
        for first in range(0, len(group), batch_size):
            yield group[first : first + batch_size], max_new_tokens


def _side_by_side(model: PreTrainedModel, prompts: Sequence[Prompt], order: list[int]) -> list[list[int]]:
    """Prompts that may stand in one batch: all, unless padding in front would move what the student reads."""
    if len({len(prompts[index].ids) for index in order}) <= 1 or ignores_padding_in_front(model):
        return [order]
    return [list(group) for _, group in groupby(order, key=lambda index: len(prompts[index].ids))]


def ignores_padding_in_front(model: PreTrainedModel) -> bool:
    """Whether padding in front of a prompt leaves the output of the student unchanged.

    It does not without an encoder: positions are counted by the mask. A decoder beside an encoder is given no
    positions: those that are relative (T5) do not notice, those that are counted from the first column (BART) do.
    """
    if not model.config.is_encoder_decoder:
        return True
    rows = [np.arange(3), np.arange(1, 3)]
    source = [np.arange(2)] * 2
    padded = model_inputs(rows, source, 0, left=True)
    alone = model_inputs(rows[1:], source[1:], 0)
    with torch.inference_mode():
        found, expected = (
            model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).logits[-1, -1].float()
            for inputs in (padded, alone)
        )
    return bool((found - expected).abs().max() <= 0.05 * expected.std())


def _smaller(n_prompts: int, longest: Prompt) -> int:
    """Prompts of a batch after one of `n_prompts` was too many."""
    if n_prompts == 1:
        raise RunError(
            f"out of memory on a single prompt of {len(longest)} tokens; drop its sample, or use a smaller student or "
            "a device with more memory"
        )
    return (n_prompts + 1) // 2


def _try_batch(model: PreTrainedModel, *arguments: Any) -> list[Generated] | None:
    """Generates a batch; None where memory runs out."""
    try:
        return _generate_batch(model, *arguments)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    free_memory(model.device)  # outside the handler: the error holds on to the tensors
    return None


def _generate_batch(
    model: PreTrainedModel,
    markers: Markers,
    prompts: list[Prompt],
    max_new_tokens: int,
    temperature: float,
    may_be_empty: bool,
    ends: Collection[int],
) -> list[Generated]:
    from transformers import GenerationConfig

    inputs = model_inputs(
        [prompt.ids for prompt in prompts], [prompt.source for prompt in prompts], markers.pad_id, left=True
    )
    last = [markers.end_id, *ends]
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        temperature=temperature if temperature > 0 else None,
        top_k=0 if temperature > 0 else None,
        eos_token_id=last,
        pad_token_id=markers.pad_id,
        decoder_start_token_id=markers.decoder_start_id,
        begin_suppress_tokens=None if may_be_empty else last,
    )
    generator: Any = model  # torch types the attribute as a tensor
    with torch.inference_mode():
        output = generator.generate(
            **{name: tensor.to(model.device) for name, tensor in inputs.items()}, generation_config=config
        )
    width = max(len(prompt.ids) for prompt in prompts)
    return [_cut(row, last) for row in output[:, width:].cpu().numpy().astype(np.int64)]


def _cut(tokens: Ints, last: list[int]) -> Generated:
    """Cuts a generated row at the first token that ends it."""
    ends = np.flatnonzero(np.isin(tokens, last))
    return Generated(tokens[: ends[0]], True) if len(ends) else Generated(tokens, False)
