"""Pre-training a student on the primitives: `skipthink pretrain RECIPE`, resumable, in one process or several."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from skipthink.exceptions import InvalidInputError, RunError
from skipthink.io.files import write_text
from skipthink.io.progress import Display, Meter
from skipthink.io.recipes import parse_options, read_text, to_yaml
from skipthink.options import first_difference
from skipthink.student.devices import check_one_device, uses_accelerator
from skipthink.student.models import make_student, save_student
from skipthink.student.student import Student
from skipthink.testbed.card import write_student_card
from skipthink.testbed.corpus import IGNORED, Corpus, texts
from skipthink.testbed.first_weights import set_lookup_heads
from skipthink.testbed.options import PretrainRecipe
from skipthink.testbed.primitives import FAMILIES
from skipthink.training.resumable import ResumableTrainer
from skipthink.training.steps import Layout

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerControl, TrainerState

HELD_OUT_BLOCKS = 16
"""Blocks a family, of texts drawn with another seed, on which the finished student is measured."""


def pretrain(recipe: PretrainRecipe, folder: str | Path) -> Path:
    """Makes and pre-trains a student; after a kill, the same call resumes from the newest checkpoint.

    Args:
        recipe: what to train.
        folder: holds recipe.yaml, start/ (the untrained student), checkpoints/, log.jsonl and at last student/.

    Returns:
        The folder of the student: an ordinary Hugging Face folder, weights in bfloat16.

    Raises:
        RunError: the folder holds another recipe's work.
        InvalidInputError: the batch does not divide into micro-batches of the processes there are.
    """
    folder = Path(folder)
    torch.set_num_threads(recipe.threads)
    state = PartialState(cpu=not uses_accelerator())  # several processes meet on CPUs only where told
    with state.main_process_first():
        _check_folder(recipe, folder)
        if not (folder / "start").is_dir():
            _make_start(recipe, folder)
    finished = folder / "student"
    if finished.is_dir():
        return finished
    student = Student.load(folder / "start", n_chunks=recipe.markers_up_to, device="cpu")
    model, tokenizer = student.model, student.tokenizer
    meter = Meter("pretrain", "tokens", Display(sys.stderr))
    trainer = _Pretrainer(recipe, folder, student, meter)
    started = time.monotonic()
    try:
        trainer.train_resumable()
    finally:
        meter.close()
    if trainer.is_world_process_zero():
        seconds = time.monotonic() - started
        losses = held_out_losses(model, tokenizer, recipe)
        _append(folder / "log.jsonl", {"held_out": losses, "seconds": seconds})
        facts = {
            "trained tokens": trainer.counts.train_tokens,
            "optimiser steps": trainer.counts.steps,
            "training loss at the end (nats per token)": _last_loss(trainer),
        }
        save_student(model.to(torch.bfloat16), tokenizer, folder / "scratch")  # type: ignore[arg-type]
        write_student_card(folder / "scratch" / "README.md", recipe, model, facts=facts, held_out=losses)
        (folder / "scratch").rename(finished)
    trainer.accelerator.wait_for_everyone()
    return finished


@torch.inference_mode()
def held_out_losses(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, recipe: PretrainRecipe
) -> dict[str, float]:
    """Mean loss of each family's tokens, in nats, on texts drawn with a seed no training uses."""
    model.eval()
    losses: dict[str, float] = {}
    for family in FAMILIES:
        corpus = Corpus(
            tokenizer,
            n_blocks=HELD_OUT_BLOCKS,
            block_tokens=recipe.corpus.block_tokens,
            shares={family: 1.0},
            seed=-1,
        )
        total, count = 0.0, 0
        for block in (corpus[index] for index in range(len(corpus))):
            batch = {name: torch.as_tensor(value)[None].to(model.device) for name, value in block.items()}
            n_tokens = int((batch["labels"][:, 1:] != IGNORED).sum())
            total += float(model(**batch).loss) * n_tokens
            count += n_tokens
        losses[family] = total / count
    return losses


