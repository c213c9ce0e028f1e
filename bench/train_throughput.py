"""Chunk-wise training against TRL's SFTTrainer: the same items, model, batch and optimiser, in one run.

    python bench/train_throughput.py --json

Items are exported as SFTTrainer reads them, ids and labels, so that no tokenisation differs. Both train whole
epochs in turn; the fastest of each counts. `against_trl` is the ratio of target tokens per second, which is that of
total tokens per second too, since the items are the same. On one thread seconds are those of the process, which a busy
machine spoils less; `against_trl_wall` is the ratio by the wall clock. `losses` are the means over an epoch.
"""

import argparse
import contextlib
import copy
import json
import os
import platform
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset, disable_progress_bars
from transformers import PrinterCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from skipthink.scoring import ChunkOptions
from skipthink.student import Student
from skipthink.training import ItemArguments, ItemTrainer
from skipthink.training.methods.base_ac import METHOD
from training_inputs import make_inputs

N_CHUNKS = 4


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output, nothing else"
    )
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--hidden-size", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        found = measure(options, folder)
    print(json.dumps(found, indent=None if options.json else 2))


def measure(options, folder):
    """Trains with both in turn."""
    model, tokenizer, encoded = make_inputs(options, N_CHUNKS)
    common = {
        "per_device_train_batch_size": options.batch_size, "num_train_epochs": 1, "learning_rate": 1e-3,
        "use_cpu": True, "report_to": "none", "save_strategy": "no", "logging_strategy": "no",
        "disable_tqdm": True, "bf16": False, "activation_checkpointing": False, "dataloader_pin_memory": False,
    }  # fmt: skip

    def ours():
        student = Student.of(copy.deepcopy(model), tokenizer, n_chunks=N_CHUNKS)
        args = ItemArguments(output_dir=f"{folder}/ours", **common)
        chunks = ChunkOptions(M=N_CHUNKS, method="greedy")
        return ItemTrainer(student, METHOD, args, encoded=encoded, options=METHOD.Options(), chunks=chunks)

    items = ours().train_dataset
    exported = Dataset.from_list(
        [{name: items[row][name].tolist() for name in ("input_ids", "labels")} for row in range(len(items))]
    )

    def trl():
        config = SFTConfig(
            output_dir=f"{folder}/trl", max_length=None, packing=False,
            dataset_kwargs={"skip_prepare_dataset": True}, **common,
        )  # fmt: skip
        trainer = SFTTrainer(copy.deepcopy(model), config, train_dataset=exported, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        return trainer

    clock = time.process_time if options.threads == 1 else time.perf_counter
    seconds, wall_seconds = ({"skipthink": [], "trl": []} for _ in range(2))
    losses = {}
    for _ in range(options.rounds):
        for name, make in (("skipthink", ours), ("trl", trl)):
            trainer = make()
            started, wall_started = clock(), time.perf_counter()
            result = trainer.train()
            seconds[name].append(clock() - started)
            wall_seconds[name].append(time.perf_counter() - wall_started)
            losses[name] = round(result.training_loss, 4)
    n_tokens, n_target = int(items.items.tokens.lengths.sum()), int(items.items.n_target.sum())
    best = {name: min(times) for name, times in seconds.items()}
    return {
        "against_trl": round(best["trl"] / best["skipthink"], 3),
        "against_trl_wall": round(min(wall_seconds["trl"]) / min(wall_seconds["skipthink"]), 3),
        "target_tokens_per_second": {name: round(n_target / time, 1) for name, time in best.items()},
        "total_tokens_per_second": {name: round(n_tokens / time, 1) for name, time in best.items()},
        "seconds": {name: [round(time, 2) for time in times] for name, times in seconds.items()},
        "losses": losses,
        "items": len(items),
        "batch_size": options.batch_size,
        "parameters": model.num_parameters(),
        "vocabulary": options.vocabulary,
        "threads": options.threads,
        "machine": platform.processor() or platform.machine(),
    }


if __name__ == "__main__":
    main()
