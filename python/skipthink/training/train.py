"""One call trains a student with any of the methods, and can be resumed (method §8)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_json, write_parquet
from skipthink.student.encoding import EncodedSamples, Ints, Items, encode_samples
from skipthink.student.markers import read_markers
from skipthink.student.models import load_student, longest_input, save_student
from skipthink.training.baselines import BaselineConfig, BaselineTrainer
from skipthink.training.chunkwise import ChunkwiseTrainer, whole_weights
from skipthink.training.config import ChunkwiseConfig
from skipthink.training.lora import add_lora, merge_lora
from skipthink.training.method_table import METHODS, Method
from skipthink.training.skip_thinking import SkipThinkingConfig, SkipThinkingTrainer

if TYPE_CHECKING:
    import pyarrow as pa


SKIP_SETTINGS = ("thought", "skip_weight")


def train_method(
    method: str,
    *,
    student: Path,
    samples: pa.Table,
    out: Path,
    n_chunks: int,
    seed: int,
    settings: Mapping[str, Any],
    skipped: npt.NDArray[np.bool_] | None = None,
    boundaries: Ints | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Trains a fresh student with one method; called again after a kill, it goes on from the last checkpoint.

    Args:
        method: a key of `METHODS`.
        student: folder of the fresh student, as written by `save_student`.
        samples: training samples: columns id, question, rationale, answer.
        out: folder for `model/`, `chunks.parquet`, `items.parquet`, `train.json`, with LoRA also `adapter/`.
        n_chunks: M.
        seed: seeds data order, chunk dropout and search.
        settings: arguments of `ChunkwiseConfig` / `SkipThinkingConfig`, i.e. of `transformers.TrainingArguments`
            and our own; `rules`, the step rules; `lora`, options of `training.lora.add_lora` or None.
        skipped: skip data of "stt", bool (n, M).
        boundaries: chunks of "stt" and "skip-all" (those that were judged), int64 (n, M + 1).
        progress: called with (steps done, steps in all).

    Returns:
        What `train.json` holds: train_steps, train_items, train_tokens, train_target_tokens, seconds, processes,
        effective_batch (means a step), items a stage, loss, report. Files are written by the first process.

    Raises:
        InvalidInputError: unknown method or setting, or skip data missing.
    """
    if method not in METHODS:
        raise InvalidInputError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    started = time.monotonic()
    options = dict(settings)
    rules = options.pop("rules", "auto")
    lora = options.pop("lora", None)
    model, tokenizer = load_student(student)
    markers = read_markers(tokenizer, n_chunks, student)
    if options.get("max_item_tokens") is None:
        options["max_item_tokens"] = longest_input(model, tokenizer)
    encoded = encode_samples(tokenizer, markers, samples, rules=rules)
    if lora is not None:
        model = add_lora(model, markers, seed=seed, **lora)
    trainer = _make_trainer(
        METHODS[method], method, model, encoded, markers, out, seed, options, skipped, boundaries, progress
    )
    first_items: Items = trainer.train_dataset.items  # type: ignore[union-attr]
    trainer.train_resumable()
    items = trainer.make_items(epoch=0) if METHODS[method].searches else first_items
    summary = {
        "method": method,
        "seed": seed,
        "train_steps": int(trainer.state.global_step),
        **trainer.counts.totals(),
        "seconds": round(time.monotonic() - started, 3),
        "processes": trainer.config.layout.n_ranks,
        "effective_batch": trainer.counts.effective_batch(),
        "items": {str(stage): int((items.stages == stage).sum()) for stage in np.unique(items.stages)},
        "loss": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "report": encoded.report | trainer.report,
    }
    weights = whole_weights(trainer)  # all processes take part where parameters are sharded
    if not trainer.is_world_process_zero():
        return summary
    write_parquet(out / "chunks.parquet", chunks_table(encoded, trainer.boundaries, skipped))
    write_parquet(out / "items.parquet", items_table(encoded, items))
    trained = trainer.accelerator.unwrap_model(trainer.model)
    if lora is not None:
        trained = merge_lora(trained, out / "adapter")
    about = {
        "method": method,
        "mode": METHODS[method].mode,
        "n_chunks": n_chunks,
        "prompt": markers.frame.to_dict(),
        **written_targets(trainer, items),
    }
    save_student(trained, tokenizer, out / "model", about=about, state_dict=weights)
    write_json(out / "train.json", summary)
    if (out / "checkpoints" / "runs").exists():  # what was logged for TensorBoard outlives the checkpoints
        shutil.rmtree(out / "tensorboard", ignore_errors=True)
        shutil.move(out / "checkpoints" / "runs", out / "tensorboard")
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return summary


