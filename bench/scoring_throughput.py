"""Times scoring against a plain loop, bare forward passes and naive search.

    python bench/scoring_throughput.py --json

What is compared, on the same sequences of one student with random weights:

- ours: `score_steps`, all that it does, from token ids to losses of steps;
- bare forward: `model(**batch)` on the very batches that ours makes, logits of all positions and nothing else done;
- backbone: the same without the head, which no scoring can do without;
- loop: one row at a time, full logits, `cross_entropy`: what one writes first.

`of_bare_forward`, `of_backbone` and `against_hf_loop` are ratios of tokens per second: skipthink over the other.
`pass_ratio` is the forward passes of a greedy search that scores the two items of every candidate cut, over our M.
On a CPU one thread is timed in its own seconds, so that other work on the machine does not count.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import re
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import transformers
from torch.nn import functional

import skipthink
from skipthink import tasks
from skipthink.student.encoding import encode_samples
from skipthink.student.items import build_items
from skipthink.student.markers import add_markers
from skipthink.student.models import make_tokenizer
from skipthink.student.score import score_sequences
from skipthink.student.sequences import SequenceSet, make_batch, plan_batches

STAGES = 4
NAIVE_STEPS = 12
SIZES = {
    # hidden, layers, heads, heads of keys, feed-forward, vocabulary; of "small" the head has the share of the weights
    # it has in GPT-2 124M, 135m and 360m are shaped as SmolLM2, 0.5b and 1.5b as Qwen2
    "tiny": (32, 1, 2, 2, 48, 512),
    "small": (256, 6, 4, 2, 688, 8192),
    "135m": (576, 30, 9, 3, 1536, 49_152),
    "360m": (960, 32, 15, 5, 2560, 49_152),
    "0.5b": (896, 24, 14, 2, 4864, 151_936),
    "1.5b": (1536, 28, 12, 2, 8960, 151_936),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--rows", type=int, default=6, help="samples, each scored under 4 stages")
    parser.add_argument("--repeats", type=int, default=2, help="timings of each, in turn; the best counts")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--peak-tflops", type=float, help="of the device in this dtype: prints the share reached"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.clock = (
        time.process_time if options.device == "cpu" and options.threads == 1 else time.perf_counter
    )
    model, encoded, markers = make_inputs(options)
    batch_tokens = options.batch_tokens
    sequences = SequenceSet(encoded, markers, model, conditioned=True)
    batches = [
        make_batch([sequences[index] for index in batch], markers, model.device)
        for batch in plan_batches(sequences.lengths_tokens, batch_tokens)
    ]
    n_tokens = int(sequences.lengths_tokens.sum())
    works = {
        "ours": lambda: score_sequences(model, encoded, markers, batch_tokens=batch_tokens),
        "bare_forward": lambda: [model(**batch.inputs, use_cache=False) for batch in batches],
        "backbone": lambda: [model.base_model(**batch.inputs, use_cache=False) for batch in batches],
        "hf_loop": lambda: plain_loop(model, sequences),
    }
    with torch.inference_mode():
        seconds, memory = measure(works, options)
        losses = score_sequences(model, encoded, markers, batch_tokens=batch_tokens)
        tolerance = 1e-4 if options.dtype == "float32" else 0.05
        check(losses, plain_loop(model, sequences), encoded, tolerance)
        naive = naive_search(model, encoded, markers)
    speed = {name: n_tokens / took for name, took in seconds.items()}
    result = {
        "of_bare_forward": round(speed["ours"] / speed["bare_forward"], 3),
        "of_backbone": round(speed["ours"] / speed["backbone"], 3),
        "against_hf_loop": round(speed["ours"] / speed["hf_loop"], 2),
        **naive,
        "tokens_per_second": {name: round(value) for name, value in speed.items()},
        "peak_memory_mib": {name: round(value / 2**20, 1) for name, value in memory.items()},
        "sequences": len(sequences),
        "tokens": n_tokens,
        "padding_share": round(1 - n_tokens / sum(b.inputs["input_ids"].numel() for b in batches), 3),
        "head_positions_share": round(sum(len(batch.targets) for batch in batches) / n_tokens, 3),
        "parameters": model.num_parameters(),
        "student": options.size,
        "dtype": options.dtype,
        "batch_tokens": batch_tokens,
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "seconds": "of the process" if options.clock is time.process_time else "of the clock",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    if options.peak_tflops:
        work = forward_operations(model, n_tokens, sum(len(batch.targets) for batch in batches))
        result["share_of_peak"] = round(work / seconds["ours"] / (options.peak_tflops * 1e12), 3)
    show(result, as_json=options.json)


def forward_operations(model, n_tokens, n_head_positions):
    """2 operations a weight and token; embeddings are looked up, not multiplied; attention is left out."""
    body = model.num_parameters() - model.get_input_embeddings().weight.numel()
    head = model.get_output_embeddings().weight.numel()
    if not model.config.tie_word_embeddings:
        body -= head
    return 2 * (body * n_tokens + head * n_head_positions)


def make_inputs(options):
    """A student of the size asked for and made-up samples with 12 steps or more, encoded by its tokenizer."""
    made = tasks.make(
        "multi_step_arithmetic", train=max(options.rows * 4, 200), validation=0, test=0, seed=1,
        n_operations=5,
    )["train"]  # fmt: skip
    texts = [row[column] for row in made for column in ("question", "rationale", "answer")]
    tokenizer = make_tokenizer(texts, vocab_size=400)
    markers = add_markers(tokenizer, STAGES)
    rows = [row for row in made if len(skipthink.split_steps(row["rationale"])) >= NAIVE_STEPS][
        : options.rows
    ]
    assert len(rows) == options.rows, f"only {len(rows)} rationales have {NAIVE_STEPS} steps"
    samples = pa.Table.from_pylist(rows).select(["id", "question", "rationale", "answer"])
    hidden, layers, heads, key_heads, width, vocabulary = SIZES[options.size]
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        intermediate_size=width,
        tie_word_embeddings=True,
        max_position_embeddings=4096,
    )
    with torch.device(options.device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, options.dtype))
    return model.eval(), encode_samples(tokenizer, markers, samples), markers


def plain_loop(model, sequences):
    """One row at a time, full logits: the nll of every target token, a list a sequence."""
    found = []
    for index in range(len(sequences)):
        sequence = sequences[index]
        ids = torch.from_numpy(sequence.ids).to(model.device)
        logits = model(input_ids=ids[None]).logits[0]
        nll = functional.cross_entropy(logits[:-1].float(), ids[1:], reduction="none")
        found.append(nll[sequence.n_prompt - 1 :].double().cpu().numpy())
    return found


def check(losses, loop, encoded, tolerance=1e-4):
    """What is timed gives the same numbers."""
    for index, nll in enumerate(loop):
        row, slot = divmod(index, STAGES)
        expected = np.add.reduceat(nll, encoded.step_tokens[row][:-1])
        found = losses.nll[losses.offsets[row] : losses.offsets[row + 1], slot]
        np.testing.assert_allclose(found, expected, rtol=tolerance)


def measure(works, options):
    """Best seconds and peak memory above what was held before (bytes) of each work, one after the other, in turn."""
    seconds = dict.fromkeys(works, float("inf"))
    memory = dict.fromkeys(works, 0)
    on_gpu = options.device != "cpu"
    for name, work in works.items():  # the first time warms up, and is the one whose memory is watched
        gc.collect()
        before = reset_peak(on_gpu)
        work()
        memory[name] = max(0, peak(on_gpu) - before)
    for _ in range(options.repeats):
        for name, work in works.items():
            started = options.clock()
            work()
            if on_gpu:
                torch.cuda.synchronize()
            seconds[name] = min(seconds[name], options.clock() - started)
    return seconds, memory


def reset_peak(on_gpu):
    """Starts watching the peak anew; returns what is held now, bytes."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    if sys.platform == "linux":  # memory that is freed but not given back would hide what comes next
        ctypes.CDLL(None).malloc_trim(0)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return peak(on_gpu)


