"""Training of the last layers alone: no backward pass, no gradients and no moments below them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@contextmanager
def only_last_layers(model: PreTrainedModel, n_layers: int | None) -> Iterator[None]:
    """Freezes a student below its last layers for the time of a training.

    Trained are the last layers, what stands behind them (the final norm) and the head. Embeddings are not; where they
    are tied to the head, the one matrix is trained through the head alone: its gradient from the prompt would take a
    backward pass through all layers. So the rows of new markers are learnt where they are written, and those of
    markers that only ask (`[1]`, `[skip]`) change as little as those of other words that are not targets.

    Args:
        model: a decoder-only student; its weights require gradients again afterwards.
        n_layers: layers that are trained; None: the student whole.

    Raises:
        InvalidInputError: as many layers as the student has or more, an encoder-decoder, or a student without a list of
            layers.
    """
    if n_layers is None:
        yield
        return
    layers, behind = find_layers(model)
    if n_layers >= len(layers):
        raise InvalidInputError(
            f"last_layers is {n_layers}, but the student has {len(layers)} layers; leave it out to train all of them"
        )
    needed = {name: weight.requires_grad for name, weight in model.named_parameters()}
    model.requires_grad_(False)
    for module in (*layers[-n_layers:], *behind, model.get_output_embeddings()):
        if module is not None:
            module.requires_grad_(True)
    embeddings: Any = model.get_input_embeddings()
    handle = embeddings.register_forward_hook(_detached)
    try:
        yield
    finally:
        handle.remove()
        for name, weight in model.named_parameters():
            weight.requires_grad_(needed[name])


def find_layers(model: PreTrainedModel) -> tuple[list[nn.Module], list[nn.Module]]:
    """The layers of a student, and the modules that stand behind them, in the order of its own declaration.

    Raises:
        InvalidInputError: an encoder-decoder, or no list of as many modules as the config names layers.
    """
    n_layers = getattr(model.config, "num_hidden_layers", None)
    if not model.config.is_encoder_decoder:
        for module in model.modules():
            children = list(module.children())
            for place, child in enumerate(children):
                if isinstance(child, nn.ModuleList) and len(child) == n_layers:
                    return list(child), children[place + 1 :]
    raise InvalidInputError(
        f"last_layers needs a decoder-only student with a list of layers, and {type(model).__name__} is none; leave it "
        "out"
    )


def _detached(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
    return output.detach()