class _Pretrainer(ResumableTrainer):
    """Trains on the corpus in the order of its blocks: step s of any number of processes holds the same ones."""

    def __init__(self, recipe: PretrainRecipe, folder: Path, student: Student, meter: Meter) -> None:
        training, corpus = recipe.training, recipe.corpus
        n_ranks = PartialState().num_processes
        accumulation, rest = divmod(training.batch_blocks, training.micro_batch_blocks * n_ranks)
        if rest or not accumulation:
            raise InvalidInputError(
                f"batch_blocks {training.batch_blocks} is no multiple of micro_batch_blocks "
                f"{training.micro_batch_blocks} times {n_ranks} processes"
            )
        self.recipe, self.folder = recipe, folder
        self.data = Corpus(
            student.tokenizer,
            n_blocks=recipe.n_steps * training.batch_blocks,
            block_tokens=corpus.block_tokens,
            shares=corpus.shares,
            seed=corpus.seed,
            opening=(corpus.opening_tokens // corpus.block_tokens, corpus.opening_shares),
        )
        arguments = TrainingArguments(
            output_dir=str(folder / "checkpoints"),
            per_device_train_batch_size=training.micro_batch_blocks,
            gradient_accumulation_steps=accumulation,
            max_steps=recipe.n_steps,
            learning_rate=training.learning_rate,
            lr_scheduler_type=training.lr_scheduler,
            warmup_steps=training.warmup_steps,
            weight_decay=training.weight_decay,
            adam_beta2=training.adam_beta2,
            max_grad_norm=training.max_grad_norm,
            bf16=training.bf16,
            save_steps=training.save_steps,
            logging_steps=training.log_steps,
            save_total_limit=2,
            report_to=list(training.report_to) or "none",
            seed=recipe.seed,
            use_cpu=not uses_accelerator(),
            disable_tqdm=True,
            remove_unused_columns=False,
            data_seed=recipe.seed,
        )
        check_one_device(arguments.n_gpu)
        super().__init__(
            layout=Layout(training.micro_batch_blocks, accumulation, n_ranks, PartialState().process_index),
            progress=meter if PartialState().is_main_process else None,
            model=student.model,
            args=arguments,
            train_dataset=self.data,
        )
        self.add_callback(_Log(self))

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.data)

    def count_step(self, step: int) -> None:
        """Every step holds the same number of blocks."""
        self.counts.steps += 1
        self.counts.train_items += self.recipe.training.batch_blocks
        self.counts.train_tokens += self.recipe.step_tokens

    def progress_of(self, state: TrainerState) -> tuple[int, int]:
        """Tokens."""
        return self.counts.train_tokens, self.recipe.n_steps * self.recipe.step_tokens


class _Log(TrainerCallback):
    """Keeps the log of losses."""

    def __init__(self, trainer: _Pretrainer) -> None:
        self.trainer = trainer

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """A line of the log."""
        if state.is_world_process_zero and logs:
            tokens = self.trainer.counts.train_tokens
            _append(self.trainer.folder / "log.jsonl", {"step": state.global_step, "tokens": tokens, **logs})


def _check_folder(recipe: PretrainRecipe, folder: Path) -> None:
    """Writes the recipe into a new folder; refuses a folder of another recipe."""
    path = folder / "recipe.yaml"
    if not path.exists():
        write_text(path, to_yaml(recipe))
        return
    there = parse_options(read_text(path), PretrainRecipe, name=str(path))
    difference = first_difference(there, recipe)
    if difference is not None:
        key, old, new = difference
        raise RunError(
            f"{folder} holds another pre-training: {key} is {old!r} there and {new!r} here; name another folder with "
            "--out, or delete this one"
        )


def _make_start(recipe: PretrainRecipe, folder: Path) -> None:
    """The tokenizer, trained on the corpus's own texts, and the untrained student."""
    corpus = recipe.corpus
    # drawn with a seed of their own: the tokenizer learns words, not the blocks
    sample = islice(texts(corpus.shares, f"tokenizer/{corpus.seed}"), corpus.tokenizer_texts)
    model, tokenizer = make_student(
        sample, n_chunks=recipe.markers_up_to, seed=recipe.seed, **recipe.student.sizes()
    )
    if recipe.lookup_heads:
        set_lookup_heads(model, recipe.seed)
    save_student(model, tokenizer, folder / "start")


def _last_loss(trainer: Trainer) -> float:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return round(float(losses[-1]), 4) if losses else float("nan")


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")
