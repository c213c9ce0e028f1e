"""Times scoring, chunk-wise training and generation on one GPU, with random weights of three sizes.

    python bench/gpu/speed.py --out speed.jsonl

Each measurement is a line of JSON, written the moment it is there, the most useful first. Tokens are those that are
read, padding not counted; `share_of_peak` counts 2 operations a weight and token forward, 6 in training, attention left
out, of the 989 TFLOP/s an H100 has in bfloat16 without sparsity.

- scoring: `score_sequences` beside bare forward passes over its batches, with bfloat16 weights; with float32 weights
  under autocast;
- training: `ItemTrainer` in bfloat16 autocast, optimiser included, beside bare forward and backward passes over
  its batches (autocast with and without a mask, with cuDNN's attention, and bfloat16 weights); how often a step waits
  for the device;
- side_by_side: tokens/s of 2 and 4 processes that train on one device at the same time, in all;
- generation: new tokens/s for 64 and 256 prompts, with float32 and bfloat16 weights.
"""

import argparse
import copy
import gc
import itertools
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from transformers import TrainerCallback

sys.path.insert(0, str(Path(__file__).parents[1]))
import scoring_throughput as scoring
from skipthink.scoring import ChunkOptions
from skipthink.student import Student
from skipthink.student.devices import avoid_attention_plans
from skipthink.student.generation import generate
from skipthink.student.prompts import Prompt
from skipthink.student.score import score_sequences
from skipthink.student.sequences import SequenceSet, make_batch, plan_batches
from skipthink.training import ItemArguments, ItemTrainer
from skipthink.training.methods.base_ac import METHOD