def _make_trainer(
    spec: Method,
    method: str,
    model: Any,
    encoded: EncodedSamples,
    markers: Any,
    out: Path,
    seed: int,
    options: dict[str, Any],
    skipped: npt.NDArray[np.bool_] | None,
    boundaries: Ints | None,
    progress: Callable[[int, int], None] | None,
) -> ChunkwiseTrainer:
    skip_options = {name: options.pop(name) for name in SKIP_SETTINGS if name in options}
    common: dict[str, Any] = {
        "output_dir": str(out / "checkpoints"),
        "seed": seed,
        "data_seed": seed,
        "scheme": spec.scheme,
        "report_to": "none",
        "run_name": f"{out.parent.name}-{out.name}",
        "disable_tqdm": True,
        "save_total_limit": 2,
        "logging_steps": _logging_steps(options.get("save_steps", 50)),
        "log_level": "error",
        **options,
    }
    if not spec.searches:
        common["chunk_method"] = "average"
    elif spec.search is not None:
        common["chunk_method"] = spec.search
    shared = {"encoded": encoded, "markers": markers, "progress": progress, "processing_class": None}
    if spec.baseline is not None:
        return BaselineTrainer(model, BaselineConfig(**common, baseline=spec.baseline), **shared)
    if not spec.skips:
        return ChunkwiseTrainer(model, ChunkwiseConfig(**common), boundaries=boundaries, **shared)
    if boundaries is None or (skipped is None and method != "skip-all"):
        raise InvalidInputError(f"{method} needs the chunks and skip data of a chunk-wise trained student")
    if method == "skip-all":
        skipped = np.diff(boundaries, axis=1) > 0
    assert skipped is not None  # noqa: S101 - narrowed above
    config = SkipThinkingConfig(**common, **skip_options)
    return SkipThinkingTrainer(model, config, boundaries=boundaries, skipped=skipped, **shared)


def _logging_steps(save_steps: int) -> int:
    """A divisor of save_steps: a window that a checkpoint cuts in two would log another loss after a resume."""
    return save_steps // 5 if save_steps % 5 == 0 else save_steps


def written_targets(trainer: ChunkwiseTrainer, items: Items) -> dict[str, Any]:
    """What inference has to know of the targets: see `targets_by_stage`, and where M is not fixed the most steps."""
    if not isinstance(trainer, BaselineTrainer):
        return targets_by_stage(items)
    targets = targets_by_stage(trainer.whole_items())
    if trainer.config.baseline == "stepwise":
        targets["max_steps"] = trainer.most_steps
    return targets


def targets_by_stage(items: Items) -> dict[str, Any]:
    """`max_target_tokens`: the longest target a stage, end included; `empty_stages`: where one is the end alone."""
    stages = np.unique(items.stages)
    return {
        "max_target_tokens": {
            str(stage): int(items.n_target[items.stages == stage].max()) for stage in stages
        },
        "empty_stages": [
            int(stage) for stage in stages if (items.n_target[items.stages == stage] == 1).any()
        ],
    }


def chunks_table(
    encoded: EncodedSamples, boundaries: Ints, skipped: npt.NDArray[np.bool_] | None = None
) -> pa.Table:
    """Chunks as a table: id, boundaries, chunks and, where given, skipped."""
    import pyarrow as pa

    chunks = [
        ["".join(steps[start:end]) for start, end in zip(row[:-1], row[1:], strict=True)]
        for steps, row in zip(encoded.steps, boundaries, strict=True)
    ]
    columns: dict[str, Any] = {"id": encoded.ids, "boundaries": boundaries.tolist(), "chunks": chunks}
    if skipped is not None:
        columns["skipped"] = skipped.tolist()
    return pa.table(columns)


def items_table(encoded: EncodedSamples, items: Items) -> pa.Table:
    """Items as a table: id, stage, prompt_ids, target_ids.

    Of an encoder-decoder also source_ids, what its encoder reads; where the loss is not that of the targets, also loss.
    """
    import pyarrow as pa

    rows = [items.tokens[index] for index in range(len(items))]
    columns: dict[str, Any] = {
        "id": [encoded.ids[row] for row in items.rows],
        "stage": items.stages,
        "prompt_ids": [row[:cut] for row, cut in zip(rows, items.n_prompt, strict=True)],
        "target_ids": [row[cut:] for row, cut in zip(rows, items.n_prompt, strict=True)],
    }
    if items.sources is not None:
        columns["source_ids"] = [items.sources[index] for index in range(len(items))]
    if items.loss is not None:
        columns["loss"] = np.split(items.loss, items.tokens.offsets[1:-1])
    return pa.table(columns)
