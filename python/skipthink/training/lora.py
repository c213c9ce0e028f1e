"""LoRA: low-rank adapters through peft, with the rows of the markers trained whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skipthink.exceptions import InvalidInputError
from skipthink.student.markers import Markers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def add_lora(
    model: PreTrainedModel,
    markers: Markers,
    *,
    seed: int,
    rank: int = 16,
    alpha: float = 32.0,
    dropout: float = 0.0,
    target_modules: str | list[str] = "all-linear",
    train_markers: bool = True,
) -> Any:
    """Puts adapters into a student; all else of it is frozen.

    Markers are new rows of the embeddings, drawn at random: frozen, they would stay noise that means nothing.
    So these rows and that of the end token are trained whole, in the input embeddings and, where it has weights
    of its own, in the head. Markers that are text are no new rows: nothing but the adapters is trained.

    Args:
        model: the student; changed in place.
        markers: marker ids of its tokenizer.
        seed: seeds the adapters' weights.
        rank: r.
        alpha: the adapters' output is scaled by alpha / rank.
        dropout: on the adapters' input.
        target_modules: names of modules, or "all-linear": every linear layer but the head.
        train_markers: False freezes the marker rows too, for students that have learnt them already.

    Returns:
        A `peft.PeftModel` around the student.

    Raises:
        InvalidInputError: peft is not installed, or refuses the settings.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers.pytorch_utils import Conv1D
    except ImportError as error:
        raise InvalidInputError("LoRA needs the package peft: pip install 'skipthink[peft]'") from error
    config = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM,
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]
        lora_dropout=dropout,
        target_modules=target_modules,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2's layers
        trainable_token_indices=_marker_rows(model, markers) if train_markers and markers.rows else None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise InvalidInputError(f"LoRA does not fit this student: {error}") from error


def merge_lora(model: Any, adapter_dir: Path) -> PreTrainedModel:
    """Saves the adapters by themselves, then adds them into the student's weights.

    Args:
        model: what `add_lora` gave, trained.
        adapter_dir: takes `adapter_config.json` and the adapters' weights; appears complete or not at all.

    Returns:
        The student with the adapters' part in its weights, an ordinary model again.
    """
    scratch = adapter_dir.with_name(adapter_dir.name + ".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    # the fresh student this belongs to has the markers already: its embeddings need not be saved again
    model.save_pretrained(scratch, save_embedding_layers=False)
    shutil.rmtree(adapter_dir, ignore_errors=True)
    scratch.rename(adapter_dir)
    merged: PreTrainedModel = model.merge_and_unload()
    return merged


def _marker_rows(model: PreTrainedModel, markers: Markers) -> dict[str, list[int]]:
    """Embedding modules by name, and the rows of the markers in them."""
    rows = sorted(markers.rows)
    tables: list[Any] = [model.get_input_embeddings()]
    head: Any = model.get_output_embeddings()
    if head is not None and head.weight is not tables[0].weight:
        tables.append(head)
    names = {id(module): name for name, module in model.named_modules()}
    return {names[id(table)].rpartition(".")[2]: rows for table in tables}