def peak(on_gpu):
    """Peak memory since the last reset, bytes: of the GPU, or resident memory of this process."""
    if on_gpu:
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return 0 if found is None else int(found[1]) * 1024


def naive_search(model, encoded, markers):
    """Greedy search that scores items anew at every candidate cut, on one sample with 12 steps; counts passes.

    Its boundaries and J are those of the search over cached losses: the same work, done once a candidate.
    """
    row = next(row for row in range(len(encoded)) if encoded.n_steps[row] >= NAIVE_STEPS)
    sample = cut_to(encoded, row, NAIVE_STEPS)
    passes, known = 0, {}

    def item_loss(stage, start, end):
        """Loss of one chunk item: one forward pass."""
        nonlocal passes
        passes += 1
        cuts = [0] * stage + [start, end] + [NAIVE_STEPS] * (STAGES - 1 - stage)
        items = build_items(sample, sample.plan("chunkwise", np.asarray([cuts])), markers)
        index = int(np.flatnonzero(items.stages == stage + 1)[0])
        ids = torch.from_numpy(items.tokens[index].copy()).to(model.device)
        n_prompt = int(items.n_prompt[index])
        logits = model(input_ids=ids[None]).logits[0, n_prompt - 1 : -1].float()
        loss = float(functional.cross_entropy(logits, ids[n_prompt:]))
        known[stage, start, end] = loss
        return loss

    cuts = skipthink.average_boundaries([NAIVE_STEPS], STAGES)[0].tolist()
    moved, sweeps = True, 0
    while moved:
        moved, sweeps = False, sweeps + 1
        for boundary in range(1, STAGES):
            left, right = cuts[boundary - 1], cuts[boundary + 1]

            def pair(cut, boundary=boundary, left=left, right=right):
                return item_loss(boundary - 1, left, cut) + item_loss(boundary, cut, right)

            candidates = {cut: pair(cut) for cut in range(left + 1, right)}
            best = min(candidates, key=lambda cut: (candidates[cut], cut))
            if candidates[cuts[boundary]] - candidates[best] > 0:
                cuts[boundary], moved = best, True
    losses = score_sequences(model, sample, markers)
    found = skipthink.chunk(None, M=STAGES, eta=0.0, **losses.chunk_arguments())
    objective = sum(known[stage, *cuts[stage : stage + 2]] for stage in range(STAGES))
    assert abs(objective - found.objective[0]) < 1e-2, (objective, found.objective)
    ours = int(losses.report["sequences"])
    possible = sum(
        1
        for stage in range(STAGES)
        for start in range(NAIVE_STEPS)
        for end in range(start + 1, NAIVE_STEPS + 1)
        if start >= stage and (stage or start == 0) and NAIVE_STEPS - end >= STAGES - 1 - stage
        if stage < STAGES - 1 or end == NAIVE_STEPS
    )
    return {
        "pass_ratio": round(passes / ours, 2),
        "pass_ratio_remembering": round(len(known) / ours, 2),
        "pass_ratio_optimal": round(possible / ours, 2),
        "passes": {"ours": ours, "greedy": passes, "greedy_remembering": len(known), "optimal": possible},
        "greedy_sweeps": sweeps,
    }


def cut_to(encoded, row, n_steps):
    """One sample with its first steps alone."""
    from dataclasses import replace

    from skipthink.student.token_rows import TokenRows

    cuts = encoded.step_tokens[row][: n_steps + 1]
    return replace(
        encoded,
        ids=[encoded.ids[row]],
        question=TokenRows.of([encoded.question[row]]),
        rationale=TokenRows.of([encoded.rationale[row][: cuts[-1]]]),
        answer=TokenRows.of([encoded.answer[row]]),
        step_tokens=TokenRows.of([cuts]),
        steps=[encoded.steps[row][:n_steps]],
    )


def processor():
    """The processor's name."""
    names = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", names.read_text()) if names.exists() else None
    return f"{found[1] if found else platform.processor()}, {os.cpu_count()} CPUs"


def show(result, *, as_json):
    if as_json:
        json.dump(result, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for name, value in result.items():
        print(f"{name:<24} {value}")


if __name__ == "__main__":
    main()
