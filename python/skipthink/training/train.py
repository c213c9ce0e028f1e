"""One call trains a student with any of the methods, and can be resumed (method §8)."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.io.files import remove_folder, write_json, write_parquet
from skipthink.io.job_progress import Report, phase_of
from skipthink.io.visible import in_a_line
from skipthink.scoring.options import ChunkOptions
from skipthink.student.devices import has_bf16
from skipthink.student.encoding import EncodedSamples
from skipthink.student.items import Items, loss_mask
from skipthink.student.losses import Floats
from skipthink.student.student import Student
from skipthink.student.token_rows import Bools, TokenRows
from skipthink.student.token_texts import as_tokens, marked_text
from skipthink.training.arguments import make_arguments, restored_environment
from skipthink.training.last_layers import only_last_layers
from skipthink.training.lora import add_lora, merge_lora
from skipthink.training.method import Method
from skipthink.training.options import TrainingOptions
from skipthink.training.precision import precision_of
from skipthink.training.record import write_record
from skipthink.training.trainer import ItemTrainer, whole_weights

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_CHARACTERS = 400
"""Of the item that is shown when a training begins."""


@restored_environment()
def train_method(
    method: Method,
    *,
    student: Path,
    samples: pa.Table,
    out: Path,
    options: TrainingOptions,
    chunks: ChunkOptions,
    seed: int,
    boundaries: Ints | None = None,
    skipped: Bools | None = None,
    turns: Floats | None = None,
    own: TokenRows | None = None,
    earlier: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    auto_precision: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Trains a fresh student with one method; called again after a kill, it resumes from the last checkpoint.

    Args:
        method: one of `skipthink.training.methods`, or one of your own.
        student: folder of the fresh student, as written by `Student.save`.
        samples: training samples: columns id, question, rationale, answer.
        out: folder for `model/`, `chunks.parquet`, `items.parquet`, `log.jsonl`, `train.json`, with LoRA also
            `adapter/`, and where chunks are searched also `epochs.parquet` and `losses.parquet`.
        options: an instance of `method.Options`.
        chunks: M, the step rules and how chunks are found.
        seed: seeds data order, chunk dropout and search.
        boundaries: chunks that stay as they are, int64 (n, M + 1): those a judge was, or is to be, asked about.
        skipped: chunks the judge can do without, bool (n, M), for methods whose `needs` are `Needs.SKIPS`.
        turns: when each of these chunks goes, float64 (n, M), for methods with levels (`skipping.levels`); None: from
            the front.
        own: chains of own answers, one per sample, empty where there is none, for methods with a `writer`
            (`own_answers.read_chains`).
        earlier: what `train.json` says of the training that the student comes from, where it is not fresh: its items
            and tokens are counted too, its steps and tokens stand under `earlier`.
        progress: called with (steps done, steps in all).
        auto_precision: what `bf16: auto` means, "bfloat16" or "float32", where that is decided for several trainings;
            None: it is decided here. A training that goes on keeps the precision that it was begun in.
        arguments: further fields of `transformers.TrainingArguments`; they win.
        keep_checkpoints: whether they stay when all is written: a caller who has more to do than to train removes them
            (`remove_checkpoints`) when that is done, so that a kill in between repeats no step.

    Returns:
        What `train.json` holds: train_steps, train_items, train_tokens, train_target_tokens, seconds (of training,
        searches included, over all tries), budget (what it is `of`, its limit, what was spent; or None), precision (of
        forward passes), trained_weights (their number), processes, effective_batch (means per step), items per stage,
        loss, loss_steps and loss_target_tokens (the curve of the training loss, see `LossCurve.points`), report;
        averaged_steps and earlier where there are any. Files are written by the first process.

    Raises:
        InvalidInputError: options, samples or student do not fit the method, skip data are missing, or the training
            was begun in another precision than the options ask for.
    """
    # `transformers.Trainer` puts the student where it is trained, each process on a device of its own
    fresh = Student.load(student, n_chunks=chunks.M, device="cpu")
    method.refuse(options, fresh.markers)
    with phase_of(progress, "tokenising"):
        encoded = fresh.encode(samples, chunks.rules)
    if options.lora is not None:
        fresh = add_lora(fresh, options.lora, seed=seed)
    name = {"run_name": f"{out.parent.name}-{out.name}"}
    trainer = ItemTrainer(
        fresh,
        method,
        make_arguments(
            options,
            out / "checkpoints",
            seed=seed,
            n_weights=fresh.model.num_parameters(),
            auto_precision=auto_precision,
            **{**name, **(arguments or {})},
        ),
        encoded=encoded,
        options=options,
        chunks=chunks,
        boundaries=boundaries,
        skipped=skipped,
        turns=turns,
        own=own,
        progress=progress,
    )
    if trainer.is_world_process_zero():
        _show_item(trainer, progress)
    if trainer.arguments.bf16 and not has_bf16(trainer.args.device):
        _note(
            "bfloat16 is emulated here: this device has no instructions for it, and trains slowly", progress
        )
    with only_last_layers(fresh.model, options.last_layers):
        n_trained = fresh.model.num_parameters(only_trainable=True)
        trainer.train_resumable()
    items = method.items(trainer.source, 0)
    summary = {
        "method": method.name,
        "seed": seed,
        "train_steps": int(trainer.state.global_step),
        **trainer.counts.totals(),
        "seconds": round(trainer.counts.seconds, 3),
        "budget": None if trainer.budget is None else trainer.budget.summary(trainer.counts),
        "precision": precision_of(trainer.arguments),
        "trained_weights": n_trained,
        "processes": trainer.layout.n_ranks,
        "effective_batch": trainer.counts.effective_batch(),
        "items": {str(stage): int((items.stages == stage).sum()) for stage in np.unique(items.stages)},
        **trainer.curve.points(),
        "report": encoded.report | trainer.report,
    }
    if earlier is not None:
        before = {name: int(earlier[name]) for name in trainer.counts.totals()}
        summary |= {name: count + before[name] for name, count in trainer.counts.totals().items()}
        summary["earlier"] = {"method": earlier["method"], "train_steps": earlier["train_steps"], **before}
    if trainer.average is not None:
        summary["averaged_steps"] = averaged = trainer.average.steps
        if len(averaged) < options.average_last and trainer.is_world_process_zero():
            _note(
                f"the saved weights are the mean of {len(averaged)}, not {options.average_last}: steps were so large "
                "that one passed several shares of the budget",
                progress,
            )
    weights = whole_weights(trainer)  # all processes take part where parameters are sharded
    if trainer.is_world_process_zero():
        write_parquet(out / "chunks.parquet", chunks_table(encoded, trainer.source.boundaries, skipped))
        write_parquet(out / "items.parquet", items_table(encoded, items))
        save_trained(trainer, out, weights)
        write_record(out, trainer.state.log_history, encoded, trainer.arguments.record_folder)
        write_json(out / "train.json", summary)
        if not keep_checkpoints:
            remove_checkpoints(out)
    return summary