PEAK_TFLOPS = 989.0
SIZES = ("135m", "360m", "1.5b")
SIDE_BY_SIDE = (2, 4)
BATCH_ITEMS = {"135m": 40, "360m": 32, "1.5b": 16}
WARM_UP = 3
BARE = (
    "bare_autocast", "bare_autocast_no_mask", "bare_autocast_again", "bare_cudnn_attention", "bare_cudnn_again",
    "bare_bf16_weights",
)  # fmt: skip
"""Bare passes; the first with cuDNN's attention also build its plans, one per shape."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, help="file of JSON lines, appended to; standard output by default"
    )
    parser.add_argument("--rehearse", action="store_true", help="two steps of small students, on the CPU")
    parser.add_argument(
        "--worker", choices=SIZES, help="trains at this size when told to: one of side_by_side"
    )
    parser.add_argument("--only", nargs="+", metavar="WHAT", help="some of the measurements: training:135m …")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    if not options.rehearse and not torch.cuda.is_available():
        sys.exit("speed needs a GPU; --rehearse runs all of it on the CPU, as a test")
    plan = Plan(options.rehearse)
    if options.worker:
        work_side_by_side(plan, options.worker)
        return
    works = [(measure_scoring, "135m"), (measure_training, "135m"), (measure_side_by_side, "135m"),
             (measure_generation, "135m"), (measure_training, "360m"), (measure_scoring, "360m"),
             (measure_training, "1.5b"), (measure_scoring, "1.5b")]  # fmt: skip
    failed = False
    for measure, size in works:
        name = measure.__name__.removeprefix("measure_")
        if options.only and f"{name}:{size}" not in options.only:
            continue
        started = time.perf_counter()
        try:
            found = measure(plan, size)
        except Exception as error:  # what comes after may still be measured
            found, failed = {"error": f"{type(error).__name__}: {error}"[:500]}, True
        gc.collect()
        if plan.on_gpu:
            torch.cuda.empty_cache()
        show(
            {"what": name, "size": size, **found, "took": round(time.perf_counter() - started, 1)},
            options.out,
        )
    sys.exit(failed)


class Plan:
    """How much is measured: on a GPU, or in a rehearsal."""

    def __init__(self, rehearse):
        self.rehearse, self.on_gpu = rehearse, not rehearse
        self.device = "cpu" if rehearse else "cuda"
        avoid_attention_plans(torch.device(self.device))
        self.rows, self.repeats, self.steps = (2, 1, 2) if rehearse else (128, 2, 10)
        self.batch_tokens = 2048 if rehearse else 65_536
        self.new_tokens, self.prompts = (4, (2,)) if rehearse else (64, (64, 256))
        self.side_by_side = (2,) if rehearse else SIDE_BY_SIDE

    def inputs(self, size, dtype, rows=None):
        """Student, encoded samples and markers; a rehearsal keeps the widths, two layers and a small vocabulary."""
        sizes = dict(scoring.SIZES)
        if self.rehearse:
            hidden, _, *others, _ = sizes[size]
            scoring.SIZES[size] = (hidden, 2, *others, 4096)
        try:
            asked = SimpleNamespace(size=size, rows=rows or self.rows, device=self.device, dtype=dtype)
            return scoring.make_inputs(asked)
        finally:
            scoring.SIZES.update(sizes)

    def batch_items(self, size):
        """Items of a training batch."""
        return 2 if self.rehearse else BATCH_ITEMS[size]

    def wait(self):
        """Waits for the device."""
        if self.on_gpu:
            torch.cuda.synchronize()


def measure_scoring(plan, size):
    """`score_sequences` beside bare passes over the same batches."""
    model, encoded, markers = plan.inputs(size, "bfloat16")
    sequences = SequenceSet(encoded, markers, model, conditioned=True)
    lengths, n_tokens = sequences.lengths_tokens, int(sequences.lengths_tokens.sum())
    batches = [
        make_batch([sequences[index] for index in batch], markers, model.device)
        for batch in plan_batches(lengths, plan.batch_tokens)
    ]
    works = {
        "ours": lambda: score_sequences(model, encoded, markers, batch_tokens=plan.batch_tokens),
        "bare_forward": lambda: forward_all(model, batches),
        "backbone": lambda: forward_all(model.base_model, batches),
    }
    options = SimpleNamespace(device=plan.device, repeats=plan.repeats, clock=time.perf_counter)
    with torch.inference_mode():
        seconds, memory = scoring.measure(works, options)
    wide = model.float()
    autocast = {
        "autocast": lambda: score_sequences(
            wide, encoded, markers, batch_tokens=plan.batch_tokens, autocast="bfloat16"
        )
    }
    with torch.inference_mode():
        more_seconds, more_memory = scoring.measure(autocast, options)
    seconds, memory = seconds | more_seconds, memory | more_memory
    operations = scoring.forward_operations(model, n_tokens, sum(len(batch.targets) for batch in batches))
    return {
        "tokens_per_second": {name: round(n_tokens / took) for name, took in seconds.items()},
        "of_bare_forward": round(seconds["bare_forward"] / seconds["ours"], 3),
        "of_backbone": round(seconds["backbone"] / seconds["ours"], 3),
        "share_of_peak": round(operations / seconds["ours"] / (PEAK_TFLOPS * 1e12), 4),
        "memory_gib": {name: round(value / 2**30, 2) for name, value in memory.items()},
        "parameters": model.num_parameters(), "tokens": n_tokens, "batch_tokens": plan.batch_tokens,
    }  # fmt: skip


def forward_all(module, batches):
    """Bare forward passes; no more than one batch's output is held."""
    for batch in batches:
        module(**batch.inputs, use_cache=False)


class Clock(TrainerCallback):
    """Seconds of the steps after the warm-up; `at_start` is called in between."""

    def __init__(self, plan, warm_up, at_start=None):
        self.plan, self.warm_up, self.at_start = plan, warm_up, at_start
        self.seconds = 0.0

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.warm_up:
            self.plan.wait()
            if self.at_start is not None:
                self.at_start()
            self.seconds = -time.perf_counter()
        elif state.global_step == state.max_steps:
            self.plan.wait()
            self.seconds += time.perf_counter()


