"""Training beside the bare forward and backward pass of the same batches, and the last layers beside all of them.

    python bench/training_speed.py --hidden-size 576 --layers 8 --vocabulary 49152 --last-layers 3

Items of chunk-wise training, made of arithmetic samples, are trained on with `ItemTrainer`. In front of a step, or
behind it in turns, stand the bare passes of its batch: forward pass, loss on target positions, backward pass, gradients
dropped. So a machine that other work slows down slows both alike. `against_bare` is the ratio of tokens per second
(aim: 0.9 or more), `parts` says where the trainer's seconds go, and `start` is what comes once, before the first step.
On one thread seconds are those of the process, which a busy machine spoils less. `last_layers` is the time of an epoch
on all layers divided by that on the last ones, in turns; the fastest of each counts.
"""

import argparse
import copy
import json
import os
import platform
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from transformers import TrainerCallback
from transformers.utils import logging

from skipthink.scoring import ChunkOptions
from skipthink.student import Student
from skipthink.training import ItemTrainer, make_arguments
from skipthink.training.last_layers import only_last_layers
from skipthink.training.methods.base_ac import METHOD
from training_inputs import make_inputs

N_CHUNKS = 4
PARTS = ("passes", "optimiser", "clipping", "batches")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--hidden-size", type=int, default=576)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=49152)
    parser.add_argument("--last-layers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, folder), indent=2))


def measure(options, folder):
    """Trains epochs, in turns on all layers and on the last ones."""
    model, tokenizer, encoded = make_inputs(options, N_CHUNKS, num_heads=options.hidden_size // 64 or 2)
    training = METHOD.Options(
        epochs=1, batch_size=options.batch_size, learning_rate=1e-4, last_layers=None, save_steps=10_000
    )
    clock = time.process_time if options.threads == 1 else time.perf_counter

    def train(n_layers):
        student = Student.of(copy.deepcopy(model), tokenizer, n_chunks=N_CHUNKS)
        args = make_arguments(
            training, folder, seed=0, n_weights=model.num_parameters(), use_cpu=True, save_strategy="no"
        )
        trainer = ItemTrainer(
            student, METHOD, args, encoded=encoded, options=training, chunks=ChunkOptions(M=N_CHUNKS)
        )
        spent = Spent(trainer, clock, bare=n_layers is None)
        with only_last_layers(student.model, n_layers):
            trainer.train_resumable()
        return trainer, spent

    whole, last = [], []
    for _ in range(options.rounds):
        trainer, spent = train(None)
        whole.append(spent)
        last.append(train(options.last_layers)[1])
    seconds = {name: sum(spent.seconds[name] for spent in whole) for name in whole[0].seconds}
    trained = sum(spent.trained for spent in whole)
    items = trainer.train_dataset.items
    n_tokens = int(items.n_read.sum())
    parts = {name: seconds[name] / trained for name in PARTS}
    return {
        "against_bare": round(seconds["bare"] / trained, 3),
        "against_bare_by_round": [round(spent.seconds["bare"] / spent.trained, 3) for spent in whole],
        "parts": {
            **{name: round(share, 3) for name, share in parts.items()},
            "rest": round(1 - sum(parts.values()), 3),
        },
        "start": round(seconds["start"] / options.rounds, 2),
        "tokens_per_second": {
            "trainer": round(n_tokens / min(spent.trained for spent in whole), 1),
            "bare": round(n_tokens / min(spent.seconds["bare"] for spent in whole), 1),
            "last_layers": round(n_tokens / min(spent.trained for spent in last), 1),
        },
        "last_layers": round(min(spent.trained for spent in whole) / min(spent.trained for spent in last), 2),
        "precision": trainer.arguments.autocast or "float32",
        "items": len(items),
        "batch_size": options.batch_size,
        "tokens_per_step": round(n_tokens / len(trainer.batch_sampler)),
        "parameters": model.num_parameters(),
        "layers": options.layers,
        "trained_layers": options.last_layers,
        "threads": options.threads,
        "machine": platform.processor() or platform.machine(),
    }


class Spent(TrainerCallback):
    """Where the seconds of a training go; with bare passes beside every step.

    Attributes:
        seconds: of the bare passes, of all that is done for them (`aside`), of the start, and of each of `PARTS`.
        trained: seconds from the first step to the end, bare passes left out.
    """

    def __init__(self, trainer, clock, *, bare):
        self.trainer, self.clock, self.bare = trainer, clock, bare
        self.seconds = dict.fromkeys(("bare", "aside", "start", *PARTS), 0.0)
        self.trained, self.began = 0.0, clock()
        for part, name in (
            ("passes", "training_step"),
            ("clipping", "_clip_grad_norm"),
            ("batches", "get_batch_samples"),
        ):
            setattr(trainer, name, self.timed(part, getattr(trainer, name)))
        trainer.add_callback(self)

    def timed(self, part, function):
        """The function, with its seconds added to a part."""

        def run(*arguments, **options):
            started = self.clock()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[part] += self.clock() - started

        return run

    def on_train_begin(self, args, state, control, **_):
        """All that comes once is there."""
        self.seconds["start"] = self.clock() - self.began
        self.began = self.clock()

    def on_step_begin(self, args, state, control, **_):
        """Bare passes in front of every other step."""
        if state.global_step % 2 == 0:
            self.pass_through(state.global_step)

    def on_pre_optimizer_step(self, args, state, control, **_):
        """The optimiser begins."""
        self.seconds["optimiser"] -= self.clock()

    def on_optimizer_step(self, args, state, control, **_):
        """The optimiser is done."""
        self.seconds["optimiser"] += self.clock()

    def on_step_end(self, args, state, control, **_):
        """Bare passes behind the other steps: whoever comes second finds memory that is warm."""
        if state.global_step % 2 == 0:
            self.pass_through(state.global_step - 1)

    def on_train_end(self, args, state, control, **_):
        """The last step is done."""
        self.trained = self.clock() - self.began - self.seconds["aside"]

    def pass_through(self, step):
        """Forward and backward pass of the batch of a step, in the trainer's precision."""
        if not self.bare:
            return
        began, trainer = self.clock(), self.trainer
        model, autocast = trainer.student.model, trainer.arguments.autocast
        indices = list(trainer.batch_sampler)[step]
        batch = trainer.data_collator([trainer.train_dataset[index] for index in indices])
        precision = getattr(torch, autocast or "bfloat16")
        started = self.clock()
        model.train()
        with torch.autocast("cpu", dtype=precision, enabled=autocast is not None):
            nll, rows, _ = trainer.target_head.token_nll(model, batch)
            loss = (nll / batch["denominators"][rows]).sum()
        loss.backward()
        model.zero_grad()
        self.seconds["bare"] += self.clock() - started
        self.seconds["aside"] += self.clock() - began


if __name__ == "__main__":
    main()
