"""Trains and compares students of three tasks on one GPU, seed after seed, for as long as there is time.

    python bench/gpu/study.py --root FOLDER --out FOLDER --seconds 400

FOLDER/student is the pre-trained student, FOLDER/data the rationales. Every task and seed is a run of its own
(`skipthink run bench/gpu/TASK.yaml`), several at a time. `study.md` and `study.json` hold what is evaluated by then;
`runs.tar.gz`, written at the end, everything but the weights.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from skipthink.evaluation.measure import wilson_interval
from skipthink.io.files import write_json, write_text

HERE = Path(__file__).parent
TASKS = ("multiarith", "last_letter_concatenation", "tracking_shuffled_objects")
METHODS = ("answer-only", "base", "base+ac", "base+sbc", "stt", "skip-all")
COLUMNS = (
    "task", "method", "seeds", "accuracy", "95 % interval", "tokens per answer", "speed-up, tokens",
    "seconds per answer", "unended", "target tokens trained on", "seconds of training",
)  # fmt: skip
MAX_SEEDS = 10
POLL_SECONDS = 2.0
STOP_SECONDS = 8.0
PACK_SECONDS = 10.0
REHEARSAL = {
    "training.max_steps": 2, "training.batch_size": 2, "training.gradient_accumulation_steps": 1,
    "data.sizes": "{train: 8, validation: 2, test: 2}", "chunks.score_batch_tokens": 2048, "workers": 2, "threads": 1,
    "training.methods": "{}", "evaluation.alone_questions": 0,
}  # fmt: skip
NOT_PACKED = (".safetensors", "tokenizer.json", ".progress", ".tmp", ".lock")


@dataclass
class Run:
    """A task with a seed, at work."""

    task: str
    seed: int
    folder: Path
    process: subprocess.Popen
    started: float

    @property
    def name(self):
        """Task and seed."""
        return f"{self.task} seed {self.seed}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", type=Path, required=True, help="folder with student/ and data/; runs/ is made there"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seconds", type=float, required=True, help="time until all is packed")
    parser.add_argument("--side-by-side", type=int, default=2, help="runs at a time")
    parser.add_argument("--rehearse", action="store_true", help="two steps, two layers, one seed")
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    todo = [(task, seed) for seed in range(1 if options.rehearse else MAX_SEEDS) for task in TASKS]
    student = options.root / "student"
    if options.rehearse:
        student = cut_layers(student, options.root / "student-cut")
    running, failed, lasted = [], [], {}
    try:
        while (todo or running) and time.monotonic() < deadline - STOP_SECONDS - PACK_SECONDS:
            while todo and len(running) < options.side_by_side:
                running.append(start(*todo.pop(0), student, options))
            time.sleep(POLL_SECONDS)
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                lasted[run.name] = time.monotonic() - run.started
                say(f"{run.name}: code {run.process.returncode} after {lasted[run.name]:.0f} s")
                failed += [run.name] if run.process.returncode else []
                if not run.process.returncode:
                    drop_weights(run.folder)
                report(options, lasted)
    finally:
        stop(running)
    report(options, lasted)
    pack(options)
    say(f"failed: {', '.join(failed) or 'none'}; stopped: {', '.join(run.name for run in running) or 'none'}")
    sys.exit(1 if failed else 0)


def cut_layers(student, folder):
    """The first two layers of a student: a rehearsal computes the same things, sooner."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(student)
    model.model.layers = model.model.layers[:2]
    model.config.num_hidden_layers = 2
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(student).save_pretrained(folder)
    return folder


def start(task, seed, student, options):
    """Starts a run."""
    folder = options.root / "runs" / f"{task}-s{seed}"
    changes = {"student.path": student, "seeds": f"[{seed}]"} | (REHEARSAL if options.rehearse else {})
    command = [sys.executable, "-m", "skipthink", "run", str(HERE / f"{task}.yaml"), "--out", str(folder),
               "--data", str(options.root / "data" / f"{task}.jsonl"),
               *(part for key, value in changes.items() for part in ("--set", f"{key}={value}"))]  # fmt: skip
    say(f"{task} seed {seed}: begins")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    return Run(task, seed, folder, process, time.monotonic())