def train(plan, size, model, encoded, markers, *, steps, at_start=None):
    """Trains some steps; seconds of those after the warm-up, and the trainer."""
    warm_up = 1 if plan.rehearse else WARM_UP
    with tempfile.TemporaryDirectory() as folder:
        args = ItemArguments(
            output_dir=folder, max_steps=warm_up + steps, per_device_train_batch_size=plan.batch_items(size),
            learning_rate=1e-5, bf16=True, report_to="none", save_strategy="no", logging_strategy="no",
            disable_tqdm=True, use_cpu=not plan.on_gpu,
        )  # fmt: skip
        # without a tokenizer: nothing is tokenised any more
        student = Student(model, None, markers)
        options = METHOD.Options(batching="shuffled")
        trainer = ItemTrainer(
            student, METHOD, args, encoded=encoded, options=options, chunks=ChunkOptions(M=scoring.STAGES)
        )
        clock = Clock(plan, warm_up, at_start)
        trainer.add_callback(clock)
        trainer.train_resumable()
    return clock.seconds, trainer, warm_up


def batches_of(trainer, first, n):
    """The batches that the steps of the first epoch after the first ones were made of."""
    trainer.batch_sampler.begin_epoch(0, trainer.method.items(trainer.source, 0))
    loader = itertools.cycle([trainer.data_collator([trainer.train_dataset[i] for i in step])
                              for step in trainer.batch_sampler])  # fmt: skip
    return list(itertools.islice(loader, first, first + n))


def measure_training(plan, size):
    """`ItemTrainer` beside bare forward and backward passes over the same batches."""
    model, encoded, markers = plan.inputs(size, "float32")
    if plan.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds, trainer, first = train(plan, size, model, encoded, markers, steps=plan.steps)
    memory = {"ours": torch.cuda.max_memory_allocated() if plan.on_gpu else 0}
    batches = batches_of(trainer, first, plan.steps)
    n_tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    n_targets = sum(int((batch["labels"] != -100).sum()) for batch in batches)
    times = {"ours": seconds}
    waits = count_waits(plan, size, model, encoded, markers)
    busiest = profile_training(plan, size, model, encoded, markers)
    trainer.optimizer = trainer.accelerator = None
    del trainer
    # once more behind it: the first to be timed also pays for what is only done once per shape
    times["ours_again"] = train(plan, size, model, encoded, markers, steps=plan.steps)[0]
    for name in BARE:
        if name == "bare_bf16_weights":
            model = model.bfloat16()
        gc.collect()
        if plan.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        torch.backends.cuda.enable_cudnn_sdp("cudnn" in name)
        times[name] = bare_training(plan, model, batches, name)
        torch.backends.cuda.enable_cudnn_sdp(False)
        memory[name] = torch.cuda.max_memory_allocated() if plan.on_gpu else 0
    best = min(times["ours"], times["ours_again"])
    operations = 3 * scoring.forward_operations(model, n_tokens, n_targets)
    return {
        "tokens_per_second": {name: round(n_tokens / took) for name, took in times.items()},
        "seconds_per_step": {name: round(took / plan.steps, 4) for name, took in times.items()},
        "of_bare_training": round(min(times["bare_autocast"], times["bare_autocast_again"]) / best, 3),
        "share_of_peak": round(operations / best / (PEAK_TFLOPS * 1e12), 4),
        "waits_per_step": waits, "busiest": busiest,
        "memory_gib": {name: round(value / 2**30, 2) for name, value in memory.items()},
        "batch_items": plan.batch_items(size), "tokens_per_step": round(n_tokens / plan.steps), "steps": plan.steps,
        "parameters": model.num_parameters(),
    }  # fmt: skip


def bare_training(plan, model, batches, name):
    """Seconds of forward and backward passes with the model's own loss, after one to warm up.

    Without a mask, padding behind is read as text that nothing in front of it attends to: attention may then take a
    faster kernel.
    """
    read = ("input_ids", "labels") if name.endswith("no_mask") else ("input_ids", "attention_mask", "labels")
    model.train()
    for batch in [batches[0], *batches]:
        if batch is batches[0]:
            plan.wait()
            started = time.perf_counter()
        inputs = {key: batch[key].to(model.device) for key in read}
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled="autocast" in name):
            loss = model(**inputs).loss
        loss.backward()
        model.zero_grad()
    plan.wait()
    return time.perf_counter() - started


