"""The digest of a student: equal for students that are equal bit by bit."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOLATILE_CONFIG = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype")
"""Keys of a config that change when a student is saved or moved, and that change no logit."""


def model_digest(model: PreTrainedModel) -> str:
    """A hash of the config and the weights of a student, bit by bit."""
    module: Any = model
    config = {name: value for name, value in module.config.to_dict().items() if name not in VOLATILE_CONFIG}
    adapters = {name: adapter.to_dict() for name, adapter in getattr(module, "peft_config", {}).items()}
    content = hashlib.sha256(json.dumps([config, adapters], sort_keys=True, default=str).encode())
    seen: dict[tuple[int, torch.Size, tuple[int, ...]], str] = {}
    for name, entry in sorted(module.state_dict().items()):
        tensor = entry.to_local() if hasattr(entry, "to_local") else entry  # a shard of FSDP
        # tied weights are one tensor under two names
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        content.update(
            f"{name} {tensor.dtype} {tuple(tensor.shape)} {seen.setdefault(place, name)};".encode()
        )
        if seen[place] == name:
            content.update(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