def stop(running):
    """Ends runs in good order: each ends its own processes."""
    for run in running:
        run.process.send_signal(signal.SIGTERM)
    give_up = time.monotonic() + STOP_SECONDS
    for run in running:
        try:
            run.process.wait(max(0.1, give_up - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()


def drop_weights(folder):
    """Makes room: the weights of a run that is evaluated are of no more use here."""
    for path in folder.rglob("*.safetensors"):
        path.unlink()


def collect(root):
    """What is evaluated by now: rows of task, method, seed and what was measured."""
    rows = []
    for path in sorted((root / "runs").glob("*/evaluate/*/s*/done.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        run, (method, seed) = path.parents[3], path.parts[-3:-1]
        trained = json.loads((run / "train" / method / seed / "train.json").read_text(encoding="utf-8"))
        keys = ("train_steps", "train_items", "train_tokens", "train_target_tokens", "seconds", "report")
        rows.append({
            "task": run.name.rpartition("-s")[0], "method": method, "seed": int(seed[1:]), **found["result"],
            "trained": {key: trained.get(key) for key in keys},
        })  # fmt: skip
    return rows


def skipped(root):
    """What the judges found dispensable: reports of skip data by run."""
    paths = sorted((root / "runs").glob("*/skip-data/s*/report.json"))
    return {path.parents[2].name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def report(options, lasted):
    """Writes what is known by now."""
    rows = collect(options.root)
    seconds = {name: round(took, 1) for name, took in lasted.items()}
    found = {"schema": 1, "rows": rows, "skip_data": skipped(options.root), "seconds": seconds}
    write_json(options.out / "study.json", found)
    write_text(options.out / "study.md", make_table(rows))


def make_table(rows):
    """The table of all tasks: means and standard deviations over seeds, intervals of the pooled answers."""
    lines = [
        "Accuracy: mean ± standard deviation over seeds; 95 % Wilson interval of all answers taken together. Speed-up "
        "in tokens against Base of the same seed. Seconds per answer in batches, with other students at work on the "
        "same device.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    groups = defaultdict(list)
    for row in rows:
        groups[row["task"], row["method"]].append(row)
    base = {(row["task"], row["seed"]): row["tokens_per_answer"] for row in rows if row["method"] == "base"}
    for task in TASKS:
        for method in METHODS:
            if group := groups.get((task, method)):
                lines.append(f"| {task} | {method} | {' | '.join(cells(group, base))} |")
    return "\n".join(lines) + "\n"


def cells(group, base):
    """The cells of one task and method."""
    n = sum(row["n"] for row in group)
    low, high = wilson_interval(sum(row["right"] for row in group), n)
    ups = [
        base[row["task"], row["seed"]] / row["tokens_per_answer"]
        for row in group
        if (row["task"], row["seed"]) in base and row["tokens_per_answer"]
    ]
    return [
        ", ".join(str(row["seed"]) for row in sorted(group, key=lambda row: row["seed"])),
        spread([100 * row["accuracy"] for row in group], 1) + " %",
        f"{100 * low:.1f}–{100 * high:.1f} %",
        spread([row["tokens_per_answer"] for row in group], 1),
        spread(ups, 2) + "x" if ups else "–",
        spread([row["seconds_per_answer"] for row in group], 4),
        f"{sum(row['unended'] for row in group)} of {n}",
        spread([row["trained"]["train_target_tokens"] for row in group], 0),
        spread([row["trained"]["seconds"] for row in group], 0),
    ]


def spread(values, digits):
    """Mean ± standard deviation; the mean alone of a single value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def pack(options):
    """Everything but the weights, for a closer look."""
    target = options.out / "runs.tar.gz"
    with tarfile.open(target.with_suffix(".tmp"), "w:gz", compresslevel=3) as archive:
        for path in sorted((options.root / "runs").rglob("*")):
            if path.is_file() and not path.name.endswith(NOT_PACKED) and "checkpoints" not in path.parts:
                archive.add(path, str(path.relative_to(options.root)))
    target.with_suffix(".tmp").replace(target)


def say(text):
    """Prints a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
