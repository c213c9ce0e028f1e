"""Trains and compares students on one GPU, part after part, for as long as there is time.

    python bench/gpu/study.py --root FOLDER --out FOLDER --seconds 400

FOLDER/student is the pre-trained student, FOLDER/data the rationales. Every part (some methods of a task with one seed)
is a run of its own (`skipthink run bench/gpu/TASK.yaml --set methods=…`), several at a time, so that what needs no
judge is evaluated while the rest is trained. Parts under a budget train for equal target tokens, in all and per step,
or for equal seconds; the latter alone on the device, one student after the other. `--variant "LABEL KEY=VALUE …"` adds
stt with other options of the recipe, with the judge of the part `judged` of the same seed. `study.md` and `study.json`
hold what is evaluated by then; `runs.tar.gz`, written at the end, everything but the weights.
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

from skipthink.evaluation.intervals import wilson_interval
from skipthink.io.files import write_json, write_text

HERE = Path(__file__).parent
ARITH, TRACKING, LETTERS = "arith", "tracking_shuffled_objects", "last_letter_concatenation"
TASKS = (ARITH, TRACKING, LETTERS)
PLAIN = ("answer-only", "base", "base-trim", "pruned-rule", "pruned-random", "base+ac")
JUDGED = ("base+sbc", "stt", "pruned-judge")
GATED = ("stt", "pruned-judge")
TRIAL = (
    "skip.gate=trial",
    "skip.roles=5",
    "skip.trial_questions=150",
    "training.methods.stt={batch_size: 16, skip_weight: 1, thought: none}",
)
"""Skipping by the gate `trial`: every step a chunk, skip items alone, so a step of 16 items holds 16 samples."""
CHUNKERS = ("base", "base+ac", "base+sbc")
BUDGETED = ("base", "base-trim", "base+ac", "pruned-rule", "pruned-random")
BUDGETED_JUDGED = ("stt", "pruned-judge")
TARGET_TOKENS, STEP_TARGET_TOKENS, TRAINING_SECONDS = 355_000, 1_180, 30
"""What base spends on arithmetic in its epochs, in all and per step of 16 samples; seconds for the shortest runs that
are still trained."""
BUDGETS = {
    "tokens": "equal target tokens",
    "tokens-judged": "equal target tokens",
    "seconds": "equal seconds",
}
"""Parts under a budget, and how their rows are called."""
METHODS = (*PLAIN, *JUDGED)
COLUMNS = (
    "task", "method", "seeds", "accuracy", "95 % interval", "tokens per answer", "speed-up, tokens",
    "seconds per answer", "unended", "target tokens trained on", "seconds of training",
)  # fmt: skip
SEEDS = 8
POLL_SECONDS = 2.0
STOP_SECONDS = 8.0
PACK_SECONDS = 10.0
REHEARSAL = {
    "training.max_steps": 2, "training.batch_size": 2, "training.gradient_accumulation_steps": 1,
    "data.sizes": "{train: 16, validation: 2, test: 2}", "chunks.score_batch_tokens": 2048, "workers": 2, "threads": 1,
    "training.methods": "{}", "evaluation.alone_questions": 0,
}  # fmt: skip
REHEARSED_BUDGET = (60, 30, 1)
NOT_PACKED = (".safetensors", "tokenizer.json", ".progress", ".tmp", ".lock")


@dataclass(frozen=True)
class Part:
    """Some methods of a task with one seed.

    Attributes:
        task: the task.
        name: of the part.
        seed: the seed.
        methods: what is trained and compared.
        changes: keys of the recipe that are otherwise.
        of: run of the part that has trained the judge, which is waited for; None: nothing is taken over.
        alone: whether nothing else may run beside it.
    """

    task: str
    name: str
    seed: int
    methods: tuple
    changes: tuple = ()
    of: str | None = None
    alone: bool = False

    @property
    def run(self):
        """Name of its run folder."""
        return f"{self.task}-{self.name}-s{self.seed}"


@dataclass
class Run:
    """A part at work."""

    part: Part
    folder: Path
    process: subprocess.Popen
    started: float


def plan(seeds=SEEDS, *, rehearse=False):
    """The parts in the order in which they start: arithmetic with three seeds, the same at equal target tokens, the
    tasks where search has something to choose, arithmetic in equal seconds; then all of it with further seeds."""
    limits = REHEARSED_BUDGET if rehearse else (TARGET_TOKENS, STEP_TARGET_TOKENS, TRAINING_SECONDS)
    parts, budgets = [], budget_changes(*limits)
    for some in (range(min(3, seeds)), range(3, seeds)):
        for seed in some:
            parts += [Part(ARITH, "plain", seed, PLAIN), Part(ARITH, "stt-trial", seed, GATED, TRIAL)]
            parts.append(Part(ARITH, "judged", seed, JUDGED))
        for seed in some:
            judge = Part(ARITH, "judged", seed, JUDGED).run
            parts.append(Part(ARITH, "tokens", seed, BUDGETED, budgets["tokens"]))
            parts.append(
                Part(ARITH, "tokens-judged", seed, BUDGETED_JUDGED, budgets["tokens-judged"], of=judge)
            )
        for seed in some:
            parts += [Part(task, "chunkers", seed, CHUNKERS) for task in (TRACKING, LETTERS)]
        parts += [
            Part(ARITH, "seconds", seed, BUDGETED[:-1], budgets["seconds"], alone=True) for seed in some
        ]
    return parts


def budget_changes(target_tokens, step_target_tokens, seconds):
    """Keys of the recipe that parts under a budget change, by the name of the part.

    A part that takes over a judge changes the options of its own methods only: those of the judge must stay.
    """
    tokens = f"max_steps: null, budget: {{target_tokens: {target_tokens}}}, step_target_tokens: {step_target_tokens}"
    own = {"stt": "batch_size: 48, chunk_dropout: 0.0", "pruned-judge": "batch_size: 16"}
    return {
        "tokens": (
            "training.max_steps=null",
            f"training.budget={{target_tokens: {target_tokens}}}",
            f"training.step_target_tokens={step_target_tokens}",
            "training.methods={base+ac: {batch_size: 40}}",
        ),
        "tokens-judged": tuple(f"training.methods.{name}={{{tokens}, {more}}}" for name, more in own.items()),
        "seconds": ("training.max_steps=null", f"training.budget={{seconds: {seconds}}}", "workers=1"),
    }


def next_part(todo, running, done):
    """The first part that may start now; None: wait."""
    if any(run.part.alone for run in running):
        return None
    for part in todo:
        if part.alone:
            return None if running else part
        if part.of is None or part.of in done:
            return part
    return None


def variants_of(part, texts):
    """The parts that take over the judge of a part that is done.

    Args:
        part: one of the name `judged`, or another one, which has none.
        texts: "LABEL KEY=VALUE …", as on the command line.
    """
    if part.name != "judged":
        return []
    split = [text.split() for text in texts]
    return [
        Part(part.task, f"stt-{label}", part.seed, ("stt",), tuple(changes), part.run)
        for label, *changes in split
    ]


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
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        help='"LABEL KEY=VALUE …": stt once more, with these keys otherwise',
    )
    parser.add_argument("--rehearse", action="store_true", help="two steps, two layers, one seed")
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    todo = plan(1 if options.rehearse else SEEDS, rehearse=options.rehearse)
    student = options.root / "student"
    if options.rehearse:
        student = cut_layers(student, options.root / "student-cut")
    running, failed, lasted = [], [], {}
    try:
        while (todo or running) and time.monotonic() < deadline - STOP_SECONDS - PACK_SECONDS:
            todo = [part for part in todo if part.of not in failed]
            done = lasted.keys() - set(failed)
            while len(running) < options.side_by_side and (part := next_part(todo, running, done)):
                todo.remove(part)
                running.append(start(part, student, options))
            time.sleep(POLL_SECONDS)
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                lasted[run.part.run] = time.monotonic() - run.started
                say(f"{run.part.run}: code {run.process.returncode} after {lasted[run.part.run]:.0f} s")
                failed += [run.part.run] if run.process.returncode else []
                if not run.process.returncode:
                    todo = variants_of(run.part, options.variant) + todo
                    drop_weights(run.folder, judges=any(part.of == run.part.run for part in todo))
                report(options, lasted)
    finally:
        stop(running)
    report(options, lasted)
    pack(options)
    left = [run.part.run for run in running]
    say(f"failed: {', '.join(failed) or 'none'}; stopped: {', '.join(left) or 'none'}")
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


def start(part, student, options):
    """Starts a run."""
    folder = options.root / "runs" / part.run
    changes = {"student.path": student, "seeds": f"[{part.seed}]", "methods": f"[{', '.join(part.methods)}]"}
    changes |= REHEARSAL if options.rehearse else {}
    settings = [f"{key}={value}" for key, value in changes.items()] + list(part.changes)
    reused = [] if part.of is None else ["--reuse", str(options.root / "runs" / part.of)]
    command = [sys.executable, "-m", "skipthink", "run", str(HERE / f"{part.task}.yaml"), "--out", str(folder),
               "--data", str(options.root / "data" / f"{part.task}.jsonl"), *reused,
               *(word for setting in settings for word in ("--set", setting))]  # fmt: skip
    say(f"{part.run}: begins")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    return Run(part, folder, process, time.monotonic())


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


def drop_weights(folder, judges=False):
    """Makes room: the weights of a run that is evaluated are of no more use, but for judges that variants ask."""
    for path in folder.rglob("*.safetensors"):
        if not (judges and {"base+sbc", "student"} & set(path.relative_to(folder).parts)):
            path.unlink()


def collect(root):
    """What is evaluated by now: rows of task, part, method with the label of its variant, seed, what was measured."""
    rows = []
    for path in sorted((root / "runs").glob("*/evaluate/*/s*/done.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        run, (method, seed) = path.parents[3], path.parts[-3:-1]
        trained = json.loads((run / "train" / method / seed / "train.json").read_text(encoding="utf-8"))
        keys = ("train_steps", "train_items", "train_tokens", "train_target_tokens", "seconds", "report")
        task = next(task for task in TASKS if run.name.startswith(f"{task}-"))
        part = run.name.removeprefix(f"{task}-").rpartition("-s")[0]
        label = part.removeprefix("stt-") if part.startswith("stt-") else BUDGETS.get(part)
        rows.append({
            "task": task, "part": part, "method": method if label is None else f"{method} ({label})",
            "budget": BUDGETS.get(part), "seed": int(seed[1:]), **found["result"],
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
        "in tokens against Base of the same seed and budget. Seconds per answer in batches, with other students at "
        "work on the same device.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    groups = defaultdict(list)
    for row in rows:
        groups[row["task"], row["method"]].append(row)
    base = {base_of(row): row["tokens_per_answer"] for row in rows if row["method"].split(" (")[0] == "base"}
    for task in TASKS:
        found = {row["method"] for row in rows if row["task"] == task}
        for method in [*METHODS, *sorted(found - set(METHODS))]:
            if group := groups.get((task, method)):
                lines.append(f"| {task} | {method} | {' | '.join(cells(group, base))} |")
    return "\n".join(lines) + "\n"


def base_of(row):
    """What the Base that a row is compared with has in common with it."""
    return row["task"], row["seed"], row["budget"]


def cells(group, base):
    """The cells of one task and method."""
    n = sum(row["n"] for row in group)
    low, high = wilson_interval(sum(row["right"] for row in group), n)
    ups = [
        base[base_of(row)] / row["tokens_per_answer"]
        for row in group
        if base_of(row) in base and row["tokens_per_answer"]
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
