"""What runs of the test bed have found: tables, ground truth on chunks and skips, plots.

    python bench/testbed.py runs/testbed-*            prints Markdown
    python bench/testbed.py runs/testbed-* --plots dev/figures
    python bench/testbed.py runs/a runs/b --brief     one table, a row a run and method

The test bed's tasks say which sentences of a rationale are core (their role is "reasoning"), which real data do not:
so it can be counted how far chunks set the core apart, and what the skipped ones held.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow.parquet as pq

from skipthink.skipping.foresight import kappa

CORE = "reasoning"
JUDGE = "base+sbc"
MEASURES = (
    "accuracy",
    "unparsed_rate",
    "tokens_per_answer",
    "seconds_per_answer",
    "speedup_tokens",
    "speedup_seconds",
    "train_steps",
    "train_target_tokens",
)
"""What the table of methods takes from the rows of `results.json`."""

ChunkRow: TypeAlias = tuple[int, dict[str, Any], list[tuple[range, bool | None]]]
"""Seed, sample and its chunks, each the indices of its steps and whether it is skipped."""


class Run(NamedTuple):
    """A finished run folder."""

    path: Path
    results: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.resolve().name  # runs that differ by --set share the name of their recipe

    def seeds(self) -> list[int]:
        return sorted({row["seed"] for row in self.results["methods"]})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="finished run folders")
    parser.add_argument("--plots", type=Path, help="folder for the plots, as SVG")
    parser.add_argument("--json", action="store_true", help="prints the figures as JSON")
    parser.add_argument("--brief", action="store_true", help="one table of all runs")
    options = parser.parse_args()
    runs = [read_run(path) for path in options.runs]
    figures = {run.name: measure(run) for run in runs}
    written = brief if options.brief else render
    print(json.dumps(figures, indent=1) if options.json else written(figures))
    if options.plots is not None:
        draw(figures, options.plots)


def read_run(path: Path) -> Run:
    results = path / "results.json"
    if not results.exists():
        raise SystemExit(f"{path} holds no results.json: it is no finished run folder")
    return Run(path, json.loads(results.read_text(encoding="utf-8")))


def measure(run: Run) -> dict[str, Any]:
    """All figures of a run."""
    samples = {row["id"]: row for row in pq.read_table(run.path / "data" / "train.parquet").to_pylist()}
    return {
        "task": run.results["task"],
        "n_test": run.results["methods"][0]["n"],
        "n_train": len(samples),
        "n_seeds": len(run.seeds()),
        "methods": methods(run),
        "isolation": isolation(run, samples),
        "skips": skips(run, samples),
        "agreement": agreement(run, samples),
    }


def methods(run: Run) -> dict[str, Any]:
    """Mean and standard deviation over the seeds, by method."""
    found = {}
    for method in dict.fromkeys(row["method"] for row in run.results["methods"]):
        own = [row for row in run.results["methods"] if row["method"] == method]
        found[method] = {
            name: (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
            for name in MEASURES
            if (values := [row[name] for row in own if row[name] is not None])
        }
    return found


def chunk_rows(run: Run, method: str, samples: dict[str, Any]) -> Iterator[ChunkRow]:
    """Rows of a method, of all seeds that have chunks."""
    for seed in run.seeds():
        path = run.path / "train" / method / f"s{seed}" / "chunks.parquet"
        skip_path = run.path / "skip-data" / f"s{seed}" / "skip.parquet"
        if not path.exists():
            continue
        skipped = {}
        if method == JUDGE and skip_path.exists():
            skipped = {row["id"]: row["skipped"] for row in pq.read_table(skip_path).to_pylist()}
        for row in pq.read_table(path).to_pylist():
            sample, cuts = samples[row["id"]], row["boundaries"]
            steps = [range(start, end) for start, end in itertools.pairwise(cuts)]
            flags = skipped.get(row["id"], [None] * len(steps))
            yield seed, sample, list(zip(steps, flags, strict=True))


def isolation(run: Run, samples: dict[str, Any]) -> dict[str, Any]:
    """How far the chunks set core sentences apart, in characters.

    `purity`: share of core in the chunks that hold core; `freed`: share of what is not core that stands in chunks
    without core; `core`: share of core in everything, what purity is where chunks say nothing; `variety`: see there.
    """
    found = {}
    for method in (name for name in methods(run) if name.startswith("base+")):
        rows = list(chunk_rows(run, method, samples))
        core = plain = mixed = 0
        for _, sample, chunks in rows:
            for steps, _ in chunks:
                size = sum(len(sample["steps"][step]) for step in steps)
                own = sum(len(sample["steps"][step]) for step in steps if sample["roles"][step] == CORE)
                core += own
                if own:
                    mixed += size - own
                else:
                    plain += size
        found[method] = {
            "purity": core / (core + mixed),
            "freed": plain / (plain + mixed),
            "core": core / (core + plain + mixed),
            "variety": variety(rows),
        }
    return found


def variety(rows: list[ChunkRow]) -> float:
    """Bits of a rationale's cuts, given the roles of its sentences: 0 where rationales of one build are cut alike."""
    builds: dict[Any, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for seed, sample, chunks in rows:
        builds[seed, tuple(sample["roles"])][tuple(steps.stop for steps, _ in chunks)] += 1
    counts = [np.asarray(list(found.values())) for found in builds.values()]
    bits = sum(float((own * np.log2(own.sum() / own)).sum()) for own in counts)
    return bits / len(rows)


def skips(run: Run, samples: dict[str, Any]) -> dict[str, Any]:
    """What the skipped chunks held; empty where nothing was judged.

    `without_core`: share of the skipped chunks that hold no core sentence; `expected`: the share among all chunks;
    `restated`: of the skipped chunks with core, those whose result also stands in a chunk that is kept;
    `by_stage`: share skipped, one list per seed; `judge`: share of the samples the judge gets right with nothing
    dropped, per seed (if far above its accuracy on test questions, it knows its samples by heart).
    """
    n_all = n_plain = n_skipped = n_skipped_plain = n_core = n_restated = 0
    by_stage: dict[int, list[list[bool]]] = {}
    for seed, sample, chunks in chunk_rows(run, JUDGE, samples):
        if any(skipped is None for _, skipped in chunks):
            return {}
        by_stage.setdefault(seed, []).append([bool(skipped) for _, skipped in chunks])
        kept = "".join(sample["steps"][step] for steps, skipped in chunks if not skipped for step in steps)
        for steps, skipped in chunks:
            if not len(steps):
                continue
            core = [step for step in steps if sample["roles"][step] == CORE]
            n_all += 1
            n_plain += not core
            if not skipped:
                continue
            n_skipped += 1
            n_skipped_plain += not core
            if core:
                n_core += 1
                n_restated += result_of(sample["steps"][core[-1]]) in re.findall(r"\w+", kept)
    if not by_stage:
        return {}
    return {
        "share": n_skipped / n_all,
        "without_core": n_skipped_plain / max(n_skipped, 1),
        "expected": n_plain / n_all,
        "restated": n_restated / max(n_core, 1),
        "by_stage": {seed: np.mean(rows, axis=0).tolist() for seed, rows in by_stage.items()},
        "judge": {seed: judged_right(run, seed) for seed in by_stage},
    }


def judged_right(run: Run, seed: int) -> float:
    """Share of the samples that the judge of a seed gets right with nothing dropped."""
    report = json.loads((run.path / "skip-data" / f"s{seed}" / "report.json").read_text(encoding="utf-8"))
    return float(report["base_right"] / report["rows"])


def result_of(sentence: str) -> str:
    """What a core sentence comes to: its last number, else its last word."""
    numbers = re.findall(r"\d+", sentence)
    return numbers[-1] if numbers else re.findall(r"\w+", sentence)[-1]


def agreement(run: Run, samples: dict[str, Any]) -> dict[str, float]:
    """How far two seeds skip the same steps: Cohen's kappa, mean over pairs of seeds; empty for one seed."""
    steps: dict[int, list[bool]] = {}
    for seed, sample, chunks in chunk_rows(run, JUDGE, samples):
        flags = [False] * len(sample["steps"])
        for own, skipped in chunks:
            for step in own:
                flags[step] = bool(skipped)
        steps.setdefault(seed, []).extend(flags)
    pairs = [kappa(np.asarray(a), np.asarray(b)) for a, b in itertools.combinations(steps.values(), 2)]
    return {"kappa": float(np.mean(pairs))} if pairs else {}


def render(figures: dict[str, Any]) -> str:
    """All figures as Markdown."""
    blocks = []
    for name, found in figures.items():
        head = f"{found['task']}, {found['n_train']} rationales, {found['n_seeds']} seeds, {found['n_test']} questions"
        blocks += [f"### {name}", "", head, "", *method_table(found), ""]
        if found["isolation"]:
            blocks += [*isolation_table(found), ""]
        if found["skips"]:
            blocks += [*skip_lines(found), ""]
    return "\n".join(blocks)


def brief(figures: dict[str, Any]) -> str:
    """Runs beside each other: a row a run and method, what the gate did in that of STT."""
    lines = [
        "| run | method | accuracy % | speed-up tokens | steps | target tokens | chunks skipped % "
        "| of them without core % (of all) | kappa |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        for method, own in found["methods"].items():
            cells = [
                spread(own["accuracy"], 100, 1),
                spread(own.get("speedup_tokens"), 1, 2),
                f"{own['train_steps'][0]:,.0f}",
                f"{own['train_target_tokens'][0]:,.0f}",
                *(gate_cells(found) if method == "stt" else ["", "", ""]),
            ]
            lines.append(f"| {name} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def gate_cells(found: dict[str, Any]) -> list[str]:
    """Share skipped, share of that without core, agreement of seeds."""
    own, agreement = found["skips"], found["agreement"]
    if not own:
        return ["-", "-", "-"]
    return [
        f"{100 * own['share']:.1f}",
        f"{100 * own['without_core']:.1f} ({100 * own['expected']:.1f})",
        f"{agreement['kappa']:.2f}" if agreement else "-",
    ]


def method_table(found: dict[str, Any]) -> list[str]:
    lines = [
        "| method | accuracy % | unparsed % | tokens per answer | ms per answer | speed-up tokens | speed-up seconds "
        "| steps | target tokens |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method, own in found["methods"].items():
        cells = [
            spread(own["accuracy"], 100, 1),
            spread(own["unparsed_rate"], 100, 1),
            spread(own["tokens_per_answer"], 1, 1),
            spread(own["seconds_per_answer"], 1000, 1),
            spread(own.get("speedup_tokens"), 1, 2),
            spread(own.get("speedup_seconds"), 1, 2),
            f"{own['train_steps'][0]:,.0f}",
            f"{own['train_target_tokens'][0]:,.0f}",
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def isolation_table(found: dict[str, Any]) -> list[str]:
    lines = [
        "| chunks of | core in chunks that hold core % | non-core in chunks without core % | core in everything % "
        "| variety of cuts, bits |",
        "|---|---|---|---|---|",
    ]
    for method, own in found["isolation"].items():
        cells = " | ".join(f"{100 * own[key]:.1f}" for key in ("purity", "freed", "core"))
        lines.append(f"| {method} | {cells} | {own['variety']:.2f} |")
    return lines


def skip_lines(found: dict[str, Any]) -> list[str]:
    own = found["skips"]
    n_chunks = len(next(iter(own["by_stage"].values())))
    lines = [
        f"The gate skips {100 * own['share']:.1f} % of the chunks. Of those {100 * own['without_core']:.1f} % hold no "
        f"core sentence (of all chunks {100 * own['expected']:.1f} %); of those with core, the result of "
        f"{100 * own['restated']:.1f} % also stands in a chunk that is kept.",
        "",
        f"| seed | judge right % | {' | '.join(f'chunk {stage + 1} skipped %' for stage in range(n_chunks))} |",
        "|---|---|" + "---|" * n_chunks,
        *(
            f"| {seed} | {' | '.join(f'{100 * share:.1f}' for share in (own['judge'][seed], *row))} |"
            for seed, row in own["by_stage"].items()
        ),
    ]
    if found["agreement"]:
        lines += [
            "",
            f"Seeds agree on which steps to skip with a kappa of {found['agreement']['kappa']:.2f}.",
        ]
    return lines


def spread(value: tuple[float, float] | None, scale: float, digits: int) -> str:
    """Mean ± standard deviation."""
    if value is None:
        return "-"
    mean, sd = value
    return f"{scale * mean:.{digits}f}" + (f" ± {scale * sd:.{digits}f}" if sd else "")


def draw(figures: dict[str, Any], folder: Path) -> None:
    """Accuracy against tokens per answer, and what the gate skips; one file each."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "skipthink"  # the same figures give the same file
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    shown = dict.fromkeys(method for found in figures.values() for method in found["methods"])
    colours = {method: f"C{index}" for index, method in enumerate(shown)}
    handles: dict[str, Any] = {}  # of one legend: runs may differ in their methods
    plots, axes = plt.subplots(1, len(figures), figsize=(5 * len(figures), 4), squeeze=False)
    for axis, (name, found) in zip(axes[0], figures.items(), strict=True):
        for method, own in found["methods"].items():
            (accuracy, accuracy_sd), (tokens, tokens_sd) = own["accuracy"], own["tokens_per_answer"]
            handles[method] = axis.errorbar(
                tokens,
                100 * accuracy,
                xerr=tokens_sd,
                yerr=100 * accuracy_sd,
                fmt="o",
                color=colours[method],
                capsize=3,
                label=method,
            )
        axis.set(
            title=name,
            xlabel="generated tokens per answer",
            ylabel="accuracy (%)",
            xlim=(0, None),
            ylim=(0, 101),
        )
        axis.grid(alpha=0.3)
    axes[0][0].legend(handles.values(), handles.keys(), fontsize=8)
    save(plots, folder / "testbed-accuracy.svg")
    judged = {name: found["skips"]["by_stage"] for name, found in figures.items() if found["skips"]}
    if not judged:
        return
    plots, axes = plt.subplots(1, len(judged), figsize=(5 * len(judged), 3.5), squeeze=False)
    for axis, (name, by_stage) in zip(axes[0], judged.items(), strict=True):
        width = 0.8 / len(by_stage)
        for index, (seed, row) in enumerate(by_stage.items()):
            places = np.arange(len(row)) + index * width
            axis.bar(places, [100 * share for share in row], width, label=f"seed {seed}")
        axis.set_xticks(np.arange(len(row)) + 0.4 - width / 2, [str(stage + 1) for stage in range(len(row))])
        axis.set(title=name, xlabel="chunk", ylabel="skipped (%)", ylim=(0, 100))
    axes[0][0].legend(fontsize=8)
    save(plots, folder / "testbed-skips.svg")


def save(plots: Any, path: Path) -> None:
    plots.tight_layout()
    plots.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
