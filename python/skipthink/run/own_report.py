"""The report on own answers: `own_answers.json`, and a table of what was drawn, right and kept."""

from __future__ import annotations

from typing import Any

from skipthink.exceptions import RunError
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Graph
from skipthink.run.skip_report import align

COUNTS = (
    "writers",
    "samples",
    "drawn",
    "right",
    "wrong",
    "unparsed",
    "unended",
    "malformed",
    "no_step",
    "usable",
)
MEASURES = ("answered", "tokens_generated", "tokens_drawn", "tokens_kept", "seconds", "warnings")


def own_summary(folder: RunFolder, graph: Graph) -> list[dict[str, Any]]:
    """The own answers of a finished run.

    Args:
        folder: the run folder.
        graph: the jobs of the run.

    Returns:
        A row per method, round and seed: method, round, seed, and what `own_answers.make_own_answers` counts. No row
        where no method learns from own answers.

    Raises:
        RunError: own answers are not finished.
    """
    rows = []
    for job in (job for job in graph if job.kind is Kind.OWN_ANSWERS):
        done = folder.done(job, graph.fingerprints[job])
        if done is None:
            raise RunError(f"{job.name} is not finished in {folder.path}")
        row = {"method": job.method, "round": job.round, "seed": job.seed}
        rows.append(row | {key: done["result"][key] for key in (*COUNTS, *MEASURES)})
    return rows


def format_own(rows: list[dict[str, Any]]) -> str:
    """The summary as a table, with its warnings below."""
    lines = [
        [
            "own answers of",
            "round",
            "seed",
            "drawn",
            "right %",
            "usable %",
            "samples with one",
            "tokens",
            "shortest",
        ]
    ]
    warnings = []
    for row in rows:
        lengths = ["-" if row[key] is None else f"{row[key]:.1f}" for key in ("tokens_drawn", "tokens_kept")]
        shares = [f"{100 * row[key] / max(row['drawn'], 1):.1f}" for key in ("right", "usable")]
        samples = f"{row['answered']} of {row['samples']}"
        counts = [str(row[key]) for key in ("round", "seed", "drawn")]
        lines.append([row["method"], *counts, *shares, samples, *lengths])
        name = f"{row['method']}, round {row['round']}, seed {row['seed']}"
        warnings += [f"warning: {name}: {text}" for text in row["warnings"]]
    return "\n".join([align(lines), *warnings])
