"""The report of a run: `results.json`, the table, and statistics of the chunks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.exceptions import RunError
from skipthink.io.files import write_json, write_text
from skipthink.run.choosing import CHOICE_FILE, format_choice
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder, read_job_json, read_job_table
from skipthink.run.jobs import CHOOSE, Graph, Job
from skipthink.run.level_report import format_levels
from skipthink.run.own_report import format_own, own_summary
from skipthink.run.precision_report import run_precisions, warn_of_precisions
from skipthink.run.skip_report import (
    agreements,
    align,
    format_agreements,
    format_skips,
    skip_summary,
    spread,
)
from skipthink.training.method import Needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = 2
PACKAGES = ("skipthink", "torch", "transformers", "tokenizers", "datasets", "pyarrow", "numpy")
MEASURED = (
    "n",
    "right",
    "wrong",
    "unparsed",
    "timeouts",
    "unended",
    "looped",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "tokens_per_answer",
    "prompt_tokens_per_answer",
    "seconds_per_answer",
    "seconds_per_answer_alone",
    "n_alone",
    "stage_accuracy",
    "n_stage",
    "device",
)
SUMMARISED = (
    "accuracy",
    "unparsed_rate",
    "loop_rate",
    "tokens_per_answer",
    "prompt_tokens_per_answer",
    "seconds_per_answer",
    "seconds_per_answer_alone",
    "speedup_tokens",
    "speedup_seconds",
    "speedup_seconds_alone",
)
COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("accuracy %", "accuracy", lambda value: f"{100 * value:.1f}"),
    ("tokens/answer", "tokens_per_answer", lambda value: f"{value:.1f}"),
    ("ms/answer", "seconds_per_answer", lambda value: f"{1000 * value:.1f}"),
    ("ms alone", "seconds_per_answer_alone", lambda value: f"{1000 * value:.1f}"),
    ("speed-up tokens", "speedup_tokens", lambda value: f"{value:.2f}x"),
    ("speed-up seconds", "speedup_seconds", lambda value: f"{value:.2f}x"),
    ("speed-up alone", "speedup_seconds_alone", lambda value: f"{value:.2f}x"),
    ("loops %", "loop_rate", lambda value: f"{100 * value:.1f}"),
    ("unparsed %", "unparsed_rate", lambda value: f"{100 * value:.1f}"),
)


def write_report(folder: RunFolder, graph: Graph) -> tuple[dict[str, Any], str]:
    """Writes `results.json`, `table.txt`, `chunks.json`, `skips.json` and `own_answers.json` of a finished run.

    Args:
        folder: the run folder; its job `evaluate` is finished.
        graph: the jobs.

    Returns:
        The results and the table.

    Raises:
        RunError: a job is not finished.
    """
    recipe = graph.recipe
    rows = [_row(folder, graph, method.name, seed) for method in recipe.chosen for seed in recipe.seeds]
    reference = None if recipe.reference is None else recipe.reference.name
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "task": recipe.task_name,
        "recipe": recipe.name,
        "versions": versions(),
        "machine": machine(),
        "methods": with_speedups(rows, reference),
    }
    results["summary"] = summarise(results["methods"])
    table = format_table(results)
    differing = warn_of_precisions(run_precisions(folder, graph))
    if differing is not None:
        table += f"\nwarning: {differing}"
    stages_table = format_stages(results["methods"])
    if stages_table:
        table += "\n\n" + stages_table
    levels_table = format_levels(results["methods"])
    if levels_table:
        table += "\n\n" + levels_table
    chunks = chunk_summary(folder, graph)
    if chunks:
        table += "\n\n" + format_chunks(chunks)
        write_json(folder.path / "chunks.json", {"schema": SCHEMA, "chunks": chunks})
    skips = skip_summary(folder, graph)
    if skips:
        agreed = agreements(folder, graph)
        table += "\n\n" + "\n".join([format_skips(skips), *format_agreements(agreed)])
        write_json(folder.path / "skips.json", {"schema": SCHEMA, "skips": skips, **agreed})
    own = own_summary(folder, graph)
    if own:
        table += "\n\n" + format_own(own)
        write_json(folder.path / "own_answers.json", {"schema": SCHEMA, "own_answers": own})
    if recipe.choose is not None:
        choice = read_job_json(folder.of(CHOOSE) / CHOICE_FILE)
        results["choice"] = choice
        table += "\n\n" + format_choice(choice, results["methods"])
    write_text(folder.path / "table.txt", table + "\n")
    write_json(folder.path / "results.json", results)
    return results, table


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, str]:
    """The machine a run is on: system, processor and cores; the devices of methods stand with their measures."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": f"{usable} usable of {os.cpu_count()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def with_speedups(rows: Sequence[dict[str, Any]], reference: str | None) -> list[dict[str, Any]]:
    """Adds speed-ups against the reference of the same seed, Base (method §8); None where there is none.

    Args:
        rows: one per method and seed, with tokens_per_answer and, where they were taken, seconds_per_answer.
        reference: name of the method that speed-ups are measured against.
    """
    base = {row["seed"]: row for row in rows if row["method"] == reference}
    names = {
        "speedup_tokens": "tokens_per_answer",
        "speedup_seconds": "seconds_per_answer",
        "speedup_seconds_alone": "seconds_per_answer_alone",
    }
    return [
        row
        | {name: _ratio(base.get(row["seed"], {}).get(unit), row.get(unit)) for name, unit in names.items()}
        for row in rows
    ]


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each method over its seeds: mean, standard deviation (None of one seed) and number of seeds of each measure.

    Args:
        rows: one per method and seed, as in `results.json`.

    Returns:
        Method → measure → {mean, sd, n}; a measure no seed has is left out.
    """
    summary: dict[str, dict[str, Any]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        measures = {}
        for name in SUMMARISED:
            values = [row[name] for row in own if row[name] is not None]
            if values:
                sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
                measures[name] = {"mean": float(np.mean(values)), "sd": sd, "n": len(values)}
        summary[method] = measures
    return summary


def format_table(results: dict[str, Any]) -> str:
    """The table of a run: the 95 % Wilson interval of one seed, mean ± standard deviation of several.

    Args:
        results: content of `results.json`.
    """
    rows = results["methods"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [["method", *(title for title, _, _ in COLUMNS)]]
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        cells = [spread([row[key] for row in own], show) for _, key, show in COLUMNS]
        if len(own) == 1:
            low, high = (100 * own[0][end] for end in ("accuracy_low", "accuracy_high"))
            cells[0] += f" [{low:.1f}, {high:.1f}]"
        lines.append([method, *cells])
    n_seeds = len({row["seed"] for row in rows})
    head = f"{results['recipe']}: {results['task']}, n = {rows[0]['n']}, {n_seeds} seed{'s' * (n_seeds > 1)}"
    return "\n".join([head, align(lines)])


def format_stages(rows: Sequence[dict[str, Any]]) -> str:
    """Accuracy if the teacher's first m chunks are given, one line per method; empty if no method has stages."""
    staged = [row for row in rows if row["stage_accuracy"] is not None]
    if not staged:
        return ""
    n_stages = len(staged[0]["stage_accuracy"])
    lines = [["accuracy % given chunks", "n", *map(str, range(n_stages))]]
    for method in dict.fromkeys(row["method"] for row in staged):
        own = [row for row in staged if row["method"] == method]
        columns = zip(*(row["stage_accuracy"] for row in own), strict=True)
        cells = [spread(list(column), lambda value: f"{100 * value:.1f}") for column in columns]
        lines.append([method, str(own[0]["n_stage"]), *cells])
    return align(lines)


