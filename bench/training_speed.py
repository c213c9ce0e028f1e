"""Training beside the bare forward and backward pass of the same batches, and the last layers beside all of them.

    python bench/training_speed.py --hidden-size 576 --layers 8 --vocabulary 49152 --last-layers 3

Items of chunk-wise training, made of arithmetic samples, are trained on with `ItemTrainer` and, in the same batches, by
a loop of forward pass, loss on target positions and backward pass: no optimiser, no data loader, no clipping.
`against_bare` is the ratio of tokens per second (aim: 0.9 or more); what else ours does is the optimiser, the loader
and clipping. Both take turns, and the fastest of each counts. On one thread seconds are those of the process, which a
busy machine spoils less. `last_layers` is the time of an epoch on all layers divided by that on the last ones.
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
from transformers.utils import logging

from skipthink.scoring import ChunkOptions
from skipthink.student import Student
from skipthink.training import ItemTrainer, make_arguments
from skipthink.training.last_layers import only_last_layers
from skipthink.training.loss import TargetHead
from skipthink.training.methods.base_ac import METHOD, ChunkwiseOptions
from training_inputs import make_inputs

N_CHUNKS = 4


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
    """Seconds of an epoch, in turns: the trainer, the bare passes, the trainer on the last layers."""
    model, tokenizer, encoded = make_inputs(options, N_CHUNKS, num_heads=options.hidden_size // 64 or 2)
    training = ChunkwiseOptions(
        epochs=1, batch_size=options.batch_size, learning_rate=1e-4, last_layers=None, save_steps=10_000
    )
    clock = time.process_time if options.threads == 1 else time.perf_counter
    seconds = {"trainer": [], "bare": [], "last_layers": []}

    def trainer_of():
        student = Student.of(copy.deepcopy(model), tokenizer, n_chunks=N_CHUNKS)
        args = make_arguments(
            training, folder, seed=0, n_weights=model.num_parameters(), use_cpu=True, save_strategy="no"
        )
        return ItemTrainer(
            student, METHOD, args, encoded=encoded, options=training, chunks=ChunkOptions(M=N_CHUNKS)
        )

    for _ in range(options.rounds):
        for name, n_layers in (("trainer", None), ("last_layers", options.last_layers)):
            trainer = trainer_of()
            with only_last_layers(trainer.student.model, n_layers):
                started = clock()
                trainer.train_resumable()
                seconds[name].append(clock() - started)
        trainer = trainer_of()
        started = clock()
        pass_through(trainer)
        seconds["bare"].append(clock() - started)
    items = trainer.train_dataset.items
    best = {name: min(times) for name, times in seconds.items()}
    return {
        "against_bare": round(best["bare"] / best["trainer"], 3),
        "tokens_per_second": {name: round(int(items.n_read.sum()) / took, 1) for name, took in best.items()},
        "last_layers": round(best["trainer"] / best["last_layers"], 2),
        "seconds": {name: [round(took, 2) for took in times] for name, times in seconds.items()},
        "precision": trainer.arguments.autocast or "float32",
        "items": len(items),
        "batch_size": options.batch_size,
        "parameters": model.num_parameters(),
        "layers": options.layers,
        "trained_layers": options.last_layers,
        "threads": options.threads,
        "machine": platform.processor() or platform.machine(),
    }


def pass_through(trainer):
    """Forward and backward pass of every batch of an epoch, in the trainer's precision."""
    model, head = trainer.student.model, TargetHead(trainer.student.model)
    model.train()
    batches = [
        trainer.data_collator([trainer.train_dataset[index] for index in batch])
        for batch in trainer.batch_sampler
    ]
    autocast = trainer.arguments.autocast
    for batch in batches:
        with torch.autocast(
            "cpu", dtype=getattr(torch, autocast or "bfloat16"), enabled=autocast is not None
        ):
            nll, rows, _ = head.token_nll(model, batch)
            loss = (nll / batch["denominators"][rows]).sum()
        loss.backward()
        model.zero_grad()
    head.release()


if __name__ == "__main__":
    main()
