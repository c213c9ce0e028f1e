"""The report on skip data: `skips.json`, and tables of skips by position, number of chunks and task."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skipthink.exceptions import RunError
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder, read_job_table
from skipthink.run.jobs import Graph
from skipthink.skipping.foresight import kappa, step_flags

COSTS = (
    "asked",
    "tokens_generated",
    "prompt_tokens",
    "prompt_tokens_read",
    "unparsed",
    "regrown",
    "seconds",
)
OF_GATES = ("roles", "curve", "rescued", "train_target_tokens", "drawn", "foreseen", "thresholds")
"""What the reports of some gates hold besides."""


def skip_summary(folder: RunFolder, graph: Graph) -> list[dict[str, Any]]:
    """The skip data of each seed.

    Args:
        folder: the run folder.
        graph: the jobs of the run.

    Returns:
        A row per seed (and judge): seed, task, judges, votes; asked (questions), tokens_generated, prompt_tokens,
        prompt_tokens_read, unparsed, regrown, seconds; groups (`skipping.statistics.group_skips`), warnings. No row
        where no skip data were made.

    Raises:
        RunError: skip data of a seed are not finished.
    """
    rows = []
    for job in (job for job in graph if job.kind is Kind.SKIP_DATA):
        done = folder.done(job, graph.fingerprints[job])
        if done is None:
            raise RunError(f"{job.name} is not finished in {folder.path}")
        report = done["result"]
        row = {"seed": job.seed, "task": graph.recipe.task_name, "gate": graph.recipe.skip.gate}
        row |= {key: report[key] for key in ("judges", "votes", *COSTS, "groups", "warnings")}
        rows.append(row | {key: report[key] for key in OF_GATES if key in report})
    return rows


def format_skips(rows: list[dict[str, Any]]) -> str:
    """The summary as text: one paragraph per seed, with its warnings."""
    return "\n\n".join(_format_seed(row) for row in rows)


def _format_seed(row: dict[str, Any]) -> str:
    head = _head(row) if _asks(row) else _head_of_gate(row)
    n_chunks = len(row["groups"][0]["skip_rate"])
    lines = [["skipped % of chunk", "samples", "right", *map(str, range(1, n_chunks + 1))]]
    for group in row["groups"]:
        name = _printable(group["group"])
        title = {"all": "all", "chunks": f"with {name} chunks", "task": name}[group["by"]]
        rates = ["-" if rate is None else f"{100 * rate:.1f}" for rate in group["skip_rate"]]
        lines.append([title, str(group["rows"]), str(group["judge_right"]), *rates])
    if not _asks(row):  # nobody was right or wrong about a sample
        lines = [[*line[:2], *line[3:]] for line in lines]
    return "\n".join(
        [
            head,
            align(lines),
            *_format_roles(row),
            *_format_foreseen(row),
            *_format_thresholds(row),
            *(f"warning: {text}" for text in row["warnings"]),
        ]
    )


def _asks(row: dict[str, Any]) -> bool:
    """Whether the judge was asked for answers; rows of before there were other gates name none."""
    return bool(row.get("gate", "answer") == "answer")


def _head(row: dict[str, Any]) -> str:
    total = row["groups"][0]
    judged = "" if row["judges"] == 1 else f" by {row['judges']} judges"
    right = f"{total['judge_right']} of {total['rows']}"
    return (
        f"skip data of seed {row['seed']}{judged}: right on {right} with nothing dropped; {row['asked']} questions, "
        f"{row['tokens_generated']} tokens generated, {row['prompt_tokens_read']} of {row['prompt_tokens']} prompt "
        f"tokens read, {row['regrown']} right answers with the dropped chunk written elsewhere, {row['seconds']:.1f} s"
    )


def _head_of_gate(row: dict[str, Any]) -> str:
    asked = ""
    if row["asked"]:
        asked = (
            f": {row['train_target_tokens']} target tokens trained on, {row['asked']} questions, "
            f"{row['tokens_generated']} tokens generated, {row['seconds']:.1f} s"
        )
    return f"skip data of seed {row['seed']} by the gate {row['gate']}{asked}"


def _format_thresholds(row: dict[str, Any]) -> list[str]:
    """How much the gate `soft` would skip at other thresholds."""
    if "thresholds" not in row:
        return []
    lines = [
        ["mean rise of the loss, nats per token", *(f"{one['mean_rise']:g}" for one in row["thresholds"])]
    ]
    lines.append(["chunks skipped %", *(f"{100 * one['skipped']:.1f}" for one in row["thresholds"])])
    return [align(lines)]


def _format_foreseen(row: dict[str, Any]) -> list[str]:
    """How well decisions can be foreseen, and how far they were drawn to the shares of roles."""
    drawn = []
    if "drawn" in row:
        drawn = [
            f"{row['drawn']} decisions drawn to the share of their role, {row['rescued']} samples rescued"
        ]
    told = {name: f"{auc:.2f}" for name, auc in row.get("foreseen", {}).items() if auc is not None}
    if "skipped" not in told:
        return drawn
    before = f" ({told['own']} before decisions were drawn)" if "own" in told else ""
    without = f", from question and place of {told['skipped_by_place']}" if "skipped_by_place" in told else ""
    return [
        *drawn,
        f"decisions are foreseen from question and role with an AUC of {told['skipped']}{before}{without}",
    ]


def agreements(folder: RunFolder, graph: Graph) -> dict[str, float]:
    """How far the seeds of a run skip the same steps: Cohen's kappa, mean over pairs of seeds.

    Args:
        folder: the run folder; its skip data are finished.
        graph: the jobs of the run.

    Returns:
        `kappa`; of decisions that were drawn to roles, `kappa_before` too. Empty for a single seed, or several judges.
    """
    jobs = [job for job in graph if job.kind is Kind.SKIP_DATA]
    if len(jobs) < 2 or any(job.method for job in jobs):
        return {}
    tables = [read_job_table(folder.of(job) / "skip.parquet").to_pydict() for job in jobs]
    found = {}
    for name, column in (("kappa", "skipped"), ("kappa_before", "own")):
        if column in tables[0]:
            flags = [step_flags(np.asarray(one["boundaries"]), np.asarray(one[column])) for one in tables]
            found[name] = float(np.mean([kappa(a, b) for a, b in itertools.combinations(flags, 2)]))
    return found


def format_agreements(found: dict[str, float]) -> list[str]:
    """One line, or none for a single seed."""
    if not found:
        return []
    before = f" ({found['kappa_before']:.2f} before decisions were drawn)" if "kappa_before" in found else ""
    return [f"seeds skip the same steps with a kappa of {found['kappa']:.2f}{before}"]


def _format_roles(row: dict[str, Any]) -> list[str]:
    """The roles of the gate `trial`, and what each step of the elimination cost and saved."""
    if "curve" not in row:
        return []
    roles = [["role", "chunks", "may go", "example"]]
    roles += [
        [str(place), str(role["chunks"]), "yes" if role["dropped"] else "no", _printable(role["example"])]
        for place, role in enumerate(row["roles"], 1)
    ]
    curve = [
        ["tried without", "accuracy % without", "best before", "tokens/answer without", "trainings", "may go"]
    ]
    curve += [
        [
            ", ".join(str(role + 1) for role in trial["roles"]),
            f"{100 * trial['accuracy']:.1f}",
            f"{100 * trial['best_accuracy']:.1f}",
            f"{trial['tokens_per_answer']:.1f}",
            str(trial["trainings"]),
            "yes" if trial["may_go"] else "no",
        ]
        for trial in row["curve"]
    ]
    kept = f"{row['rescued']} samples keep a chunk that might go, as they would hold none without it"
    return [align(roles), align(curve), *([kept] if row["rescued"] else [])]


def _printable(text: str) -> str:
    """Names of tasks come with the data: nothing of them may steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def spread(values: Sequence[float | None], show: Callable[[float], str] = "{:.1f}".format) -> str:
    """Mean ± standard deviation of the values of several seeds; the value itself of one, - of none.

    Args:
        values: None where a seed has none.
        show: writes a value.
    """
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if len(known) == 1:
        return show(known[0])
    return f"{show(float(np.mean(known)))} ± {show(float(np.std(known, ddof=1)))}"


def align(lines: list[list[str]]) -> str:
    """Columns side by side: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    )