def count_waits(plan, size, model, encoded, markers):
    """How often a training step waits for the device, as torch warns of it; None where there is none."""
    if not plan.on_gpu:
        return None
    steps = 4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train(plan, size, copy.deepcopy(model), encoded, markers, steps=steps,
                  at_start=lambda: torch.cuda.set_sync_debug_mode("warn"))  # fmt: skip
        finally:
            torch.cuda.set_sync_debug_mode("default")
    places = [f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)]
    found = {place: round(places.count(place) / steps, 2) for place in dict.fromkeys(places)}
    return {"all": round(len(places) / steps, 2), "where": found}


def profile_training(plan, size, model, encoded, markers):
    """Where the host and the device spend a training step: the busiest operations, in milliseconds per step."""
    from torch.profiler import ProfilerActivity, profile

    steps = 3
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if plan.on_gpu else [])]
    profiler = profile(activities=activities)
    train(plan, size, copy.deepcopy(model), encoded, markers, steps=steps, at_start=profiler.start)
    profiler.stop()
    rows = profiler.key_averages()
    orders = {"host": lambda row: row.self_cpu_time_total, "device": lambda row: row.self_device_time_total}
    found = {"all": {name: round(sum(map(order, rows)) / 1000 / steps, 1) for name, order in orders.items()}}
    for name, order in orders.items():
        busiest = sorted(rows, key=order, reverse=True)[:12]
        found[name] = {
            row.key[:80]: [round(order(row) / 1000 / steps, 2), round(row.count / steps)]
            for row in busiest
            if order(row) > 0
        }
    return found


def measure_side_by_side(plan, size):
    """Tokens/s of several processes that train at the same time, in all."""
    found = {}
    for count in plan.side_by_side:
        command = [sys.executable, __file__, "--worker", size, *(["--rehearse"] if plan.rehearse else [])]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(count)
        ]
        try:
            for worker in workers:
                if worker.stdout.readline() != "ready\n":
                    raise RuntimeError("a process ended before it was ready")
            for worker in workers:
                worker.stdin.write("go\n")
                worker.stdin.flush()
            found[count] = round(sum(json.loads(worker.stdout.readline()) for worker in workers))
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    return {"tokens_per_second": found}


def work_side_by_side(plan, size):
    """Trains when told to, as long as the others do; prints tokens/s."""
    torch.set_num_threads(1 if plan.rehearse else 2)

    def meet():
        print("ready", flush=True)
        sys.stdin.readline()

    model, encoded, markers = plan.inputs(size, "float32")
    steps = plan.steps if plan.rehearse else 3 * plan.steps
    seconds, trainer, first = train(plan, size, model, encoded, markers, steps=steps, at_start=meet)
    n_tokens = sum(int(batch["attention_mask"].sum()) for batch in batches_of(trainer, first, steps))
    print(json.dumps(n_tokens / seconds), flush=True)


def measure_generation(plan, size):
    """New tokens/s; with random weights nearly nothing ends before the limit."""
    found = {}
    for dtype in ("float32", "bfloat16"):
        model, encoded, markers = plan.inputs(size, dtype)
        for count in plan.prompts:
            prompts = [Prompt(encoded.question[row % len(encoded)].astype(np.int64)) for row in range(count)]
            generate(model, markers, prompts, max_new_tokens=2, batch_size=count)
            plan.wait()
            started = time.perf_counter()
            written = generate(model, markers, prompts, max_new_tokens=plan.new_tokens, batch_size=count)
            plan.wait()
            took = time.perf_counter() - started
            found[f"{count} prompts, {dtype}"] = round(sum(row.n_tokens for row in written) / took)
    return {"tokens_per_second": found, "new_tokens": plan.new_tokens}


def show(found, out):
    """Prints a measurement, and adds it to the file."""
    found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    line = json.dumps(found)
    print(line, flush=True)
    if out is not None:
        with out.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


if __name__ == "__main__":
    main()