def chunk_summary(folder: RunFolder, graph: Graph) -> list[dict[str, Any]]:
    """Statistics of the chunks by stage: lengths in steps, empty ones, share skipped (method §4).

    Returns:
        Rows with method, seed, stage, mean_steps, sd_steps, empty (share) and skipped (share; None where no
        skip data were made).
    """
    asked = graph.recipe.skip.has_judge
    judged = {
        graph.judges(job)[0].method: job.method for job in graph if asked and job.kind is Kind.SKIP_DATA
    }
    summary = []
    for job in graph:
        if job.kind is not Kind.TRAIN or not job.is_final:
            continue
        method = graph.recipe.method(str(job.method))
        if not method.has_chunks or method.needs is not Needs.NOTHING:
            continue
        skipped = None
        if method.name in judged:
            skip_data = Job(Kind.SKIP_DATA, judged[method.name], job.seed)
            table = read_job_table(folder.of(skip_data) / "skip.parquet")
            skipped = np.asarray(table["skipped"].to_pylist())
        table = read_job_table(folder.of(job) / "chunks.parquet")
        lengths = np.diff(np.asarray(table["boundaries"].to_pylist()), axis=1)
        summary += _stage_rows(method.name, job.seed or 0, lengths, skipped)
    return summary


def format_chunks(chunks: list[dict[str, Any]]) -> str:
    """The chunk summary as a table."""
    lines = [["chunks of", "seed", "stage", "steps", "empty %", "skipped %"]]
    lines += [
        [
            row["method"],
            str(row["seed"]),
            str(row["stage"]),
            f"{row['mean_steps']:.2f} ± {row['sd_steps']:.2f}",
            f"{100 * row['empty']:.1f}",
            "-" if row["skipped"] is None else f"{100 * row['skipped']:.1f}",
        ]
        for row in chunks
    ]
    return align(lines)


def _row(folder: RunFolder, graph: Graph, method: str, seed: int) -> dict[str, Any]:
    evaluation, train = Job(Kind.EVALUATE, method, seed), Job(Kind.TRAIN, method, seed)
    evaluated = folder.done(evaluation, graph.fingerprints[evaluation])
    trained = folder.done(train, graph.fingerprints[train])
    if evaluated is None or trained is None:
        raise RunError(f"{method} with seed {seed} is not finished in {folder.path}")
    measured = {key: evaluated["result"][key] for key in MEASURED}
    return {
        "method": method,
        "seed": seed,
        **measured,
        "levels": evaluated["result"].get("levels"),
        "unparsed_rate": measured["unparsed"] / measured["n"],
        "loop_rate": measured["looped"] / measured["n"],
        "precision": trained["result"].get("precision"),
        "train_steps": trained["result"]["train_steps"],
        "train_target_tokens": trained["result"]["train_target_tokens"],
    }


def _ratio(base: float | None, own: float | None) -> float | None:
    return None if base is None or not own else base / own


def _stage_rows(
    method: str, seed: int, lengths: NDArray[np.int64], skipped: NDArray[np.bool_] | None
) -> list[dict[str, Any]]:
    return [
        {
            "method": method,
            "seed": seed,
            "stage": stage + 1,
            "mean_steps": float(lengths[:, stage].mean()),
            "sd_steps": float(lengths[:, stage].std()),
            "empty": float((lengths[:, stage] == 0).mean()),
            "skipped": None if skipped is None else float(skipped[:, stage].mean()),
        }
        for stage in range(lengths.shape[1])
    ]