def _show_item(trainer: ItemTrainer, progress: Callable[[int, int], None] | None) -> None:
    """Shows one item as it is trained on, the last of the first sample: prompt, target, and what carries loss."""
    items, source = trainer.method.items(trainer.source, 0), trainer.source
    index = int(np.flatnonzero(items.rows == items.rows[0])[-1])
    start, end = items.tokens.offsets[index : index + 2]
    backend: Any = trainer.student.tokenizer.backend_tokenizer
    tokens = as_tokens(
        backend, items.tokens[index].tolist(), loss_mask(items)[start:end].tolist(), frozenset()
    )
    n_trained = sum(token.is_trained for token in tokens)
    text = (
        f"an item of sample {in_a_line(source.encoded.ids[items.rows[index]], 60)}, {n_trained} of {len(tokens)} "
        f"tokens trained «like this»: {marked_text(tokens, SHOWN_CHARACTERS)}"
    )
    _note(text, progress)


def _note(text: str, progress: Callable[[int, int], None] | None) -> None:
    if isinstance(progress, Report):
        progress.note(text)
    else:
        sys.stderr.write(text + "\n")


def save_trained(trainer: ItemTrainer, out: Path, weights: dict[str, Any] | None) -> None:
    """Saves the student with its `skipthink.json`, and its adapters separately if it has any.

    Args:
        trainer: trained.
        out: folder for `model/` and `adapter/`.
        weights: see `whole_weights`.
    """
    method, source = trainer.method, trainer.source
    trained = dataclasses.replace(trainer.student, model=trainer.accelerator.unwrap_model(trainer.model))
    if source.options.lora is not None:
        trained = merge_lora(trained, out / "adapter")
    about = {
        "method": method.name,
        "mode": method.mode,
        "n_chunks": trained.n_chunks,
        "prompt": trained.frame.to_dict(),
        **targets_by_stage(method.whole_items(source)),
        **method.about(source),
    }
    trained.save(out / "model", about, weights=weights)


def remove_checkpoints(out: Path) -> None:
    """Removes the checkpoints of a training; what was logged for TensorBoard outlives them."""
    if (out / "checkpoints" / "runs").exists():
        shutil.rmtree(out / "tensorboard", ignore_errors=True)
        shutil.move(out / "checkpoints" / "runs", out / "tensorboard")
    remove_folder(out / "checkpoints")


def targets_by_stage(items: Items) -> dict[str, Any]:
    """`max_target_tokens`: the longest target of each stage; `empty_stages`: those where one is the end token alone."""
    stages = np.unique(items.stages)
    return {
        "max_target_tokens": {
            str(stage): int(items.n_target[items.stages == stage].max()) for stage in stages
        },
        "empty_stages": [
            int(stage) for stage in stages if (items.n_target[items.stages == stage] == 1).any()
        ],
    }


def chunks_table(encoded: EncodedSamples, boundaries: Ints, skipped: Bools | None = None) -> pa.Table:
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
