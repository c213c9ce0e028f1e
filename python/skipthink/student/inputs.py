"""Prompts and items as the inputs of a forward pass: padded tensors, by the names of the model's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from skipthink.core.ragged import Ints

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def model_inputs(
    ids: Sequence[Ints], sources: Sequence[Ints], pad: int, *, left: bool = False
) -> dict[str, torch.Tensor]:
    """Pads rows into one batch.

    Args:
        ids: the sequence of each row that ends with its target; what a decoder reads where there is an encoder.
        sources: what an encoder reads of each row; all empty for a student without one.
        pad: id of padding.
        left: padding stands in front, as in generation; else behind. Sources are padded behind anyway.

    Returns:
        Keyword arguments of the model's forward pass, int64 (n_rows, width). A decoder's mask is left out where
        padding stands behind: nothing in front of it attends to it.
    """
    rows, mask = _pad(ids, pad, left=left)
    if not any(map(len, sources)):
        return {"input_ids": rows, "attention_mask": mask}
    read, read_mask = _pad(sources, pad, left=False)
    inputs = {"input_ids": read, "attention_mask": read_mask, "decoder_input_ids": rows}
    return inputs | ({"decoder_attention_mask": mask} if left else {})


def probe_inputs(model: PreTrainedModel, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Inputs by which a model is tried out: the same ids (n_rows, width) for all it reads, none of them padding."""
    ids = ids.to(model.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return inputs | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})


def _pad(rows: Sequence[Ints], pad: int, *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[index, place] = torch.as_tensor(row)
        mask[index, place] = 1
    return ids, mask
