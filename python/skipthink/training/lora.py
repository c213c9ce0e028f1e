"""LoRA: low-rank adapters through peft; the rows of the markers are trained in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skipthink.exceptions import InvalidInputError
from skipthink.io.files import atomic_folder
from skipthink.student.markers import Markers
from skipthink.student.student import Student
from skipthink.training.options import LoraOptions

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def add_lora(student: Student, options: LoraOptions, *, seed: int) -> Student:
    """Adds adapters to a student; everything else in it is frozen.

    Markers are new rows of the embeddings, drawn at random: frozen, they would stay noise that means nothing.
    So these rows and that of the end token are trained whole, in the input embeddings and, where it has weights
    of its own, in the head. Markers that are text are no new rows: nothing but the adapters is trained.

    Args:
        student: the student; its model is changed in place.
        options: the adapters.
        seed: seeds the adapters' weights.

    Returns:
        The student with a `peft.PeftModel`.

    Raises:
        InvalidInputError: peft is not installed, or refuses the options.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers.pytorch_utils import Conv1D
    except ImportError as error:
        raise InvalidInputError("LoRA needs the package peft: pip install 'skipthink[peft]'") from error
    model, markers = student.model, student.markers
    trains_rows = options.train_markers and bool(markers.new_rows)
    modules = options.target_modules
    config = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM,
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2's layers
        trainable_token_indices=_marker_rows(model, markers) if trains_rows else None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            adapted: Any = get_peft_model(model, config)
        except ValueError as error:
            raise InvalidInputError(f"LoRA does not fit this student: {error}") from error
    return replace(student, model=adapted)


def merge_lora(student: Student, adapter_dir: Path) -> Student:
    """Saves the adapters by themselves, then adds them into the student's weights.

    Args:
        student: what `add_lora` gave, trained.
        adapter_dir: takes `adapter_config.json` and the adapters' weights; appears complete or not at all.

    Returns:
        The student with the adapters' part in its weights, an ordinary model again.
    """
    model: Any = student.model
    with atomic_folder(adapter_dir) as scratch:
        # the fresh student this belongs to has the markers already: its embeddings need not be saved again
        model.save_pretrained(scratch, save_embedding_layers=False)
    return replace(student, model=model.merge_and_unload())


def _marker_rows(model: PreTrainedModel, markers: Markers) -> dict[str, list[int]]:
    """Embedding modules by name, and the rows of the markers in them."""
    rows = sorted(markers.new_rows)
    tables: list[Any] = [model.get_input_embeddings()]
    head: Any = model.get_output_embeddings()
    if head is not None and head.weight is not tables[0].weight:
        tables.append(head)
    names = {id(module): name for name, module in model.named_modules()}
    return {names[id(table)].rpartition(".")[2]: rows for table in tables}
